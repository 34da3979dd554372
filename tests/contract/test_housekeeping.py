"""The figures of the books that operators are woken by, on real databases."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from gateway.domain.tasks import AttemptState, Billed, Fault
from gateway.pipeline.commands import Accepted, RecordAttempts
from gateway.pipeline.housekeeping import Housekeeping
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics
from tests.books import ORG, SPOIL, Gateway, accept, completed, new_attempt, new_task, opened

NOW_MS = 1_757_165_031_000


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class World:
    database: Gateway
    clock: SetClock
    metrics: Metrics
    housekeeping: Housekeeping

    async def figures(self) -> tuple[float, float, float]:
        """Differences, USD in doubt, age of the oldest hold, after a look with an audit."""
        await self.housekeeping._look(auditing=True)
        found = {
            sample.name: sample.value
            for family in text_string_to_metric_families(self.metrics.render().decode())
            for sample in family.samples
        }
        names = ("gateway_ledger_differences", "gateway_in_doubt_usd", "gateway_oldest_hold_age_seconds")
        differences, in_doubt, age = (found[name] for name in names)
        return differences, in_doubt, age


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    clock, metrics = SetClock(), Metrics()
    database = await opened(database_url, clock)
    housekeeping = Housekeeping(database, metrics, Circuits(clock), clock, bytes_in_flight=lambda: 0, offers=tuple)
    yield World(database, clock, metrics, housekeeping)
    await database.close()


async def test_the_oldest_hold_has_an_age(world: World) -> None:
    """Of two open holds the older one's; once it has ended the other's; none: 0."""
    older = replace(new_task(), created_at_ms=NOW_MS - 90_000)
    younger = replace(new_task(), created_at_ms=NOW_MS - 30_000)
    for task in (younger, older):
        assert isinstance(await world.database.write(accept(task, 1)), Accepted)
    assert await world.figures() == (0, 0, 90)
    await world.database.write(completed(older, 1))
    world.clock.ms += 5_000
    assert await world.figures() == (0, 0, 35)
    await world.database.write(replace(completed(younger, 1), results=()))
    assert await world.figures() == (0, 0, 0)


async def test_doubt_is_counted_until_it_is_resolved(world: World) -> None:
    """What is at an upstream now is no doubt; what ended without an answer is, with its presumed cost."""
    task = new_task()
    attempt = new_attempt(task, 20_000)
    await world.database.write(accept(task, 1))
    await world.database.write(RecordAttempts(task.id, 1, started=(attempt,)))
    assert (await world.figures())[1] == 0
    lost = replace(
        attempt, state=AttemptState.UNKNOWN, ended_at_ms=NOW_MS, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN
    )
    await world.database.write(RecordAttempts(task.id, 1, ended=(lost,)))
    assert (await world.figures())[1] == 0.02


async def test_a_spoiled_balance_is_a_difference(world: World) -> None:
    """Counted while it is there; between audits the figure stays."""
    await world.database.write(accept(new_task(), 1))
    assert (await world.figures())[0] == 0
    await world.database.write(Transact(lambda c, _: c.execute(SPOIL, account=ORG, value=7)))
    assert (await world.figures())[0] == 1
    await world.database.write(Transact(lambda c, _: c.execute(SPOIL, account=ORG, value=0)))
    await world.housekeeping._look(auditing=False)
    assert b"gateway_ledger_differences 1.0" in world.metrics.render()
    assert (await world.figures())[0] == 0
