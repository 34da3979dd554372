"""Bodies and answers of the admin routes about our own books: upstreams, doubts, and holds that nothing will end."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from gateway.api.schemas.admin import AdminBody
from gateway.api.schemas.answers import Answer

UsdInput = Annotated[Decimal, Field(gt=0, le=10_000, decimal_places=6, allow_inf_nan=False)]


class Usd(Answer):
    usd: float


class ResolveBody(AdminBody):
    """`cost_usd`: the bill, where it is not the presumed cost; only with `paid`."""

    outcome: Literal["paid", "unpaid"]
    why: str = Field("", max_length=500)
    cost_usd: UsdInput | None = None


class ResolvedAnswer(Answer):
    attempt_id: str
    upstream: str
    outcome: Literal["paid", "unpaid"]
    cost: Usd


class DoubtAnswer(Answer):
    attempt_id: str
    task_id: str
    account: str
    org: str | None
    offer: str
    upstream: str
    upstream_ref: str | None
    images: int
    sent_at_ms: int
    ended_at_ms: int | None
    presumed_cost: Usd
    message: str | None


class DoubtListAnswer(Answer):
    object: Literal["list"]
    data: list[DoubtAnswer]
    has_more: bool


class OfferStateAnswer(Answer):
    """`left_alone_because` is null while the offer is tried; `needs_operator`: it will not mend by itself."""

    offer: str
    left_alone_because: str | None
    reopens_in_s: float | None
    needs_operator: bool


class UpstreamBudgetAnswer(Answer):
    """`closed_until_ms` is null while the budget has anything left, and where its window never ends."""

    budget: str
    used: Usd
    left: Usd
    closed: bool
    closed_until_ms: int | None


class PriceAnswer(Answer):
    """What the catalogue says that an offer costs for a model; `as_of`: the day on which it was read at `source`."""

    model: str
    offer: str
    price: dict[str, object]
    source: str | None
    as_of: str | None


class UpstreamAnswer(Answer):
    name: str
    kind: str
    on: bool
    off_because: str | None
    calls_in_flight: int
    in_flight: Usd
    in_doubt: Usd
    paid_this_month: Usd
    in_doubt_this_month: Usd
    budgets: list[UpstreamBudgetAnswer]
    offers: list[OfferStateAnswer]
    prices: list[PriceAnswer]


class UpstreamListAnswer(Answer):
    object: Literal["list"]
    data: list[UpstreamAnswer]


class UpstreamTestAnswer(Answer):
    upstream: str
    kind: str
    passed: bool
    text: str


class HeldAnswer(Answer):
    credits: float
    usd: float
    images: int


class StrandedHoldAnswer(Answer):
    task_id: str
    task_state: str | None
    account: str
    created_at_ms: int
    held: HeldAnswer


class StrandedHoldListAnswer(Answer):
    object: Literal["list"]
    data: list[StrandedHoldAnswer]
    has_more: bool
