"""The shared state on a real server, and without one: values, scripts, messages, and how little a dead server costs."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.domain.clock import SystemClock
from gateway.state import circuit as circuit_module
from gateway.state import valkey as valkey_module
from gateway.state.address import parse_state
from gateway.state.script import Script
from gateway.state.valkey import VALUE_BYTES_MAX, WAIT_S, StateDown, Valkey, open_valkey
from gateway.telemetry.metrics import Metrics
from tests.emulated_internet import certificate
from tests.valkey import ValkeyServer, valkey_server

SLACK_S = 0.25
"""For a loaded machine, on top of what a call may cost."""
TRIES = 5
"""A pause that the machine makes comes once, one that the code makes comes every time: the best of them counts."""
ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


def opened(url: str, metrics: Metrics | None = None) -> "_Opened":
    return _Opened(url, metrics or Metrics())


class _Opened:
    """`async with opened(url) as state`."""

    def __init__(self, url: str, metrics: Metrics) -> None:
        address = parse_state(url)
        assert address is not None
        self._context = open_valkey(address, SystemClock(), metrics)

    async def __aenter__(self) -> Valkey:
        return await self._context.__aenter__()

    async def __aexit__(self, *failure: object) -> None:
        await self._context.__aexit__(None, None, None)


@pytest.fixture
async def state(valkey: ValkeyServer) -> AsyncIterator[Valkey]:
    async with opened(valkey.url) as state:
        yield state


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is back is found at once."""
    monkeypatch.setattr(circuit_module, "PAUSE_S", 0.02)
    monkeypatch.setattr(circuit_module, "PAUSE_S_MAX", 0.05)


async def until(true: Callable[[], bool], within_s: float = 60) -> None:
    end_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end_s, "it never came true"
        await asyncio.sleep(0.01)


async def test_values(state: Valkey, valkey: ValkeyServer) -> None:
    """Kept for their time, under the prefix; `if_absent` leaves what is there; any bytes are values."""
    assert await state.get("k") is None
    assert await state.set("k", b"\x00\r\n\xff", 60_000)
    assert not await state.set("k", b"other", 60_000, if_absent=True)
    assert await state.get("k") == b"\x00\r\n\xff"
    assert await state.set("k", b"", 60_000)
    assert await state.get("k") == b""
    assert 0 < int(valkey.ask("PTTL", "igw:k")[1:]) <= 60_000
    await state.delete("k", "none")
    assert await state.set("k", b"new", 1, if_absent=True)
    await asyncio.sleep(0.01)
    assert await state.get("k") is None
    with pytest.raises(ValueError, match="too many"):
        await state.set("k", bytes(VALUE_BYTES_MAX + 1), 1000)


