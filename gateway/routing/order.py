"""Which offers of a plan are tried at this moment, and what is told of the others.

Pure: circuits and budgets are looked at by the caller. Nothing fails here; a plan may be left without offers.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.domain.considered import Skip
from gateway.routing.plan import Plan


def arrange(plan: Plan, closed: Mapping[str, Skip]) -> Plan:
    """The plan without the offers that are closed now, by id; what it tells of them says so. The very same plan where nothing changes."""
    if not closed:
        return plan
    return replace(
        plan,
        offers=tuple(item for item in plan.offers if item.offer.id not in closed),
        considered=tuple(
            item if item.skipped is not None else item._replace(skipped=closed.get(item.offer))
            for item in plan.considered
        ),
    )
