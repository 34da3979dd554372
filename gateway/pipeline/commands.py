"""What is committed: the commands that the group writer collects, and what each may answer.

Every command carries all that is needed to decide it under lock; none carries a decision already made, except the facts of the outside world (what
an upstream did). `apply.py` decides and writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.db.writer import Transact
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import ImageResult, Usage
from gateway.domain.money import NOTHING, Amount
from gateway.domain.repeats import Repeat
from gateway.domain.tasks import Attempt, Task, TaskError, TaskState
from gateway.ledger.model import BudgetRefusal, Grant, Granted, NotInDoubt, Resolve, Resolved
from gateway.ledger.usage import Share
from gateway.pipeline.repeating import Conflicting, NothingLeft, Repeated, TakenUp, TakeUp
from gateway.tasks.erasing import Erase, Erased, NotErased

LEASE_MS = 45_000
"""How long a task belongs to a process that gives no sign of life, where the config does not say otherwise."""


@dataclass(frozen=True, slots=True)
class HoldOption:
    """One amount that would do, with the plan it pays for. A dearer plan may try more offers."""

    amount: Amount
    plan_json: str
    has_first_offer: bool = True
    """Whether the offer that the command's attempts are for is in this plan; without it they do not go out."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Transaction one: hold the first option that fits, and store the task with the attempts that go out at once; all or nothing."""

    task: Task
    options: tuple[HoldOption, ...]
    credits_per_usd: Decimal
    attempts: tuple[Attempt, ...] = ()
    lease_ms: int = LEASE_MS
    repeat: Repeat | None = None
    """What the call may be told by when it comes again; where it has come before, nothing is accepted and the answer is Repeated or Conflicting."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The task as stored, with the plan that was held for, and the attempts whose rows were written."""

    task: Task
    attempts: tuple[Attempt, ...]
    remaining_microcredits: int | None
    closed: BudgetRefusal | None = None
    """The upstream's own budget that had no room for the attempts; the task waits for other offers."""


@dataclass(frozen=True, slots=True)
class Serve:
    """A call that is answered with another task's pictures: its task, charged and finished at once; all or nothing.

    `task` is as it will be stored (completed, finished when it was accepted) but for what it is charged; it names its source and has the source's
    pictures, and nothing is written where that has them no more. What costs nothing needs no room in any budget: it locks no balance, and has no
    hold.
    """

    task: Task
    charge: Amount
    credits_per_usd: Decimal
    saved_microusd: int
    """What the pictures had cost."""
    repeat: Repeat | None = None

    @property
    def is_free(self) -> bool:
        return self.charge == NOTHING


@dataclass(frozen=True, slots=True)
class SourceGone:
    """The pictures that were to be shared are erased, or nearly expired; nothing is written."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A task that waited for another's pictures makes its own: it holds the first option that fits, in place of its part of a price."""

    task_id: TaskId
    epoch: int
    options: tuple[HoldOption, ...]
    credits_per_usd: Decimal
    path: tuple[AccountId, ...]
    accepted_at_ms: int


@dataclass(frozen=True, slots=True)
class Leading:
    """The task as it is now, with the plan that was held for; what it holds more than before."""

    task: Task
    more: Amount


@dataclass(frozen=True, slots=True)
class RecordAttempts:
    """Attempts that ended and attempts that are about to be sent, in one commit: nothing is sent before it."""

    task_id: TaskId
    epoch: int
    ended: tuple[Attempt, ...] = ()
    started: tuple[Attempt, ...] = ()
    repeated: bool = False
    """Given before, without an answer: what is already written is left as it is."""
    plan_json: str | None = None
    """What the task's plan tells from now on, where that changed; None: as before."""


@dataclass(frozen=True, slots=True)
class RecordSubmitted:
    """An asynchronous upstream's job id, stored before the first poll."""

    task_id: TaskId
    epoch: int
    attempt_id: AttemptId
    upstream_ref: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Written; go on."""


@dataclass(frozen=True, slots=True)
class SendRefused:
    """The upstream's own budget has no room: nothing that was to start is written or may be sent. What ended is written."""

    refusal: BudgetRefusal


@dataclass(frozen=True, slots=True)
class CancelWished:
    """The caller wants the task cancelled: nothing that was to start is written or may be sent. What ended is written."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The task is no longer this worker's: it ended (`state` is final), or another took it over. Write and send nothing more."""

    state: TaskState


