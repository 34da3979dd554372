"""What the processes of an installation share beside their database, put together: the state's connection, limits over it, and news of keys.

With `state: memory` there is none: then every process has limits of its own, and hears of changed keys by asking the database.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.config import Config
from gateway.domain.clock import Clock
from gateway.limits.concurrency import ConcurrencyLimiter, RunningTasks
from gateway.limits.leases import Leases
from gateway.limits.rates import RateLimiter, SlidingWindows
from gateway.limits.shared_rates import SharedWindows
from gateway.limits.shared_slots import SharedSlots
from gateway.limits.shared_tasks import SharedTasks
from gateway.limits.slots import Slots
from gateway.state.valkey import StateDown, Valkey, open_valkey
from gateway.telemetry.metrics import Metrics

KEYS_CHANGED = "keys"
"""The channel of changed keys, admin tokens and accounts; a message is the name of the process that knows already."""
GATHER_S = 0.05
"""Keys that are changed in a row are read once."""

Tell = Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_state(config: Config, clock: Clock, metrics: Metrics) -> AsyncIterator[Valkey | None]:
    """None: nothing is shared."""
    if config.state is None:
        yield None
        return
    async with open_valkey(config.state, clock, metrics) as state:
        yield state


@dataclass(frozen=True, slots=True)
class Limits:
    """The limiters of a process. Those of `meanwhile` count while the shared state is down."""

    rates: RateLimiter
    tasks: ConcurrencyLimiter
    slots: Slots
    meanwhile: tuple[RateLimiter, ConcurrencyLimiter] | None = None


@asynccontextmanager
async def open_limits(
    config: Config, state: Valkey | None, owner: str, clock: Clock, metrics: Metrics
) -> AsyncIterator[Limits]:
    """For as long as the process works on calls; what it holds in the shared state is given back at the end."""
    places = {upstream.name: upstream.concurrency for upstream in config.upstreams}
    waiters = {upstream.name: upstream.queue_max for upstream in config.upstreams}
    own = SlidingWindows(clock)
    if state is None:
        yield Limits(own, RunningTasks(), Slots(places, clock, waiters))
        return
    leases = Leases(state, owner)
    tasks = SharedTasks(leases)
    slots = SharedSlots(places, clock, waiters, leases, lambda: metrics.limiter_failed("upstream"))
    await slots.listen(state)
    keeping = asyncio.create_task(leases.run())
    try:
        yield Limits(SharedWindows(state, owner, own), tasks, slots, (own, tasks.meanwhile()))
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await leases.leave()


class KeyNews:
    """Tells other processes that keys changed, and hears it of them. `owner` names this process."""

    def __init__(self, state: Valkey | None, owner: str) -> None:
        self._state = state
        self._owner = owner.encode()
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        if self._state is not None:
            await self._state.subscribe(KEYS_CHANGED, self._hear)
            self._state.on_return(self._heard.set)

    async def tell(self) -> None:
        """Where it cannot be told, others find it out by asking the database."""
        if self._state is not None:
            with contextlib.suppress(StateDown):
                await self._state.publish(KEYS_CHANGED, self._owner)

    async def wait(self, timeout_s: float) -> None:
        """Until there are news, so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
                await asyncio.sleep(GATHER_S)
        self._heard.clear()

    def _hear(self, owner: bytes) -> None:
        if owner != self._owner:
            self._heard.set()


@asynccontextmanager
async def open_shared(
    config: Config, owner: str, clock: Clock, metrics: Metrics
) -> AsyncIterator[tuple[Valkey | None, Limits, KeyNews]]:
    """All of it, for a process that serves; `owner` names it."""
    async with (
        open_state(config, clock, metrics) as state,
        open_limits(config, state, owner, clock, metrics) as limits,
    ):
        news = KeyNews(state, owner)
        await news.listen()
        yield state, limits, news


def tell_once(config: Config, clock: Clock) -> Tell:
    """For a command without a running gateway, which connects only when there is something to tell."""

    async def tell() -> None:
        if config.state is None:
            return
        async with open_state(config, clock, Metrics()) as state:
            await KeyNews(state, "command").tell()

    return tell
