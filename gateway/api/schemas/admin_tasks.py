"""Answers of `/admin/v1/tasks…`."""

from typing import Literal

from gateway.api.schemas.admin_callbacks import CallbackItem
from gateway.api.schemas.answers import Answer, QuotedOfferAnswer


class AmountAnswer(Answer):
    """What is charged to callers, or paid to upstreams (USD alone)."""

    credits: float
    usd: float
    images: int


class AdminTaskError(Answer):
    code: str
    message: str


class AdminTaskItem(Answer):
    id: str
    account: str
    model: str
    n: int
    contract: str
    state: str
    created_at_ms: int
    finished_at_ms: int | None
    erased_at_ms: int | None
    reserved_credits: float
    charged: AmountAnswer
    result_count: int
    cache: Literal["hit", "joined", "miss", "bypass"] | None
    """What the cache was to it; null in rows of earlier versions."""
    source: str | None
    """The task whose pictures it shares."""
    error: AdminTaskError | None


class AdminTaskListAnswer(Answer):
    """`next_before`: where the next page begins; a page may hold fewer than `limit` although there are older ones."""

    object: Literal["list"]
    data: list[AdminTaskItem]
    has_more: bool
    next_before: str | None


class AdminRequestAnswer(Answer):
    """What was asked for, besides the prompt. `images`: how many reference pictures."""

    operation: str | None
    size: str | None
    quality: str | None
    background: str | None
    output_format: str | None
    prompt_tokens: int | None
    partial_images: int | None
    images: int
    mask: bool


class AdminResultAnswer(Answer):
    """A picture, but not itself: that is its caller's."""

    content_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str


class AdminOfferAnswer(Answer):
    """`price` is what the catalogue said when the task was accepted."""

    id: str
    upstream: str
    model: str
    price: dict[str, object]


class AdminConsideredAnswer(QuotedOfferAnswer):
    """`offer` is its id: attempts name it."""

    offer: str


class AdminPlanAnswer(Answer):
    """Frozen when the task was accepted. `charge_credits`: fixed, a picture; null: the actual cost × `markup`.

    `considered`: every offer of the model in the order in which they were to be tried; empty in tasks of earlier versions.
    """

    offers: list[AdminOfferAnswer]
    charge_credits: float | None
    markup: float
    credits_per_usd: float
    considered: list[AdminConsideredAnswer]


class AdminAttemptAnswer(Answer):
    """`presumed_usd` is what the catalogue said it would cost."""

    id: str
    parent_id: str | None
    offer: str
    upstream: str
    upstream_ref: str | None
    n: int
    images: int
    state: str
    fault: str | None
    billed: str | None
    cost_usd: float
    presumed_usd: float
    sent_at_ms: int
    ended_at_ms: int | None
    ms: int | None
    message: str | None


class AdminHoldAnswer(Answer):
    state: str
    held: AmountAnswer
    settled: AmountAnswer
    created_at_ms: int
    ended_at_ms: int | None


class AdminTaskEntryAnswer(Answer):
    id: int
    account: str
    attempt_id: str | None
    kind: str
    posted: AmountAnswer
    pending: AmountAnswer
    at_ms: int
    note: str | None


class AdminTaskAnswer(AdminTaskItem):
    """`prompt` is null unless it was asked for, and once it is not kept. `entries_whole`: false where not all were looked for.

    `callback`: null where its caller named no URL, and before its end.
    """

    deadline_at_ms: int
    results_expire_at_ms: int | None
    prompt: str | None
    request: AdminRequestAnswer
    results: list[AdminResultAnswer]
    plan: AdminPlanAnswer | None
    attempts: list[AdminAttemptAnswer]
    hold: AdminHoldAnswer | None
    entries: list[AdminTaskEntryAnswer]
    entries_whole: bool
    callback: CallbackItem | None
