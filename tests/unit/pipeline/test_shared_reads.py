"""One question for all who ask the same at once; what becomes of them when it fails, or when who asked goes away."""

import asyncio

import pytest

from gateway.domain.errors import StorageUnavailable
from gateway.pipeline.shared_reads import SharedReads


class Book:
    """Answers when it is let, counting how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def read(self) -> int:
        self.asked += 1
        asked = self.asked
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return asked


async def asking(reads: SharedReads[int], book: Book, about: str = "a", count: int = 3) -> "list[asyncio.Task[int]]":
    tasks = [asyncio.create_task(reads.ask(about, book.read)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_the_same_shares_an_answer_that_is_not_kept() -> None:
    """Three ask once; another thing, and the same thing later, are questions of their own."""
    reads, book = SharedReads[int](), Book()
    tasks = [*await asking(reads, book), *await asking(reads, book, "b", 1)]
    book.open.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1, 2]
    assert await reads.ask("a", book.read) == 3


async def test_an_error_is_everybodys() -> None:
    """Nobody waits for it twice."""
    reads, book = SharedReads[int](), Book()
    book.error = StorageUnavailable("gone")
    tasks = await asking(reads, book)
    book.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert book.asked == 1


async def test_who_goes_away_takes_nobody_along() -> None:
    """The next asks again, once for those who are left; a follower's end is its own."""
    reads, book = SharedReads[int](), Book()
    first, second, third, fourth = await asking(reads, book, count=4)
    first.cancel()
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(asyncio.CancelledError):
        await third
    while book.asked < 2:  # noqa: ASYNC110 - the second asks now, and the fourth waits for it
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    book.open.set()
    assert [await second, await fourth] == [2, 2]
