"""A stream's pieces on their way into an upload."""

import asyncio

import pytest

from gateway.blobs.feed import PIECES_MAX, Feed, FeedClosed, FeedFailed


async def test_pieces_arrive_in_order_and_end() -> None:
    """What is given is taken, and the end is told after it."""
    feed = Feed()

    async def give() -> None:
        for number in range(10):
            await feed.give(bytes([number]))
        await feed.end()

    giving = asyncio.ensure_future(give())
    assert [piece async for piece in feed] == [bytes([number]) for number in range(10)]
    await giving


async def test_few_pieces_wait() -> None:
    """A stream that is faster than the upload waits for it."""
    feed = Feed()
    for _ in range(PIECES_MAX):
        await feed.give(b"x")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await feed.give(b"x")


async def test_a_failure_goes_before_what_waits() -> None:
    """An upload that is to abort takes nothing more first."""
    feed = Feed()
    for _ in range(PIECES_MAX):
        await feed.give(b"x")
    feed.fail()
    with pytest.raises(FeedFailed):
        await anext(feed)


async def test_an_ended_upload_stops_the_stream() -> None:
    """Also where it waits for room."""
    feed = Feed()
    for _ in range(PIECES_MAX):
        await feed.give(b"x")
    giving = asyncio.ensure_future(feed.give(b"x"))
    await asyncio.sleep(0)
    feed.close()
    with pytest.raises(FeedClosed):
        await giving
    with pytest.raises(FeedClosed):
        await feed.give(b"x")
