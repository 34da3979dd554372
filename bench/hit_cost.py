"""Where a cached hit's processor time goes: `python -m bench.hit_cost [ROUNDS]`.

The whole gateway and the server that only reads the call, in this one process, each driven over 32 connections without sockets: what is written to a
connection is thrown away, and its next call begins. In turn, round after round; the cheapest round counts, so that the figures mean something on a
busy machine, too. Then the event loop's thread is sampled by its processor time, and each sample counts for the part of the path that it is in.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import BinaryIO
from unittest.mock import patch

import uvloop
from aiohttp import web

from bench import setup, tools
from gateway import app as root
from gateway.api import server
from gateway.config import load
from gateway.telemetry.logs import LineWriter

CALLS, CONNECTIONS, ROUNDS = 200, 32, 20
SAMPLE_S = 0.001
REQUEST = (
    f"POST {setup.PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {setup.AUTHORIZATION}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(setup.BODY.encode())}\r\n\r\n{setup.BODY}"
).encode()
PARTS = (
    ("reading the call", ("api/call.py:read_call",)),
    ("admission and limits", ("pipeline/pipeline.py:admit", "api/rate_headers.py:take_rate")),
    ("finding the pictures", ("pipeline/sharing.py:begin",)),
    ("making the task, handing it to the writer, metrics", ("pipeline/serving.py:serve",)),
    ("acceptance around these", ("pipeline/accept.py:accept",)),
    ("the answer: view, link, headers, body", ("handlers/images.py:_as_image", "handlers/images.py:_wait", "handlers/images.py:_note")),
    ("handler around these", ("handlers/images.py:_make",)),
    ("authentication", ("keys/authenticator.py:authenticate",)),
    ("log line and request metrics", ("api/middlewares.py:_record",)),
    ("middlewares around these", ("api/middlewares.py:edge",)),
    ("hearing of commits", ("db/sqlite.py:_deliver",)),
)  # fmt: skip
"""The first that a sample's stack has is its part."""

Server = Callable[[], asyncio.Protocol]


class Caller(asyncio.Transport):
    """A connection's other end: an answer is told as soon as something is written."""

    def __init__(self, answered: Callable[["Caller", bytes], None]) -> None:
        super().__init__()
        self._answered = answered
        self._told = False
        self.protocol: asyncio.Protocol | None = None

    def send(self) -> None:
        self._told = False
        if self.protocol is not None:
            self.protocol.data_received(REQUEST)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._told:  # an answer may come in pieces of one turn of the loop
            self._told = True
            asyncio.get_running_loop().call_soon(self._answered, self, bytes(data[:12]))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(next(iter(list_of_data)))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.protocol = None

    abort = close

    def pause_reading(self) -> None:
        """There is one call at a time."""

    resume_reading = pause_reading


async def drive(target: Server, calls: int) -> tuple[float, float]:
    """Processor µs of a call: of the whole process, and of the event loop's thread. Every answer must be a success."""
    left, answered, done = calls, 0, asyncio.get_running_loop().create_future()

    def next_call(caller: Caller, beginning: bytes) -> None:
        nonlocal left, answered
        if beginning != b"HTTP/1.1 200" and not done.done():
            done.set_exception(RuntimeError(f"a call was answered {beginning!r}"))
        answered += 1
        if left > 0:
            left -= 1
            caller.send()
        elif answered == calls and not done.done():
            done.set_result(None)

    callers = [Caller(next_call) for _ in range(min(CONNECTIONS, calls))]
    for caller in callers:
        caller.protocol = target()
        caller.protocol.connection_made(caller)
    process_s, thread_s = time.process_time(), time.thread_time()
    left -= len(callers)
    for caller in callers:
        caller.send()
    await done
    spent = time.process_time() - process_s, time.thread_time() - thread_s
    for caller in callers:
        if caller.protocol is not None:
            caller.protocol.connection_lost(None)
    return spent[0] / calls * 1e6, spent[1] / calls * 1e6


def part_of(frame: FrameType | None) -> str:
    stack = []
    while frame is not None:
        stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    for part, marks in PARTS:
        if any(place.endswith(marks) for place in stack):
            return part
    if any("/aiohttp/" in place for place in stack):
        return "aiohttp"
    return "event loop, and what other threads do meanwhile"


async def hello() -> Server:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b'{"hello":"world"}', content_type="application/json")

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    return _server_of(runner)


def _server_of(runner: web.AppRunner) -> Server:
    if runner.server is None:
        raise AssertionError("the runner was not set up")
    return runner.server


async def measure(config: Path, nowhere: BinaryIO, rounds: int) -> None:
    """`nowhere` takes the log."""
    made: list[web.AppRunner] = []

    def make_runner(app: web.Application, *, drain_s: float) -> web.AppRunner:
        made.append(server.make_runner(app, drain_s=drain_s))
        return made[-1]

    with nowhere, patch("gateway.app.make_runner", make_runner):
        async with root.running(load(config), lines=LineWriter(nowhere)):
            servers = {"hello": await hello(), "hit": _server_of(made[0])}
            for target in servers.values():
                for calls in (1, CALLS):  # the first makes the picture
                    await drive(target, calls)
            spent: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
            samples: Counter[str] = Counter()
            signal.signal(signal.SIGPROF, lambda _, frame: samples.update([part_of(frame)]))
            for _ in range(rounds):
                for name, target in servers.items():
                    spent[name].append(await drive(target, CALLS))
                signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
                await drive(servers["hit"], CALLS)
                signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_IGN)
    best = {name: min(rounds) for name, rounds in spent.items()}
    for name, (process_us, loop_us) in best.items():
        print(f"{name:6} {process_us:6.0f} µs of the process, {loop_us:6.0f} µs of them on the event loop's thread")
    print(f"ratio  {best['hello'][0] / best['hit'][0]:6.2f}")
    for part, count in samples.most_common():
        print(f"{count / samples.total():6.1%} {part}")


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        _, port = stack.enter_context(tools.stub(tools.OWN, folder))
        upstream = f"http://127.0.0.1:{port}/small/v1"
        config = setup.write_config(folder / "gateway", database=None, port=0, upstream=upstream, cached=True)
        uvloop.run(measure(config, open(os.devnull, "wb"), rounds))  # noqa: SIM115 - closed there


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
