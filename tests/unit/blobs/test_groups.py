"""Groups: who is done together, who hears of which failure, and that nothing is forgotten at the end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.blobs.groups import Groups


class Work:
    """Notes each group, when it is let go on; fails a piece that says so, or the whole."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.go = threading.Event()

    def __call__(self, pieces: Sequence[str]) -> Sequence[Exception | None]:
        self.go.wait(10)
        self.groups.append(list(pieces))
        if "all" in pieces:
            raise RuntimeError("all")
        return [ValueError(piece) if piece.startswith("bad") else None for piece in pieces]


@pytest.fixture
async def threads() -> AsyncIterator[ThreadPoolExecutor]:
    """Two, so that only the groups themselves can keep the order."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def begun(groups: Groups[str], *pieces: str) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.ensure_future(groups.do(piece)) for piece in pieces]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_is_done_together(threads: ThreadPoolExecutor) -> None:
    """While one group is at work the next one gathers, of at most the size allowed, in the order of coming."""
    work = Work()
    groups = Groups(work, threads, size_max=3)
    tasks = await begun(groups, "a", "b", "c", "d", "e")
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.groups == [["a"], ["b", "c", "d"], ["e"]]


async def test_each_hears_of_its_own_failure(threads: ThreadPoolExecutor) -> None:
    """One piece fails alone; a failure of the work itself is everybody's, and the next group goes on."""
    work = Work()
    groups = Groups(work, threads, size_max=3)
    tasks = await begun(groups, "a", "b", "bad", "c", "all", "d")
    work.go.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert work.groups == [["a"], ["b", "bad", "c"], ["all", "d"]]
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [ValueError, type(None)] + [RuntimeError] * 2
    await groups.do("e")


async def test_the_end_waits_for_what_is_at_work_and_what_waits(threads: ThreadPoolExecutor) -> None:
    """`finish` returns when nobody waits any more, and at once where nobody does."""
    work = Work()
    groups = Groups(work, threads, size_max=2)
    await groups.finish()
    tasks = await begun(groups, "a", "b", "c", "d")
    finishing = asyncio.ensure_future(groups.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    work.go.set()
    await finishing
    assert work.groups == [["a"], ["b", "c"], ["d"]]
    await asyncio.gather(*tasks)


async def test_a_caller_who_has_gone_leaves_the_others_alone(threads: ThreadPoolExecutor) -> None:
    """At work or still waiting, the piece of a cancelled caller is done, the others hear of theirs, and the end is reached."""
    work = Work()
    groups = Groups(work, threads, size_max=3)
    tasks = await begun(groups, "a", "b", "c", "bad")
    tasks[0].cancel()
    tasks[1].cancel()
    tasks[3].cancel()
    work.go.set()
    await groups.finish()
    assert work.groups == [["a"], ["b", "c", "bad"]]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2 + [
        type(None),
        asyncio.CancelledError,
    ]
