"""One batch of commands, decided and written inside the writer's transaction.

Order of locks, the same in every process: what a Transact takes (rows of accounts and keys), the accounts' rows of grants, which may become
prepaid (sorted), balance rows (sorted), then task rows (sorted by id). Then everything is decided in Python, command
by command, on the rows in hand, so that a batch sees its own earlier commands; then it is written in bulk: balances, entries, holds, tasks,
attempts, results, sums of usage. To PostgreSQL a batch is three statements: lock balances, read the rest under their lock, write.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.callbacks import store as callback_store
from gateway.db.connection import Connection
from gateway.db.statements import Together
from gateway.db.writer import Now, Transact
from gateway.domain.callbacks import Callback
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, AttemptId, TaskId, upstream_account_id
from gateway.domain.images import ImageResult, Usage
from gateway.domain.money import NOTHING, Amount
from gateway.domain.tasks import TRANSITIONS, Attempt, AttemptState, Billed, Task, TaskError, TaskState
from gateway.files import store as file_store
from gateway.ledger import accounts as account_store
from gateway.ledger import decide, usage
from gateway.ledger import store as ledger_store
from gateway.ledger.model import NO_TERMS, Books, BudgetRefusal, Ended, EntryKind, Grant, NotInDoubt, Resolve, Resolved
from gateway.ledger.usage import Daily, Share
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
    Lost,
    NoTask,
    NotCancellable,
    Outcome,
    RecordAttempts,
    Recorded,
    RecordSubmitted,
    SendRefused,
    moments_ms,
)
from gateway.pipeline.erasure import erased
from gateway.pipeline.leasing import lease
from gateway.pipeline.repeating import Conflicting, Repeated, Repeats, TakeUp, asked
from gateway.pipeline.verdict import CANCELLED
from gateway.repeats import store as repeat_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase, Erased, NotErased

_QUERIES = (ledger_store.TERMS, ledger_store.WINDOWS, ledger_store.HOLDS, task_store.LOCK)
_UNDER_LOCK = Together(*_QUERIES)
_WITH_REPEATS = Together(*_QUERIES, *repeat_store.QUERIES)


@dataclass(slots=True)
class _Work:
    """What one batch has in hand and what it will write."""

    books: Books
    tasks: dict[TaskId, Task]
    attempts: dict[TaskId, dict[AttemptId, Attempt]]
    """Only of tasks whose command has to know them: cancellations and repeated commands."""
    now_ms: int
    repeats: Repeats = field(init=False)
    added: list[tuple[Task, int]] = field(default_factory=list)
    """With the end of its lease."""
    finished: list[Task] = field(default_factory=list)
    states: list[tuple[TaskId, TaskState]] = field(default_factory=list)
    wishes: list[TaskId] = field(default_factory=list)
    started: list[Attempt] = field(default_factory=list)
    ended: list[Attempt] = field(default_factory=list)
    submitted: list[tuple[AttemptId, str]] = field(default_factory=list)
    plans: dict[TaskId, str] = field(default_factory=dict)
    usage: Daily = field(default_factory=Daily)
    callbacks: list[Callback] = field(default_factory=list)
    erased: list[Task] = field(default_factory=list)
    prepaid: list[AccountId] = field(default_factory=list)
    """Accounts that are from now on."""
    also: list[Callable[[Connection, int], Awaitable[None]]] = field(default_factory=list)
    """What commands want written besides."""
    doubts: dict[AttemptId, Attempt] = field(default_factory=dict)
    """Those that are to be resolved, as they are under the lock."""

    def __post_init__(self) -> None:
        self.repeats = Repeats(self.tasks, self.attempts, self.now_ms)


async def apply(connection: Connection, commands: Sequence[Command], now: Now) -> list[Outcome]:
    """Decide and write one batch; one outcome a command, in order."""
    outcomes: dict[int, Outcome] = {}
    for index, command in enumerate(commands):
        if isinstance(command, Transact):
            await command.run(connection, await now())
            outcomes[index] = Recorded()
    work = await _load(connection, commands, now)
    for index, command in enumerate(commands):
        if isinstance(command, Claim | ExtendLeases | HandBack):
            outcomes[index] = await lease(connection, command, await now(), work.tasks)
        elif not isinstance(command, Transact):
            outcomes[index] = _decide(work, command)
    await _save(connection, work)
    return [outcomes[index] for index in range(len(commands))]


async def _load(connection: Connection, commands: Sequence[Command], now: Now) -> _Work:
    account_ids, task_ids, looked_into = _named(commands)
    ending = [command for command in commands if isinstance(command, Finish | Cancel)]
    for command in ending:
        account_ids.update(command.path)
    unknown = [command.task_id for command in ending if not command.path]
    if unknown:
        # The path is on the hold; it never changes, so it is read before anything is locked.
        account_ids.update(await ledger_store.read_paths(connection, unknown))
    if any(isinstance(command, RecordAttempts | Finish | Resolve) for command in commands):
        account_ids.add(OURS_ACCOUNT_ID)
    if not account_ids and not task_ids:
        return _Work(Books(), {}, {}, await now())
    await account_store.lock_accounts(
        connection, {command.account for command in commands if isinstance(command, Grant)}
    )
    balances = await ledger_store.lock_balances(connection, account_ids)
    moments = moments_ms(commands)
    # In UTC, where most accounts have their windows; who has others is known only with this answer.
    starts = ledger_store.starts_of(("UTC",), moments)
    accepts = [(item.task.account, item.repeat) for item in commands if isinstance(item, Accept) and item.repeat]
    again = asked(accepts, [item for item in commands if isinstance(item, TakeUp)])
    terms, windows, holds, tasks, *repeats = await connection.fetch_together(
        _WITH_REPEATS if again else _UNDER_LOCK,
        **again.values(max(moments, default=0)),
        accounts=sorted(account_ids),
        windows=ledger_store.BESIDES_TOTAL,
        starts=sorted(starts),
        held=[command.task_id for command in ending],
        tasks=sorted(set(task_ids)),
    )
    looked_into += [
        command.task_id for command in commands if isinstance(command, RecordAttempts | Finish) and command.repeated
    ]
    attempts: dict[TaskId, dict[AttemptId, Attempt]] = {task_id: {} for task_id in task_ids}
    for attempt in await task_store.read_attempts(connection, looked_into) if looked_into else []:
        attempts[attempt.task_id][attempt.id] = attempt
    books = ledger_store.load_books(balances, terms, windows, holds)
    zones = {found.zone for found in books.terms.values() if found.budgets}
    moments.update(hold.created_at_ms for hold in books.holds.values())
    missing = ledger_store.starts_of(zones, moments) - starts
    if missing:
        await ledger_store.load_windows(connection, books, account_ids, missing)
    doubtful = [command.attempt_id for command in commands if isinstance(command, Resolve)]
    doubts = await task_store.read_attempts_by_id(connection, doubtful) if doubtful else []
    work = _Work(
        books, task_store.tasks_of(tasks), attempts, await now(), doubts={attempt.id: attempt for attempt in doubts}
    )
    work.repeats.know(*repeats)
    return work


def _named(commands: Sequence[Command]) -> tuple[set[AccountId], list[TaskId], list[TaskId]]:
    """The accounts and tasks that these commands name, and of which tasks the attempts must be known."""
    account_ids: set[AccountId] = set()
    task_ids: list[TaskId] = []
    looked_into: list[TaskId] = []
    for command in commands:
        match command:
            case Accept(task=task, attempts=started):
                account_ids.update(task.path)
                account_ids.update(upstream_account_id(attempt.upstream) for attempt in started)
            case RecordAttempts(task_id=task_id, ended=ended, started=started):
                task_ids.append(task_id)
                account_ids.update(upstream_account_id(attempt.upstream) for attempt in (*ended, *started))
            case Finish(task_id=task_id, ended=ended):
                task_ids.append(task_id)
                account_ids.update(upstream_account_id(attempt.upstream) for attempt in ended)
            case Cancel(task_id=task_id):
                task_ids.append(task_id)
                looked_into.append(task_id)
            case RecordSubmitted(task_id=task_id) | Erase(task_id=task_id):
                task_ids.append(task_id)
            case Grant(account=account) | TakeUp(account=account):
                account_ids.add(account)
            case Resolve(upstream=account, of=of):
                account_ids.update((account,) if of is None else (account, of.account))
            case _:
                pass
    return account_ids, task_ids, looked_into


def _decide(
    work: _Work, command: Accept | RecordAttempts | RecordSubmitted | Finish | Cancel | Grant | Erase | Resolve | TakeUp
) -> Outcome:
    match command:
        case Accept():
            return _accept(work, command)
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


def _accept(work: _Work, command: Accept) -> Accepted | BudgetRefusal | Repeated | Conflicting:
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


def _record(work: _Work, command: RecordAttempts) -> Recorded | SendRefused | CancelWished | Lost:
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


def _finish(work: _Work, command: Finish) -> Finished | Lost:
    lost = _lost(work, command.task_id, command.epoch)
    if lost is not None:
        return lost
    task = work.tasks[command.task_id]
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
        decide.lose(work.books, OURS_ACCOUNT_ID, EntryKind.OVERRUN, overrun, work.now_ms, task.id)
    else:
        charged = NOTHING
        ended = decide.release(work.books, task.id, work.now_ms)
    return _ended(work, _final(
        work, task, command.state, charged, command.error, usage=command.usage, results=command.results,
        results_expire_at_ms=command.results_expire_at_ms,
    ), task.state, ended, charged, command, command.shares)  # fmt: skip


def _cancel(work: _Work, command: Cancel) -> Finished | CancelNoted | NotCancellable | NoTask:
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


def _erase(work: _Work, command: Erase) -> Erased | NotErased:
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
    work: _Work,
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
    work: _Work,
    task: Task,
    before: TaskState,
    ended: object,
    charged: Amount,
    command: Finish | Cancel,
    shares: Sequence[Share],
) -> Finished:
    """The common end of finish and cancel. A task whose hold is gone or was ended before is a broken invariant."""
    if task.state not in TRANSITIONS[before]:
        raise AssertionError(f"{task.id}: {before} does not become {task.state}")
    if not isinstance(ended, Ended) or not ended.first:
        raise AssertionError(f"{task.id} is unfinished, but its hold says {ended}")
    work.tasks[task.id] = task
    work.finished.append(task)
    callback = callback_store.callback_of(task, work.now_ms)
    work.callbacks += [] if callback is None else [callback]
    zone = work.books.terms.get(task.account, NO_TERMS).zone
    delivered = task.state is TaskState.COMPLETED
    spent = usage.EndedTask(task.account, zone, ended.hold.created_at_ms, task.model, task.caller, charged, delivered)
    work.usage.add(usage.rows_of(spent, shares))
    remaining = decide.remaining_microcredits(work.books, task.path, command.credits_per_usd, ended.hold.created_at_ms)
    return Finished(task, ended.hold.amount, charged, remaining)


def _lost(work: _Work, task_id: TaskId, epoch: int) -> Lost | None:
    task = work.tasks.get(task_id)
    if task is None:
        return Lost(TaskState.FAILED)  # its acceptance was never committed
    return Lost(task.state) if task.epoch != epoch or task.state.is_final else None


def _closed(work: _Work, attempts: Sequence[Attempt]) -> BudgetRefusal | None:
    """The upstream's own budget that has no room for them. What is written already, by a command that is repeated, has its room."""
    return decide.send_refusal(
        work.books,
        (
            (upstream_account_id(attempt.upstream), attempt.presumed_cost_microusd, attempt.sent_at_ms)
            for attempt in attempts
            if attempt.id not in work.attempts.get(attempt.task_id, {})
        ),
    )


