"""Many rows by one statement: each once, in their order, whatever their number."""

from collections.abc import Sequence
from functools import partial

import pytest
from sqlalchemy import bindparam, select

from gateway.db.connection import BulkRows, Connection, Row, StatementFailed
from gateway.db.schema import entries, job_leases, usage_daily
from gateway.db.statements import BulkStatement, Statement, add_to_rows, insert_rows
from gateway.db.writer import Transact
from tests.books import KEY, Gateway, opened

_ENTRIES = insert_rows(entries, (
    "account_id", "kind", "posted_microcredits", "posted_microusd", "posted_images", "pending_microcredits", "pending_microusd",
    "pending_images", "at_ms", "note",
))  # fmt: skip
_READ = Statement(
    select(entries.c.id, entries.c.at_ms, entries.c.note).where(entries.c.id > bindparam("after")).order_by(entries.c.id)
)  # fmt: skip
_LEASES = insert_rows(job_leases, ("name", "owner", "until_ms"), ignore_repeats=True)
_LEASE_ROWS = Statement(select(job_leases.c.name, job_leases.c.owner).order_by(job_leases.c.name))
_SUMS = (
    "tasks", "failed", "images", "charged_microcredits", "charged_microusd", "paid_microusd", "cache_hits", "cache_saved_microusd",
    "routing_saved_microusd",
)  # fmt: skip
_USAGE = add_to_rows(usage_daily, ("day", "account_id", "model", "upstream", "caller"), _SUMS, making=True)
_USAGE_ROWS = Statement(select(usage_daily.c.model, usage_daily.c.tasks).order_by(usage_daily.c.model))


async def write(database: Gateway, statement: BulkStatement, rows: BulkRows) -> None:
    async def run(connection: Connection, _: int) -> None:
        await connection.write(statement, rows)

    await database.write(Transact(run))


async def read(database: Gateway, statement: Statement, **values: int) -> Sequence[Row]:
    return await database.read(lambda connection: connection.fetch(statement, **values))


def entry(account: str, at_ms: int) -> tuple[str | int | None, ...]:
    return account, "hold", 0, 0, 0, 0, 0, 0, at_ms, None if at_ms % 3 else f"'{at_ms}"


async def test_any_number_of_rows(database_url: str) -> None:
    """Around every number that goes into one statement: all are there, in the order in which they were given, with what had no value."""
    database, last = await opened(database_url), 0
    for number in (1, 2, 3, 4, 7, 8, 9, 11, 31, 32, 33, 44, 75):
        await write(database, _ENTRIES, list(map(partial(entry, KEY), range(number))))
        found = await read(database, _READ, after=last)
        assert [row[1:] for row in found] == [entry(KEY, at_ms)[-2:] for at_ms in range(number)]
        last = int(found[-1][0] or 0)
    await database.close()


async def test_rows_that_are_there(database_url: str) -> None:
    """Left as they are, or added to, among many that are new."""
    database = await opened(database_url)
    for count in (10, 40):
        await write(database, _LEASES, [(f"job {at:03d}", f"run {count}", 0) for at in range(count)])
        await write(database, _USAGE, [
            ("2026-11-27", KEY, f"model {at:03d}", "", "", *(at for _ in _SUMS)) for at in range(count)
        ])  # fmt: skip
    leases = await read(database, _LEASE_ROWS)
    assert [*leases] == [(f"job {at:03d}", "run 10" if at < 10 else "run 40") for at in range(40)]
    used = await read(database, _USAGE_ROWS)
    assert [*used] == [(f"model {at:03d}", at * (2 if at < 10 else 1)) for at in range(40)]
    await database.close()


async def test_one_wrong_row_among_many(database_url: str) -> None:
    """None of its transaction is written, and the next one is."""
    database = await opened(database_url)
    rows = [entry(KEY if at != 20 else "key:nobody", at) for at in range(40)]
    with pytest.raises(StatementFailed):
        await write(database, _ENTRIES, rows)
    assert [*await read(database, _READ, after=0)] == []
    await write(database, _ENTRIES, rows[:20])
    assert len(await read(database, _READ, after=0)) == 20
    await database.close()
