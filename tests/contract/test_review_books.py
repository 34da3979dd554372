"""What a batch of pipeline commands may contain at its worst, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import null, update

from gateway.db.connection import Connection
from gateway.db.schema import holds
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.accounts import Account, AccountKind, parse_budget
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId
from gateway.domain.images import ImageResult
from gateway.domain.money import Amount
from gateway.domain.tasks import AttemptState, Billed, Fault, Task, TaskError, TaskErrorCode, TaskState
from gateway.ledger import store as ledger_store
from gateway.ledger.accounts import AccountState, add_accounts, put_accounts, read_accounts, read_states
from gateway.ledger.audit import audit
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import (
    Accepted,
    Cancel,
    Claim,
    ExtendLeases,
    Finish,
    Finished,
    HandBack,
    Lost,
    NotCancellable,
    RecordAttempts,
    Recorded,
    RecordSubmitted,
)
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from tests.books import (
    CREDIT,
    KEY,
    ORG,
    PATH,
    RATE,
    SPOIL,
    UPSTREAM,
    Gateway,
    accept,
    balance,
    clean,
    completed,
    new_attempt,
    new_task,
    opened,
    set_budgets,
    succeeded,
)

NUL_AND_HALF_A_PAIR = "the upstream said \0 and \ud83d"
GAVE_UP = TaskError(TaskErrorCode.SERVICE_UNAVAILABLE, "no")


def without_picture(task: Task) -> Finish:
    """An end whose result no other task's can be mistaken for."""
    return replace(completed(task, 1), results=())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Gateway]:
    database = await opened(database_url)
    yield database
    await database.close()


async def test_an_end_in_the_batch_of_its_own_acceptance(database: Gateway) -> None:
    """A caller who gave up while its acceptance waited: both are in one batch, and nothing stays held or in flight."""
    task = new_task()
    attempt = new_attempt(task)
    unsent = replace(attempt, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.CANCELLED, billed=Billed.NO)
    end = Finish(task.id, 1, TaskState.FAILED, RATE, Amount(), ended=(unsent,), error=GAVE_UP, repeated=True)
    accepted, finished = await asyncio.gather(database.write(accept(task, 5, attempts=(attempt,))), database.write(end))
    assert isinstance(accepted, Accepted)
    assert isinstance(finished, Finished)
    for account in (*PATH, UPSTREAM):
        assert await balance(database, account) == (Amount(), Amount())
    [stored] = await database.read(lambda connection: task_store.read_tasks(connection, [task.id]))
    assert (stored.state, stored.error) == (TaskState.FAILED, GAVE_UP)
    assert await clean(database)


