"""How many connections there may be at once: as many as leave descriptors for the work. What they bring is paced (gateway/pacing).

A process without descriptors can neither store what it has paid for nor send a call, and its event loop may spin on accept. So connections above
the bound are answered 503 and closed at once, and the log says so when that begins.
"""

import asyncio
import logging
import resource
import socket
from typing import cast

import orjson
from aiohttp import web

from gateway.domain.errors import Overloaded
from gateway.pacing.reads import PacedProtocol, PacedReads

log = logging.getLogger(__name__)

OPEN_FILES_WANTED = 65_536
"""The limit is raised to here where the system lets us: some start every process with 1,024."""
OWN_FILES = 128
"""Some 40 stand open from the start; a group of deliveries opens 32, readers of pictures and of the database the rest."""
RETRY_AFTER_S = 5
_BODY = orjson.dumps(
    {
        "error": {
            "code": Overloaded.code,
            "message": "This gateway has as many connections as it can serve. Try again shortly.",
            "type": Overloaded.type,
            "param": None,
        }
    }
)
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: %d\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (RETRY_AFTER_S, len(_BODY), _BODY)
)


def raise_open_files_limit() -> None:
    """As far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max(to_upstreams: int) -> int:
    """How many callers' connections fit beside so many to upstreams and our own files; at least a quarter of all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = OPEN_FILES_WANTED
    return max(soft // 4, soft - OWN_FILES - to_upstreams)


class BoundedSite(web.SockSite):
    """A listening socket that answers at most so many connections."""

    def __init__(self, runner: web.AppRunner, listening: socket.socket, *, backlog: int, connections_max: int) -> None:
        super().__init__(runner, listening, backlog=backlog)
        self._connections_max = connections_max
        self._coming = 0
        """Accepted in this turn of the loop, and not yet among the server's connections."""
        self._full = False
        self._reads = PacedReads()

    async def start(self) -> None:
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._answerer, sock=self._sock, backlog=self._backlog)

    def _answerer(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None:
            raise AssertionError("the runner was not set up")
        if len(server.connections) + self._coming >= self._connections_max:
            if not self._full:
                self._full = True
                log.error(
                    "connections are refused: raise the limit of open files (ulimit -n), or run more gateways",
                    extra={"connections": self._connections_max},
                )
            return _Refusal()
        self._full = False
        self._coming += 1
        asyncio.get_running_loop().call_soon(self._came)
        return PacedProtocol(self._reads, server())

    def _came(self) -> None:
        self._coming -= 1


class _Refusal(asyncio.Protocol):
    """Answers before anything is asked, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writable = cast(asyncio.Transport, transport)  # uvloop's own classes are no subclasses of asyncio's
        writable.write(_ANSWER)
        writable.close()
