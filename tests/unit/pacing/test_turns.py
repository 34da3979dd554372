"""Large bodies that come all at once share the loop's turns: so many bytes in each, first come, first served, and nobody waits for a slow one."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.api.body import BodyStream
from gateway.api.body_budget import BodyBudget
from gateway.pacing.turns import Turns
from gateway.upstreams.byte_budget import ByteBudget
from gateway.upstreams.wire import _read


async def served_by_turn(served: list[int], count: int) -> list[int]:
    """How many were served after each turn of the loop, until all were."""
    seen: list[int] = []
    while len(served) < count:
        assert len(seen) < 10 * count, "somebody waits for ever"
        await asyncio.sleep(0)
        seen.append(len(served))
    return seen


def largest_step(seen: list[int]) -> int:
    return max(after - before for before, after in zip([0, *seen], seen, strict=False))


def worker(turns: Turns, served: list[int], number: int, size_bytes: int = 100) -> "asyncio.Task[None]":
    async def work() -> None:
        await turns.take(size_bytes)
        served.append(number)

    return asyncio.create_task(work())


async def test_a_turn_has_room_for_so_many_bytes() -> None:
    """Ten come in one turn: each turn serves as many as it has room for, in their order; afterwards nothing is left to do."""
    turns, served = Turns(250), list[int]()
    tasks = [worker(turns, served, number) for number in range(10)]
    seen = await served_by_turn(served, 10)
    assert largest_step(seen) == 3, "the one that a turn is used up with goes through"
    assert served == list(range(10))
    await asyncio.gather(*tasks)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not turns._counting, "the loop would never rest"


async def test_who_comes_alone_goes_on_at_once() -> None:
    """One body pays nothing for it, and a piece larger than a turn has its turn as well."""
    turns = Turns(250)
    for _ in range(3):
        with pytest.raises(StopIteration):  # at its end without having waited
            turns.take(10).send(None)
    served = list[int]()
    tasks = [worker(turns, served, number, 1_000_000) for number in range(4)]
    assert largest_step(await served_by_turn(served, 4)) == 1
    await asyncio.gather(*tasks)


async def test_who_went_away_has_no_turn() -> None:
    """A caller who is cancelled while he waits takes no room from those behind him."""
    turns, served = Turns(100), list[int]()
    tasks = [worker(turns, served, number) for number in range(8)]
    await asyncio.sleep(0)
    for task in tasks[1:7]:
        task.cancel()
    assert len(await served_by_turn(served, 2)) <= 3
    assert served == [0, 7]
    await asyncio.gather(*tasks, return_exceptions=True)


class Socket:
    """Has a large piece ready whenever it is asked."""

    async def readany(self) -> bytes:
        return bytes(100)


async def test_bodies_of_callers_share_turns() -> None:
    """Twenty uploads that all have something: a turn works on few of them."""
    content: Any = Socket()
    budget, served = BodyBudget(turns=Turns(250)), list[int]()

    async def upload(number: int) -> None:
        with budget.hold(100) as share:
            await BodyStream(content, 1000, share).chunk()
            served.append(number)

    tasks = [asyncio.create_task(upload(number)) for number in range(20)]
    assert largest_step(await served_by_turn(served, 20)) == 3
    await asyncio.gather(*tasks)


async def test_answers_of_upstreams_share_turns() -> None:
    """Likewise twenty answers, and every byte of them arrives."""
    turns, served = Turns(250), list[int]()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 100
        yield b"b" * 100

    async def answer(number: int) -> None:
        response: Any = SimpleNamespace(content_length=200, content=SimpleNamespace(iter_any=pieces))
        body, cut = await _read(response, 1000, ByteBudget().lease(0), turns)
        assert (bytes(body), cut) == (b"a" * 100 + b"b" * 100, False)
        served.append(number)

    tasks = [asyncio.create_task(answer(number)) for number in range(20)]
    assert largest_step(await served_by_turn(served, 20)) <= 3
    await asyncio.gather(*tasks)


async def test_memory_for_answers_takes_its_turn() -> None:
    """Ten answers announce more than a turn has room for: memory is cleared for one of them in a turn, before a byte has come."""
    turns, served = Turns(250), list[int]()
    coming = asyncio.Event()

    async def nothing_yet() -> AsyncIterator[bytes]:
        served.append(1)
        await coming.wait()
        yield b""

    response: Any = SimpleNamespace(content_length=1_000, content=SimpleNamespace(iter_any=nothing_yet))
    tasks = [asyncio.create_task(_read(response, 2_000, ByteBudget().lease(0), turns)) for _ in range(10)]
    assert largest_step(await served_by_turn(served, 10)) == 1
    coming.set()
    assert await asyncio.gather(*tasks) == [(bytearray(), False)] * 10
