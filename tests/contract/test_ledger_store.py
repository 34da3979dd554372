"""Schema, stores and the batch of commands: the same behaviour on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import bindparam, update

from gateway.db.migrate import migrate, newest_revision
from gateway.db.schema import balances
from gateway.db.statements import Statement
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.accounts import Budget, Unit
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    AccountId,
    AttemptId,
    TaskId,
    new_attempt_id,
)
from gateway.domain.images import Usage
from gateway.domain.money import Amount
from gateway.domain.tasks import AttemptState, Billed, Fault, TaskError, TaskErrorCode, TaskState
from gateway.ledger.audit import audit
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    CancelNoted,
    Claim,
    Claimed,
    Finish,
    Finished,
    HoldOption,
    Lost,
    NoTask,
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
    TEAM,
    UPSTREAM,
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
    set_prepaid,
    succeeded,
)
from tests.property.ledger_model import began


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Gateway]:
    """One of each kind, empty but for its accounts."""
    database = await opened(database_url)
    yield database
    await database.close()


async def test_a_call_is_held_sent_settled_and_the_rest_returned(database: Gateway) -> None:
    """Hold 10, charge 4: key, team and org are charged 4 and nothing stays held; the upstream is paid its actual cost."""
    task = new_task()
    attempt = new_attempt(task)
    accepted = await database.write(accept(task, 10, attempts=(attempt,)))
    assert isinstance(accepted, Accepted)
    assert accepted.task.state is TaskState.PROCESSING
    assert accepted.task.reserved_microcredits == 10 * CREDIT
    for account in PATH:
        assert await balance(database, account) == (Amount(), Amount(10 * CREDIT, 10 * CREDIT // 72, 1))
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))
    finished = await database.write(completed(task, 4, succeeded(attempt)))
    assert isinstance(finished, Finished)
    for account in PATH:
        assert await balance(database, account) == (Amount(4 * CREDIT, 4 * CREDIT // 72, 1), Amount())
    assert await balance(database, UPSTREAM) == (Amount(microusd=15_000), Amount())
    [stored] = await database.read(lambda connection: task_store.read_tasks(connection, [task.id], KEY))
    assert stored.state is TaskState.COMPLETED
    assert stored.used_microcredits == 4 * CREDIT
    assert stored.usage == Usage(5, 0, 1000)
    assert stored.results[0].revised_prompt == "a cat, revised"
    [seen] = await database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
    assert seen == succeeded(attempt)
    assert await clean(database)


async def test_a_failed_task_releases_everything_and_its_billed_attempt_is_our_loss(database: Gateway) -> None:
    """A refusal that the upstream billed is paid, and booked on our own account; the caller is charged nothing."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 10, attempts=(attempt,)))
    refused = replace(
        attempt, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.REFUSED, billed=Billed.YES, cost_microusd=20_000
    )
    error = TaskError(TaskErrorCode.CONTENT_POLICY_VIOLATION, "no")
    outcome = await database.write(Finish(task.id, 1, TaskState.FAILED, RATE, Amount(), ended=(refused,), error=error))
    assert isinstance(outcome, Finished)
    assert outcome.task.error == error
    assert await balance(database, KEY) == (Amount(), Amount())
    assert await balance(database, UPSTREAM) == (Amount(microusd=20_000), Amount())
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(microusd=20_000), Amount())
    assert await clean(database)


