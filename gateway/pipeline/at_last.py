"""Whom a walk asks when its plan is at an end: offers that were passed over, since their circuits were open when their turn came.

One whose circuit has closed meanwhile goes first, then the cheapest that fails; one that was silent only where no other is left, or when the others
have kept their callers waiting for LATER_S. A caller without a place waits for the verdict of those who have one. Nothing is sent here; it fails by
choosing nothing, and never waits beyond the deadline.
"""

from collections.abc import Sequence

from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.pipeline.frozen import FrozenPlan
from gateway.routing.health import Circuits
from gateway.routing.last_resort import Resort, Ticket

LATER_S = 5.0
"""As long as a queue's usual wait where somebody else could make the picture."""
SILENT_WAIT_S = 10.0
"""For the verdict of a silent one: longer than its pauses, but no caller waits for others' time-outs."""
LOOK_S = 1.0
"""Circuits also come to be half-open by time, which wakes nobody."""


async def choose(
    circuits: Circuits, clock: Clock, plan: FrozenPlan, left: Sequence[Offer], deadline_s: float
) -> tuple[Offer, Ticket | None] | None:
    """One of the offers that are `left`; without a ticket where its circuit has closed, or lets this caller probe.

    None: none may be tried, or all have failed others since this was asked.
    """
    resorts = circuits.last_resorts
    by_price = _by_price(plan, left)
    asked = {offer.id: resorts.asks(offer.id) for offer in left}
    begun_s = clock.monotonic_s()
    while True:
        waiting: dict[Resort, list[Offer]] = {resort: [] for resort in Resort}
        for offer in by_price:
            resort = circuits.resort(offer.id)
            if resort is None and circuits.allows(offer.id):
                return offer, None
            if resort is not None and not resorts.failed_since(offer.id, asked[offer.id]):
                waiting[resort].append(offer)
        now_s = clock.monotonic_s()
        is_late = now_s >= begun_s + LATER_S
        turns = [resort for resort in Resort if resort is Resort.FAILING or is_late or not waiting[Resort.FAILING]]
        for resort in turns:
            for offer in waiting[resort]:
                ticket = resorts.take(offer.id, resort)
                if ticket is not None:
                    return offer, ticket
        until_s = deadline_s if waiting[Resort.FAILING] else min(deadline_s, begun_s + SILENT_WAIT_S)
        if not any(waiting.values()) or now_s >= until_s:
            return None
        pauses = [resorts.free_at_s(offer.id, resort) for resort in turns for offer in waiting[resort]]
        soonest_s = min((free_at_s for free_at_s in pauses if free_at_s is not None), default=until_s)
        if not await resorts.change(min(until_s, soonest_s, now_s + LOOK_S)):
            return None


def _by_price(plan: FrozenPlan, offers: Sequence[Offer]) -> list[Offer]:
    """As they would be tried were all circuits closed; what the plan does not tell of at the end."""
    rank = {item.offer: index for index, item in enumerate(plan.considered)}
    return sorted(offers, key=lambda offer: rank.get(offer.id, len(rank)))
