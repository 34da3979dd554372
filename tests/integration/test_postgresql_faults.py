"""A PostgreSQL that is restarted, or whose connection breaks at COMMIT, below a running gateway with calls in flight."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.db import postgresql
from gateway.db.migrate import migrate
from gateway.db.url import parse_database_url
from gateway.pipeline import pipeline, runner, stored
from tests.emulators.openai import OpenAIEmulator
from tests.integration import machine
from tests.integration.gateway_app import serving
from tests.integration.machine import calls_in_flight, generated, recovered, refused, until_logged
from tests.postgresql import RestartableServer, restartable_server
from tests.tcp_proxy import Cut, Proxy

AWAY = "see that the server runs"
NO_HEARTBEAT = "1h"
"""No commit but the call's own passes the proxy while a test waits for one to cut."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness is looked at anew for every question; what waits tries again soon; a silent server is given up after three seconds."""
    monkeypatch.setattr(pipeline, "READY_KEPT_S", 0.0)
    monkeypatch.setattr(postgresql, "COMMAND_TIMEOUT_S", 3.0)
    for module in (runner, stored):
        monkeypatch.setattr(module, "STORAGE_PAUSE_S", 0.05)
    for module in (runner, stored):
        monkeypatch.setattr(module, "STORAGE_PAUSE_S_MAX", 0.5)


@pytest.fixture(scope="module")
def server() -> Iterator[RestartableServer]:
    with restartable_server() as server:
        yield server


@pytest.fixture
async def proxy(postgresql_database: str) -> AsyncIterator[Proxy]:
    await migrate(parse_database_url(postgresql_database))
    proxy = Proxy(postgresql_database)
    yield proxy
    await proxy.stop()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restarted_server(
    how: str, server: RestartableServer, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """While it is away new calls are refused; what was at the upstream is delivered when it is back."""
    server.execute(f"CREATE DATABASE {how}")
    config = machine.config_of(tmp_path, server.url(how), openai_emulator, lease="2s")
    async with serving(config, {"openai": openai_emulator}) as house:
        await recovered(house)
        async with calls_in_flight(house, openai_emulator):
            await asyncio.to_thread(server.stop, kill=how == "killed")
            openai_emulator.release()
            await until_logged(house, "cannot be written yet")
            await refused(house, openai_emulator, reason="the database does not answer", log=[AWAY])
            await asyncio.sleep(2.5)  # longer than a lease: nobody may take the tasks for dead
            server.start()  # not in a thread of the loop's: the server dies with the thread that started it
            await recovered(house)
        await until_logged(house, "the database can be written again")
    assert len(openai_emulator.bills) == 2 * machine.IN_FLIGHT + 2


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.SILENCE])
async def test_a_connection_lost_at_the_commit_of_an_acceptance(
    cut: Cut, proxy: Proxy, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Committed: the call goes on as if nothing had been. Not committed: it is refused and nothing was sent. Either way the next one works."""
    config = machine.config_of(tmp_path, await proxy.start(), openai_emulator, lease=NO_HEARTBEAT)
    async with serving(config, {"openai": openai_emulator}) as house:
        await recovered(house)
        async with calls_in_flight(house, openai_emulator):
            proxy.happened.clear()
            proxy.cut = cut
            answer = await generated(house)
            assert proxy.happened.is_set()
            if cut is Cut.AFTER:
                assert answer.status == 200
            else:
                machine.assert_refused(answer)
            await recovered(house)
        bills = 2 * machine.IN_FLIGHT + 2 + (cut is Cut.AFTER)
        assert len(openai_emulator.bills) == bills


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.SILENCE])
async def test_a_connection_lost_at_the_commit_of_an_end(
    cut: Cut, proxy: Proxy, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The picture is there: its end is written once, whatever became of the first try, and its caller gets it."""
    config = machine.config_of(tmp_path, await proxy.start(), openai_emulator, lease=NO_HEARTBEAT)
    async with serving(config, {"openai": openai_emulator}) as house:
        async with calls_in_flight(house, openai_emulator):
            proxy.happened.clear()
            proxy.cut = cut
        assert proxy.happened.is_set()
        await recovered(house)
    assert len(openai_emulator.bills) == 2 * machine.IN_FLIGHT + 1