async def test_an_attempt_in_doubt_stays_pending_at_its_upstream(database: Gateway) -> None:
    """Nobody knows whether it was billed: the presumed cost stays visible, and the attempt is listed."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 10, attempts=(attempt,)))
    unknown = replace(attempt, state=AttemptState.UNKNOWN, ended_at_ms=1, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN)
    await database.write(Finish(task.id, 1, TaskState.FAILED, RATE, Amount(), ended=(unknown,)))
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))
    assert [a.id for a, _ in await database.read(lambda c: attempt_store.read_in_doubt(c, 10))] == [attempt.id]
    assert await clean(database)


async def test_a_charge_above_the_hold_is_capped_and_the_rest_is_ours(database: Gateway) -> None:
    """The caller pays the hold at most."""
    task = new_task()
    await database.write(accept(task, 3))
    finished = await database.write(completed(task, 5))
    assert isinstance(finished, Finished)
    assert finished.charged.microcredits == 3 * CREDIT
    posted, _ = await balance(database, OURS_ACCOUNT_ID)
    assert posted.microcredits == 2 * CREDIT
    assert await clean(database)


@pytest.mark.parametrize("account", PATH)
async def test_every_account_of_the_path_can_refuse(database: Gateway, account: AccountId) -> None:
    """A budget on key, team or org refuses what does not fit it, and nothing at all is stored then."""
    await set_budgets(database, account, "10credits/total")
    assert isinstance(await database.write(accept(new_task(), 7)), Accepted)
    task = new_task()
    refusal = await database.write(accept(task, 4))
    assert refusal == BudgetRefusal(account, Budget(10 * CREDIT, Unit.CREDITS), 3 * CREDIT, 4 * CREDIT, None)
    assert await database.read(lambda connection: task_store.read_tasks(connection, [task.id])) == []
    assert isinstance(await database.write(accept(new_task(), 3)), Accepted)
    assert await clean(database)


@pytest.mark.parametrize(("budget", "fits"), [("0.5usd/total", 3), ("3images/total", 3), ("36credits/total", 3)])
async def test_a_budget_counts_in_its_own_unit(database: Gateway, budget: str, fits: int) -> None:
    """Dollars by the charge's USD side, images by their number, credits by credits."""
    await set_budgets(database, TEAM, budget)
    outcomes = [await database.write(accept(new_task(), 12)) for _ in range(fits + 2)]
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True] * fits + [False] * 2