async def test_an_upstreams_words_never_keep_a_task_from_ending(database: Gateway) -> None:
    """NUL and half a surrogate pair in a message, a job id and a revised prompt are stored as replacement characters."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 5, attempts=(attempt,)))
    assert await database.write(RecordSubmitted(task.id, 1, attempt.id, NUL_AND_HALF_A_PAIR)) == Recorded()
    ended = replace(succeeded(attempt), message=NUL_AND_HALF_A_PAIR)
    result = ImageResult("a/0", "image/png", "png", 9, 2, 2, "0" * 64, NUL_AND_HALF_A_PAIR)
    outcome = await database.write(replace(completed(task, 4, ended), results=(result,)))
    assert isinstance(outcome, Finished)
    [stored] = await database.read(lambda connection: task_store.read_tasks(connection, [task.id]))
    assert stored.results[0].revised_prompt == "the upstream said \ufffd and ?"
    [seen] = await database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
    assert seen.message == seen.upstream_ref == "the upstream said \ufffd and ?"


async def test_cancel_and_end_in_one_batch(database: Gateway) -> None:
    """Whichever comes first counts; the other hears so; money moves once."""
    first, second = new_task(), new_task()
    for task in (first, second):
        await database.write(accept(task, 3))
    outcomes = await asyncio.gather(
        database.write(completed(first, 3)),
        database.write(Cancel(first.id, KEY, RATE)),
        database.write(Cancel(second.id, KEY, RATE)),
        database.write(completed(second, 3)),
    )
    assert [type(outcome) for outcome in outcomes] == [Finished, NotCancellable, Finished, Lost]
    assert (await balance(database, KEY)) == (Amount(3 * CREDIT, 3 * CREDIT // 72, 1), Amount())
    assert await clean(database)


async def test_a_broken_command_among_holds_and_ends(database: Gateway) -> None:
    """64 holds and 64 ends with one that breaks an invariant: it fails alone, every other amount is right to the micro."""
    tasks = [new_task() for _ in range(64)]
    await asyncio.gather(*(database.write(accept(task, 2)) for task in tasks))
    broken = replace(without_picture(tasks[20]), charge=Amount(-1, 0, 0))
    commands = [without_picture(task) for task in tasks]
    commands[20] = broken
    fresh = [accept(new_task(), 1) for _ in range(64)]
    mixed = [command for pair in zip(commands, fresh, strict=True) for command in pair]
    outcomes = await asyncio.gather(*map(database.write, mixed), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(failure) for failure in failures] == [AssertionError]
    assert await balance(database, ORG) == (
        Amount(63 * CREDIT, 63 * (CREDIT // 72), 63),
        Amount(66 * CREDIT, 64 * (CREDIT // 72) + 2 * CREDIT // 72, 65),
    )
    assert await clean(database)


async def test_an_end_that_was_written_is_not_booked_again(database: Gateway) -> None:
    """A repeated end with attempts whose end is in the books changes nothing at the upstream."""
    task = new_task()
    attempt, other = new_attempt(task), new_attempt(task)
    await database.write(accept(task, 5, attempts=(attempt, other)))
    await database.write(RecordAttempts(task.id, 1, ended=(succeeded(attempt),)))
    end = replace(completed(task, 4, succeeded(attempt), succeeded(other)), repeated=True)
    assert isinstance(await database.write(end), Finished)
    assert await database.write(end) == Lost(TaskState.COMPLETED)
    assert await balance(database, UPSTREAM) == (Amount(microusd=30_000), Amount())
    assert await clean(database)


async def test_leases_are_renewed_for_their_owner_alone(database: Gateway) -> None:
    """What its owner renewed nobody claims; another's stay as they are; the owner's unfinished tasks can be listed."""
    mine, other, done = new_task("run_a"), new_task("run_b"), new_task("run_a")
    for task in (mine, other, done):
        await database.write(replace(accept(task, 1), lease_ms=-1))
    await database.write(completed(done, 1))
    await database.write(ExtendLeases("run_a", 60_000))
    listed = await database.read(lambda connection: task_store.read_unfinished_of(connection, "run_a", 10))
    assert listed == [mine.id]
    claimed = await database.write(Claim("run_c", 60_000, 10))
    assert [task.id for task in claimed.tasks] == [other.id]  # type: ignore[union-attr]  # the outcome of a claim is Claimed


async def test_what_is_handed_back_may_be_claimed_at_once(database: Gateway) -> None:
    """Only the owner's own unfinished tasks lose their lease, for good: a late sign of life does not take them back, and nothing it writes counts."""
    mine, kept, other, done = new_task("run_a"), new_task("run_a"), new_task("run_b"), new_task("run_a")
    for task in (mine, kept, other, done):
        await database.write(accept(task, 1))
    await database.write(completed(done, 1))
    assert await database.write(HandBack("run_a", (mine.id, other.id, done.id))) == Recorded()
    await database.write(ExtendLeases("run_a", 60_000))
    late = RecordAttempts(mine.id, mine.epoch, started=(new_attempt(mine),))
    assert await database.write(late) == Lost(TaskState.PENDING)
    claimed = await database.write(Claim("run_c", 60_000, 10))
    assert [(task.id, task.epoch) for task in claimed.tasks] == [(mine.id, mine.epoch + 2)]  # type: ignore[union-attr]  # the outcome of a claim is Claimed


async def test_two_gateways_share_one_budget(postgresql_database: str) -> None:
    """Two writers on one PostgreSQL: 200 calls at once, each on its own mix of accounts, exactly 20 are held, no deadlock."""
    first = await opened(postgresql_database)
    second = await opened(postgresql_database)
    await set_budgets(first, ORG, "20credits/total")
    tasks = [new_task() for _ in range(200)]
    outcomes = await asyncio.gather(
        *((first if index % 2 else second).write(accept(task, 1)) for index, task in enumerate(tasks))
    )
    held = [task for task, outcome in zip(tasks, outcomes, strict=True) if isinstance(outcome, Accepted)]
    assert len(held) == 20
    assert sum(isinstance(outcome, BudgetRefusal) for outcome in outcomes) == 180
    # Both end the same tasks, in opposite orders, while both give signs of life: each task ends once.
    ends = await asyncio.gather(
        *(first.write(without_picture(task)) for task in held),
        *(second.write(Cancel(task.id, KEY, RATE)) for task in reversed(held)),
        *(database.write(ExtendLeases("run_test", 1000)) for database in (first, second) for _ in range(10)),
    )
    assert sum(isinstance(end, Finished) for end in ends) == 20
    assert (await balance(first, ORG))[1] == Amount()
    assert await clean(first)
    await second.close()
    await first.close()


