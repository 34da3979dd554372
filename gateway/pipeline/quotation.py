"""What a request may be made by and what must be held for it: plan, frozen prices and hold options, kept for requests of the same shape.

Pure but for its memory. A shape is everything of a request that a price or a plan depends on: all but the prompt's words, of which the length
matters to some offers. Plans are kept as they are with every circuit closed, in the order of the latest call; which may be tried now, and in which
order, is the caller's to say. It fails with what `plan` answers: NotAble.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.catalog import Model, TokenPrice
from gateway.domain.choice import ANY_UPSTREAM, UpstreamChoice
from gateway.domain.images import ImageRequest
from gateway.pipeline import pricing
from gateway.pipeline.commands import HoldOption
from gateway.pipeline.frozen import FrozenPlan, request_text
from gateway.routing.plan import NotAble, Plan

SHAPES_MAX = 2_000
"""Kept at a time, some 3 KB each; when there are more all are forgotten, which costs one plan each to make again."""

Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Quotation:
    """A plan, the prices it is frozen with, and what may be held for it."""

    plan: Plan
    frozen: FrozenPlan
    options: tuple[HoldOption, ...]
    request_json: str
    first_parts: tuple[tuple[int, int], ...]
    """How the first offer makes the pictures: the count of each call, and the most it may cost in microusd."""


@dataclass(frozen=True, slots=True)
class _Kept:
    model: Model
    plan: Plan
    quotation: Quotation
    length: tuple[int, int] | None
    """Of the prompt, where something depends on it."""


def quotation(plan: Plan, request: ImageRequest, model: Model, markup: Decimal, credits_per_usd: Decimal) -> Quotation:
    """What follows from a plan."""
    frozen = pricing.freeze(plan, model, markup=markup, credits_per_usd=credits_per_usd)
    first = plan.offers[0]
    parts = tuple(
        (count, pricing.presumed_microusd(first.offer, first.capabilities, request, count))
        for count in first.parts(request.n)
    )
    options = pricing.hold_options(plan, frozen, request.n)
    return Quotation(plan, frozen, options, request_text(request), parts)


class Quotations:
    """The quotations of the shapes seen lately."""

    def __init__(self, make_plan: Callable[[ImageRequest, Model, UpstreamChoice], Plan | NotAble]) -> None:
        self._make_plan = make_plan
        self._kept: dict[Shape, _Kept] = {}

    def of(
        self,
        request: ImageRequest,
        model: Model,
        *,
        open_now: Callable[[Plan], Plan],
        markup: Decimal,
        credits_per_usd: Decimal,
        choice: UpstreamChoice = ANY_UPSTREAM,
    ) -> Quotation | NotAble:
        """The quotation over those offers of the plan that `open_now` leaves; it answers the same plan where nothing changes."""
        shape = _shape(request, model, markup, credits_per_usd, choice)
        kept = self._kept.get(shape)
        if kept is not None and (
            kept.model is not model or (kept.length is not None and kept.length != _length(request))
        ):
            kept = None
        found = self._make_plan(request, model, choice) if kept is None else kept.plan
        if isinstance(found, NotAble):
            return found
        usable = open_now(found)
        if kept is not None and usable is kept.plan:
            return kept.quotation
        made = quotation(usable, request, model, markup, credits_per_usd)
        whole = not usable.at_last and len(usable.offers) == len(found.offers)
        # Options and pictures are callers' own: hardly two calls would be alike.
        if whole and not request.options and not request.images and request.mask is None:
            if len(self._kept) >= SHAPES_MAX:
                self._kept.clear()
            length = _length(request) if _depends_on_length(found) else None
            self._kept[shape] = _Kept(model, usable, made, length)
        return made


def _depends_on_length(plan: Plan) -> bool:
    """Whether a prompt of as many tokens, but of other characters or bytes, may have another plan or price."""
    if any(item.param == "prompt" for item in plan.left_out):
        return True
    return any(
        planned.capabilities.prompt_chars_max is not None
        or (isinstance(planned.offer.price, TokenPrice) and planned.offer.price.own_tokenizer)
        for planned in plan.offers
    )


def _length(request: ImageRequest) -> tuple[int, int]:
    """In characters and in bytes."""
    return len(request.prompt), len(request.prompt.encode(errors="surrogatepass"))


def _shape(
    request: ImageRequest, model: Model, markup: Decimal, credits_per_usd: Decimal, choice: UpstreamChoice
) -> Shape:
    """A model is told by its identity, which the kept object holds on to: a reload of the catalogue makes other ones."""
    return (
        id(model),
        request.model,
        request.n,
        request.size,
        request.pixels,
        request.quality,
        request.background,
        request.output_format,
        request.operation,
        request.prompt_tokens,
        request.options,
        request.images,
        request.mask,
        request.partial_images,
        markup,
        credits_per_usd,
        choice.prefer,
        choice.only,
    )
