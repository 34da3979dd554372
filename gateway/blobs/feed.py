"""Pieces on their way from a stream into an upload that runs beside it, few at a time; the upload ends as the feed does.

The stream is read by its own task and not by the upload: who cancels that task stops the stream, and the upload hears of it as a failure, which makes
it abort what the bucket holds already. (An upload that is cancelled outright leaves its parts there.)
How it fails: `give` raises FeedClosed once nobody takes any more.
"""

import asyncio

PIECES_MAX = 2


class FeedClosed(Exception):
    """The upload has ended; it says why."""


class FeedFailed(Exception):
    """The stream has failed: what an upload is told, so that it aborts."""


class Feed:
    """One producer, one consumer, on one event loop."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | memoryview | FeedFailed | None] = asyncio.Queue(PIECES_MAX)
        self._closed = False

    async def give(self, piece: bytes | memoryview) -> None:
        await self._put(piece)

    async def end(self) -> None:
        """All of it was given."""
        await self._put(None)

    def fail(self) -> None:
        """At once, before what still waits."""
        self._clear()
        self._pieces.put_nowait(FeedFailed())

    def close(self) -> None:
        """By the consumer's end: nothing is taken any more."""
        self._closed = True
        self._clear()

    def __aiter__(self) -> "Feed":
        return self

    async def __anext__(self) -> bytes | memoryview:
        piece = await self._pieces.get()
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, FeedFailed):
            raise piece
        return piece

    async def _put(self, piece: bytes | memoryview | None) -> None:
        if not self._closed:
            await self._pieces.put(piece)
        if self._closed:
            raise FeedClosed

    def _clear(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()
