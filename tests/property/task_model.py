"""What must become of a task: a model of its own, in plain dictionaries and integers, that shares no decision with the gateway.

It reads the commands (they are its input) and says what each must be answered, and what must stand in the database afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import Amount
from gateway.domain.repeats import Repeat
from gateway.domain.tasks import Attempt, Fault
from gateway.ledger.model import BudgetRefusal, Granted, NotInDoubt, Resolved
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    CancelNoted,
    CancelWished,
    Claim,
    Claimed,
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
from gateway.pipeline.repeating import Conflicting, NothingLeft, Repeated, TakenUp, TakeUp
from gateway.tasks.erasing import Erase, Erased, NotErased

Triple = tuple[int, int, int]
Answer = tuple[object, ...]
TaskSeen = tuple[str, int, str, bool, int, int, int, str | None, tuple[bool, bool, bool], tuple[str | None, ...]]
"""State, epoch, owner, whether its lease runs, reserved, used, number of results, error code; whether its prompt is there, it is erased, and its
caller wants it cancelled; its plan, what the cache was to it, whose pictures it has or waits for, and the first of them."""
LATER_MS = 10**12 * 4
"""Pictures that expire then, in the next century, may be shared; those that expire in a moment, or have no such time, may not."""
AttemptSeen = tuple[str, int, str | None]
"""State, cost, the upstream's job id."""
CANCELLABLE = "u/c"
"""The offer of which a call that is out can be cancelled."""
FINAL = ("completed", "failed", "cancelled")
ZERO: Triple = (0, 0, 0)


def triple(amount: Amount) -> Triple:
    return amount.microcredits, amount.microusd, amount.images


def plus(a: Triple, b: Triple, sign: int = 1) -> Triple:
    return a[0] + sign * b[0], a[1] + sign * b[1], a[2] + sign * b[2]


@dataclass
class ModelAttempt:
    """One try. A job's id stays with it."""

    presumed: int
    can_cancel: bool
    state: str = "sending"
    cost: int = 0
    ref: str | None = None
    stopped: bool = False
    """Ended at its caller's wish."""

    @property
    def is_callers(self) -> bool:
        """Paid for, and for the caller to pay."""
        return self.state == "succeeded" or (self.stopped and self.cost > 0)

    @property
    def perhaps_billed(self) -> bool:
        """Though it failed."""
        return self.state == "unknown" or (self.state == "failed" and self.cost > 0)

    @property
    def is_open(self) -> bool:
        return self.state in ("sending", "submitted")


@dataclass
class ModelTask:
    """One accepted call."""

    id: TaskId
    path: tuple[AccountId, ...]
    created: int
    held: Triple
    owner: str
    living: bool
    state: str = "pending"
    epoch: int = 1
    used: int = 0
    results: int = 0
    error: str | None = None
    erased: bool = False
    wished: bool = False
    """Its caller wants it cancelled."""
    repeat: Repeat | None = None
    """What leads to it; None: nothing does, or not any more."""
    taken: bool = False
    plan: str = ""
    cache: str | None = None
    source: TaskId | None = None
    picture: str | None = None
    expires: int = 0
    attempts: dict[AttemptId, ModelAttempt] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_following(self) -> bool:
        """It waits for another task's pictures."""
        return self.source is not None and not self.is_final

    @property
    def may_be_shared(self) -> bool:
        return self.state == "completed" and not self.erased and self.expires == LATER_MS

    @property
    def is_left(self) -> bool:
        """Whether a retry may take it up."""
        if self.repeat is None or self.repeat.key or self.taken or self.erased or self.state == "cancelled":
            return False
        return self.state != "failed" or any(attempt.perhaps_billed for attempt in self.attempts.values())

    @property
    def seen(self) -> TaskSeen:
        words = (not self.erased, self.erased, self.wished)
        pictures = (self.plan, self.cache, self.source, None if self.erased else self.picture)
        return (
            self.state, self.epoch, self.owner, self.living, self.held[0], self.used, self.results, self.error, words, pictures
        )  # fmt: skip


