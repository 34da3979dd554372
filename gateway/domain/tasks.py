"""The durable task behind every call: its states, its attempts, and the vocabulary of what goes wrong at an upstream."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import Contract, ImageResult, Usage
from gateway.domain.sharing import CacheResult


class TaskState(StrEnum):
    """States of a task; TRANSITIONS says which may follow which."""

    PENDING = "pending"  # accepted and held for, nothing sent yet
    PROCESSING = "processing"  # at least one attempt row exists
    COMPLETED = "completed"  # at least one picture stored, settled
    FAILED = "failed"  # nothing delivered, hold released
    CANCELLED = "cancelled"  # by the caller, hold released

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.PROCESSING, TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.PROCESSING: frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}


class AttemptState(StrEnum):
    """States of one try of one offer."""

    SENDING = "sending"  # row committed; the request may or may not have left
    SUBMITTED = "submitted"  # an asynchronous upstream gave its job id, which is stored
    SUCCEEDED = "succeeded"  # pictures stored
    FAILED = "failed"  # ended without a picture; `billed` says whether it cost something
    UNKNOWN = "unknown"  # may have been billed; nobody knows (in doubt)

    @property
    def is_open(self) -> bool:
        return self in (AttemptState.SENDING, AttemptState.SUBMITTED)


class Billed(StrEnum):
    """Whether a failed try cost money."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class Heard(StrEnum):
    """What comes back when an upstream is asked, by our own reference, for an attempt that may have been sent."""

    MADE = "made"  # the pictures
    FAILED = "failed"  # it knows the attempt, and made nothing of it
    WORKING = "working"  # it knows the attempt, and is at it
    NOTHING = "nothing"  # it knows no such reference, or not yet
    SILENT = "silent"  # it could not be asked: that says nothing of the attempt


class Fault(StrEnum):
    """Why a try failed, in the router's words."""

    REFUSED = "refused"  # content policy: final by default, says nothing about the upstream's health
    BAD_REQUEST = "bad_request"  # the upstream does not accept these parameters
    CREDENTIALS = "credentials"  # key, permission, or unknown model at the upstream: the operator must act
    NO_MONEY = "no_money"  # our account at the upstream is empty: the operator must act
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    FAILED = "failed"  # the upstream says that it failed and made nothing
    UNREACHABLE = "unreachable"  # no connection, nothing was sent
    LOCAL = "local"  # this machine has no descriptor, port or memory for a connection: nothing was sent, and the upstream is not to blame
    NO_ANSWER = "no_answer"  # sent, then time-out, reset or a proxy's page
    NO_IMAGE = "no_image"  # answered, but with nothing that is a picture
    RESULT_LOST = "result_lost"  # made and billed, but the picture could not be fetched or stored
    CANCELLED = "cancelled"  # cancelled at the caller's wish


class TaskErrorCode(StrEnum):
    """`error.code` of a failed task, by the task contract; the first five are the caller's."""

    CONTENT_POLICY_VIOLATION = "content_policy_violation"
    INVALID_PARAMETERS = "invalid_parameters"
    IMAGE_PROCESSING_ERROR = "image_processing_error"
    IMAGE_DIMENSION_MISMATCH = "image_dimension_mismatch"
    REQUEST_CANCELLED = "request_cancelled"
    GENERATION_FAILED_NO_CONTENT = "generation_failed_no_content"
    SERVICE_ERROR = "service_error"
    GENERATION_TIMEOUT = "generation_timeout"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    SERVICE_UNAVAILABLE = "service_unavailable"
    UNKNOWN_ERROR = "unknown_error"
    OUTCOME_UNKNOWN = "outcome_unknown"


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task failed: a code of the contract and a sentence for the caller."""

    code: TaskErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an attempt cost us (microusd, rounded once) and the usage that the upstream reported."""

    cost_microusd: int
    usage: Usage | None = None
    actual: bool = False
    """True where the upstream itself named the cost or the tokens; False for the catalogue's price."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one offer for `n` of the task's pictures. A fail-over is a child of the attempt that it replaces."""

    id: AttemptId
    task_id: TaskId
    parent_id: AttemptId | None
    offer_id: str
    upstream: str
    n: int
    state: AttemptState
    presumed_cost_microusd: int
    """By the catalogue: booked in doubt when nobody knows whether it was billed."""
    sent_at_ms: int
    upstream_ref: str | None = None
    ended_at_ms: int | None = None
    fault: Fault | None = None
    billed: Billed | None = None
    cost_microusd: int = 0
    lost_microusd: int = 0
    """Of a success's cost: for pictures that were billed and did not come, so it is ours. Not in its row: its manifest tells it."""
    images: int = 0
    message: str | None = None
    """For the operator: what the upstream said, shortened."""


@dataclass(frozen=True, slots=True)
class Task:
    """One accepted call as it is stored."""

    id: TaskId
    account: AccountId
    path: tuple[AccountId, ...]
    state: TaskState
    contract: Contract
    model: str
    n: int
    user_group: str
    created_at_ms: int
    deadline_at_ms: int
    reserved_microcredits: int
    prompt: str | None
    """None once its retention has ended, or it was erased."""
    request_json: str
    """The normalised request without its prompt, as pipeline/frozen.py writes it."""
    plan_json: str
    """The offers with the prices, charge, markup and rate of the moment of accepting."""
    owner: str
    """The run of the process that works on it."""
    epoch: int
    """Grows with every change of owner; a write under an older epoch has no effect."""
    cancel_requested: bool = False
    finished_at_ms: int | None = None
    used_microcredits: int = 0
    used_microusd: int = 0
    error: TaskError | None = None
    usage: Usage | None = None
    results: tuple[ImageResult, ...] = ()
    result_count: int = 0
    results_expire_at_ms: int | None = None
    caller: str = ""
    """A keyed hash of whom the key's owner makes it for; empty where that is not kept."""
    erased_at_ms: int | None = None
    """When prompt, pictures and whatever else its caller said were deleted; what it cost stays."""
    callback_url: str | None = None
    """Where its end is told to; None: nowhere, or erased."""
    cache: CacheResult | None = None
    """None: from before there was a cache."""
    source: TaskId | None = None
    """The task that made its pictures, where it shares them; while it is unfinished, the one that it waits for."""

    def has_results_at(self, moment_ms: int) -> bool:
        """Whether its pictures are still promised then."""
        return self.erased_at_ms is None and (self.results_expire_at_ms or 0) > moment_ms
