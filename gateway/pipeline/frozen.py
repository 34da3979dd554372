"""What a task keeps of its request and its plan: JSON in its row, so that it ends by the prices and rules it was accepted under.

Reading it back fails with pydantic's ValidationError only where a newer version wrote the row.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from gateway.domain.catalog import Offer
from gateway.domain.considered import Considered
from gateway.domain.images import ImageRequest


@dataclass(frozen=True, slots=True)
class FrozenPlan:
    """The offers in the order they are tried, at the end those of the last resort, and what the caller's charge is made of."""

    offers: tuple[Offer, ...]
    charge_microcredits: int | None
    """Fixed charge per delivered image; None: actual cost × markup."""
    markup: Decimal
    credits_per_usd: Decimal
    dropped: tuple[str, ...] = ()
    """Parameters that no offer understands."""
    dearest_microusd: int = 0
    """What the dearest offer that could be tried was expected to cost for the whole request: what routing saves is told against it."""
    converts: bool = False
    """Whether pictures are converted where an upstream made another format than the caller asked for."""
    considered: tuple[Considered, ...] = ()
    """Every offer of the model, in the order in which they were to be tried, with its price or why it was not; empty in rows of earlier versions."""
    last_resorts: tuple[str, ...] = ()
    """Ids of the attempts that were sent although their offer's circuit was open, because nothing else was left."""

    def offer(self, offer_id: str) -> Offer | None:
        return next((offer for offer in self.offers if offer.id == offer_id), None)


@dataclass(frozen=True, slots=True)
class _Told:
    """The part of a plan that tells why."""

    considered: tuple[Considered, ...] = ()
    last_resorts: tuple[str, ...] = ()


_PLAN = TypeAdapter(FrozenPlan)
_TOLD = TypeAdapter(_Told)
_REQUEST = TypeAdapter(ImageRequest)


def plan_text(plan: FrozenPlan) -> str:
    return _PLAN.dump_json(plan).decode()


def read_plan(text: str) -> FrozenPlan:
    return _PLAN.validate_json(text)


def read_considered(text: str) -> tuple[Considered, ...]:
    """What a plan tells of the model's offers; nothing where another version wrote it without, or in another form."""
    try:
        return _TOLD.validate_json(text).considered
    except ValidationError:
        return ()


def read_last_resorts(text: str) -> frozenset[str]:
    """Ids of the attempts that were made for want of anything else; nothing where another version wrote the plan without."""
    if '"last_resorts":[]' in text:
        return frozenset()  # mostly so
    try:
        return frozenset(_TOLD.validate_json(text).last_resorts)
    except ValidationError:
        return frozenset()


def request_text(request: ImageRequest) -> str:
    """Without the prompt: that has a column of its own, with its own retention."""
    return _REQUEST.dump_json(replace(request, prompt="")).decode()


def read_request(text: str, prompt: str | None) -> ImageRequest:
    return replace(_REQUEST.validate_json(text), prompt=prompt or "")
