"""One connection to the server, shared by all calls of this process: commands go out in the order of their calls, and so do answers come back.

One connection and no pool, because a pool's waiters overtake each other: with more calls than connections, some wait for a quarter of a second
while the server idles. Here commands of the same moment leave in one packet. The wire is the redis package's. A link is used until it breaks, and
never again.
How it fails: the future of every call that has no answer gets LinkLost; an error that the server answered goes to the call it belongs to.
"""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from gateway.state.address import StateAddress

WAITING_MAX = 10_000
"""Calls without an answer: as many as a server answers in the time that a call waits."""

Part = str | bytes | int
"""Of a command."""
Reply = None | int | bytes | list["Reply"] | RedisError
"""What a server answers; in a list, an error stands where it happened."""


class LinkLost(Exception):
    """The connection could not be made, or broke, or too many calls wait for it."""


class Link:
    """A connection of its own from the first call on."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._outgoing: list[bytes] = []
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.lost: Exception | None = None
        """Why it can no longer be used."""
        self._task = asyncio.create_task(self._run())

    def ask(self, *command: Part) -> "asyncio.Future[Reply]":
        """The answer to come. Before the connection is made as well: then it goes out as soon as it is. Raises LinkLost."""
        if self.lost is not None:
            raise LinkLost(str(self.lost)) from self.lost
        if len(self._waiting) >= WAITING_MAX:
            raise LinkLost(f"{WAITING_MAX} calls wait for an answer")
        future = self._loop.create_future()
        self._waiting.append(future)
        self._outgoing += self._connection.pack_command(*command)
        self._more.set()
        return future

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._task.done()

    async def close(self) -> None:
        """Whoever waits for an answer gets LinkLost."""
        self._lose(LinkLost("closed"))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def drop(self) -> None:
        """The same without waiting for it."""
        self._lose(LinkLost("left alone"))
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # the package leaves it without annotations
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write())
                group.create_task(self._read())
        except* (RedisError, OSError) as exc:
            self._lose(exc.exceptions[0])
        finally:
            self._lose(LinkLost("closed"))
            await quietly(lambda: self._connection.disconnect(nowait=True))

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            packed, self._outgoing = self._outgoing, []
            await self._connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> None:
        while True:
            answer: Reply
            try:
                answer = await self._connection.read_response(timeout=math.inf)
            except ResponseError as exc:
                answer = exc
            future = self._waiting.popleft()
            if future.done():
                continue  # its caller did not wait so long
            if isinstance(answer, RedisError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _lose(self, exc: Exception) -> None:
        self.lost = self.lost or exc
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(LinkLost(str(exc) or type(exc).__name__))


async def quietly(close: Callable[[], Awaitable[object]]) -> None:
    """Close what may be broken already."""
    try:
        await close()
    except (RedisError, OSError):
        return


def connection_to(address: StateAddress, context: ssl.SSLContext | None) -> AbstractConnection:
    """Not yet open. No time-outs and no second try of its own: whoever waits for it decides how long."""
    common: dict[str, Any] = {
        "db": address.database, "username": address.user, "password": address.password, "protocol": 2, "driver_info": None,
        "socket_timeout": None, "socket_connect_timeout": None, "retry": Retry(NoBackoff(), 0), "client_name": "image-gateway",
    }  # fmt: skip
    if address.socket:
        return UnixDomainSocketConnection(path=address.socket, **common)
    if not address.tls:
        return Connection(host=address.host, port=address.port, **common)
    connection = SSLConnection(host=address.host, port=address.port, **common)
    connection.ssl_context.context = context
    return connection


def tls_of(address: StateAddress) -> ssl.SSLContext | None:
    """Made once: reading the authorities takes longer than connecting. Raises OSError, ssl.SSLError."""
    return ssl.create_default_context(cafile=address.ca_file) if address.tls else None
