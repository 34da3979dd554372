"""One batch of commands, decided and written inside the writer's transaction.

First what a Transact does (it locks rows of accounts and keys), then the batch is loaded under lock (batch.py), then everything is decided in Python,
command by command, on the rows in hand, so that a batch sees its own earlier commands; then it is written.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.callbacks import store as callback_store
from gateway.db.connection import Connection
from gateway.db.writer import Now, Transact
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, TaskId, org_of, upstream_account_id
from gateway.domain.images import ImageResult, Usage
from gateway.domain.money import NOTHING, Amount
from gateway.domain.sharing import SHARED_MS_MIN, CacheResult
from gateway.domain.tasks import TRANSITIONS, Attempt, AttemptState, Billed, Task, TaskError, TaskState
from gateway.ledger import decide, usage
from gateway.ledger.model import NO_TERMS, BudgetRefusal, Ended, EntryKind, Grant, NoHold, NotInDoubt, Resolve, Resolved
from gateway.ledger.usage import Share
from gateway.pipeline import free_hits
from gateway.pipeline.batch import Batch, load, save, source_of
from gateway.pipeline.cancel_rules import Wish, decided, was_cancelled_and_billed
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    CancelNoted,
    CancelWished,
    Claim,
    Command,
    ExtendLeases,
    Finish,
    Finished,
    HandBack,
    Lead,
    Leading,
    Lost,
    NoTask,
    NotCancellable,
    Outcome,
    RecordAttempts,
    Recorded,
    RecordSubmitted,
    SendRefused,
    Serve,
    SourceGone,
)
from gateway.pipeline.erasure import erased
from gateway.pipeline.leasing import lease
from gateway.pipeline.repeating import Conflicting, Repeated, TakeUp
from gateway.pipeline.verdict import CANCELLED
from gateway.tasks.erasing import Erase, Erased, NotErased


async def apply(connection: Connection, commands: Sequence[Command], now: Now) -> list[Outcome]:
    """Decide and write one batch; one outcome a command, in order."""
    if free_hits.are_all(commands):
        work = await free_hits.load(connection, commands, now)
        answers: list[Outcome] = [_serve(work, command) for command in commands]
        await free_hits.save(connection, work)
        return answers
    outcomes: dict[int, Outcome] = {}
    for index, command in enumerate(commands):
        if isinstance(command, Transact):
            await command.run(connection, await now())
            outcomes[index] = Recorded()
    work = await load(connection, commands, now)
    for index, command in enumerate(commands):
        if isinstance(command, Claim | ExtendLeases | HandBack):
            outcomes[index] = await lease(connection, command, await now(), work.tasks)
        elif not isinstance(command, Transact):
            outcomes[index] = _decide(work, command)
    await save(connection, work)
    return [outcomes[index] for index in range(len(commands))]


def _decide(
    work: Batch,
    command: Accept
    | Serve
    | Lead
    | RecordAttempts
    | RecordSubmitted
    | Finish
    | Cancel
    | Grant
    | Erase
    | Resolve
    | TakeUp,
) -> Outcome:
    match command:
        case Accept():
            return _accept(work, command)
        case Serve() | Lead():
            return _serve(work, command) if isinstance(command, Serve) else _lead(work, command)
        case RecordAttempts():
            return _record(work, command)
        case RecordSubmitted():
            if (lost := _lost(work, command.task_id, command.epoch)) is None:
                work.submitted.append((command.attempt_id, command.upstream_ref))
            return lost or Recorded()
        case Finish():
            return _finish(work, command)
        case Cancel():
            return _cancel(work, command)
        case Erase():
            return _erase(work, command)
        case TakeUp():
            return work.repeats.take_up(command)
        case Grant():
            granted = decide.grant(work.books, command, work.now_ms)
            if granted.first:
                work.prepaid.append(command.account)
            if command.also is not None and not granted.refused:
                work.also.append(command.also)
            return granted
        case Resolve():
            return _resolve(work, command)


def _accept(work: Batch, command: Accept) -> Accepted | BudgetRefusal | Repeated | Conflicting:
    task = command.task
    if command.repeat and (earlier := work.repeats.earlier(task.account, command.repeat)):
        return earlier
    amounts = [option.amount for option in command.options]
    verdict = decide.place_hold(
        work.books, task.id, task.path, amounts, command.credits_per_usd, task.created_at_ms, work.now_ms
    )
    if isinstance(verdict, BudgetRefusal):
        return verdict
    option = command.options[verdict.option]
    attempts = command.attempts if option.has_first_offer else ()
    closed = _closed(work, attempts)
    if closed is not None:
        attempts = ()
    task = replace(
        task,
        reserved_microcredits=verdict.amount.microcredits,
        plan_json=option.plan_json,
        state=TaskState.PROCESSING if attempts else TaskState.PENDING,
    )
    work.added.append((task, work.now_ms + command.lease_ms))
    work.tasks[task.id] = task  # its end may stand in the same batch: the caller gave up meanwhile
    if command.repeat is not None:
        work.repeats.remember(task, command.repeat)
    _start(work, attempts)
    return Accepted(task, attempts, verdict.remaining_microcredits, closed)


def _serve(work: Batch, command: Serve) -> Finished | SourceGone | BudgetRefusal | Repeated | Conflicting:
    task = command.task
    if command.repeat and (earlier := work.repeats.earlier(task.account, command.repeat)):
        return earlier
    if not _has_pictures(work, source_of(task), task.account):
        return SourceGone()
    if not command.is_free:
        charge = command.charge
        verdict = decide.place_hold(
            work.books, task.id, task.path, [charge], command.credits_per_usd, task.created_at_ms, work.now_ms
        )
        if isinstance(verdict, BudgetRefusal):
            return verdict
        ended = decide.settle(work.books, task.id, charge, work.now_ms)
        if not isinstance(ended, Ended) or not ended.first:
            raise AssertionError(f"{task.id} was held for just now, but its hold says {ended}")
        task = replace(
            task,
            reserved_microcredits=charge.microcredits,
            used_microcredits=charge.microcredits,
            used_microusd=charge.microusd,
        )
    work.added.append((task, work.now_ms))
    work.served.append(task)
    if command.repeat is not None:
        work.repeats.remember(task, command.repeat)
    spent = _spent(work, task, task.created_at_ms, command.charge, command.saved_microusd)
    work.usage.add((usage.row_of_shared(spent),))
    remaining = work.remaining_microcredits(task.path, command.credits_per_usd, task.created_at_ms)
    return Finished(task, command.charge, command.charge, remaining)


def _lead(work: Batch, command: Lead) -> Leading | BudgetRefusal | Lost:
    lost = _lost(work, command.task_id, command.epoch)
    if lost is not None:
        return lost
    task, before = work.tasks[command.task_id], work.books.holds[command.task_id].amount
    amounts = [option.amount for option in command.options]
    verdict = decide.raise_hold(work.books, task.id, amounts, command.credits_per_usd, work.now_ms)
    if isinstance(verdict, BudgetRefusal):
        return verdict
    if isinstance(verdict, NoHold):
        raise AssertionError(f"{task.id} is unfinished, and holds nothing")
    work.tasks[task.id] = task = replace(
        task,
        plan_json=command.options[verdict.option].plan_json,
        reserved_microcredits=verdict.amount.microcredits,
        cache=CacheResult.MISS,
        source=None,
    )
    work.leading.append(task)
    return Leading(task, verdict.amount - before)


def _has_pictures(work: Batch, source: TaskId, account: AccountId) -> bool:
    """And keeps them for a while: whoever deletes what has expired must not meet whoever has just been pointed to it.

    Another org's are none, whatever the cache's index points to: that may stand in a shared state, which others may write to.
    """
    task = work.tasks.get(source)
    return (
        task is not None
        and task.state is TaskState.COMPLETED
        and task.has_results_at(work.now_ms + SHARED_MS_MIN)
        and org_of(task.account) == org_of(account)
    )


def _record(work: Batch, command: RecordAttempts) -> Recorded | SendRefused | CancelWished | Lost:
    lost = _lost(work, command.task_id, command.epoch)
    if lost is not None:
        return lost
    _end(work, command.ended)
    known = work.attempts.get(command.task_id, {})
    if work.tasks[command.task_id].cancel_requested and any(one.id not in known for one in command.started):
        return CancelWished()
    closed = _closed(work, command.started)
    if closed is not None:
        return SendRefused(closed)
    _start(work, command.started)
    if command.plan_json is not None:
        work.plans[command.task_id] = command.plan_json
    task = work.tasks[command.task_id]
    if command.started and task.state is TaskState.PENDING:
        work.tasks[task.id] = replace(task, state=TaskState.PROCESSING)
        work.states.append((task.id, TaskState.PROCESSING))
    return Recorded()


def _finish(work: Batch, command: Finish) -> Finished | SourceGone | Lost:
    lost = _lost(work, command.task_id, command.epoch)
    if lost is not None:
        return lost
    task = work.tasks[command.task_id]
    if command.source is not None:
        if not _has_pictures(work, command.source, task.account):
            return SourceGone()
        task = replace(task, source=command.source)
    if command.forgets:
        work.repeats.forget(task)
    _end(work, command.ended)
    hold = work.books.holds[task.id]
    if command.state is TaskState.CANCELLED and not task.cancel_requested:
        raise AssertionError(f"{task.id} is to be cancelled, and nobody wants that")
    if command.state is TaskState.COMPLETED or (command.state is TaskState.CANCELLED and command.charge != NOTHING):
        charged = command.charge.capped_at(hold.amount)
        ended = decide.settle(work.books, task.id, charged, work.now_ms)
        overrun = Amount(command.charge.microcredits - charged.microcredits, command.charge.microusd - charged.microusd)
        if command.source is None:  # else nobody has paid more for them
            decide.lose(work.books, OURS_ACCOUNT_ID, EntryKind.OVERRUN, overrun, work.now_ms, task.id)
    else:
        charged = NOTHING
        ended = decide.release(work.books, task.id, work.now_ms)
    return _ended(work, _final(
        work, task, command.state, charged, command.error, usage=command.usage, results=command.results,
        results_expire_at_ms=command.results_expire_at_ms,
    ), task.state, ended, charged, command, command.shares)  # fmt: skip


def _cancel(work: Batch, command: Cancel) -> Finished | CancelNoted | NotCancellable | NoTask:
    task = work.tasks.get(command.task_id)
    if task is None or task.account != command.account:
        return NoTask()
    wish = decided(task, work.attempts[task.id].values(), command.cancellable)
    if wish in (Wish.REFUSED, Wish.HEARD):
        return NotCancellable(task) if wish is Wish.REFUSED else CancelNoted(task)
    work.tasks[task.id] = task = replace(task, cancel_requested=True)
    work.wishes.append(task.id)  # also where it ends now: a worker elsewhere may be waiting with it
    if wish is Wish.NOTED:
        return CancelNoted(task)
    ended = decide.release(work.books, task.id, work.now_ms)
    final = _final(work, task, TaskState.CANCELLED, NOTHING, CANCELLED)
    shares = usage.losses(work.attempts[task.id].values())
    return _ended(work, final, task.state, ended, NOTHING, command, shares)


def _erase(work: Batch, command: Erase) -> Erased | NotErased:
    task = work.tasks.get(command.task_id)
    if task is None or command.account not in (None, task.account):
        return NotErased(None)
    if not task.state.is_final:
        return NotErased(task.state)
    if task.erased_at_ms is None:
        work.tasks[task.id] = task = erased(task, work.now_ms)
        work.erased.append(task)
        work.repeats.erase(task.id)
        if command.also is not None:
            work.also.append(command.also)
    return Erased(task)


def _final(
    work: Batch,
    task: Task,
    state: TaskState,
    charged: Amount,
    error: TaskError | None,
    *,
    usage: Usage | None = None,
    results: tuple[ImageResult, ...] = (),
    results_expire_at_ms: int | None = None,
) -> Task:
    return replace(
        task, state=state, finished_at_ms=work.now_ms, used_microcredits=charged.microcredits, used_microusd=charged.microusd, error=error,
        usage=usage, results=results, result_count=len(results), results_expire_at_ms=results_expire_at_ms,
    )  # fmt: skip


def _ended(
    work: Batch,
    task: Task,
    before: TaskState,
    ended: object,
    charged: Amount,
    command: Finish | Cancel,
    shares: Sequence[Share],
) -> Finished:
    """The common end of finish and cancel."""
    shared_microusd = command.saved_microusd if isinstance(command, Finish) and command.source is not None else None
    finished = _booked(work, task, before, ended, charged, command.credits_per_usd, shares, shared_microusd)
    work.finished.append(task)
    return finished


def _booked(
    work: Batch,
    task: Task,
    before: TaskState,
    ended: object,
    charged: Amount,
    credits_per_usd: Decimal,
    shares: Sequence[Share],
    shared_microusd: int | None,
) -> Finished:
    """What every end of a task adds besides its own rows. A task whose hold is gone or was ended before is a broken invariant."""
    if task.state not in TRANSITIONS[before]:
        raise AssertionError(f"{task.id}: {before} does not become {task.state}")
    if not isinstance(ended, Ended) or not ended.first:
        raise AssertionError(f"{task.id} is unfinished, but its hold says {ended}")
    accepted_at_ms = ended.hold.created_at_ms
    spent = _spent(work, task, accepted_at_ms, charged, shared_microusd)
    work.usage.add(usage.rows_of(spent, shares))
    remaining = decide.remaining_microcredits(work.books, task.path, credits_per_usd, accepted_at_ms)
    return Finished(task, ended.hold.amount, charged, remaining)


def _spent(
    work: Batch, task: Task, accepted_at_ms: int, charged: Amount, shared_microusd: int | None
) -> usage.EndedTask:
    """For usage. The batch sees the task as it ended, and its callback is written."""
    work.tasks[task.id] = task
    if task.callback_url is not None and (callback := callback_store.callback_of(task, work.now_ms)) is not None:
        work.callbacks.append(callback)
    zone, delivered = work.books.terms.get(task.account, NO_TERMS).zone, task.state is TaskState.COMPLETED
    return usage.EndedTask(
        task.account, zone, accepted_at_ms, task.model, task.caller, charged, delivered, shared_microusd
    )


def _lost(work: Batch, task_id: TaskId, epoch: int) -> Lost | None:
    task = work.tasks.get(task_id)
    if task is None:
        return Lost(TaskState.FAILED)  # its acceptance was never committed
    return Lost(task.state) if task.epoch != epoch or task.state.is_final else None


def _closed(work: Batch, attempts: Sequence[Attempt]) -> BudgetRefusal | None:
    """The upstream's own budget that has no room for them. What is written already, by a command that is repeated, has its room."""
    return decide.send_refusal(
        work.books,
        (
            (upstream_account_id(attempt.upstream), attempt.presumed_cost_microusd, attempt.sent_at_ms)
            for attempt in attempts
            if attempt.id not in work.attempts.get(attempt.task_id, {})
        ),
    )


