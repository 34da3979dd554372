"""The answer of a quote."""

from typing import Literal

from gateway.api.schemas.answers import Answer, QuotedOfferAnswer


class ChargeAnswer(Answer):
    """`per_image`: a fixed charge; `cost`: what the upstream takes × markup."""

    rule: Literal["per_image", "cost"]
    credits_per_image: float | None
    markup: float | None


class HoldAnswer(Answer):
    credits: float
    usd: float
    images: int


class BudgetLeftAnswer(Answer):
    """The tightest budget in credits or USD on the key's path, before the call."""

    scope: Literal["key", "team", "org"]
    name: str
    budget: str
    credits: float
    resets_at_ms: int | None


class QuoteError(Answer):
    """What the call would be refused with."""

    code: str
    message: str
    param: str | None


class QuoteAnswer(Answer):
    """Offers in the order in which they would be tried; those that cannot make the request at the end."""

    object: Literal["image.quote"]
    model: str
    n: int
    size: str
    quality: str
    offers: list[QuotedOfferAnswer]
    charge: ChargeAnswer | None
    hold: HoldAnswer | None
    budget_left: BudgetLeftAnswer | None
    dropped_params: list[str]
    admitted: bool
    error: QuoteError | None
