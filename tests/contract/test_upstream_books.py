"""An upstream's own budget and the end of a doubt, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.db.connection import Connection
from gateway.domain.ids import OURS_ACCOUNT_ID, AttemptId
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.domain.usage import Dimension, UsageQuery
from gateway.domain.windows import day_of, starts_at
from gateway.ledger.model import DoubtfulTask, NotInDoubt, Resolve, Resolved
from gateway.ledger.usage import read_usage
from gateway.pipeline.commands import Accepted, Finish, Finished, RecordAttempts, Recorded, SendRefused
from gateway.tasks import attempt_store
from tests.books import (
    RATE,
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
from tests.property.ledger_model import began, moment

FEBRUARY_MS = moment("2026-02-01T00:00:00")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Gateway]:
    database = await opened(database_url)
    yield database
    assert await clean(database)
    await database.close()


async def accepted(database: Gateway, *, sent: int = 0, presumed: int = 20_000) -> tuple[Task, tuple[Attempt, ...]]:
    """A task, and those of its first attempts that may go out."""
    task = new_task()
    outcome = await database.write(accept(task, 1, attempts=tuple(new_attempt(task, presumed) for _ in range(sent))))
    assert isinstance(outcome, Accepted), outcome
    return outcome.task, outcome.attempts


async def send(database: Gateway, task: Task, presumed: int, at_ms: int | None = None) -> Attempt | SendRefused:
    attempt = new_attempt(task, presumed)
    attempt = replace(attempt, sent_at_ms=at_ms or attempt.sent_at_ms)
    outcome = await database.write(RecordAttempts(task.id, task.epoch, started=(attempt,)))
    if isinstance(outcome, SendRefused):
        return outcome
    assert isinstance(outcome, Recorded), outcome
    return attempt


async def sent(database: Gateway, task: Task, presumed: int, at_ms: int | None = None) -> Attempt:
    attempt = await send(database, task, presumed, at_ms)
    assert isinstance(attempt, Attempt), attempt
    return attempt


async def attempts_of(database: Gateway, task: Task) -> dict[AttemptId, Attempt]:
    found = await database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
    return {attempt.id: attempt for attempt in found}


def doubtful(attempt: Attempt) -> Attempt:
    return replace(
        attempt, state=AttemptState.UNKNOWN, ended_at_ms=9, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN, message="?"
    )


async def in_doubt(database: Gateway, presumed: int = 20_000, at_ms: int | None = None) -> tuple[Task, Attempt]:
    task, _ = await accepted(database)
    attempt = await sent(database, task, presumed, at_ms)
    await database.write(RecordAttempts(task.id, task.epoch, ended=(doubtful(attempt),)))
    return task, attempt


async def test_a_call_is_accepted_without_attempts_that_do_not_fit(database: Gateway) -> None:
    """The task and its hold stand, nothing of the attempts is written, and the answer says which budget closed; the last micro-dollar still fits."""
    await set_budgets(database, UPSTREAM, "0.05usd/total")
    _, first = await accepted(database, sent=2)
    assert len(first) == 2
    refused = new_task()
    outcome = await database.write(accept(refused, 1, attempts=(new_attempt(refused, 10_001),)))
    assert isinstance(outcome, Accepted), outcome
    assert (outcome.attempts, outcome.task.state) == ((), TaskState.PENDING)
    assert outcome.closed is not None
    assert (outcome.closed.account, outcome.closed.left, outcome.closed.needed) == (UPSTREAM, 10_000, 10_001)
    assert await attempts_of(database, refused) == {}
    assert len((await accepted(database, sent=1, presumed=10_000))[1]) == 1
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=50_000))


async def test_first_attempts_go_out_together_or_not_at_all(database: Gateway) -> None:
    """Three parts of a call of which two would fit: none is written, and each may find its own place afterwards."""
    await set_budgets(database, UPSTREAM, "0.05usd/total")
    task, none = await accepted(database, sent=3)
    assert none == ()
    assert [type(await send(database, task, 20_000)) for _ in range(3)] == [Attempt, Attempt, SendRefused]


async def test_a_refused_send_is_not_written_and_what_ended_with_it_is(database: Gateway) -> None:
    """The end of the attempt before is in the same commit; given again, nothing is booked twice and the answer is the same."""
    await set_budgets(database, UPSTREAM, "0.02usd/total")
    task, (first,) = await accepted(database, sent=1)
    failed = replace(
        first, state=AttemptState.FAILED, ended_at_ms=9, billed=Billed.YES, fault=Fault.FAILED, cost_microusd=5_000
    )
    command = RecordAttempts(task.id, task.epoch, ended=(failed,), started=(new_attempt(task, 15_001),))
    for repeated in (False, True):
        outcome = await database.write(replace(command, repeated=repeated))
        assert isinstance(outcome, SendRefused), outcome
        assert (outcome.refusal.left, outcome.refusal.needed, outcome.refusal.resets_at_ms) == (15_000, 15_001, None)
    assert set(await attempts_of(database, task)) == {first.id}
    assert await balance(database, UPSTREAM) == (Amount(microusd=5_000), Amount())
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(microusd=5_000), Amount())
    assert isinstance(await send(database, task, 15_000), Attempt)


async def test_a_repeated_send_keeps_the_place_it_has(database: Gateway) -> None:
    """An answer was lost after the commit: the attempt fits although it has taken all that was left itself."""
    await set_budgets(database, UPSTREAM, "0.02usd/total")
    task, _ = await accepted(database)
    command = RecordAttempts(task.id, task.epoch, started=(new_attempt(task),))
    assert isinstance(await database.write(command), Recorded)
    assert isinstance(await database.write(replace(command, repeated=True)), Recorded)
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))


async def test_paid_in_flight_and_in_doubt_all_count(database: Gateway) -> None:
    """Each takes its part of the budget; an unbilled end gives it back, and a cost above the presumed one is booked as it is."""
    await set_budgets(database, UPSTREAM, "0.06usd/total")
    task, attempts = await accepted(database, sent=3)
    paid, doubt, unbilled = attempts
    assert isinstance(await send(database, task, 1), SendRefused)
    free = replace(unbilled, state=AttemptState.FAILED, ended_at_ms=9, billed=Billed.NO, fault=Fault.FAILED)
    await database.write(RecordAttempts(task.id, task.epoch, ended=(succeeded(paid, 39_999), doubtful(doubt), free)))
    assert isinstance(await send(database, task, 2), SendRefused)
    last = await sent(database, task, 1)
    await database.write(RecordAttempts(task.id, task.epoch, ended=(succeeded(last, 700),)))
    assert await balance(database, UPSTREAM) == (Amount(microusd=40_699), Amount(microusd=20_000))
    assert isinstance(await send(database, task, 1), SendRefused)
    assert isinstance(await send(database, task, 0), Attempt), "what costs nothing always fits"


async def test_a_month_begins_with_its_whole_budget_and_late_bills_stay_in_the_old_one(database: Gateway) -> None:
    """An attempt counts in the month it was sent in: its bill and its doubt, whenever they come, leave the new month alone."""
    await set_budgets(database, UPSTREAM, "0.04usd/month")
    task, _ = await accepted(database)
    late, doubt = [await sent(database, task, 20_000, FEBRUARY_MS - 1) for _ in range(2)]
    refusal = await send(database, task, 1, FEBRUARY_MS - 1)
    assert isinstance(refusal, SendRefused)
    assert refusal.refusal.resets_at_ms == FEBRUARY_MS
    new = [await sent(database, task, 20_000, FEBRUARY_MS) for _ in range(2)]
    await database.write(
        RecordAttempts(task.id, task.epoch, ended=(succeeded(late, 50_000), doubtful(doubt), succeeded(new[0], 10_000)))
    )
    assert isinstance(await send(database, task, 10_001, FEBRUARY_MS + 5), SendRefused)
    await sent(database, task, 10_000, FEBRUARY_MS + 5)
    assert isinstance(await database.write(Resolve(doubt.id, UPSTREAM, paid=True)), Resolved)
    assert isinstance(await send(database, task, 1, FEBRUARY_MS + 6), SendRefused)
    assert starts_at(FEBRUARY_MS, "UTC").month_ms == began(FEBRUARY_MS, "UTC", "month")


async def test_sixty_four_sends_at_once_find_room_for_exactly_ten(database: Gateway) -> None:
    """The decision is made under the upstream's lock, whoever asks first."""
    await set_budgets(database, UPSTREAM, "0.2usd/day")
    found = await asyncio.gather(*(accepted(database, sent=1) for _ in range(64)))
    assert sum(len(attempts) for _, attempts in found) == 10
    waiting = [task for task, attempts in found if not attempts]
    assert all(
        isinstance(outcome, SendRefused) for outcome in await asyncio.gather(*(send(database, t, 1) for t in waiting))
    )
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=200_000))


