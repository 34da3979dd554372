"""Shares out the event loop's turns among large bodies: of all that come at one time, so many bytes are worked on in one turn.

One turn serves every connection that is ready. A hundred of them that each bring 256 KiB, to be copied, parsed and written on, would be served in one
go, and everybody else would wait for as long. Who waits here does not read meanwhile, so what is not worked on stays with its sender. Owns the count,
not the bytes; must not know who waits, or for what: somebody who sends slowly has no place, only what has come has. It does not fail.
"""

import asyncio
from collections import deque
from typing import Final

BYTES_A_TURN: Final = 128 * 1024
"""Half a full read of a socket, and what becomes of it: some 0.5 ms.

More of it makes turns longer, and nothing faster: a turn with nothing else in it is soon over.
"""


class Turns:
    """Used on one event loop; first come, first served."""

    def __init__(self, bytes_a_turn: int = BYTES_A_TURN) -> None:
        self._bytes_a_turn = bytes_a_turn
        self._left = bytes_a_turn
        self._counting = False
        """Whether the next turn begins with a fresh count."""
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> None:
        """Before a piece is worked on: goes on at once where this turn has room, else in a later one. A piece of any size has its turn."""
        loop = asyncio.get_running_loop()
        if not self._counting:
            self._counting = True
            loop.call_soon(self._begin, loop)
        if not self._waiting and self._left > 0:
            self._left -= size_bytes
            return
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append((size_bytes, place))
        await place

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._bytes_a_turn
        while self._waiting and self._left > 0:
            size_bytes, place = self._waiting.popleft()
            if not place.done():  # its owner has gone
                self._left -= size_bytes
                place.set_result(None)
        self._counting = self._left < self._bytes_a_turn
        if self._counting:
            loop.call_soon(self._begin, loop)
