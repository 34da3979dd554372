"""The upstream: a process that answers canned image JSON at once, over kept connections. `python -m bench.stub PORT`.

Bare asyncio.Protocol on uvloop, several times as fast as anything measured in front of it. Paths that begin with /large get the large answer.
It understands only what our two clients send (Content-Length, no chunks, no pipelining) and closes the connection on everything else.
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.http11 import Framing, MalformedMessage
from bench.pictures import large_answer, small_answer

BACKLOG = 1024


def canned(body: bytes) -> bytes:
    """A whole HTTP answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Stub(asyncio.Protocol):
    """One connection."""

    def __init__(self, small: bytes, large: bytes) -> None:
        self._small, self._large = small, large
        self._framing = Framing()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's classes derive from no asyncio class

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            if self._framing.feed(data):
                transport.write(self._large if b" /large" in self._framing.first_line else self._small)
        except MalformedMessage:
            transport.close()


async def main(port: int) -> None:
    small, large = canned(small_answer()), canned(large_answer())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(small, large), "127.0.0.1", port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
