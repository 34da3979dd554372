"""What a call leaves that is answered with pictures which are there: a task of its own, and in the books no more than it costs."""

import asyncio
from dataclasses import replace
from functools import partial

from sqlalchemy import func, select

from gateway.db.connection import Connection
from gateway.db.schema import accounts, entries, holds
from gateway.db.statements import Statement, insert_rows
from gateway.db.writer import Transact
from gateway.domain.ids import AccountId
from gateway.domain.money import NOTHING, Amount
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import Task, TaskState
from gateway.domain.usage import Dimension, UsageQuery
from gateway.ledger import store as ledger_store
from gateway.ledger import usage
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import Finished, Outcome, Serve, SourceGone
from gateway.pipeline.repeating import Conflicting, Repeated
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase
from tests.books import (
    CREDIT,
    KEY,
    ORG,
    PATH,
    RATE,
    TEAM,
    Gateway,
    accept,
    balance,
    clean,
    completed,
    grant,
    new_attempt,
    new_task,
    opened,
    set_budgets,
    set_zone,
    succeeded,
)

_COUNTS = Statement(
    select(
        select(func.count()).select_from(holds).scalar_subquery(),
        select(func.count()).select_from(entries).scalar_subquery(),
    )
)
_ADD_ACCOUNTS = insert_rows(
    accounts, ("id", "kind", "name", "parent_id", "budgets", "disabled", "created_at_ms"), ignore_repeats=True
)
OTHER_TEAM, OTHER_KEY = AccountId("team:acme/other"), AccountId("key:acme/other/ci")
FULL = Amount(3 * CREDIT, 3 * CREDIT // 72, 1)
FAR_MS = 4_102_444_800_000


async def made(database: Gateway) -> Task:
    """A call that paid three credits for its picture."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 5, attempts=(attempt,)))
    finish = replace(completed(task, 3, succeeded(attempt)), results_expire_at_ms=FAR_MS)
    outcome = await database.write(finish)
    assert isinstance(outcome, Finished)
    return outcome.task


def hit(source: Task, charge: Amount = NOTHING, repeat: Repeat | None = None) -> Serve:
    task = new_task()
    task = replace(
        task, state=TaskState.COMPLETED, finished_at_ms=task.created_at_ms, cache=CacheResult.HIT, source=source.id, usage=source.usage,
        results=source.results, result_count=len(source.results), results_expire_at_ms=source.results_expire_at_ms,
    )  # fmt: skip
    return Serve(task, charge, RATE, 15_000, repeat)


async def counts(database: Gateway) -> tuple[int, int]:
    """Holds and entries."""
    [row] = await database.read(lambda connection: connection.fetch(_COUNTS))
    return int(row[0] or 0), int(row[1] or 0)


async def used(database: Gateway) -> tuple[int, int, int, int]:
    """Tasks, charged microcredits, hits, and what they saved us."""
    query = UsageQuery(by=(Dimension.KEY,), since="2000-01-01", until="2100-01-01")
    [line] = await database.read(lambda connection: usage.read_usage(connection, query))
    return line.tasks, line.charged_microcredits, line.cache_hits, line.cache_saved_microusd


async def all_of(database: Gateway, *commands: Serve) -> list[Outcome]:
    return [*await asyncio.gather(*map(database.write, commands))]


async def test_what_costs_nothing_leaves_a_task_and_no_money(database_url: str) -> None:
    """Thirty at once: each a completed task with its picture, counted in usage; no hold, no entry, and balances as they were."""
    database = await opened(database_url)
    await set_budgets(database, ORG, "10credits/month")
    source = await made(database)
    before, paid = await counts(database), await balance(database, KEY)
    commands = [hit(source) for _ in range(30)]
    outcomes = await all_of(database, *commands)
    assert {type(outcome) for outcome in outcomes} == {Finished}
    assert {outcome.remaining_microcredits for outcome in outcomes if isinstance(outcome, Finished)} == {7 * CREDIT}
    assert (await counts(database), await balance(database, KEY)) == (before, paid)
    stored = await database.read(lambda c: task_store.read_tasks(c, [command.task.id for command in commands]))
    assert {task.id for task in stored} == {command.task.id for command in commands}
    assert {(task.state, task.results, task.used_microcredits, task.source) for task in stored} == {
        (TaskState.COMPLETED, source.results, 0, source.id)
    }
    assert await used(database) == (31, 3 * CREDIT, 30, 30 * 15_000)
    assert await clean(database)
    await database.close()


async def test_an_empty_budget_is_no_hindrance_but_to_what_costs(database_url: str) -> None:
    """Free ones and charged ones in one batch: the free ones get through, the charged ones as far as the budget goes, exactly."""
    database = await opened(database_url)
    source = await made(database)
    await set_budgets(database, ORG, "9credits/total")
    commands = [hit(source, charge) for charge in (NOTHING, FULL, NOTHING, FULL, FULL, NOTHING)]
    outcomes = await all_of(database, *commands)
    assert [isinstance(outcome, Finished) for outcome in outcomes] == [True, True, True, True, False, True]
    assert isinstance(outcomes[4], BudgetRefusal)
    assert [outcome.remaining_microcredits for outcome in outcomes if isinstance(outcome, Finished)][-1] == 0
    assert await balance(database, ORG) == (Amount(9 * CREDIT, 3 * (3 * CREDIT // 72), 3), NOTHING)
    assert await used(database) == (6, 9 * CREDIT, 5, 5 * 15_000)
    assert await clean(database)
    await database.close()


async def test_what_is_gone_is_not_answered_with(database_url: str) -> None:
    """Erased meanwhile: nothing is written."""
    database = await opened(database_url)
    source = await made(database)
    await database.write(Erase(source.id, KEY))
    assert await database.write(hit(source)) == SourceGone()
    assert (await used(database))[2] == 0
    await database.close()


async def test_another_orgs_pictures_are_none(database_url: str) -> None:
    """Whatever pointed to them: nothing is written."""
    database = await opened(database_url)
    command = hit(await made(database))
    stranger = replace(command.task, account=AccountId("key:globex/design/ci"))
    assert await database.write(replace(command, task=stranger)) == SourceGone()
    assert (await used(database))[2] == 0
    await database.close()


async def test_repeats_of_a_free_one(database_url: str) -> None:
    """The same key again, even in the same batch, is answered with the same task; another body with a conflict."""
    database = await opened(database_url)
    source = await made(database)
    once = Repeat("a" * 64, "key-1")
    first, again, other = await all_of(
        database, hit(source, repeat=once), hit(source, repeat=once), hit(source, repeat=Repeat("b" * 64, "key-1"))
    )
    assert isinstance(first, Finished)
    assert (again, other) == (Repeated(first.task.id), Conflicting(first.task.id))
    assert await database.write(hit(source, repeat=once)) == Repeated(first.task.id)
    assert (await used(database))[2] == 1
    await database.close()


async def test_a_path_that_never_paid(database_url: str) -> None:
    """Accounts without any balance row have all of their budgets left, and get no row for what costs nothing."""
    database = await opened(database_url)
    source = await made(database)
    rows = [(OTHER_TEAM, "team", "other", ORG, "[]"), (OTHER_KEY, "key", "ci", OTHER_TEAM, '["4credits/total"]')]
    added = [(*row, 0, 0) for row in rows]
    await database.write(Transact(lambda connection, _: connection.write(_ADD_ACCOUNTS, added)))
    command = hit(source)
    task = replace(command.task, account=OTHER_KEY, path=(OTHER_KEY, OTHER_TEAM, ORG))
    outcome = await database.write(replace(command, task=task))
    assert isinstance(outcome, Finished)
    assert outcome.remaining_microcredits == 4 * CREDIT
    assert await clean(database)
    await database.close()


async def test_a_batch_of_plain_hits_says_what_every_batch_says(database_url: str) -> None:
    """One with a key is loaded like any command. With days that begin elsewhere, and prepaid credits: what is left, the task, its day of usage."""
    database = await opened(database_url)
    await grant(database, TEAM, 50)
    source = await made(database)
    await set_zone(database, "Asia/Tokyo", KEY, TEAM, ORG)
    stored: list[Task] = []
    for account, budget in ((KEY, "40credits/day"), (ORG, "9usd/month")):
        await set_budgets(database, account, budget)
        plain, keyed = hit(source), hit(source, repeat=Repeat("c" * 64, budget))
        by_itself = await database.write(plain)
        assert isinstance(by_itself, Finished)
        assert by_itself.remaining_microcredits is not None
        assert await database.write(keyed) == replace(by_itself, task=replace(by_itself.task, id=keyed.task.id))
        stored += await database.read(partial(task_store.read_tasks, ids=[plain.task.id, keyed.task.id]))
    assert (len(stored), len({replace(task, id=source.id) for task in stored})) == (4, 1)
    assert await used(database) == (5, 3 * CREDIT, 4, 4 * 15_000)
    query = UsageQuery(by=(Dimension.DAY,), since="2000-01-01", until="2100-01-01")
    assert len(await database.read(lambda connection: usage.read_usage(connection, query))) == 1
    assert await clean(database)
    await database.close()


async def test_it_waits_for_nobodys_budget(postgresql_database: str) -> None:
    """Another process has the whole path's balances in its hands: what costs nothing is answered all the same."""
    first, second = await opened(postgresql_database), await opened(postgresql_database)
    source = await made(first)
    locked, enough = asyncio.Event(), asyncio.Event()

    async def hold_on(connection: Connection, _: int) -> None:
        await ledger_store.lock_balances(connection, PATH)
        locked.set()
        await enough.wait()

    holding = asyncio.ensure_future(second.write(Transact(hold_on)))
    await locked.wait()
    try:
        async with asyncio.timeout(30):
            assert isinstance(await first.write(hit(source)), Finished)
        charged = asyncio.ensure_future(first.write(hit(source, FULL)))
        await asyncio.sleep(0.2)
        assert not charged.done(), "what costs something is decided under the lock"
    finally:
        enough.set()
    assert isinstance(await charged, Finished)
    await holding
    assert await clean(first)
    await second.close()
    await first.close()
