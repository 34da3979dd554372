"""What a batch knows of calls that are made again, decides about them, and writes: which task answers which call, and who took what up.

Pure but for its own memory, and only in the writer's transaction: every decision about an account's calls is made under the lock of its balance, on
rows that were read after that lock, so that of any number of equal calls, in whichever processes, one makes the task. A batch sees its own
earlier commands. A row that is older than a day is as good as deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.db.connection import Connection, Row
from gateway.db.statements import Value
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.repeats import KEPT_MS, Repeat
from gateway.domain.tasks import Attempt, Billed, Task, TaskState
from gateway.repeats import store
from gateway.repeats.store import Left, Remembered, Write

OVERTAKEN_MS = 60_000
"""A retry has looked for what its first call left before it comes here; only a call that was accepted meanwhile can be new, and none hangs longer."""


@dataclass(frozen=True, slots=True)
class TakeUp:
    """The command of an SDK's retry: the first of these tasks, if any may still be taken."""

    account: AccountId
    task_ids: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class TakenUp:
    """It is this retry's, and no other's."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """Others have taken them, or they came to nothing."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """This call was accepted before; nothing is held or written for it. `taken_up`: as an SDK's retry."""

    task_id: TaskId
    taken_up: bool = False


@dataclass(frozen=True, slots=True)
class Conflicting:
    """The key belongs to another body's task."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Asked:
    """What the commands of a batch need to know."""

    keys: frozenset[tuple[AccountId, str]] = frozenset()
    bodies: frozenset[tuple[AccountId, str]] = frozenset()
    ids: frozenset[TaskId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.keys or self.bodies or self.ids)

    def values(self, since_ms: int) -> dict[str, Value]:
        """For the queries of the store."""
        return {
            "key_accounts": sorted({account for account, _ in self.keys}),
            "keys": sorted({key for _, key in self.keys}),
            "left_accounts": sorted({account for account, _ in self.bodies}),
            "left_bodies": sorted({body for _, body in self.bodies}),
            "left_since": since_ms - OVERTAKEN_MS,
            "left_ids": sorted(self.ids),
        }


def asked(repeats: Iterable[tuple[AccountId, Repeat]], take_ups: Iterable[TakeUp]) -> Asked:
    """By the accounts and repeats of acceptances, and by retries that take up."""
    repeats = list(repeats)
    return Asked(
        frozenset((account, repeat.key) for account, repeat in repeats if repeat.key),
        frozenset((account, repeat.body_sha256) for account, repeat in repeats if repeat.is_retry and not repeat.key),
        frozenset(task_id for command in take_ups for task_id in command.task_ids),
    )


@dataclass(slots=True)
class Repeats:
    """One batch's. `tasks` and `attempts` are those that the batch has in hand: they go before what was read."""

    tasks: Mapping[TaskId, Task]
    attempts: Mapping[TaskId, Mapping[AttemptId, Attempt]]
    now_ms: int
    by_key: dict[tuple[AccountId, str], Remembered] = field(default_factory=dict)
    by_body: dict[tuple[AccountId, str], list[TaskId]] = field(default_factory=dict)
    """Of SDKs' calls, oldest first."""
    left: dict[TaskId, Left] = field(default_factory=dict)
    new: dict[TaskId, Remembered] = field(default_factory=dict)
    taken: dict[TaskId, None] = field(default_factory=dict)
    """In their order."""
    dropped: list[TaskId] = field(default_factory=list)
    """Rows that must be gone before new ones are written."""
    erased: list[TaskId] = field(default_factory=list)

    def know(self, keyed: Sequence[Row] = (), by_body: Sequence[Row] = (), by_id: Sequence[Row] = ()) -> None:
        """What was read under the lock, by the queries of the store."""
        for row in map(store.row_of, keyed):
            self.by_key[row.account, row.key] = row
        for found in sorted(
            map(store.left_of, by_body), key=lambda found: (found.row.created_at_ms, found.row.task_id)
        ):
            self.left[found.row.task_id] = found
            self.by_body.setdefault((found.row.account, found.row.body_sha256), []).append(found.row.task_id)
        for found in map(store.left_of, by_id):
            self.left[found.row.task_id] = found

    def earlier(self, account: AccountId, repeat: Repeat) -> Repeated | Conflicting | None:
        """What answers this call; None: nothing does, and it is to be accepted."""
        if repeat.key:
            row = self.by_key.get((account, repeat.key))
            if row is None or self._is_old(row):
                return None
            return Repeated(row.task_id) if row.body_sha256 == repeat.body_sha256 else Conflicting(row.task_id)
        if not repeat.is_retry:
            return None
        mine = reversed(self.by_body.get((account, repeat.body_sha256), ()))
        task_id = next((task_id for task_id in mine if self._is_free(task_id, account)), None)
        if task_id is None:
            return None
        self._take(task_id)
        return Repeated(task_id, taken_up=True)

    def take_up(self, command: TakeUp) -> TakenUp | NothingLeft:
        free = (task_id for task_id in command.task_ids if self._is_free(task_id, command.account))
        task_id = next(free, None)
        if task_id is None:
            return NothingLeft()
        self._take(task_id)
        return TakenUp(task_id)

    def remember(self, task: Task, repeat: Repeat) -> None:
        """From now on this task answers the call."""
        row = Remembered(task.id, task.account, repeat.key, repeat.body_sha256, self.now_ms)
        self.new[task.id] = row
        if not repeat.key:
            self.by_body.setdefault((task.account, repeat.body_sha256), []).append(task.id)
            return
        before = self.by_key.get((task.account, repeat.key))
        if before is not None:  # older than a day
            self._drop(before.task_id)
        self.by_key[task.account, repeat.key] = row

    def forget(self, task: Task) -> None:
        """A call that its caller was told was not accepted answers nobody."""
        self._drop(task.id)
        for place, row in list(self.by_key.items()):
            if row.task_id == task.id:
                del self.by_key[place]

    def erase(self, task_id: TaskId) -> None:
        """Its body is nobody's any more; its key stays used."""
        if task_id in self.new:
            self.new[task_id] = replace(self.new[task_id], body_sha256="")
        else:
            self.erased.append(task_id)
        for place, row in self.by_key.items():
            if row.task_id == task_id:
                self.by_key[place] = replace(row, body_sha256="")

    def writes(self) -> list[Write]:
        """Beside what else the batch writes, after `before_writes`."""
        return [store.added(list(self.new.values())), store.taken(list(self.taken), self.now_ms)]

    async def before_writes(self, connection: Connection) -> None:
        """By statements of their own, seldom: the parts of one statement would not see them."""
        if self.dropped:
            await store.delete(connection, self.dropped)
        if self.erased:
            await store.erase(connection, self.erased)

    def _is_old(self, row: Remembered) -> bool:
        return row.created_at_ms + KEPT_MS <= self.now_ms

    def _is_free(self, task_id: TaskId, account: AccountId) -> bool:
        """Whether a retry of this account may take it up: not what failed, or was cancelled, without a bill; not what was erased."""
        found = self.left.get(task_id)
        row = found.row if found is not None else self.new.get(task_id)
        if row is None or row.account != account or row.key or row.taken_at_ms is not None:
            return False
        if task_id in self.taken or task_id in self.dropped:
            return False
        task = self.tasks.get(task_id)
        if task is not None and task.erased_at_ms is not None:
            return False
        state = task.state if task is not None else found.state if found is not None else TaskState.CANCELLED
        if state is not TaskState.FAILED:
            return state is not TaskState.CANCELLED
        known = self.attempts.get(task_id, {}).values()
        billed = any(attempt.billed in (Billed.YES, Billed.UNKNOWN) for attempt in known)
        return billed or (found is not None and found.perhaps_billed)

    def _take(self, task_id: TaskId) -> None:
        if task_id in self.new:
            self.new[task_id] = replace(self.new[task_id], taken_at_ms=self.now_ms)
        else:
            self.taken[task_id] = None

    def _drop(self, task_id: TaskId) -> None:
        if self.new.pop(task_id, None) is None:
            self.dropped.append(task_id)
            self.taken.pop(task_id, None)
