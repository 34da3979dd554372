"""A machine's clock that is set while calls run: deadlines, leases, money and links do not care; only times that are shown look odd."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.domain.clock import SystemClock
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration import machine
from tests.integration.gateway_app import House, accounts, list_of, serving, texts_of, write_config
from tests.integration.machine import calls_in_flight, generated, recovered, submitted

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PRICE_USD = Decimal("0.00591")
"""196 tokens of a low picture at 30 USD a million, and a prompt."""


class SettableClock(SystemClock):
    """The machine's clock, and by how much somebody has set it."""

    def __init__(self) -> None:
        self.set_by_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.set_by_ms


JUMPS = {"a day on": DAY_MS, "an hour back": -HOUR_MS}


async def pictures_of(house: House, task_id: str) -> list[int]:
    """The statuses of a task's links."""
    task = (await house.task(task_id)).json
    return [(await house.get(link, key=None)).status for link in texts_of(task, "results")]


@pytest.mark.parametrize("jump", JUMPS)
async def test_calls_that_run_while_the_clock_is_set(
    jump: str, database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """None times out, none is taken up a second time, all are delivered and their links work; so for calls that begin afterwards."""
    clock = SettableClock()
    config = machine.config_of(tmp_path, database_url, openai_emulator, lease="2s")
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        await recovered(house)
        async with calls_in_flight(house, openai_emulator):
            clock.set_by_ms = JUMPS[jump]
            openai_emulator.release()
            await asyncio.sleep(0.6)  # rounds of recovery: the lease is looked after every 0.22 s
            await recovered(house)
        tasks = list_of((await house.get("/v1/tasks")).json, "data")
        for row in tasks:
            assert 0 <= float(str(row["duration"])) <= DAY_MS / 1000 + 60, row
            full = (await house.task(str(row["id"]))).json
            (result,) = list_of(full, "result_data")
            # 24 hours from the acceptance at least.
            assert int(str(result["expires_at"])) >= int(str(row["created_at"])) + DAY_MS // 1000, full
        later = await submitted(house)
        task = await house.ended(later)
        assert await pictures_of(house, later) == [200]
        assert task["status"] == "completed"
        # The next caller is not told to wait for a day.
        estimated = (await house.generate(machine.MODEL, headers={"Prefer": "respond-async"})).json["task_info"]
        assert isinstance(estimated, dict)
        assert estimated["estimated_time"] < 60
        clock.set_by_ms = 0
        await recovered(house)
        assert await pictures_of(house, later) == [200]
    # Every call was sent once.
    assert len(openai_emulator.bills) == 2 * machine.IN_FLIGHT + 5


async def test_a_budget_under_a_clock_that_is_set(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """It neither frees what was spent nor holds it twice: as many calls as it has money for, wherever the clock stands."""
    clock = SettableClock()
    config = machine.config_of(
        tmp_path,
        f"sqlite:///{tmp_path}/gateway.db",
        openai_emulator,
        accounts=accounts("4images/total"),
    )
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        statuses = []
        for set_by_ms in (0, DAY_MS, -HOUR_MS, 40 * DAY_MS, 0, DAY_MS):
            clock.set_by_ms = set_by_ms
            statuses.append((await generated(house)).status)
    assert statuses == [200] * 4 + [429] * 2
    assert len(openai_emulator.bills) == 4


async def test_a_deadline_under_a_clock_that_is_set(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """It rests on time that passes: a clock set back a day prolongs nothing."""
    clock = SettableClock()
    config = write_config(
        tmp_path,
        f"sqlite:///{tmp_path}/gateway.db",
        {"openai": {**machine.upstream_of(openai_emulator)["openai"], "timeout": "1s"}},
        deadline="2s",
    )
    openai_emulator.always(b.Hang())
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        call = asyncio.ensure_future(generated(house))
        await openai_emulator.until(lambda vendor: vendor.hanging == 1)
        clock.set_by_ms = -DAY_MS
        answer = await asyncio.wait_for(call, 30)
        house.doubt_billed["openai"] = Decimal(0)
    assert answer.error["code"] == "outcome_unknown"


async def test_a_restart_under_another_clock(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """Tasks of a process whose clock was a day ahead end all the same when the next one has the right time, and their links live a day at least."""
    clock = SettableClock()
    clock.set_by_ms = DAY_MS
    database = f"sqlite:///{tmp_path}/gateway.db"
    config = machine.config_of(tmp_path, database, openai_emulator, deadline="5s")
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        task_id = await submitted(house)
        await house.ended(task_id)
    async with serving(config, {"openai": openai_emulator}) as house:
        task = (await house.task(task_id)).json
        assert task["status"] == "completed"
        assert await pictures_of(house, task_id) == [200]
        await recovered(house)


async def test_a_fail_over_after_the_clock_was_set(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """A day that did not pass ends no deadline: when the first offer fails, the next one is still tried."""
    clock = SettableClock()
    offer = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
    models = {
        machine.MODEL: {
            "prompt_tokens_max": 1000,
            "sizes": ["1024x1024"],
            "offers": [offer, {**offer, "model": "gpt-image-2-2026-04-21"}],
        }
    }
    database = f"sqlite:///{tmp_path}/gateway.db"
    config = machine.config_of(tmp_path, database, openai_emulator, models=models)
    openai_emulator.next(b.Hang())
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        call = asyncio.ensure_future(generated(house))
        await openai_emulator.until(lambda vendor: vendor.hanging == 1)
        clock.set_by_ms = DAY_MS
        openai_emulator.release()  # released unbilled, it answers 503
        answer = await call
    assert answer.status == 200, answer.body
    assert len(openai_emulator.bills) == 1
