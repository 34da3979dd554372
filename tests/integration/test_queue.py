"""Waiting for a place at an upstream: how long, and who makes the picture else. Scripted adapters, a real database and real files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.tasks import Fault
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
    out = house.tools.slots.try_acquire("first", 4)
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
    out = house.tools.slots.try_acquire("first", 4)
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
    out = house.tools.slots.try_acquire("first", 4)
    asyncio.get_running_loop().call_later(0.05, out[0].release)
    ending = await house.run(task)
    assert [attempt.upstream for attempt in ending.attempts] == ["first"]
