"""Tasks as operators see them: what was tried, what it cost, how it was booked; and erasing them.

A prompt is shown only to who asks for it, and only while it is kept. How it fails: SubjectNotFound, Conflict, AdministrationError,
StorageUnavailable.
"""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from gateway.administration import store as trail
from gateway.callbacks import store as callback_store
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import AccountKind
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.callbacks import Callback
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.considered import Considered
from gateway.domain.errors import AdministrationError, SubjectNotFound, TaskNotFound
from gateway.domain.ids import TaskId, is_task_id, key_account_id, org_of
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.ledger.history import BookedEntry, History, history
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase, Erasing
from gateway.tasks.store import Wanted

SCANNED = 2_000
"""Tasks looked through in one read: some milliseconds."""
ROUNDS_MAX = 50
NEWEST = "task-unified-999999999999-zzzzzzzz"
"""Above every id."""
_CALLERS = tuple(f"{kind.value}:" for kind in (AccountKind.ORG, AccountKind.TEAM, AccountKind.KEY))


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """None matches all. A team and a key are named within their org."""

    org: str | None = None
    team: str | None = None
    key: str | None = None
    state: TaskState | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Newest first, without results. `next_before`: where the next page begins; None: there are no older ones."""

    tasks: tuple[Task, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What a task was accepted under, as far as an operator wants to see it."""

    offers: tuple[Offer, ...]
    charge_microcredits: int | None
    markup: Decimal
    credits_per_usd: Decimal
    considered: tuple[Considered, ...] = ()
    """Every offer of the model in the order of the plan; empty in rows of earlier versions."""


@dataclass(frozen=True, slots=True)
class TaskDossier:
    """Everything that is known of one task. `plan` is None where a newer version wrote it."""

    task: Task
    attempts: tuple[Attempt, ...]
    plan: ShownPlan | None
    history: History
    callback: Callback | None = None
    """What told its end; None where nobody wanted to be told, and before its end."""


_PLAN = TypeAdapter(ShownPlan)


class Tasks:
    """The tasks of one gateway."""

    def __init__(self, database: Database[Erase | Transact, object], erasing: Erasing, clock: Clock) -> None:
        self._database = database
        self._erasing = erasing
        self._clock = clock

    async def page(
        self, wanted: TaskFilter, *, before: str | None = None, size: int, by: Administrator = COMMAND
    ) -> TaskPage:
        """At most `size`. A page may hold fewer although there are older ones: so many tasks were looked through. Raises AdministrationError."""
        if before is not None and not is_task_id(before):
            raise AdministrationError(f"before {before!r}: give the id of a task", param="before")
        if not by.sees(wanted.org or by.org):
            return TaskPage((), None)
        where = _where(wanted, by)
        found: list[Task] = []
        oldest = before or NEWEST
        for _ in range(ROUNDS_MAX):
            tasks, reached = await self._database.read(
                lambda connection, since=oldest, left=size - len(found): task_store.read_newest(  # type: ignore[misc]  # mypy takes no default in a lambda
                    connection, where, before=since, scanned=SCANNED, size=left
                )
            )
            found += tasks
            if len(found) == size:
                return TaskPage(tuple(found), found[-1].id)
            if reached is None:
                return TaskPage(tuple(found), None)
            oldest = reached
        return TaskPage(tuple(found), oldest)

    async def show(self, task_id: str, by: Administrator = COMMAND) -> TaskDossier:
        """One task, with its results, its attempts and how it was booked. Raises SubjectNotFound."""
        task = await self._find(task_id, by)
        attempts = await self._database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))
        until_ms = task.finished_at_ms or self._clock.now_ms()
        booked = await history(self._database, task.id, task.created_at_ms, until_ms)
        seen = tuple(entry for entry in booked.entries if _sees(by, entry))
        callback = await self._database.read(lambda connection: callback_store.read_callback_of(connection, task.id))
        return TaskDossier(task, tuple(attempts), _plan(task), History(booked.hold, seen, booked.whole), callback)

    async def erase(self, task_id: str, by: Administrator = COMMAND) -> Task:
        """Delete its caller's words and pictures; what it cost stays. Raises SubjectNotFound, Conflict while it is under way."""
        task = await self._find(task_id, by)

        async def also(connection: Connection, at_ms: int) -> None:
            await trail.record(connection, at_ms, by, "task.erase", task.id, org=org_of(task.account))

        try:
            return await self._erasing.erase(Erase(task.id, also=also))
        except TaskNotFound as exc:
            raise _not_found() from exc

    async def _find(self, task_id: str, by: Administrator) -> Task:
        found = (
            await self._database.read(lambda connection: task_store.read_tasks(connection, [TaskId(task_id)]))
            if is_task_id(task_id)
            else []
        )
        if not found or not by.sees(org_of(found[0].account)):
            raise _not_found()
        return found[0]


def _not_found() -> SubjectNotFound:
    return SubjectNotFound("There is no such task.", param="task_id")


def _where(wanted: TaskFilter, by: Administrator) -> Wanted:
    """Raises AdministrationError for a team or key without its org."""
    org = wanted.org or by.org
    if org is None and (wanted.team or wanted.key):
        raise AdministrationError("org is missing: a team or key is named within its org", param="org")
    account, below = "", ""
    if org is not None and wanted.key:
        account = key_account_id(org, wanted.team, wanted.key)
    elif org is not None:
        below = f"key:{org}/{wanted.team}/" if wanted.team else f"key:{org}/"
    return Wanted(account, below, wanted.state.value if wanted.state else "", wanted.model or "")


def _sees(by: Administrator, entry: BookedEntry) -> bool:
    """What upstreams are paid is not an org's."""
    return by.org is None or entry.account.startswith(_CALLERS)


def _plan(task: Task) -> ShownPlan | None:
    try:
        return _PLAN.validate_json(task.plan_json)
    except ValidationError:
        return None
