"""Slots: never more out than there are, none lost, nobody forgotten."""

import asyncio

import pytest

from gateway.limits import slots as slots_module
from gateway.limits.slots import Slots, SlotTimeout


class StillClock:
    """Stands still, so that a deadline is as far away as the test says."""

    def now_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return 100.0


@pytest.fixture
def slots() -> Slots:
    return Slots({"u": 2, "other": 1}, StillClock())


async def test_all_or_none_at_once(slots: Slots) -> None:
    """Two of two, then none; what is asked for in vain is not kept; other upstreams are by themselves."""
    assert await slots.try_acquire("u", 3) == []
    taken = await slots.try_acquire("u", 2)
    assert len(taken) == 2
    assert await slots.try_acquire("u", 1) == []
    assert len(await slots.try_acquire("other", 1)) == 1
    for slot in taken:
        slot.release()
        slot.release()  # a second release gives no second place
    assert len(await slots.try_acquire("u", 2)) == 2
    assert await slots.try_acquire("u", 1) == []


async def test_a_free_slot_is_given_even_at_the_deadline(slots: Slots) -> None:
    """A deadline that has passed only ends waiting."""
    (await slots.acquire("u", 0.0)).release()


async def test_waiting_ends_at_the_deadline(slots: Slots) -> None:
    """SlotTimeout, and the place in the queue is free again."""
    taken = await slots.try_acquire("u", 2)
    with pytest.raises(SlotTimeout):
        await slots.acquire("u", 100.0)
    taken[0].release()
    assert len(await slots.try_acquire("u", 1)) == 1


async def test_places_go_to_those_who_wait_in_order(slots: Slots) -> None:
    """Nobody overtakes, not even who asks without waiting."""
    taken, order = await slots.try_acquire("u", 2), []

    async def wait(name: int) -> None:
        slot = await slots.acquire("u", 200.0)
        order.append(name)
        slot.release()

    waiting = [asyncio.ensure_future(wait(name)) for name in range(4)]
    await asyncio.sleep(0)
    taken[0].release()
    assert await slots.try_acquire("u", 1) == []
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


async def test_who_gives_up_takes_no_slot_along(slots: Slots) -> None:
    """Cancelled while waiting, and cancelled in the very turn in which a slot was given: both places come back."""
    taken = await slots.try_acquire("u", 2)
    first, second = (asyncio.ensure_future(slots.acquire("u", 200.0)) for _ in range(2))
    await asyncio.sleep(0)
    taken[0].release()
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    taken[1].release()
    assert len(await slots.try_acquire("u", 2)) == 2


async def test_a_queue_that_is_too_long_turns_away(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once; those who wait go on waiting."""
    monkeypatch.setattr(slots_module, "WAITERS_MAX", 1)
    taken = await slots.try_acquire("u", 2)
    waiting = asyncio.ensure_future(slots.acquire("u", 200.0))
    await asyncio.sleep(0)
    with pytest.raises(SlotTimeout):
        await slots.acquire("u", 200.0)
    taken[0].release()
    (await waiting).release()


async def test_each_upstream_has_a_queue_of_its_own_length() -> None:
    """One may wait here, none there; while a place is free nobody waits, so nobody is turned away."""
    slots = Slots({"u": 1, "other": 1}, StillClock(), {"u": 1, "other": 0})
    taken = [await slots.acquire("u", 200.0), await slots.acquire("other", 200.0)]
    waiting = asyncio.ensure_future(slots.acquire("u", 200.0))
    await asyncio.sleep(0)
    for name in ("u", "other"):
        with pytest.raises(SlotTimeout, match=f"wait for {name}"):
            await slots.acquire(name, 200.0)
    for slot in taken:
        slot.release()
    (await waiting).release()
