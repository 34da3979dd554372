"""Our own upstream: a process that answers canned image JSON over kept connections. `python -m bench.stub PORT`.

Bare asyncio.Protocol on uvloop, several times as fast as anything measured in front of it. Paths that begin with /large get the large answer.
It answers at once until `GET /hold/SECONDS` tells it to wait that long with every answer; `GET /held` says how many wait. It understands
only what our clients send (Content-Length, no chunks, no pipelining) and closes the connection on everything else.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.http11 import Framing, MalformedMessage
from bench.pictures import large_answer, small_answer

BACKLOG = 1024


def canned(body: bytes) -> bytes:
    """A whole HTTP answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@dataclass(slots=True)
class Answers:
    """What all connections share."""

    small: bytes
    large: bytes
    hold_s: float = 0.0
    held: int = 0


class Stub(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._framing = Framing()
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's classes derive from no asyncio class

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            if self._framing.feed(data):
                self._answer(transport, self._framing.first_line)
        except (MalformedMessage, ValueError):
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._answers.held -= 1

    def _answer(self, transport: asyncio.WriteTransport, first_line: bytes) -> None:
        answers = self._answers
        if first_line.startswith(b"GET "):
            self._control(transport, first_line.split(b" ")[1])
            return
        answer = answers.large if b" /large" in first_line else answers.small
        if not answers.hold_s:
            transport.write(answer)
            return
        answers.held += 1
        self._waiting = asyncio.get_running_loop().call_later(answers.hold_s, self._answer_late, transport, answer)

    def _answer_late(self, transport: asyncio.WriteTransport, answer: bytes) -> None:
        self._waiting = None
        self._answers.held -= 1
        transport.write(answer)

    def _control(self, transport: asyncio.WriteTransport, path: bytes) -> None:
        if path.startswith(b"/hold/"):
            self._answers.hold_s = float(path.removeprefix(b"/hold/"))
        transport.write(canned(b"%d" % self._answers.held))


async def main(port: int) -> None:
    answers = Answers(canned(small_answer()), canned(large_answer()))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(answers), "127.0.0.1", port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
