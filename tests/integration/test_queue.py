"""Waiting for a place at an upstream: how long, and who makes the picture else. Scripted adapters, a real database and real files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.tasks import Fault, TaskErrorCode
from gateway.routing.health import _Circuit
from tests.books import Gateway, opened
from tests.integration.test_making import ScriptedAdapter, house_of


@pytest.fixture
async def database(sqlite_database: str) -> AsyncIterator[Gateway]:
    database = await opened(sqlite_database)
    yield database
    await database.close()


async def test_a_full_upstream_is_waited_for_only_for_a_while(database: Gateway, tmp_path: Path) -> None:
    """Without a free place the next offer makes the picture after `queue.wait`; nothing is sent to the first, and its circuit hears nothing."""
    first, second = ScriptedAdapter("first", queue_wait_s=0.02), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    out = await house.tools.slots.try_acquire("first", 4)
    ending = await house.run(await house.accepted(n=2))
    assert [attempt.upstream for attempt in ending.attempts] == ["second", "second"]
    assert not first.calls
    assert house.tools.circuits.open_offers() == {}
    assert (
        'gateway_offers_skipped_total{reason="no_slot",upstream="first"} 2.0' in house.tools.metrics.render().decode()
    )
    for slot in out:
        slot.release()
    again = await house.run(await house.accepted())
    assert [attempt.upstream for attempt in again.attempts] == ["first"]


async def test_a_place_that_comes_in_time_is_taken(database: Gateway, tmp_path: Path) -> None:
    """The cheapest is worth a short wait."""
    first, second = ScriptedAdapter("first", queue_wait_s=5.0), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    out = await house.tools.slots.try_acquire("first", 4)
    asyncio.get_running_loop().call_later(0.05, out[0].release)
    ending = await house.run(await house.accepted())
    assert [attempt.upstream for attempt in ending.attempts] == ["first"]


@pytest.mark.parametrize("why", ["the last", "circuit", "budget", "gone"])
async def test_without_another_offer_the_wait_is_for_the_deadline(database: Gateway, tmp_path: Path, why: str) -> None:
    """The last offer of the plan that may be tried is waited for as long as the task may last."""
    first, second = ScriptedAdapter("first", queue_wait_s=0.0), ScriptedAdapter("second")
    adapters = (first,) if why == "the last" else (first, second)
    house = await house_of(database, tmp_path, *adapters)
    task = await house.accepted()
    match why:
        case "circuit":
            house.tools.circuits.failed("second/m", Fault.CREDENTIALS)
        case "budget":
            house.tools.circuits.closed.refused("second", Budget(1, Unit.USD, Window.MONTH), 1, None)
        case "gone":
            del house.adapters["second"]
    out = await house.tools.slots.try_acquire("first", 4)
    asyncio.get_running_loop().call_later(0.05, out[0].release)
    ending = await house.run(task)
    assert [attempt.upstream for attempt in ending.attempts] == ["first"]


async def test_a_full_upstream_is_waited_for_again_where_nobody_else_may_be_tried_after_all(
    database: Gateway, tmp_path: Path
) -> None:
    """The next offer's circuit was half open when the wait began, and somebody else is its probe when it ends."""
    first, second = ScriptedAdapter("first", queue_wait_s=0.2), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    task = await house.accepted()
    circuits = house.tools.circuits
    circuits._circuits.setdefault("second/m", _Circuit()).open(Fault.FAILED, 0.0, alert=False)
    out = await house.tools.slots.try_acquire("first", 4)
    asyncio.get_running_loop().call_later(0.05, circuits.allows, "second/m")
    asyncio.get_running_loop().call_later(0.4, out[0].release)
    ending = await house.run(task)
    assert [attempt.upstream for attempt in ending.attempts] == ["first"]


async def test_a_queue_that_is_full_is_not_asked_for_ever(database: Gateway, tmp_path: Path) -> None:
    """Nobody may wait, and nobody else can make it: the task ends at once."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    task = await house.accepted()
    house.tools.slots._waiters_max = {"first": 0, "second": 0}  # as `queue: {max: 0}` has it
    out = [slot for name in ("first", "second") for slot in await house.tools.slots.try_acquire(name, 4)]
    ending = await house.run(task)
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.RESOURCE_EXHAUSTED
    assert len(out) == 8
    assert not house.tools.circuits.open_offers()