async def test_many_at_once(state: Valkey) -> None:
    """Hundreds of calls over one connection: each gets its own answer; who gives up takes nobody's."""
    values = await asyncio.gather(*(state.run(ADD, ["n"], [1]) for _ in range(300)))
    assert values == list(range(1, 301))

    async def given_up() -> None:
        task = asyncio.ensure_future(state.run(ADD, ["m"], [1]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def own(number: int) -> bytes | None:
        await state.set(f"own {number}", str(number).encode(), 60_000)
        return await state.get(f"own {number}")

    answers = await asyncio.gather(*(own(number) if number % 2 else given_up() for number in range(200)))
    assert [answer for answer in answers if answer] == [str(number).encode() for number in range(200) if number % 2]


async def test_scripts_outlive_a_server_that_forgot_them(state: Valkey, valkey: ValkeyServer) -> None:
    """By name, and with their text where the name is not known; lists come as lists."""
    assert await state.run(ADD, ["a"], [2]) == 2
    valkey.ask("SCRIPT", "FLUSH")
    assert await state.run(ADD, ["a"], [3]) == 5
    listed = Script("return {1, 'two', {3}, false}")
    assert await state.run(listed, [], []) == [1, b"two", [3], None]


async def test_an_error_of_the_server_is_an_outage(state: Valkey) -> None:
    """It is not tried again at once, and the next calls do not even ask."""
    with pytest.raises(StateDown):
        await state.run(Script("return redis.call('HGET', 'igw:none')"), [], [])
    assert state.is_down
    with pytest.raises(StateDown, match="left alone"):
        await state.get("k")


async def test_messages(state: Valkey, valkey: ValkeyServer) -> None:
    """Everyone who listens hears them, in order, and nobody who has stopped; databases do not hear each other."""
    heard: list[bytes] = []
    other: list[bytes] = []
    async with opened(valkey.url) as second, opened(f"{valkey.url}?db=1") as elsewhere:
        await second.subscribe("news", heard.append)
        await second.subscribe("other news", other.append)
        await elsewhere.subscribe("news", other.append)
        await until(lambda: _listeners(valkey) == 3)
        await state.publish("news", b"one")
        await state.publish("news", b"two\r\n")
        await until(lambda: len(heard) == 2)
        assert heard == [b"one", b"two\r\n"]
        await second.unsubscribe("news", heard.append)
        assert other == []


def _listeners(valkey: ValkeyServer) -> int:
    names = ("igw:0:news", "igw:0:other news", "igw:1:news")
    return sum(valkey.ask("PUBSUB", "NUMSUB", name).endswith(b":1\r\n") for name in names)


async def test_a_server_that_is_not_there_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, quick_probes: None
) -> None:
    """Opening says so once and goes on; when it comes, it is found, and those who wait for that are told."""
    metrics, back = Metrics(), []
    server = ValkeyServer(tmp_path)
    with caplog.at_level(logging.WARNING):
        async with opened(server.url, metrics) as state:
            state.on_return(lambda: back.append(True))
            assert await _refused_s(state) < 0.1
            assert b"gateway_state_up 0.0" in metrics.render()
            await asyncio.sleep(0.3)
            assert [record.message for record in caplog.records] == [
                "the shared state cannot be reached; it is tried again and again"
            ]
            server.start()
            try:
                await until(lambda: not state.is_down)
                assert await state.set("k", b"v", 1000)
                assert back
                assert b"gateway_state_up 1.0" in metrics.render()
            finally:
                server.stop()


async def test_a_stopped_server_costs_one_wait(own_valkey: ValkeyServer, quick_probes: None) -> None:
    """Calls under way fail within the wait; from then on all fail at once, until it goes on."""
    async with opened(own_valkey.url) as state:
        await state.set("k", b"v", 60_000)
        took_s: list[float] = []
        while len(took_s) < TRIES and (not took_s or took_s[-1] >= WAIT_S + SLACK_S):
            own_valkey.pause()
            began_s = time.monotonic()
            results = await asyncio.gather(*(state.get("k") for _ in range(50)), return_exceptions=True)
            took_s.append(time.monotonic() - began_s)
            assert all(isinstance(result, StateDown) for result in results)
            began_s = time.monotonic()
            for _ in range(200):
                with pytest.raises(StateDown):
                    await state.get("k")
                await asyncio.sleep(0.001)  # probes run meanwhile, and nobody waits for them
            assert time.monotonic() - began_s < 200 * WAIT_S / 4
            assert await _refused_s(state) < WAIT_S / 2
            own_valkey.resume()
            await until(lambda: not state.is_down)
            assert await state.get("k") == b"v"
        assert WAIT_S * 0.9 < min(took_s) < WAIT_S + SLACK_S, took_s


async def _refused_s(state: Valkey) -> float:
    """How long one waits for a refusal, at best."""
    took_s = []
    for _ in range(TRIES):
        began_s = time.monotonic()
        with pytest.raises(StateDown):
            await state.get("k")
        took_s.append(time.monotonic() - began_s)
    return min(took_s)


async def test_a_killed_server_is_found_again(own_valkey: ValkeyServer, quick_probes: None) -> None:
    """Refused at once while it is gone; afterwards calls and messages go on, and what was lost is told."""
    back: list[bool] = []
    heard: list[bytes] = []
    async with opened(own_valkey.url) as state:
        await state.subscribe("news", heard.append)
        assert await state.run(ADD, ["a"], [1]) == 1
        await until(lambda: b":1\r\n" in own_valkey.ask("PUBSUB", "NUMSUB", "igw:0:news"))
        state.on_return(lambda: back.append(True))
        own_valkey.stop()
        began_s = time.monotonic()
        with pytest.raises(StateDown):
            await state.run(ADD, ["a"], [1])
        assert time.monotonic() - began_s < 10 * WAIT_S + SLACK_S
        assert await _refused_s(state) < WAIT_S / 2
        own_valkey.start()
        await until(lambda: not state.is_down)
        assert await state.run(ADD, ["a"], [1]) == 1, "an empty server, which knew no scripts"
        await until(lambda: b":1\r\n" in own_valkey.ask("PUBSUB", "NUMSUB", "igw:0:news"))
        await state.publish("news", b"again")
        await until(lambda: heard == [b"again"])
        assert back


async def test_a_connection_cut_while_idle_costs_nothing(own_valkey: ValkeyServer) -> None:
    """The next call makes another."""
    async with opened(own_valkey.url) as state:
        await state.set("k", b"v", 60_000)
        own_valkey.ask("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.05)
        assert await state.get("k") == b"v"


async def test_a_server_that_accepts_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one behind a firewall that swallows packets: a start waits for it, a little."""
    monkeypatch.setattr(valkey_module, "CONNECT_S", 0.2)
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        took_s = []
        for _ in range(TRIES):
            began_s = time.monotonic()
            async with opened(f"unix://{path}") as state:
                took_s.append(time.monotonic() - began_s)
                assert state.is_down
            if took_s[-1] < 0.2 + SLACK_S:
                break
        assert min(took_s) < 0.2 + SLACK_S, took_s


async def test_a_password() -> None:
    """Right, wrong and none."""
    with valkey_server("--requirepass", "hush") as server:
        for credentials, down in ((":hush@", False), (":wrong@", True), ("", True)):
            async with opened(server.url.replace("unix://", f"unix://{credentials}")) as state:
                assert state.is_down is down
                if not down:
                    assert await state.set("k", b"v", 1000)


async def test_tls(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Over a proxy that ends it: with its authority, and not without, nor under another name."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certificate(["localhost"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_unix_connection(valkey.socket)
        with contextlib.suppress(OSError):
            await asyncio.gather(pipe(reader, before), pipe(behind, writer))

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        async with opened(f"rediss://localhost:{port}/1?ca_file={bundle}") as state:
            assert await state.set("k", b"v", 60_000)
            assert await state.get("k") == b"v"
        for wrong in (f"rediss://localhost:{port}", f"rediss://127.0.0.1:{port}?ca_file={bundle}"):
            async with opened(wrong) as state:
                assert state.is_down


async def test_a_busy_process_does_not_blame_the_server(
    state: Valkey, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that came in time is read, however late this process looks."""
    monkeypatch.setattr(valkey_module, "WAIT_S", WAIT_S)
    asking = asyncio.ensure_future(state.get("k"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(WAIT_S * 2)  # noqa: ASYNC251 - the loop is stopped on purpose
    valkey.ask("PING")  # waits in place of the loop: by now the server has answered
    assert await asking is None
    assert not state.is_down