class TaskModel:
    """Every task, every balance. `limits` are in microcredits."""

    def __init__(self, payers: Sequence[AccountId], upstream: AccountId, ours: AccountId) -> None:
        self.tasks: dict[TaskId, ModelTask] = {}
        self.limits: dict[AccountId, int | None] = dict.fromkeys(payers)
        self.posted: dict[AccountId, Triple] = dict.fromkeys((*payers, upstream, ours), ZERO)
        self.pending: dict[AccountId, Triple] = dict.fromkeys((*payers, upstream, ours), ZERO)
        self.usage: dict[AccountId, list[int]] = {}
        """Of each key: tasks that ended, those with another's pictures, and what these had cost."""
        self._upstream, self._ours = upstream, ours

    def answer(self, command: Command) -> Answer:  # noqa: PLR0911, PLR0912 - a branch a command
        """What the command must be answered; afterwards the model is as the database must be."""
        match command:
            case Accept():
                return self._accept(command)
            case Serve():
                return self._serve(command)
            case Lead():
                return self._lead(command)
            case RecordAttempts():
                return self._record(command)
            case RecordSubmitted():
                return self._submit(command)
            case Finish():
                return self._finish(command)
            case Cancel():
                return self._cancel(command)
            case Erase():
                return self._erase(command)
            case TakeUp(account=account, task_ids=ids):
                return self._take_up([self.tasks[i] for i in ids if self.tasks[i].path[0] == account])
            case Claim():
                return self._claim(command)
            case ExtendLeases(owner=owner, lease_ms=lease_ms):
                for task in self.tasks.values():
                    if task.owner == owner and not task.is_final:
                        task.living = lease_ms > 0
                return ("recorded",)
            case HandBack(owner=owner, task_ids=task_ids):
                for task_id in task_ids:
                    task = self.tasks[task_id]
                    if task.owner == owner and not task.is_final:
                        task.owner, task.living, task.epoch = "", False, task.epoch + 1
                return ("recorded",)
            case _:
                raise AssertionError(command)

    def remaining(self, path: Sequence[AccountId]) -> int | None:
        left = [
            max(0, limit - self.posted[account][0] - self.pending[account][0])
            for account in path
            if (limit := self.limits[account]) is not None
        ]
        return min(left, default=None)

    def _earlier(self, account: AccountId, repeat: Repeat) -> Answer | None:
        """What a call that was made before is answered."""
        mine = [task for task in self.tasks.values() if task.path[0] == account and task.repeat is not None]
        if repeat.key:
            for task in mine:
                if task.repeat is not None and task.repeat.key == repeat.key:
                    same = task.repeat.body_sha256 == repeat.body_sha256 and not task.erased
                    return ("repeated", task.id, False) if same else ("conflicting", task.id)
            return None
        if not repeat.is_retry:
            return None
        left = [task for task in mine if task.repeat is not None and task.repeat.body_sha256 == repeat.body_sha256]
        taken = self._take_up(left[::-1])
        return ("repeated", taken[1], True) if taken[0] == "taken up" else None

    def _take_up(self, tasks: Sequence[ModelTask]) -> Answer:
        for task in tasks:
            if task.is_left:
                task.taken = True
                return "taken up", task.id
        return ("nothing left",)

    def _accept(self, command: Accept) -> Answer:
        path = command.task.path
        earlier = None if command.repeat is None else self._earlier(path[0], command.repeat)
        if earlier is not None:
            return earlier
        for index, option in enumerate(command.options):
            held = triple(option.amount)
            if not self._has_room(path, held):
                continue
            for account in path:
                self.pending[account] = plus(self.pending[account], held)
            task = ModelTask(
                command.task.id, path, command.task.created_at_ms, held, command.task.owner, command.lease_ms > 0
            )
            task.repeat, task.plan, task.source = command.repeat, option.plan_json, command.task.source
            task.cache = command.task.cache and command.task.cache.value
            self.tasks[task.id] = task
            sent = command.attempts if option.has_first_offer else ()
            for attempt in sent:
                self._send(task, attempt)
            return "accepted", index, len(sent), task.state, self.remaining(path)
        return ("refused",)

    def _has_room(self, path: Sequence[AccountId], more: Triple) -> bool:
        """In every budget on the path."""
        return more == ZERO or all(
            (limit := self.limits[account]) is None
            or self.posted[account][0] + self.pending[account][0] + more[0] <= limit
            for account in path
        )

    def _serve(self, command: Serve) -> Answer:
        """A task that begins with its end: another's pictures, for a charge."""
        new, charge, source = command.task, triple(command.charge), self.tasks.get(command.task.source or TaskId(""))
        earlier = None if command.repeat is None else self._earlier(new.path[0], command.repeat)
        if earlier is not None:
            return earlier
        if source is None or not source.may_be_shared:
            return ("source gone",)
        if not self._has_room(new.path, charge):
            return ("refused",)
        task = ModelTask(new.id, new.path, new.created_at_ms, charge, new.owner, living=False, repeat=command.repeat)
        task.plan, task.cache, task.source = new.plan_json, "hit", source.id
        task.results, task.picture, task.expires = 1, source.picture, new.results_expire_at_ms or 0
        self.tasks[task.id] = task
        for account in task.path:
            self.pending[account] = plus(self.pending[account], charge)
        return self._ended(task, "completed", charge, command.saved_microusd)

    def _lead(self, command: Lead) -> Answer:
        refused = self._refused(command.task_id, command.epoch)
        if refused:
            return refused
        task = self.tasks[command.task_id]
        for index, option in enumerate(command.options):
            wanted = triple(option.amount)
            held = (max(wanted[0], task.held[0]), max(wanted[1], task.held[1]), max(wanted[2], task.held[2]))
            more = plus(held, task.held, -1)
            if not self._has_room(task.path, more):
                continue
            for account in task.path:
                self.pending[account] = plus(self.pending[account], more)
            task.held, task.plan, task.cache, task.source = held, option.plan_json, "miss", None
            return "leading", index, more
        return ("refused",)

    def _send(self, task: ModelTask, attempt: Attempt) -> None:
        if attempt.id not in task.attempts:
            presumed = attempt.presumed_cost_microusd
            task.attempts[attempt.id] = ModelAttempt(presumed, attempt.offer_id == CANCELLABLE)
            self.pending[self._upstream] = plus(self.pending[self._upstream], (0, presumed, 0))
        task.state = "processing"

    def _end(self, task: ModelTask, ended: Attempt) -> None:
        attempt, state, cost = task.attempts[ended.id], ended.state.value, ended.cost_microusd
        if not attempt.is_open:
            return
        attempt.state, attempt.cost, attempt.stopped = state, cost, ended.fault is Fault.CANCELLED
        if state == "unknown":
            return
        self.pending[self._upstream] = plus(self.pending[self._upstream], (0, attempt.presumed, 0), -1)
        self.posted[self._upstream] = plus(self.posted[self._upstream], (0, cost, 0))
        if state == "failed" and not attempt.stopped:
            self.posted[self._ours] = plus(self.posted[self._ours], (0, cost, 0))

    def _refused(self, task_id: TaskId, epoch: int) -> Answer | None:
        if task_id not in self.tasks:
            return "lost", "failed"
        task = self.tasks[task_id]
        return ("lost", task.state) if task.is_final or task.epoch != epoch else None

    def _record(self, command: RecordAttempts) -> Answer:
        refused = self._refused(command.task_id, command.epoch)
        if refused:
            return refused
        task = self.tasks[command.task_id]
        for attempt in command.ended:
            self._end(task, attempt)
        if task.wished and any(attempt.id not in task.attempts for attempt in command.started):
            return ("cancel wished",)
        for attempt in command.started:
            self._send(task, attempt)
        return ("recorded",)

    def _submit(self, command: RecordSubmitted) -> Answer:
        refused = self._refused(command.task_id, command.epoch)
        if refused:
            return refused
        attempt = self.tasks[command.task_id].attempts[command.attempt_id]
        attempt.state, attempt.ref = "submitted", command.upstream_ref
        return ("recorded",)

    def _finish(self, command: Finish) -> Answer:
        refused = self._refused(command.task_id, command.epoch)
        if refused:
            return refused
        task = self.tasks[command.task_id]
        if command.source is not None:
            source = self.tasks.get(command.source)
            if source is None or not source.may_be_shared:
                return ("source gone",)
            task.source = source.id
        if command.forgets:
            task.repeat = None
        for attempt in command.ended:
            self._end(task, attempt)
        wanted = triple(command.charge) if command.state.value in ("completed", "cancelled") else ZERO
        charged = (min(wanted[0], task.held[0]), min(wanted[1], task.held[1]), min(wanted[2], task.held[2]))
        if command.source is None:  # nobody has paid more for what was made before
            overrun = (wanted[0] - charged[0], wanted[1] - charged[1], 0)
            self.posted[self._ours] = plus(self.posted[self._ours], overrun)
        task.results, task.expires = len(command.results), command.results_expire_at_ms or 0
        task.picture = min((result.blob for result in command.results), default=None)
        task.error = command.error.code.value if command.error else None
        return self._ended(task, command.state.value, charged, command.saved_microusd if command.source else None)

    def _cancel(self, command: Cancel) -> Answer:
        task = self.tasks.get(command.task_id)
        if task is None or task.path[0] != command.account:
            return ("no task",)
        if task.state == "cancelled":
            return "cancel noted", task.state
        out = [attempt for attempt in task.attempts.values() if attempt.is_open]
        if task.is_final or not all(attempt.can_cancel for attempt in out):
            return "not cancellable", task.state
        task.wished = True
        if out or any(attempt.is_callers for attempt in task.attempts.values()):
            return "cancel noted", task.state
        task.error = "request_cancelled"
        return self._ended(task, "cancelled", ZERO)

    def _erase(self, command: Erase) -> Answer:
        task = self.tasks.get(command.task_id)
        if task is None or (command.account is not None and command.account != task.path[0]):
            return "not erased", None
        if not task.is_final:
            return "not erased", task.state
        task.erased = True
        return "erased", task.state

    def _ended(self, task: ModelTask, state: str, charged: Triple, saved: int | None = None) -> Answer:
        """`saved`: what its pictures had cost another task; None: they are its own."""
        counts = self.usage.setdefault(task.path[0], [0, 0, 0])
        counts[0], counts[1], counts[2] = counts[0] + 1, counts[1] + (saved is not None), counts[2] + (saved or 0)
        for account in task.path:
            self.pending[account] = plus(self.pending[account], task.held, -1)
            self.posted[account] = plus(self.posted[account], charged)
        task.state, task.used = state, charged[0]
        return "finished", state, task.held, charged, self.remaining(task.path)

    def claimable(self, owner: str, everything: bool) -> list[ModelTask]:
        """Oldest first."""
        found = [
            task
            for task in self.tasks.values()
            if not task.is_final and task.owner != owner and (everything or not task.living)
        ]
        return sorted(found, key=lambda task: (task.created, task.id))

    def _claim(self, command: Claim) -> Answer:
        taken = self.claimable(command.owner, command.everything)[: command.size]
        for task in taken:
            task.owner, task.living, task.epoch = command.owner, command.lease_ms > 0, task.epoch + 1
        return "claimed", [(task.id, task.state, task.owner, task.epoch) for task in taken]