async def test_signs_of_life_wait_for_no_row(postgresql_database: str) -> None:
    """A row that another process holds locked is passed over: waiting out of order could end in a deadlock."""
    first = await opened(postgresql_database)
    second = await opened(postgresql_database)
    task = new_task()
    await first.write(accept(task, 1))
    locked, enough = asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection, _: int) -> None:
        await connection.fetch(Statement(task_store.LOCK), tasks=[task.id])
        locked.set()
        await enough.wait()

    holding = asyncio.ensure_future(second.write(Transact(hold)))
    await locked.wait()
    async with asyncio.timeout(30):
        assert await first.write(ExtendLeases("run_test", 60_000)) == Recorded()
    enough.set()
    await holding
    await second.close()
    await first.close()


async def test_balances_are_listed_with_their_accounts(database: Gateway) -> None:
    """Accounts that nothing was booked on have zero."""
    await set_budgets(database, KEY, "5credits/total", "2images/total")
    await database.write(accept(new_task(), 2))

    async def look(connection: Connection) -> list[AccountState]:
        return await read_states(connection, await read_accounts(connection), 0)

    found = {item.account.id: item for item in await database.read(look)}
    assert found[KEY].balance.pending.microcredits == 2 * CREDIT
    assert [str(budget) for budget in found[KEY].account.budgets] == ["5credits/total", "2images/total"]
    assert found[OURS_ACCOUNT_ID].balance.posted == Amount()


async def test_the_oldest_pending_hold(database: Gateway) -> None:
    """None where nothing is held."""
    assert await database.read(ledger_store.oldest_pending_hold_ms) is None
    task = new_task()
    await database.write(accept(task, 2))
    assert await database.read(ledger_store.oldest_pending_hold_ms) is not None
    await database.write(completed(task, 2))
    assert await database.read(ledger_store.oldest_pending_hold_ms) is None


async def test_an_account_without_a_row_is_no_payer(database: Gateway) -> None:
    """A hold on an account that does not exist is refused by the database, whole."""
    task = replace(new_task(), path=(AccountId("key:nobody"), ORG))
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await database.write(accept(task, 1))
    assert await balance(database, ORG) == (Amount(), Amount())


async def test_accounts_follow_what_is_declared(database: Gateway) -> None:
    """Declared again: budgets and disabling follow, names stay; added again: nothing changes."""
    team = Account(AccountId("team:acme/new"), AccountKind.TEAM, "new", ORG, (parse_budget("5credits/total"),))
    changed = replace(team, name="other", budgets=(parse_budget("7images/total"),), disabled=True)
    await database.write(Transact(lambda connection, now_ms: put_accounts(connection, [team], now_ms)))
    await database.write(Transact(lambda connection, now_ms: put_accounts(connection, [changed], now_ms)))
    await database.write(Transact(lambda connection, now_ms: add_accounts(connection, [team], now_ms)))
    found = {account.id: account for account in await database.read(read_accounts)}
    assert found[team.id] == replace(changed, name="new")


@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
async def test_the_audit_adds_up_over_any_ranges(database: Gateway, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """However the entries are cut into ranges, all are counted once, and a spoilt balance is found."""
    monkeypatch.setattr("gateway.ledger.audit.RANGE_ROWS", rows)
    for _ in range(4):
        task = new_task()
        await database.write(accept(task, 2))
        await database.write(without_picture(task))
    await database.write(accept(new_task(), 2))
    report = await audit(database)
    assert (report.entries, report.holds_pending, report.differences) == (27, 1, ())
    await database.write(Transact(lambda connection, _: connection.execute(SPOIL, account=KEY, value=1)))
    assert [difference.account for difference in (await audit(database)).differences] == [KEY]


async def test_the_audit_finds_a_hold_without_its_money(database: Gateway) -> None:
    """A pending hold that no balance knows is named for every account of its path."""
    task = new_task()
    await database.write(accept(task, 2))
    reopen = Statement(update(holds).values(state="pending", ended_at_ms=null()))
    await database.write(without_picture(task))
    await database.write(Transact(lambda connection, _: connection.execute(reopen)))
    report = await audit(database)
    assert {difference.account.split(" ")[0] for difference in report.differences} == set(PATH)
    assert all("by its holds" in difference.what for difference in report.differences)
