"""What other processes publish: heard on a connection of its own, which is made again for as long as it takes.

Messages are signals that something is to be looked at, never the thing itself: while the connection is down they are lost. Whoever needs to make up
for that is told each time it is back (`returned`). How it fails: not at all, it only hears nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from gateway.state.link import quietly

log = logging.getLogger(__name__)

CONNECT_S = 2.0
QUIET_S = 10.0
"""Without a message for so long, the server is asked for a sign of life; after twice that the connection counts as lost."""
PAUSE_S, PAUSE_S_MAX = 0.25, 10.0

Hear = Callable[[bytes], None]
"""Must not raise, nor wait: it sets an event, or puts something where a task finds it."""


class Listening:
    """The channels of a process."""

    def __init__(self, connect: Callable[[], AbstractConnection], returned: Callable[[], None]) -> None:
        self._connect = connect
        self._returned = returned
        self._hearers: dict[str, list[Hear]] = {}
        self._wanted = asyncio.Event()
        self._connection: AbstractConnection | None = None
        """Subscribed to all channels so far."""

    async def subscribe(self, channel: str, hear: Hear) -> None:
        """From about now on. Returns at once where the server is away; then from its return on."""
        hearers = self._hearers.setdefault(channel, [])
        hearers.append(hear)
        self._wanted.set()
        if len(hearers) == 1:
            await self._tell("SUBSCRIBE", channel)

    async def unsubscribe(self, channel: str, hear: Hear) -> None:
        hearers = self._hearers.get(channel, [])
        if hear in hearers:
            hearers.remove(hear)
        if not hearers and self._hearers.pop(channel, None) is not None:
            await self._tell("UNSUBSCRIBE", channel)

    async def run(self) -> None:
        """Hear, for ever."""
        pause_s = PAUSE_S
        while True:
            await self._wanted.wait()
            connection = self._connect()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await connection.connect()  # type: ignore[no-untyped-call]  # the package leaves it without annotations
                    await connection.send_command("SUBSCRIBE", *self._hearers)
                self._connection, pause_s = connection, PAUSE_S
                self._returned()
                await self._hear(connection)
            except (RedisError, OSError, TimeoutError) as exc:
                log.debug("messages of other processes are not heard", exc_info=exc)
            finally:
                self._connection = None
                await quietly(lambda: connection.disconnect(nowait=True))  # noqa: B023 - runs here and now
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_S_MAX, pause_s * 2)

    async def _hear(self, connection: AbstractConnection) -> None:
        asked = False
        while True:
            answer = await connection.read_response(timeout=QUIET_S)
            if answer is None:
                if asked:
                    raise TimeoutError("no sign of life")
                await connection.send_command("PING", check_health=False)
                asked = True
                continue
            asked = False
            if isinstance(answer, list) and answer[0] == b"message":
                for hear in tuple(self._hearers.get(answer[1].decode(), ())):
                    hear(answer[2])

    async def _tell(self, what: str, channel: str) -> None:
        connection = self._connection
        if connection is None:
            return  # `run` subscribes to all when it connects
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.send_command(what, channel, check_health=False)
        except (RedisError, OSError, TimeoutError):
            self._connection = None  # it is broken: `run` makes another