def _start(work: _Work, attempts: Sequence[Attempt]) -> None:
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


def _end(work: _Work, attempts: Sequence[Attempt]) -> None:
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


def _resolve(work: _Work, command: Resolve) -> Resolved | NotInDoubt:
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


async def _save(connection: Connection, work: _Work) -> None:
    writes = [
        *ledger_store.changes(work.books),
        task_store.added_tasks(work.added),
        task_store.changed_states(work.states),
        task_store.wished_tasks(work.wishes),
        task_store.added_attempts(work.started),
        task_store.submitted_attempts(work.submitted),
        task_store.changed_plans(work.plans),
        task_store.ended_attempts(work.ended),
        task_store.finished_tasks(work.finished),
        task_store.added_results(work.finished),
        callback_store.added_callbacks(work.callbacks),
        work.usage.write(),
        *work.repeats.writes(),
    ]
    await work.repeats.before_writes(connection)
    for write in work.also:
        await write(connection, work.now_ms)
    for account in work.prepaid:
        await account_store.set_prepaid(connection, account, prepaid=True)
    if not _rows_change_twice(work):
        await connection.write_together(writes)
    else:
        for statement, rows in writes:
            await connection.write(statement, rows)
    if work.erased:  # last: it may have ended in this batch
        await file_store.give_to_tasks(connection, [task.id for task in work.erased])
        await task_store.erase_tasks(connection, work.erased)
        await callback_store.erase_callbacks(connection, [task.id for task in work.erased])


def _rows_change_twice(work: _Work) -> bool:
    """Whether a task or an attempt is written more than once: then each statement must see what the one before it wrote."""
    tasks = [
        *(one.id for one, _ in work.added), *(id for id, _ in work.states), *work.plans, *work.wishes, *(one.id for one in work.finished),
    ]  # fmt: skip
    attempts = [*(one.id for one in work.started), *(id for id, _ in work.submitted), *(one.id for one in work.ended)]
    return len(set(tasks)) < len(tasks) or len(set(attempts)) < len(attempts)
