"""Holds and charges of a task, and costs of its attempts: pure, by the prices that were frozen when it was accepted."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.domain import money
from gateway.domain.catalog import Capabilities, Model, Offer
from gateway.domain.considered import CONSIDERED_MAX, Considered, Skip
from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, Receipt, Task
from gateway.ledger import usage
from gateway.ledger.usage import Share
from gateway.pipeline.commands import HoldOption
from gateway.pipeline.frozen import FrozenPlan, plan_text, read_plan
from gateway.pipeline.results import Delivery
from gateway.routing.plan import Plan, request_for
from gateway.routing.quote import cost_of_usage, cost_usd


def markup_of(org: Decimal | None, model: Model, general: Decimal) -> Decimal:
    """An org's own goes before a model's, that before the config's."""
    if org is not None:
        return org
    return general if model.markup is None else model.markup


def freeze(plan: Plan, model: Model, *, markup: Decimal, credits_per_usd: Decimal) -> FrozenPlan:
    """The plan as the task keeps it. `markup` is what `markup_of` says."""
    return FrozenPlan(
        offers=tuple(planned.offer for planned in plan.offers),
        charge_microcredits=model.charge_microcredits,
        markup=markup,
        credits_per_usd=credits_per_usd,
        dropped=plan.dropped,
        # What is tried only at last was no alternative, as long as there was another.
        dearest_microusd=max(
            planned.expected_microusd for planned in (plan.offers[: len(plan.offers) - plan.at_last] or plan.offers)
        ),
        converts=model.convert,
        considered=plan.considered[:CONSIDERED_MAX],
    )


def hold_options(plan: Plan, frozen: FrozenPlan, n: int) -> tuple[HoldOption, ...]:
    """What may be held, largest first: for the whole plan, then without its dearest offers, at last for the cheapest alone.

    With a fixed charge every plan costs the caller the same, so there is one option.
    """
    if frozen.charge_microcredits is not None:
        amount = money.charge_amount(n * frozen.charge_microcredits, n, credits_per_usd=frozen.credits_per_usd)
        return (HoldOption(amount, plan_text(frozen)),)
    options: list[HoldOption] = []
    for most in sorted({planned.most_microusd for planned in plan.offers}, reverse=True):
        kept = tuple(planned.offer for planned in plan.offers if planned.most_microusd <= most)
        held = money.hold_of_cost(most, markup=frozen.markup, credits_per_usd=frozen.credits_per_usd)
        amount = money.charge_amount(held, n, credits_per_usd=frozen.credits_per_usd)
        considered = _without(frozen.considered, {offer.id for offer in kept})
        text = plan_text(replace(frozen, offers=kept, considered=considered))
        options.append(HoldOption(amount, text, frozen.offers[0] in kept))
    return tuple(options)


def _without(considered: Iterable[Considered], kept: Collection[str]) -> tuple[Considered, ...]:
    """What is not kept is too dear for what may be held."""
    return tuple(
        item if not item.is_tried or item.offer in kept else item._replace(skipped=Skip.OVER_BUDGET)
        for item in considered
    )


def within(options: Sequence[HoldOption], max_microcredits: int) -> tuple[HoldOption, ...]:
    """Those that a caller's own limit allows, perhaps none; what their plans miss for it is told so."""
    kept = [option for option in options if option.amount.microcredits <= max_microcredits]
    if not kept or len(kept) == len(options):
        return tuple(kept)
    plans = [read_plan(option.plan_json) for option in kept]
    cut = {item.offer for item in plans[0].considered if item.skipped == Skip.OVER_BUDGET}
    return tuple(
        replace(option, plan_json=plan_text(replace(plan, considered=tuple(
            item._replace(skipped=Skip.OVER_MAX_CREDITS) if item.offer in cut else item for item in plan.considered
        ))))
        for option, plan in zip(kept, plans, strict=True)
    )  # fmt: skip


def charged(task: Task) -> Amount:
    """What a finished task was charged."""
    return Amount(task.used_microcredits, task.used_microusd, task.result_count)


def shared_hold(options: Sequence[HoldOption], share: Decimal) -> HoldOption:
    """For a call that waits for an identical one: its part of the dearest price, with the whole plan, in case it has to make its own."""
    return HoldOption(money.share_of_hold(options[0].amount, share), options[0].plan_json, has_first_offer=False)


def whole_hold(plan: FrozenPlan, n: int, plan_json: str) -> tuple[HoldOption, ...]:
    """What the whole of a stored plan may cost."""
    if plan.charge_microcredits is not None:
        held = n * plan.charge_microcredits
    else:
        most = max((item.most_microusd or 0 for item in plan.considered if item.is_tried), default=0)
        held = money.hold_of_cost(most, markup=plan.markup, credits_per_usd=plan.credits_per_usd)
    return (HoldOption(money.charge_amount(held, n, credits_per_usd=plan.credits_per_usd), plan_json),)