@pytest.mark.parametrize(("cost", "booked"), [(None, 20_000), (12_345, 12_345), (33_000, 33_000)])
async def test_a_doubt_that_was_paid_is_our_loss(database: Gateway, cost: int | None, booked: int) -> None:
    """Paid at the upstream with the presumed cost or the known one, lost on our own account, no longer in doubt; the caller still pays nothing."""
    task, attempt = await in_doubt(database)
    outcome = await database.write(
        Resolve(attempt.id, UPSTREAM, paid=True, cost_microusd=cost, note="the bill says so")
    )
    assert outcome == Resolved(booked)
    assert await balance(database, UPSTREAM) == (Amount(microusd=booked), Amount())
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(microusd=booked), Amount())
    ended = (await attempts_of(database, task))[attempt.id]
    assert (ended.state, ended.billed, ended.cost_microusd) == (AttemptState.FAILED, Billed.YES, booked)
    finished = await database.write(completed(task, 1))
    assert isinstance(finished, Finished)


async def test_a_late_bill_stands_in_the_usage_of_its_tasks_day(database: Gateway) -> None:
    """Paid is what was paid, on the day the task was accepted, beside what its caller was charged; a doubt that was unpaid adds nothing."""
    task, attempt = await in_doubt(database)
    await database.write(completed(task, 1))
    of = DoubtfulTask(task.account, task.model, task.caller, task.created_at_ms)
    await database.write(Resolve(attempt.id, UPSTREAM, paid=True, cost_microusd=12_345, of=of))
    other, unpaid = await in_doubt(database)
    of = DoubtfulTask(other.account, other.model, other.caller, other.created_at_ms)
    await database.write(Resolve(unpaid.id, UPSTREAM, paid=False, of=of))
    day = day_of(task.created_at_ms, "UTC")
    query = UsageQuery((Dimension.UPSTREAM,), since=day, until=day)
    lines = await database.read(lambda connection: read_usage(connection, query))
    assert sum(line.paid_microusd for line in lines) == 12_345
    assert {line.names for line in lines if line.paid_microusd} == {("openai",)}


