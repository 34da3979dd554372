"""The budget of bytes that answers may occupy."""

import asyncio

import pytest

from gateway.upstreams.byte_budget import HELD_BYTES_MIN, ByteBudget, held_to_the_end


async def hold(budget: ByteBudget, size_bytes: int, entered: list[int], leave: asyncio.Event) -> None:
    async with budget.lease(size_bytes):
        entered.append(size_bytes)
        await leave.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waits_in_order() -> None:
    """A small body does not overtake a large one that came first, so that large ones are not starved."""
    budget, entered, leave = ByteBudget(100), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(budget, 60, entered, leave))
        group.create_task(hold(budget, 50, entered, leave))
        group.create_task(hold(budget, 10, entered, leave))
        await settle()
        assert entered == [60]
        leave.set()
    assert entered == [60, 50, 10]
    assert budget.used_bytes == 0


async def test_a_body_larger_than_everything_goes_alone() -> None:
    """What exceeds the whole budget takes all of it instead of waiting for ever."""
    budget = ByteBudget(100)
    async with budget.lease(1_000):
        assert budget.used_bytes == 100
    assert budget.used_bytes == 0


async def test_growth_overdraws_and_is_given_back() -> None:
    """A body longer than announced is counted in full and freed in full."""
    budget = ByteBudget(100)
    async with budget.lease(10) as lease:
        lease.cover(150)
        lease.cover(20)
        assert budget.used_bytes == 150
    assert budget.used_bytes == 0


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    """Cancelled while waiting, its place goes to the next; the count stays right."""
    budget, entered, leave = ByteBudget(100), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(budget, 60, entered, leave))
        waiting = group.create_task(hold(budget, 90, entered, leave))
        group.create_task(hold(budget, 40, entered, leave))
        await settle()
        waiting.cancel()
        await settle()
        assert entered == [60, 40]
        leave.set()
    assert budget.used_bytes == 0


@pytest.mark.parametrize("steps", range(3))
async def test_a_waiter_cancelled_while_being_served(steps: int) -> None:
    """Served and cancelled in the same turn of the loop: its bytes come back."""
    budget, entered, leave = ByteBudget(100), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(budget, 100, entered, leave))
        waiting = group.create_task(hold(budget, 90, entered, leave))
        await settle()
        leave.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
    assert budget.used_bytes == 0


async def test_a_large_share_lasts_until_its_pictures_are_stored() -> None:
    """Handed over inside the block it ends with it; a small one, and one that nobody takes, ends at once."""
    budget = ByteBudget(10 * HELD_BYTES_MIN)
    large, small, alone = (budget.lease(0) for _ in range(3))
    with held_to_the_end():
        await large.wait_for(8 * HELD_BYTES_MIN)
        await small.wait_for(HELD_BYTES_MIN - 1)
        large.hand_over()
        small.hand_over()
        assert budget.used_bytes == 8 * HELD_BYTES_MIN
        await asyncio.wait_for(small.wait_for(9 * HELD_BYTES_MIN), 30)  # who holds a share does not wait for another
        small.hand_over()
        assert budget.used_bytes == 17 * HELD_BYTES_MIN
    assert budget.used_bytes == 0
    await alone.wait_for(8 * HELD_BYTES_MIN)
    alone.hand_over()
    assert budget.used_bytes == 0
