"""Valkey, or Redis, as the state that several processes share: small values with a time to live, scripts, and messages.

How it fails: StateDown, and every caller has an answer to that, for what is in here may be lost at any time. A server that refuses, hangs, is
stopped or too slow costs a call WAIT_S at most: the first failure opens a circuit, from when on all calls fail at once, and only a probe in the
background, which nobody waits for, closes it. A call whose answer did not come may have been carried out.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from gateway.domain.clock import Clock
from gateway.state.address import StateAddress
from gateway.state.circuit import Circuit
from gateway.state.link import Link, LinkLost, Part, Reply, connection_to, tls_of
from gateway.state.listening import CONNECT_S, Hear, Listening
from gateway.state.script import Script
from gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

PREFIX = "igw:"
"""Of all keys. Two installations on one server take two databases."""
WAIT_S = 0.2
VALUE_BYTES_MAX = 16 * 1024
"""Pictures have no business here, and a large value makes all other calls wait."""
LATE_S = 0.02
"""A timer that fires so late says more about this process than about the server."""


class StateDown(Exception):
    """The shared state did not answer, or is left alone. The text is for the log."""


class Valkey:
    """A connected server; `open_valkey` makes it. Keys are without the prefix."""

    def __init__(self, address: StateAddress, clock: Clock, metrics: Metrics) -> None:
        self._address = address
        self._clock = clock
        self._metrics = metrics
        self._circuit = Circuit(clock)
        self._context: ssl.SSLContext | None = None
        self._link: Link | None = None
        self._links: set[Link] = set()
        """All whose task may still run."""
        self._failed = asyncio.Event()
        self._on_return: list[Callable[[], None]] = []
        self._listening = Listening(self._connection, self._returned)
        self._channels = f"{PREFIX}{address.database}:"  # channels know no databases

    @property
    def is_down(self) -> bool:
        """Whether calls fail at once now."""
        return self._circuit.is_open

    async def get(self, key: str) -> bytes | None:
        """Raises StateDown."""
        value = await self._ask("GET", PREFIX + key)
        return value if isinstance(value, bytes) else None

    async def set(self, key: str, value: bytes, ttl_ms: int, *, if_absent: bool = False) -> bool:
        """False: it was there already. Raises StateDown, and ValueError for what does not belong here."""
        if len(value) > VALUE_BYTES_MAX:
            raise ValueError(f"{len(value)} bytes are too many for the shared state")
        absent = ("NX",) if if_absent else ()
        return await self._ask("SET", PREFIX + key, value, "PX", ttl_ms, *absent) is not None

    async def delete(self, *keys: str) -> None:
        """Raises StateDown."""
        await self._ask("DEL", *(PREFIX + key for key in keys))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        """What the script returns: its integers as int, its strings as bytes. Raises StateDown."""
        rest = (len(keys), *(PREFIX + key for key in keys), *args)
        try:
            return await self._ask("EVALSHA", script.sha, *rest)
        except NoScriptError:  # a server that was started anew; it has not run
            return await self._ask("EVAL", script.text, *rest)

    async def publish(self, channel: str, message: bytes) -> None:
        """To all who listen now, this process too. Raises StateDown."""
        await self._ask("PUBLISH", self.channel(channel), message)

    def channel(self, name: str) -> str:
        """As a script that publishes must name it."""
        return self._channels + name

    async def subscribe(self, channel: str, hear: Hear) -> None:
        """Messages that are published while the server is away are lost: see `on_return`."""
        await self._listening.subscribe(self.channel(channel), hear)

    async def unsubscribe(self, channel: str, hear: Hear) -> None:
        await self._listening.unsubscribe(self.channel(channel), hear)

    def on_return(self, back: Callable[[], None]) -> None:
        """Called whenever the server, or its messages, are back: it may have lost everything, and this process messages. Must not raise, nor wait."""
        self._on_return.append(back)

    async def open(self) -> None:
        """The first try to reach it. A server that is not there yet stops nobody from starting."""
        loop = asyncio.get_running_loop()
        self._context = await loop.run_in_executor(None, tls_of, self._address)
        await self._probe()

    async def keep(self) -> None:
        """Try a server that failed again and again, for ever."""
        while True:
            await self._failed.wait()
            self._failed.clear()
            while self._circuit.is_open:
                await asyncio.sleep(self._circuit.pause_s())
                await self._probe()

    async def listen(self) -> None:
        """Hear what others publish, for ever."""
        await self._listening.run()

    async def close(self) -> None:
        self._circuit.fail()
        await asyncio.gather(*(link.close() for link in self._links))

    async def _ask(self, *command: Part) -> Reply:
        """Raises StateDown, NoScriptError."""
        if self._circuit.is_open:
            self._metrics.state_failed("left_alone")
            raise StateDown("the shared state is left alone after a failure")
        began_s = self._clock.monotonic_s()
        link: Link | None = None
        try:
            link = self._linked()
            answer = await _within(link.ask(*command), WAIT_S)
        except NoScriptError:
            raise
        except TimeoutError as exc:
            self._fail(link, "timeout", exc)
            raise StateDown(f"no answer within {WAIT_S} s") from exc
        except (LinkLost, RedisError) as exc:
            self._fail(link, "lost" if isinstance(exc, LinkLost) else "error", exc)
            raise StateDown(str(exc)) from exc
        self._metrics.state_answered(self._clock.monotonic_s() - began_s)
        return answer

    def _linked(self) -> Link:
        if self._link is None or self._link.lost is not None:
            self._link = self._new_link()
        return self._link

    def _new_link(self) -> Link:
        self._links = {link for link in self._links if not link.ended}
        link = Link(self._connection())
        self._links.add(link)
        return link

    def _connection(self) -> AbstractConnection:
        return connection_to(self._address, self._context)

    def _fail(self, link: Link | None, reason: str, exc: Exception) -> None:
        """Leave the server alone; calls that wait for it fail now as well. A failure of a connection that was given up before says nothing new."""
        self._metrics.state_failed(reason)
        if link is not self._link:
            return
        if link is not None:
            link.drop()
        self._link = None
        if self._circuit.fail():
            self._metrics.state_up(False)
            log.warning(
                "the shared state is down", extra={"state": str(self._address), "reason": reason, "error": _said(exc)}
            )
        self._failed.set()

    async def _probe(self) -> None:
        """Connect, for which there is time, then write something as fast as a call needs it."""
        link = self._new_link()
        probe = ("SET", f"{PREFIX}probe", b"", "PX", 1000)
        try:
            await _within(link.ask(*probe), CONNECT_S)
            await _within(link.ask(*probe), WAIT_S)
        except (TimeoutError, LinkLost, RedisError) as exc:
            link.drop()
            if self._circuit.fail():
                log.warning(
                    "the shared state cannot be reached; it is tried again and again",
                    extra={"state": str(self._address), "error": _said(exc)},
                )
            self._metrics.state_up(False)
            self._failed.set()
            return
        self._link = link
        was_down = self._circuit.is_open
        self._circuit.close()
        self._metrics.state_up(True)
        if was_down:
            log.warning("the shared state is back", extra={"state": str(self._address)})
            self._returned()

    def _returned(self) -> None:
        for back in self._on_return:
            back()


@asynccontextmanager
async def open_valkey(address: StateAddress, clock: Clock, metrics: Metrics) -> AsyncIterator[Valkey]:
    """A server for as long as the block runs, whether it is there or not."""
    valkey = Valkey(address, clock, metrics)
    await valkey.open()
    jobs = [asyncio.create_task(job) for job in (valkey.keep(), valkey.listen())]
    try:
        yield valkey
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await valkey.close()


async def _within(future: "asyncio.Future[Reply]", wait_s: float) -> Reply:
    """Raises TimeoutError. Where this process was busy or stopped itself, an answer that waits to be read is still read."""
    loop = asyncio.get_running_loop()

    def end(due_s: float, may_be_late: bool) -> None:
        late_s = loop.time() - due_s
        if future.done():
            return
        if may_be_late and late_s > LATE_S:
            timers.append(loop.call_later(min(late_s, wait_s), end, loop.time(), False))
            return
        future.set_exception(TimeoutError())

    timers = [loop.call_later(wait_s, end, loop.time() + wait_s, True)]
    try:
        return await future
    finally:
        timers[-1].cancel()


def _said(exc: Exception) -> str:
    return str(exc) or type(exc).__name__
