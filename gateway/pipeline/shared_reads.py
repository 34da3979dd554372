"""One question to the database for all who ask the same at the same moment: many equal calls, or many who wait for one task.

An answer is shared with those who came while it was under way, and not kept. How it fails: all hear the error; where the one who asked is cancelled,
the next asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from gateway.domain.errors import GatewayError

T = TypeVar("T")


class SharedReads(Generic[T]):
    """The questions under way."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, asyncio.Future[T]] = {}

    async def ask(self, about: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` finds, or found for another who asked the same. Raises what it raises."""
        while (asked := self._asked.get(about)) is not None:
            try:
                return await asyncio.shield(asked)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not asked.cancelled() or (task is not None and task.cancelling()):
                    raise  # this caller's own end
        mine = self._asked[about] = asyncio.get_running_loop().create_future()
        try:
            found = await read()
        except GatewayError as exc:
            mine.set_exception(exc)
            mine.exception()  # there may be nobody else
            raise
        else:
            mine.set_result(found)
            return found
        finally:
            del self._asked[about]
            mine.cancel()  # without effect where there is an answer
