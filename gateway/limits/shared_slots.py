"""Slots over all processes: who has one of this process's also takes a leased place at the upstream, which all processes count.

Whoever finds none waits for it at the head of this process's queue: it is told when a place was given back, and looks again by itself every now and
then. How it fails: SlotTimeout as before; while the shared state is down a slot of this process is enough, and is entered when the state is back.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

from gateway.domain.clock import Clock
from gateway.limits.leases import FREED, Leases, NoRoom, Place
from gateway.limits.outage import LimitStoreDown
from gateway.limits.slots import Slot, Slots, SlotTimeout
from gateway.state.valkey import PREFIX, Valkey

LOOK_S = (0.1, 0.3)
"""Between these, at random, so that processes do not look at the same moment."""


class SharedSlots(Slots):
    """The slots of all upstreams. `failed` hears of every place that could not be counted."""

    def __init__(
        self,
        concurrency: Mapping[str, int],
        clock: Clock,
        waiters_max: Mapping[str, int],
        leases: Leases,
        failed: Callable[[], None],
    ) -> None:
        super().__init__(concurrency, clock, waiters_max)
        self._concurrency = dict(concurrency)
        self._leases = leases
        self._failed = failed
        self._heads = {name: asyncio.Lock() for name in concurrency}
        """Held by the one that waits for a place to come free, the others behind it in order."""
        self._freed = {name: asyncio.Event() for name in concurrency}
        self._unplaced = dict.fromkeys(concurrency, 0)
        self._by_set = {f"{PREFIX}{_set(name)}".encode(): name for name in concurrency}

    async def listen(self, state: Valkey) -> None:
        """Hear of places that other processes give back."""
        await state.subscribe(FREED, self._hear)

    def waiting(self, upstream: str) -> int:
        return super().waiting(upstream) + self._unplaced[upstream]

    def taken(self, upstream: str) -> int:
        return super().taken(upstream) - self._unplaced[upstream]

    async def try_acquire(self, upstream: str, count: int) -> list[Slot]:
        if self._heads[upstream].locked():
            return []  # nobody overtakes
        slots = self._now(upstream, count)
        if not slots:
            return []
        try:
            places = await self._places(upstream, count)
        except BaseException:
            _release(slots)
            raise
        if not places:
            _release(slots)
            return []
        return [_SharedSlot(slot, self._leases, place) for slot, place in zip(slots, places, strict=True)]

    async def acquire(self, upstream: str, deadline_s: float) -> Slot:
        slot = await super().acquire(upstream, deadline_s)
        self._unplaced[upstream] += 1
        try:
            place = await self._place(upstream, deadline_s)
        except BaseException as exc:
            slot.release()
            if isinstance(exc, TimeoutError):
                raise SlotTimeout(f"no place at {upstream} before the deadline") from exc
            raise
        finally:
            self._unplaced[upstream] -= 1
        return _SharedSlot(slot, self._leases, place)

    async def _place(self, upstream: str, deadline_s: float) -> Place:
        """Raises TimeoutError."""
        head, freed = self._heads[upstream], self._freed[upstream]
        if not head.locked():
            places = await self._places(upstream, 1)
            if places:  # given even at the deadline
                return places[0]
        async with asyncio.timeout(max(0.0, deadline_s - self._clock.monotonic_s())), head:
            while True:
                freed.clear()
                places = await self._places(upstream, 1, tell=True)
                if places:
                    return places[0]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(random.uniform(*LOOK_S)):
                        await freed.wait()

    async def _places(self, upstream: str, count: int, *, tell: bool = False) -> list[Place]:
        """So many of all processes' places, or none."""
        tag, sets = _tag(upstream), [_set(upstream)]
        try:
            taken = await self._leases.take(tag, sets, [self._concurrency[upstream]], count, tell=tell)
        except LimitStoreDown:
            self._failed()
            return [self._leases.enter(tag, sets) for _ in range(count)]
        return [] if isinstance(taken, NoRoom) else taken

    def _hear(self, freed: bytes) -> None:
        upstream = self._by_set.get(freed)
        if upstream is not None:
            self._freed[upstream].set()


class _SharedSlot(Slot):
    """A slot of this process with a place among all."""

    def __init__(self, own: Slot, leases: Leases, place: Place) -> None:
        self._own = own
        self._leases = leases
        self._place = place

    def release(self) -> None:
        self._leases.give_back(self._place)
        self._own.release()


def _tag(upstream: str) -> str:
    return "{upstream " + upstream.replace("{", "(").replace("}", ")") + "}"


def _set(upstream: str) -> str:
    return f"slots:{_tag(upstream)}"


def _release(slots: list[Slot]) -> None:
    for slot in slots:
        slot.release()
