"""In which order the offers of a plan are tried at this moment, and what is told of those that are not.

Able, then healthy, then preferred, then cheapest, then fastest, then by id. Pure: circuits, budgets and latencies are looked at by the caller.
It does not fail; a plan may be left without offers.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from gateway.domain.choice import ANY_UPSTREAM, UpstreamChoice
from gateway.domain.considered import Skip
from gateway.routing.last_resort import Resort
from gateway.routing.plan import Plan, PlannedOffer


def arrange(
    plan: Plan,
    closed: Mapping[str, Skip],
    latency: Callable[[str], int],
    choice: UpstreamChoice = ANY_UPSTREAM,
    resorts: Mapping[str, Resort] = MappingProxyType({}),
) -> Plan:
    """The plan of this moment, and the very same one where nothing is otherwise.

    `closed`: offers, by id, that may not be tried now; `latency` orders offers of the same price, the smaller the sooner; those that
    `choice` prefers go first. What it excludes is not in the plan. `resorts`: those of the closed that may be tried where nothing else is left:
    they stand at the end, silent ones behind all others.
    """

    if not closed and not choice.prefer and not _has_ties(plan):
        return plan  # mostly so, and every call comes here

    def key(item: PlannedOffer) -> tuple[int, int, int, int, str]:
        rank = choice.rank(item.offer.upstream)
        return rank, item.expected_microusd, item.most_microusd, latency(item.offer.id), item.offer.id

    ordered = sorted(plan.offers, key=key)
    if not closed and all(item is other for item, other in zip(ordered, plan.offers, strict=True)):
        return plan
    told = {item.offer: item for item in plan.considered}
    able = [told.pop(item.offer.id) for item in ordered]
    at_last = [item for resort in Resort for item in ordered if resorts.get(item.offer.id) is resort]
    return replace(
        plan,
        offers=(*(item for item in ordered if item.offer.id not in closed), *at_last),
        at_last=len(at_last),
        considered=(*(item._replace(skipped=closed.get(item.offer)) for item in able), *told.values()),
    )


def _has_ties(plan: Plan) -> bool:
    """Whether two offers cost the same; without any the plan's own order stands."""
    prices = [(item.expected_microusd, item.most_microusd) for item in plan.offers]
    return len(set(prices)) < len(prices)