def _start(work: Batch, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        known = work.attempts.setdefault(attempt.task_id, {})
        if attempt.id in known:
            continue  # a repeated command
        known[attempt.id] = attempt
        decide.send(
            work.books, upstream_account_id(attempt.upstream), attempt.task_id, attempt.id, attempt.presumed_cost_microusd, attempt.sent_at_ms,
            work.now_ms,
        )  # fmt: skip
        work.started.append(attempt)


def _end(work: Batch, attempts: Sequence[Attempt]) -> None:
    """Book what attempts cost: paid at the upstream, and as our loss where no caller pays for it. In doubt stays pending at the upstream."""
    for attempt in attempts:
        known = work.attempts.setdefault(attempt.task_id, {})
        if attempt.id in known and not known[attempt.id].state.is_open:
            continue  # a repeated command
        known[attempt.id] = attempt
        work.ended.append(attempt)
        if attempt.state is AttemptState.UNKNOWN:
            continue
        upstream, presumed, cost = (
            upstream_account_id(attempt.upstream),
            attempt.presumed_cost_microusd,
            attempt.cost_microusd,
        )
        decide.pay(work.books, upstream, attempt.task_id, attempt.id, presumed, cost, attempt.sent_at_ms, work.now_ms)
        is_ours = attempt.state is AttemptState.FAILED and not was_cancelled_and_billed(attempt)
        if lost := cost if is_ours else attempt.lost_microusd:
            loss = Amount(microusd=lost)
            decide.lose(work.books, OURS_ACCOUNT_ID, EntryKind.LOSS, loss, work.now_ms, attempt.task_id, attempt.id)


def _resolve(work: Batch, command: Resolve) -> Resolved | NotInDoubt:
    """The end of a doubt: paid is our loss, since its caller was charged nothing for it. Counts where the attempt was sent, whenever that was."""
    attempt = work.doubts.get(command.attempt_id)
    if attempt is None or upstream_account_id(attempt.upstream) != command.upstream:
        return NotInDoubt(None)
    if attempt.state is not AttemptState.UNKNOWN:
        return NotInDoubt(attempt.state, attempt.cost_microusd)
    presumed, cost = attempt.presumed_cost_microusd, 0
    if command.paid:
        cost = presumed if command.cost_microusd is None else command.cost_microusd
    ended = replace(
        attempt, state=AttemptState.FAILED, billed=Billed.YES if command.paid else Billed.NO, cost_microusd=cost
    )
    work.doubts[attempt.id] = ended
    work.ended.append(ended)
    decide.pay(
        work.books, command.upstream, attempt.task_id, attempt.id, presumed, cost, attempt.sent_at_ms, work.now_ms, command.note
    )  # fmt: skip
    decide.lose(
        work.books, OURS_ACCOUNT_ID, EntryKind.LOSS, Amount(microusd=cost), work.now_ms, attempt.task_id, attempt.id
    )
    if command.also is not None:
        work.also.append(command.also)
    if cost and command.of is not None:
        of, terms = command.of, work.books.terms.get(command.of.account, NO_TERMS)
        work.usage.add([usage.late_payment(
            account=of.account, zone=terms.zone, accepted_at_ms=of.accepted_at_ms, model=of.model, caller=of.caller, upstream=attempt.upstream,
            paid_microusd=cost,
        )])  # fmt: skip
    return Resolved(cost)