def presumed_microusd(offer: Offer, capabilities: Capabilities, request: ImageRequest, n: int) -> int:
    """The most that one call for `n` pictures may cost: in flight until its bill is known, in doubt where it never is."""
    shaped = request_for(request, offer, capabilities, n)
    quote = cost_usd(offer.price, shaped, pixels=request.pixels, n=n, calls=1, sizes=capabilities.sizes)
    return 0 if quote is None else quote.most_microusd


def receipt(offer: Offer, capabilities: Capabilities, request: ImageRequest, delivery: Delivery) -> Receipt:
    """What a delivery cost us, lost pictures included: the upstream's word, else its reported tokens, else the catalogue's price of what came."""
    if delivery.cost_usd is not None:
        return Receipt(money.usd_cost(delivery.cost_usd), delivery.usage, actual=True)
    # Gateways that count nothing say 0: no picture is made of no tokens, or of text alone.
    if delivery.usage is not None and delivery.usage.output_tokens > delivery.usage.output_text_tokens:
        by_tokens = cost_of_usage(offer.price, delivery.usage)
        if by_tokens is not None:
            return Receipt(money.usd_cost(by_tokens), delivery.usage, actual=True)
    count = len(delivery.images) + delivery.lost
    shaped = request_for(request, offer, capabilities, count)
    pixels = request.pixels or Pixels(delivery.images[0].width, delivery.images[0].height)
    sizes = capabilities.sizes
    quote = cost_usd(offer.price, shaped, pixels=pixels, n=count, calls=1, sizes=sizes)
    if quote is None:  # a size that came out of `auto` and has no row: the price the offer was planned with
        quote = cost_usd(offer.price, shaped, pixels=request.pixels, n=count, calls=1, sizes=sizes)
    return Receipt(0 if quote is None else quote.expected_microusd, delivery.usage)


def lost_microusd(cost_microusd: int, delivery: Delivery) -> int:
    """The share of a delivery's cost that its lost pictures have."""
    came = len(delivery.images)
    return cost_microusd - money.proportion(cost_microusd, came, came + delivery.lost)


def charge(plan: FrozenPlan, images: int, costs_microusd: Sequence[int], unmade: int = 0) -> Amount:
    """What the caller pays for the delivered pictures: the fixed charge, or their actual costs × markup.

    `unmade`: those that were cancelled and billed all the same, whose costs are among the others; budgets of pictures do not count them.
    """
    if plan.charge_microcredits is not None:
        microcredits = (images + unmade) * plan.charge_microcredits
    else:
        microcredits = money.charge_of_cost(costs_microusd, markup=plan.markup, credits_per_usd=plan.credits_per_usd)
    return money.charge_amount(microcredits, images, credits_per_usd=plan.credits_per_usd)


def shares(
    plan: FrozenPlan,
    n: int,
    delivered: Sequence[tuple[Attempt, int]],
    attempts: Iterable[Attempt],
    stopped: Sequence[Attempt] = (),
) -> tuple[Share, ...]:
    """What each upstream had to do with a task for `n` pictures. `delivered`: attempts whose pictures the caller got, with how many of them;
    `stopped`: those that were cancelled and billed; `attempts`: all, for what they cost.

    The charge is divided as it came about: by pictures where it is fixed for each, else by cost. Routing saved what the dearest offer of the plan
    would have cost more for the pictures that were delivered.
    """
    paid = {share.upstream: share.paid_microusd for share in usage.losses(attempts)}
    images: dict[str, int] = {}
    charged: dict[str, int] = {}
    costs: dict[str, int] = {}
    for attempt, count, unmade in (
        *((one, count, 0) for one, count in delivered),
        *((one, 0, one.n) for one in stopped),
    ):
        images[attempt.upstream] = images.get(attempt.upstream, 0) + count
        charged[attempt.upstream] = charged.get(attempt.upstream, 0) + count + unmade
        costs[attempt.upstream] = costs.get(attempt.upstream, 0) + attempt.cost_microusd - attempt.lost_microusd
    by_cost = plan.charge_microcredits is None
    dearest = money.proportion(plan.dearest_microusd, sum(images.values()), n)
    saved = money.split(max(0, dearest - sum(costs.values())), list(images.values()))
    made = [
        Share(upstream, count, costs[upstream] if by_cost else charged[upstream], paid.pop(upstream, 0), part)
        for (upstream, count), part in zip(images.items(), saved, strict=True)
    ]
    return (*made, *(Share(upstream, paid_microusd=cost) for upstream, cost in paid.items()))
