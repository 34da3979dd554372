"""How many bytes of upstream answers the process holds at one time. Owns the count, not the bytes.

Admission is by announced length, first come first served. Waiting has no time-out of its own: the caller's deadline surrounds it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

BODIES_BYTES_MAX = 512 * 1024 * 1024
"""All answers being read at one time: 150 of two million-pixel pictures, an eighth of a 4 GB machine."""


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
        await self.budget.take(size_bytes)
        self.size_bytes = size_bytes

    def cover(self, size_bytes: int) -> None:
        """Grow to what has really come. Overdraws: waiting here while holding a share could wait for ever."""
        if size_bytes > self.size_bytes:
            self.budget.overdraw(size_bytes - self.size_bytes)
            self.size_bytes = size_bytes

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
