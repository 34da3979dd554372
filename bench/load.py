"""Our own load generator, a process of its own: a closed loop over N kept connections for some seconds. `python -m bench.load PLAN` (JSON).

A closed loop sends the next call when the answer is there, so it measures capacity and the latency at that load, not the queues of an
overloaded server. Prints a Measurement as JSON. Fails with exit code 1 and the answer's head at the first answer that is not 200.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop
from pydantic import TypeAdapter

from bench.http11 import Framing


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. `warm_up_s` of calls are made before anything counts."""

    url: str
    connections: int
    seconds: float
    body: str
    authorization: str
    warm_up_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """What came of it."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    """With the warm-up: what processor time is divided by."""


class WrongAnswer(Exception):
    """An answer that is not 200."""


@dataclass(slots=True)
class Tally:
    """What all connections share."""

    request: bytes
    counting_from_s: float
    until_s: float
    latencies_s: list[float]
    answered: int = 0


class Caller(asyncio.Protocol):
    """One connection: send, wait, note, again."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._framing = Framing()
        self._transport: asyncio.WriteTransport | None = None
        self._sent_s = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's classes derive from no asyncio class
        self._send(self._transport)

    def data_received(self, data: bytes) -> None:
        transport, tally = self._transport, self._tally
        if transport is None or not self._framing.feed(data):
            return
        now_s = time.perf_counter()
        if b" 200 " not in self._framing.first_line:
            self._end(WrongAnswer(f"{self._framing.head!r} {data[-400:]!r}"))
            return
        tally.answered += 1
        if tally.counting_from_s <= now_s <= tally.until_s:
            tally.latencies_s.append(now_s - self._sent_s)
        if now_s < tally.until_s:
            self._send(transport)
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or WrongAnswer("the connection was closed before the end"))

    def _send(self, transport: asyncio.WriteTransport) -> None:
        self._sent_s = time.perf_counter()
        transport.write(self._tally.request)

    def _end(self, failure: Exception | None) -> None:
        if not self.done.done():
            if failure is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(failure)
        if self._transport is not None:
            self._transport.close()


def destination(url: str, text: str, authorization: str) -> tuple[str, int, bytes]:
    """Host, port, and the whole request that is sent there."""
    target = urlsplit(url)
    body = text.encode()
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return target.hostname or "127.0.0.1", target.port or 80, head.encode() + body


async def generate(plan: Plan) -> Measurement:
    host, port, request = destination(plan.url, plan.body, plan.authorization)
    counting_from_s = time.perf_counter() + plan.warm_up_s
    tally = Tally(request, counting_from_s, counting_from_s + plan.seconds, [])
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(plan.connections):
        _, caller = await loop.create_connection(lambda: Caller(tally), host, port)
        callers.append(caller)
    async with asyncio.timeout(plan.warm_up_s + plan.seconds + 30):  # the last answers; then something hangs
        await asyncio.gather(*(caller.done for caller in callers))
    latencies = sorted(tally.latencies_s)
    if not latencies:
        raise WrongAnswer("not one answer within the time")
    return Measurement(
        per_second=len(latencies) / plan.seconds,
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        answered=tally.answered,
    )


if __name__ == "__main__":
    try:
        measurement = uvloop.run(generate(TypeAdapter(Plan).validate_json(sys.argv[1])))
    except (WrongAnswer, OSError, TimeoutError) as failure:
        sys.exit(f"load: {failure!r}")
    sys.stdout.buffer.write(orjson.dumps(measurement))