async def test_a_doubt_that_was_not_paid_costs_nothing(database: Gateway) -> None:
    """What was pending is free again, also for the upstream's own budget."""
    await set_budgets(database, UPSTREAM, "0.02usd/total")
    task, attempt = await in_doubt(database)
    assert isinstance(await send(database, task, 1), SendRefused)
    assert await database.write(Resolve(attempt.id, UPSTREAM, paid=False)) == Resolved(0)
    assert await balance(database, UPSTREAM) == (Amount(), Amount())
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(), Amount())
    ended = (await attempts_of(database, task))[attempt.id]
    assert (ended.state, ended.billed, ended.cost_microusd) == (AttemptState.FAILED, Billed.NO, 0)
    assert isinstance(await send(database, task, 20_000), Attempt)


async def test_a_doubt_ends_once(database: Gateway) -> None:
    """Of eight answers at once one is booked, with its audit line; the others hear how it stands, and so does whoever asks later."""
    task, attempt = await in_doubt(database)
    written: list[int] = []

    async def also(_: Connection, at_ms: int) -> None:
        written.append(at_ms)

    outcomes = await asyncio.gather(
        *(database.write(Resolve(attempt.id, UPSTREAM, paid=True, also=also)) for _ in range(8))
    )
    assert outcomes.count(Resolved(20_000)) == 1
    assert outcomes.count(NotInDoubt(AttemptState.FAILED, 20_000)) == 7
    assert len(written) == 1
    assert await database.write(Resolve(attempt.id, UPSTREAM, paid=False)) == NotInDoubt(AttemptState.FAILED, 20_000)
    assert await balance(database, UPSTREAM) == (Amount(microusd=20_000), Amount())
    given_up = Finish(task.id, task.epoch, TaskState.FAILED, RATE, Amount(), ended=(doubtful(attempt),), repeated=True)
    assert isinstance(await database.write(given_up), Finished)
    assert (await attempts_of(database, task))[attempt.id].state is AttemptState.FAILED


async def test_only_what_is_in_doubt_can_be_resolved(database: Gateway) -> None:
    """Not an attempt in flight, not one with a known end, not one of another upstream, not one that never was."""
    task, (flying, made) = await accepted(database, sent=2)
    await database.write(RecordAttempts(task.id, task.epoch, ended=(succeeded(made),)))
    assert await database.write(Resolve(flying.id, UPSTREAM, paid=True)) == NotInDoubt(AttemptState.SENDING)
    assert await database.write(Resolve(made.id, UPSTREAM, paid=True)) == NotInDoubt(AttemptState.SUCCEEDED, 15_000)
    assert await database.write(Resolve(AttemptId("att_none"), UPSTREAM, paid=True)) == NotInDoubt(None)
    _, attempt = await in_doubt(database)
    assert await database.write(Resolve(attempt.id, OURS_ACCOUNT_ID, paid=True)) == NotInDoubt(None)
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(), Amount())
