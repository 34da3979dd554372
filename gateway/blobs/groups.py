"""Collects small pieces of work that wait at the same time, and does them together in a thread: what costs once a group is shared.

Must not know what the work is. How it fails: each piece gets the exception that the work names for it; an exception of the work itself goes to all of
its group. A caller that is cancelled leaves its piece where it is: it may still be done.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")

Work = Callable[[Sequence[T]], Sequence[Exception | None]]
"""In a thread: does all of a group, and says of each piece whether and how it failed."""


class Groups(Generic[T]):
    """Used on one event loop. While one group is at work, the next one gathers."""

    def __init__(self, work: Work[T], threads: Executor, *, size_max: int) -> None:
        self._work = work
        self._threads = threads
        self._size_max = size_max
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._running: asyncio.Future[Sequence[Exception | None]] | None = None

    async def do(self, piece: T) -> None:
        """Returns when the piece is done. Raises what became of it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        if self._running is None:
            self._begin()
        await future

    async def finish(self) -> None:
        """Waits until nothing is at work or waits."""
        while self._running is not None:
            await asyncio.wait((self._running,))

    def _begin(self) -> None:
        group, self._waiting = self._waiting[: self._size_max], self._waiting[self._size_max :]
        pieces = [piece for piece, _ in group]
        self._running = asyncio.get_running_loop().run_in_executor(self._threads, self._work, pieces)
        self._running.add_done_callback(lambda done: self._end(group, done))

    def _end(
        self, group: list[tuple[T, asyncio.Future[None]]], done: "asyncio.Future[Sequence[Exception | None]]"
    ) -> None:
        self._running = None
        if self._waiting:
            self._begin()
        failure = asyncio.CancelledError() if done.cancelled() else done.exception()
        outcomes: Sequence[BaseException | None] = [failure] * len(group) if failure else done.result()
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue  # its caller has gone
            if outcome is None:
                future.set_result(None)
            else:
                future.set_exception(outcome)
