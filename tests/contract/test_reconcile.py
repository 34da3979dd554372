"""What is looked at now and then: differences between the books and their entries, and holds that nothing will end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import bindparam, delete, update

from gateway.administration.book_commands import BookCommands
from gateway.administration.holds import Holds
from gateway.db.connection import Connection
from gateway.db.schema import tasks
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.administrators import COMMAND, Administrator, Scope
from gateway.domain.clock import SystemClock
from gateway.domain.ids import TaskId
from gateway.pipeline.housekeeping import Housekeeping
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics
from tests.books import KEY, SPOIL, Gateway, accept, new_task, opened

_END = Statement(update(tasks).where(tasks.c.id == bindparam("task")).values(finished_at_ms=1, state="failed"))
_FORGET = Statement(delete(tasks).where(tasks.c.id == bindparam("task")))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Gateway]:
    database = await opened(database_url)
    yield database
    await database.close()


@asynccontextmanager
async def looking(database: Gateway) -> AsyncIterator[Metrics]:
    metrics, clock = Metrics(), SystemClock()
    housekeeping = Housekeeping(database, metrics, Circuits(clock), clock, bytes_in_flight=lambda: 0, offers=tuple)
    running = asyncio.ensure_future(housekeeping.run())
    try:
        yield metrics
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def shows(metrics: Metrics, line: str) -> None:
    async with asyncio.timeout(30):
        while line not in metrics.render().decode():  # noqa: ASYNC110 - a scraper has no event to wait for either
            await asyncio.sleep(0.05)


async def test_a_difference_is_exported_and_named(database: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """A balance that was changed behind the gateway's back: counted by the metric, named in the log with both numbers."""
    await database.write(accept(new_task(), 1))
    async with looking(database) as metrics:
        await shows(metrics, "gateway_oldest_hold_age_seconds")
        assert "gateway_ledger_differences 0.0" in metrics.render().decode()
    await database.write(Transact(lambda c, _: c.execute(SPOIL, account=KEY, value=77)))
    with caplog.at_level(logging.ERROR, "gateway.pipeline.housekeeping"):
        async with looking(database) as metrics:
            await shows(metrics, "gateway_ledger_differences 1.0")
    [record] = [record for record in caplog.records if record.getMessage() == "the ledger differs"]
    assert vars(record)["difference"] == f"{KEY}: posted_microcredits, by its entries, is 77, should be 0"


async def test_holds_whose_task_is_over_or_missing_are_listed(database: Gateway) -> None:
    """And no others. The org whose they are sees them, another does not; the command names them and fails."""
    living, over, missing = (new_task() for _ in range(3))
    for task in (living, over, missing):
        await database.write(accept(task, 2))

    async def spoil(connection: Connection, _: int) -> None:
        await connection.execute(_END, task=over.id)
        await connection.execute(_FORGET, task=missing.id)

    await database.write(Transact(spoil))
    service = Holds(database)
    found = await service.stranded(COMMAND, size=10)
    assert {(hold.task_id, hold.task_state) for hold in found} == {(over.id, "failed"), (missing.id, None)}
    assert {hold.amount.microcredits for hold in found} == {2_000_000}
    assert len(await service.stranded(COMMAND, size=1)) == 1
    assert len(await service.stranded(Administrator("t", frozenset(Scope), "acme"), size=10)) == 2
    assert await service.stranded(Administrator("t", frozenset(Scope), "other"), size=10) == []
    report = await BookCommands(database, service).commands["ledger holds"]({})
    assert report.failed
    assert {TaskId(str(row["task"])) for row in report.rows} == {over.id, missing.id}
