"""What is answered, for the OpenAPI document and for the tests that hold `rendering` to it. Nothing on the way of a request uses these."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

_Status = Literal["pending", "processing", "completed", "failed", "cancelled"]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """`code` is stable, `message` is for people. Some codes carry more fields, e.g. insufficient_quota."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    type: str
    param: str | None
    request_id: str


class ErrorAnswer(Answer):
    error: ErrorDetail


class TaskInfo(Answer):
    can_cancel: bool
    estimated_time: int


class TaskInfoNow(TaskInfo):
    """`cancel_requested`: its caller wants it cancelled, and an upstream is still at it."""

    cancel_requested: Literal[True] | None = None


class CreatedUsage(Answer):
    billing_rule: str
    credits_reserved: float
    user_group: str


class TaskCreated(Answer):
    """A task as it was accepted."""

    created: int
    id: str
    model: str
    object: Literal["image.generation.task"]
    progress: int
    status: _Status
    task_info: TaskInfo
    type: Literal["image"]
    usage: CreatedUsage


class Cost(Answer):
    credits: float
    usd: float


class TaskUsage(CreatedUsage):
    credits_used: float | None = None
    cost: Cost | None = None


class ResultData(Answer):
    image_url: str
    expires_at: int | None


class TaskFailure(Answer):
    code: str
    message: str


class AttemptAnswer(Answer):
    """One try at an upstream, with why it failed and what it cost us."""

    upstream: str
    status: str
    fault: str | None
    cost_usd: float
    ms: int | None


class SkippedAnswer(Answer):
    reason: Literal[
        "not_able", "circuit_open", "last_resort", "budget_closed", "over_max_credits", "over_budget", "not_chosen"
    ]
    message: str


class QuotedOfferAnswer(Answer):
    """One upstream's price for all pictures. `most_usd` is its worst case; `skipped`: why it would not be tried."""

    upstream: str
    model: str
    expected_usd: float | None
    most_usd: float | None
    skipped: SkippedAnswer | None


class RoutedAttemptAnswer(Answer):
    """One try of an offer for `n` of the pictures. `billed` says whether a failure cost us something.

    `last_resort`: its circuit was open, and no other offer was left.
    """

    upstream: str
    model: str
    n: int
    images: int
    status: str
    fault: str | None
    billed: Literal["no", "yes", "unknown"] | None
    cost_usd: float
    sent_at_ms: int
    ended_at_ms: int | None
    last_resort: bool


class RoutingAnswer(Answer):
    """Why this upstream: every offer of the model in the order in which they were to be tried, and what was tried."""

    offers: list[QuotedOfferAnswer]
    attempts: list[RoutedAttemptAnswer]


class TaskAnswer(Answer):
    """A task as it stands. `results` are links that live 24 hours."""

    created: int
    id: str
    model: str
    object: Literal["image.generation.task"]
    progress: int
    status: _Status
    task_info: TaskInfoNow
    type: Literal["image"]
    usage: TaskUsage
    results: list[str] | None = None
    result_data: list[ResultData] | None = None
    error: TaskFailure | None = None
    erased_at: int | None = None
    attempts: list[AttemptAnswer]
    routing: RoutingAnswer


class TaskItem(Answer):
    id: str
    model: str
    type: Literal["image"]
    status: _Status
    progress: int
    created_at: int
    has_results: bool
    result_count: int
    has_error: bool
    credits_used: float
    duration: float | None
    erased_at: int | None = None


class TaskListAnswer(Answer):
    object: Literal["list"]
    total: int
    page: int
    page_size: int
    data: list[TaskItem]


class TaskBatchBody(BaseModel):
    task_ids: list[str]


class TaskBatchAnswer(Answer):
    code: Literal[200]
    data: list[TaskAnswer]


class ImageItem(Answer):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class InputTokensDetails(Answer):
    image_tokens: int
    text_tokens: int


class ImagesUsage(Answer):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails


class ImagesAnswer(Answer):
    """OpenAI's images answer."""

    created: int
    data: list[ImageItem]
    size: str | None = None
    quality: Literal["low", "medium", "high"] | None = None
    background: Literal["opaque", "transparent"] | None = None
    output_format: Literal["png", "webp", "jpeg"] | None = None
    usage: ImagesUsage | None = None


class ModelAnswer(Answer):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelListAnswer(Answer):
    object: Literal["list"]
    data: list[ModelAnswer]


class TokenCredits(Answer):
    remaining_credits: float | None
    unlimited_credits: bool
    used_credits: float


class UserCredits(Answer):
    remaining_credits: float | None
    used_credits: float


class CreditsData(Answer):
    """`token` is this key, `user` the account it belongs to; null: no budget sets a limit."""

    token: TokenCredits
    user: UserCredits


class CreditsAnswer(Answer):
    success: bool
    message: str
    data: CreditsData


class HealthAnswer(Answer):
    status: Literal["ok"]


class ReadinessAnswer(Answer):
    status: Literal["ready", "not_ready"]
    reasons: list[str]
