"""Calls that are made again, as they are committed: in one batch, by two processes at once, and after a day."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import bindparam, select

from gateway.db.connection import Connection
from gateway.db.migrate import migrate, newest_revision
from gateway.db.schema import idempotency
from gateway.db.statements import Statement
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from gateway.domain.repeats import KEPT_MS, Repeat
from gateway.domain.tasks import Task
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import Accept, Accepted, Command
from gateway.pipeline.housekeeping import FORGET_MARGIN_MS, Housekeeping
from gateway.pipeline.repeating import Conflicting, NothingLeft, Repeated, TakenUp, TakeUp
from gateway.repeats import store
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics
from tests.books import KEY, Gateway, accept, balance, clean, completed, new_task, opened, set_budgets
from tests.earlier_schemas import run_on, upgrade_to

BEFORE = "0007"
HASH = "0" * 64
_AGE = Statement(idempotency.update().values(created_at_ms=idempotency.c.created_at_ms - bindparam("by")))
_ALL = Statement(select(idempotency.c.task_id, idempotency.c.key))


def called(key: str = "k", *, body: str = HASH, is_retry: bool = False) -> Accept:
    """A new call that says what it may be told by."""
    return replace(accept(new_task(), 2), repeat=Repeat(body, key, is_retry))


def task_of(outcome: object) -> Task:
    assert isinstance(outcome, Accepted), outcome
    return outcome.task


async def aged(database: Gateway, by_ms: int) -> None:
    await database.write(Transact(lambda connection, _: connection.execute(_AGE, by=by_ms)))


async def rows(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch(_ALL)]


async def test_a_batch_sees_its_own_commands(database_url: str) -> None:
    """A hundred at once: one task, one hold, whatever comes in which batch; another body conflicts with whoever was first."""
    database = await opened(database_url)
    try:
        outcomes = await asyncio.gather(*(database.write(called()) for _ in range(100)))
        [task] = [outcome.task for outcome in outcomes if isinstance(outcome, Accepted)]
        assert outcomes.count(Repeated(task.id)) == 99
        assert await database.write(called(body="1" * 64)) == Conflicting(task.id)
        assert (await balance(database, KEY))[1].microcredits == 2_000_000
        assert await clean(database)
    finally:
        await database.close()


async def test_two_processes_make_one_task(postgresql_database: str) -> None:
    """A hundred rounds of one new key at both at once."""
    one, other = await opened(postgresql_database), await opened(postgresql_database)
    try:
        for number in range(100):
            outcomes = await asyncio.gather(*(database.write(called(f"k{number}")) for database in (one, other) * 2))
            [task] = [outcome.task for outcome in outcomes if isinstance(outcome, Accepted)]
            assert outcomes.count(Repeated(task.id)) == 3
        assert (await balance(one, KEY))[1].microcredits == 200_000_000
        assert await clean(one)
    finally:
        await one.close()
        await other.close()


async def test_two_processes_take_a_task_up_once(postgresql_database: str) -> None:
    """Under lock, and whether the retry looked for it before or comes to be accepted."""
    one, other = await opened(postgresql_database), await opened(postgresql_database)
    try:
        for _ in range(30):
            task = task_of(await one.write(called("")))
            retries: list[Command] = [TakeUp(KEY, (task.id,)), called("", is_retry=True)]
            outcomes = await asyncio.gather(*(db.write(retry) for db in (one, other) for retry in retries))
            taken = [outcome for outcome in outcomes if outcome in (TakenUp(task.id), Repeated(task.id, taken_up=True))]
            assert len(taken) == 1, outcomes
            made = [outcome.task.id for outcome in outcomes if isinstance(outcome, Accepted)]
            assert (
                len(made) + outcomes.count(NothingLeft()) + sum(isinstance(outcome, Repeated) for outcome in outcomes)
                >= 3
            )
            await one.write(Transact(_forget_all))
        assert await clean(one)
    finally:
        await one.close()
        await other.close()


async def _forget_all(connection: Connection, _: int) -> None:
    await connection.execute(Statement(idempotency.delete()))


async def test_a_key_is_free_after_a_day(database_url: str) -> None:
    """To the millisecond, also where nobody has deleted its row yet; two calls of one batch then make one task."""
    database = await opened(database_url)
    try:
        first = task_of(await database.write(called()))
        await aged(database, KEPT_MS - 60_000)
        assert await database.write(called()) == Repeated(first.id)
        await aged(database, 60_000)
        outcomes = await asyncio.gather(database.write(called(body="1" * 64)), database.write(called(body="1" * 64)))
        second = task_of(outcomes[0])
        assert outcomes[1] == Repeated(second.id)
        assert await database.read(rows) == [(second.id, "k")]
    finally:
        await database.close()


async def test_a_refused_call_leaves_no_row(database_url: str) -> None:
    """A key whose call was refused for its budget is free."""
    database = await opened(database_url)
    try:
        await set_budgets(database, KEY, "1credits/total")
        assert isinstance(await database.write(called()), BudgetRefusal)
        assert await database.read(rows) == []
        await set_budgets(database, KEY)
        task_of(await database.write(called()))
    finally:
        await database.close()


async def test_calls_of_yesterday_are_forgotten_in_batches(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the seconds in their tasks' ids; those of the last day stay, and what led to a task is no part of the books."""
    monkeypatch.setattr("gateway.pipeline.housekeeping.FORGOTTEN_AT_ONCE", 3)
    database = await opened(database_url)

    class Later(SystemClock):
        def now_ms(self) -> int:
            return new_task().created_at_ms + KEPT_MS + FORGET_MARGIN_MS + self.after_ms

        after_ms = 0

    clock = Later()
    housekeeping = Housekeeping(database, Metrics(), Circuits(clock), clock, bytes_in_flight=lambda: 0, offers=tuple)
    try:
        tasks = [task_of(await database.write(called(f"k{number}"))) for number in range(7)]
        await database.write(completed(tasks[0], 1))
        assert await housekeeping.forget_calls() == 0
        clock.after_ms = 1_000
        assert await housekeeping.forget_calls() == 7
        assert await database.read(rows) == []
        assert await clean(database)
    finally:
        await database.close()


async def test_the_migration_makes_the_table(empty_database_url: str) -> None:
    """From the schema before: calls of that version have no rows, calls of this one do."""
    url = parse_database_url(empty_database_url)
    await run_on(url, lambda connection: upgrade_to(connection, BEFORE))
    assert await migrate(url) == (BEFORE, newest_revision())
    database = await opened(empty_database_url)
    try:
        task = task_of(await database.write(called()))
        found = await database.read(lambda connection: store.read_keyed(connection, KEY, "k"))
        assert found is not None
        assert (found.task_id, found.body_sha256) == (task.id, HASH)
    finally:
        await database.close()