@dataclass(frozen=True, slots=True)
class Finish:
    """Transaction two: the task's end, its results, its last attempts and its money together. `charge` may exceed the hold; the rest is ours.

    CANCELLED is for tasks whose caller wants that, and may have a charge; FAILED has none.
    """

    task_id: TaskId
    epoch: int
    state: TaskState
    credits_per_usd: Decimal
    charge: Amount
    ended: tuple[Attempt, ...] = ()
    results: tuple[ImageResult, ...] = ()
    usage: Usage | None = None
    error: TaskError | None = None
    results_expire_at_ms: int | None = None
    repeated: bool = False
    """Given before, without an answer: attempts whose end is already written are left as they are."""
    path: tuple[AccountId, ...] = ()
    """The task's, where the giver knows it: otherwise it is looked up, which is one more question to the database."""
    accepted_at_ms: int = 0
    """The same holds of the task's `created_at_ms`."""
    shares: tuple[Share, ...] = ()
    """What each upstream had to do with it, for the sums of usage."""
    forgets: bool = False
    """Its caller was told that nothing was accepted: the same call again is a new one."""
    source: TaskId | None = None
    """Whose pictures these are, where they are another task's; SourceGone where that has them no more."""
    saved_microusd: int = 0
    """What they had cost it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The task after its end. `held` and `charged` say what became of its hold."""

    task: Task
    held: Amount
    charged: Amount
    remaining_microcredits: int | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """A caller's wish. Granted at once while nothing is out; noted for the task's worker where all that is out can be cancelled."""

    task_id: TaskId
    account: AccountId
    credits_per_usd: Decimal
    path: tuple[AccountId, ...] = ()
    accepted_at_ms: int = 0
    """Both as in Finish."""
    cancellable: frozenset[str] = frozenset()
    """The ids of offers that can cancel a call."""


@dataclass(frozen=True, slots=True)
class NotCancellable:
    """The task as it is: finished, or its picture has been sent for."""

    task: Task


@dataclass(frozen=True, slots=True)
class CancelNoted:
    """The wish stands in the task's row: its worker asks the upstreams, or has; or the task was cancelled before. The task as it is."""

    task: Task


@dataclass(frozen=True, slots=True)
class NoTask:
    """This account has no such task."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take over unfinished tasks whose lease ended. `everything` also takes those whose lease runs: only where the owner is known to be dead."""

    owner: str
    lease_ms: int
    size: int
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The tasks, under their new epoch, with all their attempts."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class ExtendLeases:
    """The owner lives: heartbeat for all its tasks in one statement."""

    owner: str
    lease_ms: int


@dataclass(frozen=True, slots=True)
class HandBack:
    """The owner does not work on these tasks any more: whoever looks next may claim them, and nothing that the owner still writes counts.

    Those that are not its own are left alone.
    """

    owner: str
    task_ids: tuple[TaskId, ...]


def moments_ms(commands: "Sequence[Command]") -> set[int]:
    """When the calls of these commands were accepted, as far as the commands say it, and when attempts are sent: in those windows they count."""
    accepted = {
        command.task.created_at_ms if isinstance(command, Accept | Serve) else command.accepted_at_ms
        for command in commands
        if isinstance(command, Accept | Serve | Lead | Finish | Cancel)
    } - {0}
    sent = {
        attempt.sent_at_ms
        for command in commands
        if isinstance(command, Accept | RecordAttempts)
        for attempt in (command.attempts if isinstance(command, Accept) else command.started)
    }
    return accepted | sent


Command = (
    Accept
    | Serve
    | Lead
    | RecordAttempts
    | RecordSubmitted
    | Finish
    | Cancel
    | Claim
    | ExtendLeases
    | HandBack
    | TakeUp
    | Grant
    | Erase
    | Resolve
    | Transact
)
Outcome = (
    Accepted
    | SourceGone
    | Leading
    | BudgetRefusal
    | Recorded
    | SendRefused
    | CancelWished
    | Lost
    | Finished
    | NotCancellable
    | CancelNoted
    | NoTask
    | Claimed
    | Repeated
    | Conflicting
    | TakenUp
    | NothingLeft
    | Granted
    | Erased
    | NotErased
    | Resolved
    | NotInDoubt
)
