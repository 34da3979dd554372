"""Tries of what is left alone: how many at once, how soon after a failure, and who is told."""

import asyncio

import pytest

from gateway.routing.last_resort import PACES, WAITERS_MAX, LastResorts, Resort
from tests.unit.routing.test_health import SetClock

A, B = "up/a", "other/a"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def resorts(clock: SetClock) -> LastResorts:
    return LastResorts(clock)


@pytest.mark.parametrize("resort", Resort)
def test_only_so_many_are_out_at_once(resorts: LastResorts, resort: Resort) -> None:
    """Of each offer by itself; a ticket that is given back without a verdict frees its place at once, and only once."""
    tickets = [resorts.take(A, resort) for _ in range(PACES[resort].at_once)]
    assert all(tickets)
    assert resorts.take(A, resort) is None
    assert resorts.take(B, resort) is not None
    assert tickets[0] is not None
    tickets[0].give_back()
    tickets[0].give_back(worked=False)
    assert resorts.take(A, resort) is not None
    assert resorts.take(A, resort) is None


@pytest.mark.parametrize(
    ("resort", "pauses_s"), [(Resort.FAILING, [0.25, 0.5, 1.0, 1.0]), (Resort.SILENT, [1.0, 2.0, 4.0, 8.0, 8.0])]
)
def test_after_a_failure_nobody_goes_for_a_while(
    resorts: LastResorts, clock: SetClock, resort: Resort, pauses_s: list[float]
) -> None:
    """Twice as long after each in a row, and from the beginning after a success."""
    for pause_s in pauses_s:
        ticket = resorts.take(A, resort)
        assert ticket is not None
        ticket.give_back(worked=False)
        assert resorts.free_at_s(A, resort) == clock.now_s + pause_s
        clock.now_s += pause_s - 0.01
        assert resorts.take(A, resort) is None
        clock.now_s += 0.01
    ticket = resorts.take(A, resort)
    assert ticket is not None
    ticket.give_back(worked=True)
    ticket = resorts.take(A, resort)
    assert ticket is not None
    ticket.give_back(worked=False)
    assert resorts.free_at_s(A, resort) == clock.now_s + pauses_s[0]


def test_a_failure_speaks_for_those_who_came_before_the_try(resorts: LastResorts) -> None:
    """Not for who came while it was out: the upstream may have been mended since it was sent. A try without a verdict speaks for nobody."""
    early = resorts.asks(A)
    first, second = resorts.take(A, Resort.FAILING), resorts.take(A, Resort.FAILING)
    late = resorts.asks(A)
    assert first is not None
    assert second is not None
    second.give_back()
    assert not resorts.failed_since(A, early)
    first.give_back(worked=False)
    assert resorts.failed_since(A, early)
    assert not resorts.failed_since(A, late)
    assert not resorts.failed_since(B, resorts.asks(B))


async def test_everybody_who_waits_is_woken_by_a_verdict(resorts: LastResorts, clock: SetClock) -> None:
    """At most WAITERS_MAX wait; who comes then is turned away at once."""
    ticket = resorts.take(A, Resort.FAILING)
    assert ticket is not None
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = [group.create_task(resorts.change(clock.now_s + 60)) for _ in range(WAITERS_MAX)]
        await asyncio.sleep(0)
        assert not await resorts.change(clock.now_s + 60)
        ticket.give_back(worked=True)
    assert all(task.result() for task in waiting)
    assert await resorts.change(clock.now_s), "nobody is counted any more"
