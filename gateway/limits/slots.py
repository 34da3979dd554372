"""Concurrency slots: how many attempts may be out at one upstream, in this process. For all processes: shared_slots.py.

A slot is held from immediately before an attempt's row is committed until the attempt's outcome is known. Waiting is bounded by who waits (until the
task's deadline, or for a while where another offer could do it), and each queue by its length: a longer one is turned away at once. How it fails:
SlotTimeout; nothing was sent.
"""

import asyncio
from collections.abc import Mapping

from gateway.domain.clock import Clock

WAITERS_MAX = 10_000
"""Tasks that may wait for one upstream, where the config does not say: as many as fit their deadline at some hundred pictures a second."""


class SlotTimeout(Exception):
    """No slot came free in time, or too many wait already."""


class Slot:
    """One place at an upstream. Release it exactly once is not asked for: later releases do nothing."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    def release(self) -> None:
        if self._semaphore is not None:
            self._semaphore.release()
            self._semaphore = None


class _Places(asyncio.Semaphore):
    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    @property
    def taken(self) -> int:
        return self.count - self._value


class Slots:
    """The slots of all upstreams."""

    def __init__(
        self, concurrency: Mapping[str, int], clock: Clock, waiters_max: Mapping[str, int] | None = None
    ) -> None:
        self._semaphores = {name: _Places(count) for name, count in concurrency.items()}
        self._waiting = dict.fromkeys(concurrency, 0)
        self._waiters_max = waiters_max or {}
        self._clock = clock

    def waiting(self, upstream: str) -> int:
        """How many attempts wait for a place there."""
        return self._waiting[upstream]

    def most(self, upstream: str) -> int:
        """How many may be out there at once; of all processes together where they share their limits."""
        return self._semaphores[upstream].count

    def taken(self, upstream: str) -> int:
        """How many attempts are out there now, or about to be."""
        return self._semaphores[upstream].taken

    async def try_acquire(self, upstream: str, count: int) -> list[Slot]:
        """So many slots at once without waiting for any, or none."""
        return self._now(upstream, count)

    def _now(self, upstream: str, count: int) -> list[Slot]:
        semaphore = self._semaphores[upstream]
        taken: list[Slot] = []
        while len(taken) < count and not semaphore.locked():
            # An unlocked semaphore grants at once: driving the coroutine by hand keeps this synchronous.
            try:
                semaphore.acquire().send(None)
            except StopIteration:
                taken.append(Slot(semaphore))
        if len(taken) < count:
            for slot in taken:
                slot.release()
            return []
        return taken

    async def acquire(self, upstream: str, deadline_s: float) -> Slot:
        """One slot, waiting until the monotonic deadline at most. Raises SlotTimeout."""
        semaphore = self._semaphores[upstream]
        most = self._waiters_max.get(upstream, WAITERS_MAX)
        if semaphore.locked() and self._waiting[upstream] >= most:
            raise SlotTimeout(f"{most} tasks wait for {upstream}")
        self._waiting[upstream] += 1
        try:
            async with asyncio.timeout(max(0.0, deadline_s - self._clock.monotonic_s())):
                await semaphore.acquire()
        except TimeoutError as exc:
            raise SlotTimeout(f"no place at {upstream} before the deadline") from exc
        finally:
            self._waiting[upstream] -= 1
        return Slot(semaphore)