async def test_the_largest_option_that_fits_is_held(database: Gateway) -> None:
    """The dearest offers leave the plan before the call is refused."""
    await set_budgets(database, KEY, "5credits/total")
    options = tuple(HoldOption(Amount(c * CREDIT, c * CREDIT // 72, 1), f'"{c}"') for c in (9, 5, 2))
    outcome = await database.write(Accept(new_task(), options, RATE))
    assert isinstance(outcome, Accepted)
    assert outcome.task.plan_json == '"5"'
    assert outcome.remaining_microcredits == 0


async def test_concurrent_holds_never_exceed_a_budget(database: Gateway) -> None:
    """200 calls at once on a budget for 20: exactly 20 are accepted."""
    await set_budgets(database, ORG, "20credits/total")
    outcomes = await asyncio.gather(*(database.write(accept(new_task(), 1)) for _ in range(200)))
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 20
    assert await clean(database)


async def test_lowering_a_budget_only_refuses_new_holds(database: Gateway) -> None:
    """What is held and charged stays; the next call is refused, with nothing left."""
    task = new_task()
    await database.write(accept(task, 8))
    await set_budgets(database, KEY, "5credits/total")
    refusal = await database.write(accept(new_task(), 1))
    assert isinstance(refusal, BudgetRefusal)
    assert refusal.left == 0
    assert isinstance(await database.write(completed(task, 8)), Finished)
    assert await clean(database)


async def test_a_task_ends_once(database: Gateway) -> None:
    """A second end, a late attempt and a stale epoch change nothing."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 2, attempts=(attempt,)))
    assert await database.write(replace(completed(task, 2), epoch=9)) == Lost(TaskState.PROCESSING)
    assert isinstance(await database.write(completed(task, 2, succeeded(attempt))), Finished)
    assert await database.write(completed(task, 2, succeeded(attempt))) == Lost(TaskState.COMPLETED)
    late = RecordAttempts(task.id, 1, started=(new_attempt(task),))
    assert await database.write(late) == Lost(TaskState.COMPLETED)
    assert (await balance(database, KEY))[0].microcredits == 2 * CREDIT
    assert await clean(database)


async def test_a_repeated_command_is_written_once(database: Gateway) -> None:
    """The same start given twice, because its first answer was lost, is one attempt and one amount in flight."""
    task = new_task()
    await database.write(accept(task, 2))
    attempt = new_attempt(task)
    command = RecordAttempts(task.id, 1, started=(attempt,))
    assert await database.write(command) == Recorded()
    assert await database.write(replace(command, repeated=True)) == Recorded()
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))
    failed = replace(attempt, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.FAILED, billed=Billed.NO)
    again = new_attempt(task)
    command = RecordAttempts(task.id, 1, ended=(failed,), started=(again,))
    await database.write(command)
    await database.write(replace(command, repeated=True))
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))
    assert await clean(database)


async def test_cancel_is_granted_until_something_is_sent(database: Gateway) -> None:
    """Pending: cancelled and released. Sent: refused. Foreign: unknown. Between two offers: cancelled."""
    task, sent, between = new_task(), new_task(), new_task()
    attempt, failed = new_attempt(sent), new_attempt(between)
    await database.write(accept(task, 2))
    await database.write(accept(sent, 2, attempts=(attempt,)))
    await database.write(accept(between, 2, attempts=(failed,)))
    ended = replace(failed, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.FAILED, billed=Billed.NO)
    await database.write(RecordAttempts(between.id, 1, ended=(ended,)))
    assert await database.write(Cancel(task.id, AccountId("key:acme//other"), RATE)) == NoTask()
    assert isinstance(await database.write(Cancel(task.id, KEY, RATE)), Finished)
    assert isinstance(await database.write(Cancel(task.id, KEY, RATE)), CancelNoted), "that is what is asked for"
    assert isinstance(await database.write(Cancel(sent.id, KEY, RATE)), NotCancellable)
    assert isinstance(await database.write(Cancel(between.id, KEY, RATE)), Finished)
    assert await balance(database, KEY) == (Amount(), Amount(2 * CREDIT, 2 * CREDIT // 72, 1))
    assert await clean(database)


async def test_a_claimed_task_belongs_to_its_new_owner(database: Gateway) -> None:
    """After a claim the old epoch writes nothing; only expired leases are claimed unless everything is."""
    task = new_task()
    await database.write(accept(task, 2))
    assert await database.write(Claim("run_b", 1000, 10)) == Claimed(())
    claimed = await database.write(Claim("run_b", 60_000, 10, everything=True))
    assert isinstance(claimed, Claimed)
    assert [(t.id, t.epoch, t.owner) for t in claimed.tasks] == [(task.id, 2, "run_b")]
    assert isinstance(await database.write(completed(task, 2)), Lost)
    assert isinstance(await database.write(replace(completed(task, 2), epoch=2)), Finished)


async def test_a_job_id_is_stored(database: Gateway) -> None:
    """Recovery finds the upstream's own id."""
    task = new_task()
    attempt = new_attempt(task)
    await database.write(accept(task, 2, attempts=(attempt,)))
    assert await database.write(RecordSubmitted(task.id, 1, attempt.id, "job-7")) == Recorded()
    [stored] = await database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
    assert (stored.state, stored.upstream_ref) == (AttemptState.SUBMITTED, "job-7")


async def test_one_bad_command_does_not_take_others_with_it(database: Gateway) -> None:
    """A batch with a task id that exists already is halved until it stands alone."""
    taken = new_task()
    await database.write(accept(taken, 1))
    commands = [accept(new_task(), 1) for _ in range(7)]
    commands.insert(3, accept(taken, 1))
    outcomes = await asyncio.gather(*map(database.write, commands), return_exceptions=True)
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True] * 3 + [False] + [True] * 4
    assert isinstance(outcomes[3], Exception)
    assert await clean(database)


async def test_pages_are_newest_first_and_filtered(database: Gateway) -> None:
    """State and model filter, the total counts all pages, other accounts' tasks are absent."""
    tasks = [replace(new_task(), created_at_ms=1_757_165_031_000 + i) for i in range(5)]
    for task in tasks:
        await database.write(accept(task, 1))
    await database.write(Cancel(tasks[0].id, KEY, RATE))

    async def page(**wish: object) -> tuple[int, list[TaskId]]:
        wish = {"state": "", "model": "", "page": 1, "page_size": 2, **wish}
        total, found = await database.read(lambda c: task_store.read_page(c, KEY, **wish))  # type: ignore[arg-type]  # the test's own keywords
        return total, [task.id for task in found]

    assert await page() == (5, [tasks[4].id, tasks[3].id])
    assert await page(page=3) == (5, [tasks[0].id])
    assert await page(state="cancelled") == (1, [tasks[0].id])
    assert await page(model="other") == (0, [])
    assert await database.read(lambda c: task_store.read_tasks(c, [tasks[1].id], ORG)) == []


async def test_the_audit_names_a_spoilt_balance(database: Gateway) -> None:
    """A balance that was written past the entries is found, by account and column."""
    task = new_task()
    await database.write(accept(task, 3))
    await database.write(completed(task, 3))
    assert await clean(database)
    await database.write(Transact(lambda c, _: c.execute(SPOIL, account=TEAM, value=1)))
    report = await audit(database)
    assert [(d.account, d.stored, d.expected) for d in report.differences] == [(TEAM, 1, 3 * CREDIT)]


async def test_the_audit_names_a_spoilt_window(database: Gateway) -> None:
    """A month's row that was written past the entries is found, though the total is right; for what is held, by its holds too."""
    task = new_task()
    await database.write(accept(task, 3))
    month = began(task.created_at_ms, "UTC", "month")
    spoil = Statement(
        update(balances)
        .where(balances.c.account_id == TEAM, balances.c.time_window == "month")
        .values(pending_images=bindparam("value"))
    )
    await database.write(Transact(lambda c, _: c.execute(spoil, value=7)))
    assert [str(difference) for difference in (await audit(database)).differences] == [
        f"{TEAM} month {month}: pending_images, by its entries, is 7, should be 1",
        f"{TEAM} month {month}: pending_images, by its holds, is 7, should be 1",
    ]


async def test_prepaid_credits_are_never_overspent(database: Gateway) -> None:
    """200 calls at once on 20 credits: exactly 20 are accepted; after 5 more, 5; taken back below what is used, none, and nothing is lost."""

    async def at_once() -> int:
        outcomes = await asyncio.gather(*(database.write(accept(new_task(), 1)) for _ in range(200)))
        return sum(isinstance(outcome, Accepted) for outcome in outcomes)

    await set_prepaid(database, ORG)
    assert await at_once() == 0
    found = []
    for credits in (20, 5, -10, 12):
        granted = await grant(database, ORG, credits)
        found.append((granted, await at_once()))
    assert found == [(20 * CREDIT, 20), (5 * CREDIT, 5), (0, 0), (2 * CREDIT, 2)]
    assert await grant(database, ORG, -28) is None
    assert (await balance(database, ORG))[1].microcredits == 27 * CREDIT
    assert await clean(database)


async def test_an_end_knows_its_accounts_or_looks_them_up(database: Gateway) -> None:
    """With the task's path and without it the end is the same; with a wrong one it is refused, and nothing of it is written."""
    tasks = [new_task() for _ in range(3)]
    ends = []
    for task in tasks:
        attempt = new_attempt(task)
        await database.write(accept(task, 2, attempts=(attempt,)))
        ends.append(completed(task, 2, succeeded(attempt)))
    assert isinstance(await database.write(ends[0]), Finished)
    assert isinstance(await database.write(replace(ends[1], path=())), Finished)
    with pytest.raises(AssertionError, match="not loaded"):
        await database.write(replace(ends[2], path=(KEY,)))
    assert await balance(database, ORG) == (
        Amount(4 * CREDIT, 2 * (2 * CREDIT // 72), 2), Amount(2 * CREDIT, 2 * CREDIT // 72, 1)
    )  # fmt: skip
    assert await clean(database)


async def test_a_whole_life_in_one_batch(database: Gateway) -> None:
    """Rows that one transaction adds and changes again end as the last command left them, on both databases."""
    task = new_task()
    attempt = new_attempt(task)
    outcomes = await asyncio.gather(
        database.write(accept(task, 2)),
        database.write(RecordAttempts(task.id, 1, started=(attempt,))),
        database.write(RecordSubmitted(task.id, 1, attempt.id, "job-9")),
        database.write(completed(task, 2, succeeded(attempt))),
    )
    assert isinstance(outcomes[3], Finished)
    [stored] = await database.read(lambda connection: task_store.read_tasks(connection, [task.id], KEY))
    [seen] = await database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
    assert (stored.state, stored.result_count, len(stored.results)) == (TaskState.COMPLETED, 1, 1)
    assert (seen.state, seen.upstream_ref, seen.cost_microusd) == (AttemptState.SUCCEEDED, "job-9", 15_000)
    assert await clean(database)


async def test_a_migration_is_repeatable(empty_database_url: str) -> None:
    """The second run finds nothing to do."""
    url = parse_database_url(empty_database_url)
    assert await migrate(url) == (None, newest_revision())
    assert await migrate(url) == (newest_revision(), newest_revision())


def test_attempt_ids_fit_an_idempotency_key() -> None:
    """EvoLink takes 16 to 96 characters."""
    assert 16 <= len(AttemptId(new_attempt_id())) <= 96
