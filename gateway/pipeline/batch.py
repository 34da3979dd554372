"""What one batch of commands has in hand: read under lock, in one order for every process, and written in bulk.

Order of locks: the accounts' rows of grants, which may become prepaid (sorted), balance rows (sorted), then task rows (sorted by id). Written are
balances, entries, holds, tasks, attempts, results, sums of usage. To PostgreSQL a batch is three statements: lock balances, read the rest under
their lock, write. It decides nothing: apply.py does, between `load` and `save`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.callbacks import store as callback_store
from gateway.db.connection import Connection
from gateway.db.statements import Together
from gateway.db.writer import Now
from gateway.domain.callbacks import Callback
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, AttemptId, TaskId, upstream_account_id
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.files import store as file_store
from gateway.ledger import accounts as account_store
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.model import Books, Grant, Resolve
from gateway.ledger.usage import Daily
from gateway.pipeline.commands import (
    Accept,
    Cancel,
    Command,
    Finish,
    Lead,
    RecordAttempts,
    RecordSubmitted,
    Serve,
    moments_ms,
)
from gateway.pipeline.repeating import Repeats, TakeUp, asked
from gateway.repeats import store as repeat_store
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase

_QUERIES = (ledger_store.TERMS, ledger_store.WINDOWS, ledger_store.HOLDS, task_store.LOCK)
_UNDER_LOCK = Together(*_QUERIES)
_WITH_REPEATS = Together(*_QUERIES, *repeat_store.QUERIES)


@dataclass(slots=True)
class Batch:
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
    served: list[Task] = field(default_factory=list)
    """Of those added, the ones that ended with their acceptance; their rows are written as they end."""
    leading: list[Task] = field(default_factory=list)
    """Tasks that waited for another's pictures, and make their own."""
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
    _remaining: dict[tuple[tuple[AccountId, ...], Decimal, int, int], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.repeats = Repeats(self.tasks, self.attempts, self.now_ms)

    def remaining_microcredits(
        self, path: tuple[AccountId, ...], credits_per_usd: Decimal, accepted_at_ms: int
    ) -> int | None:
        """As `decide` says it; asked once for all who change nothing. Windows begin with a minute, in every zone."""
        of = (path, credits_per_usd, accepted_at_ms // 60_000, len(self.books.entries))
        if of not in self._remaining:
            self._remaining[of] = decide.remaining_microcredits(self.books, path, credits_per_usd, accepted_at_ms)
        return self._remaining[of]


async def load(connection: Connection, commands: Sequence[Command], now: Now) -> Batch:
    account_ids, task_ids, looked_into = _named(commands)
    shown_ids = _shown(commands) - account_ids
    ending = [command for command in commands if isinstance(command, Finish | Cancel | Lead)]
    for command in ending:
        account_ids.update(command.path)
    unknown = [command.task_id for command in ending if not command.path]
    if unknown:
        # The path is on the hold; it never changes, so it is read before anything is locked.
        account_ids.update(await ledger_store.read_paths(connection, unknown))
    if any(isinstance(command, RecordAttempts | Finish | Resolve) for command in commands):
        account_ids.add(OURS_ACCOUNT_ID)
    if not account_ids and not task_ids:
        return Batch(Books(), {}, {}, await now())
    await account_store.lock_accounts(
        connection, {command.account for command in commands if isinstance(command, Grant)}
    )
    balances = await ledger_store.lock_balances(connection, account_ids)
    moments = moments_ms(commands)
    # In UTC, where most accounts have their windows; who has others is known only with this answer.
    starts = ledger_store.starts_of(("UTC",), moments)
    accepts = [
        (item.task.account, item.repeat) for item in commands if isinstance(item, Accept | Serve) and item.repeat
    ]
    again = asked(accepts, [item for item in commands if isinstance(item, TakeUp)])
    terms, windows, holds, tasks, *repeats = await connection.fetch_together(
        _WITH_REPEATS if again else _UNDER_LOCK,
        **again.values(max(moments, default=0)),
        accounts=sorted(account_ids | shown_ids),
        windows=ledger_store.EVERY_WINDOW if shown_ids else ledger_store.BESIDES_TOTAL,
        starts=sorted(starts),
        held=[command.task_id for command in ending],
        tasks=sorted(set(task_ids)),
    )
    looked_into += [
        command.task_id for command in commands if isinstance(command, RecordAttempts | Finish) and command.repeated
    ]
    attempts: dict[TaskId, dict[AttemptId, Attempt]] = {task_id: {} for task_id in task_ids}
    for attempt in await attempt_store.read_attempts(connection, looked_into) if looked_into else []:
        attempts[attempt.task_id][attempt.id] = attempt
    books = ledger_store.load_books(balances, terms, windows, holds, shown_ids)
    zones = {found.zone for found in books.terms.values() if found.budgets}
    moments.update(hold.created_at_ms for hold in books.holds.values())
    missing = ledger_store.starts_of(zones, moments) - starts
    if missing:
        await ledger_store.load_windows(connection, books, account_ids | shown_ids, missing)
    doubtful = [command.attempt_id for command in commands if isinstance(command, Resolve)]
    doubts = await attempt_store.read_attempts_by_id(connection, doubtful) if doubtful else []
    work = Batch(
        books, task_store.tasks_of(tasks), attempts, await now(), doubts={attempt.id: attempt for attempt in doubts}
    )
    work.repeats.know(*repeats)
    return work


async def save(connection: Connection, work: Batch) -> None:
    writes = [
        *ledger_store.changes(work.books),
        task_store.added_tasks(work.added),
        task_store.leading_tasks(work.leading),  # before whatever they do next
        task_store.changed_states(work.states),
        task_store.wished_tasks(work.wishes),
        attempt_store.added_attempts(work.started),
        attempt_store.submitted_attempts(work.submitted),
        task_store.changed_plans(work.plans),
        attempt_store.ended_attempts(work.ended),
        task_store.finished_tasks(work.finished),
        task_store.added_results([*work.finished, *work.served]),
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
            case Serve(task=task):
                # Of what is free only the repeats are read and written under a lock: the key's.
                account_ids.update(() if command.is_free and command.repeat is None else task.path[:1])
                account_ids.update(() if command.is_free else task.path)
                task_ids.append(source_of(task))
            case RecordAttempts(task_id=task_id, ended=ended, started=started):
                task_ids.append(task_id)
                account_ids.update(upstream_account_id(attempt.upstream) for attempt in (*ended, *started))
            case Finish(task_id=task_id, ended=ended, source=source):
                task_ids.append(task_id)
                task_ids += [] if source is None else [source]
                account_ids.update(upstream_account_id(attempt.upstream) for attempt in ended)
            case Cancel(task_id=task_id):
                task_ids.append(task_id)
                looked_into.append(task_id)
            case RecordSubmitted(task_id=task_id) | Erase(task_id=task_id) | Lead(task_id=task_id):
                task_ids.append(task_id)
            case Grant(account=account) | TakeUp(account=account):
                account_ids.add(account)
            case Resolve(upstream=account, of=of):
                account_ids.update((account,) if of is None else (account, of.account))
            case _:
                pass
    return account_ids, task_ids, looked_into


def _shown(commands: Sequence[Command]) -> set[AccountId]:
    """Accounts whose books are looked at without a lock, to say what is left of them."""
    paths = {command.task.path for command in commands if isinstance(command, Serve) and command.is_free}
    return {account for path in paths for account in path}


def _rows_change_twice(work: Batch) -> bool:
    """Whether a task or an attempt is written more than once: then each statement must see what the one before it wrote."""
    tasks = [
        *(one.id for one, _ in work.added), *(id for id, _ in work.states), *work.plans, *work.wishes, *(one.id for one in work.finished),
        *(one.id for one in work.leading),
    ]  # fmt: skip
    attempts = [*(one.id for one in work.started), *(id for id, _ in work.submitted), *(one.id for one in work.ended)]
    holds = {*work.books.raised} & {*work.books.ended}
    return bool(holds) or len(set(tasks)) < len(tasks) or len(set(attempts)) < len(attempts)


def source_of(task: Task) -> TaskId:
    if task.source is None:
        raise AssertionError(f"{task.id} is to be answered with another task's pictures, and names none")
    return task.source
