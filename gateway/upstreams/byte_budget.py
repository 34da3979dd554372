"""How many bytes of upstream answers the process holds at one time, until their pictures are stored. Owns the count, not the bytes.

Admission is by announced length, first come first served. Waiting has no time-out of its own: the caller's deadline surrounds it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

BODIES_BYTES_MAX = 256 * 1024 * 1024
"""All answers at one time, with what is made of them: 60 of one million pixels each, a sixteenth of a 4 GB machine."""
COPIES: Final = 4
"""An answer's body, the text in it that is parsed, that text by itself, and the picture."""
HELD_BYTES_MIN: Final = 1024 * 1024
"""Smaller ones, such as those to polls, count until they are parsed."""
_HELD: "ContextVar[list[Lease] | None]" = ContextVar("held", default=None)


@contextmanager
def held_to_the_end() -> Iterator[None]:
    """Around the asking of an upstream and the storing of what it answered: shares that were handed over in it end with the block."""
    held: list[Lease] = []
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)
        for lease in held:
            lease.end()


@dataclass(slots=True)
class Lease:
    """A share of the budget, given back at the end of its block. Not a generator's context: it is on every answer's path."""

    budget: "ByteBudget"
    size_bytes: int

    async def __aenter__(self) -> "Lease":
        size_bytes, self.size_bytes = self.size_bytes, 0
        await self.wait_for(size_bytes)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()

    async def wait_for(self, size_bytes: int) -> None:
        """A share that holds nothing yet gets so many bytes (at most all there are) when they are free."""
        size_bytes = min(size_bytes, self.budget.bytes_max)
        if _HELD.get():  # who waits here while holding a share could wait for ever
            self.budget.overdraw(size_bytes)
        else:
            await self.budget.take(size_bytes)
        self.size_bytes = size_bytes

    def cover(self, size_bytes: int) -> None:
        """Grow to what has really come. Overdraws: waiting here while holding a share could wait for ever."""
        if size_bytes > self.size_bytes:
            self.budget.overdraw(size_bytes - self.size_bytes)
            self.size_bytes = size_bytes

    def hand_over(self) -> None:
        """To whoever stores what was answered, where there is somebody and it is much; else it ends."""
        held = _HELD.get()
        if held is not None and self.size_bytes >= HELD_BYTES_MIN:
            held.append(self)
        else:
            self.end()

    def end(self) -> None:
        """Give it back; what was given back is not given again."""
        size_bytes, self.size_bytes = self.size_bytes, 0
        self.budget.give(size_bytes)


class ByteBudget:
    """A semaphore that counts bytes."""

    def __init__(self, bytes_max: int = BODIES_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self._free = bytes_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used_bytes(self) -> int:
        """For the metric; more than `bytes_max` where bodies were larger than announced."""
        return self.bytes_max - self._free

    def lease(self, size_bytes: int) -> Lease:
        """`async with` waits until so many bytes (at most all there are) are free; of 0, for `wait_for` when the size is known."""
        return Lease(self, size_bytes)

    def overdraw(self, size_bytes: int) -> None:
        self._free -= size_bytes

    async def take(self, size_bytes: int) -> None:
        """Waits until so many bytes are free. Cancelled, it has taken nothing."""
        if not self._waiting and size_bytes <= self._free:
            self._free -= size_bytes
            return
        place = (size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        try:
            await place[1]
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            # Served just before the cancellation: give it back. Otherwise only the next in line may fit now.
            self.give(0 if place[1].cancelled() else size_bytes)
            raise

    def give(self, size_bytes: int) -> None:
        """Back to the others; whoever waited longest is served first."""
        self._free += size_bytes
        while self._waiting and self._waiting[0][0] <= self._free:
            size, served = self._waiting.popleft()
            if not served.done():
                self._free -= size
                served.set_result(None)