def told(outcome: Outcome) -> Answer:  # noqa: PLR0911, PLR0912 - a branch an outcome
    """An outcome in the model's words."""
    match outcome:
        case Accepted(task=task, attempts=attempts, remaining_microcredits=remaining):
            return "accepted", int(task.plan_json), len(attempts), task.state.value, remaining
        case BudgetRefusal():
            return ("refused",)
        case Recorded():
            return ("recorded",)
        case Lost(state=state):
            return "lost", state.value
        case Finished(task=task, held=held, charged=charged, remaining_microcredits=remaining):
            return "finished", task.state.value, triple(held), triple(charged), remaining
        case CancelNoted(task=task):
            return "cancel noted", task.state.value
        case CancelWished():
            return ("cancel wished",)
        case NotCancellable(task=task):
            return "not cancellable", task.state.value
        case NoTask():
            return ("no task",)
        case Claimed(tasks=tasks):
            return "claimed", [(task.id, task.state.value, task.owner, task.epoch) for task in tasks]
        case Erased(task=task):
            return "erased", task.state.value
        case NotErased(state=known):
            return "not erased", known.value if known else None
        case Repeated(task_id=task_id, taken_up=taken_up):
            return "repeated", task_id, taken_up
        case Conflicting(task_id=task_id):
            return "conflicting", task_id
        case TakenUp(task_id=task_id):
            return "taken up", task_id
        case NothingLeft():
            return ("nothing left",)
        case SourceGone():
            return ("source gone",)
        case Leading(task=task, more=more):
            return "leading", int(task.plan_json), triple(more)
        case Granted() | SendRefused() | Resolved() | NotInDoubt():  # the ledger's machine has these, not this one
            raise AssertionError(outcome)
