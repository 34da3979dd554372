"""`/admin/v1/upstreams…`: how they work, what they cost, and a test that costs nothing."""

import dataclasses

from aiohttp import web

from gateway.administration.upstreams import UpstreamState
from gateway.api.answers import json_answer
from gateway.api.rendering import JsonMap, plain
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money


async def index(request: web.Request) -> web.Response:
    """Our own books: empty for an org's token."""
    found = await request.app[ADMINISTRATION].upstreams.all(request[ADMINISTRATOR])
    return json_answer({"object": "list", "data": [*map(_answer, found)]})


async def test(request: web.Request) -> web.Response:
    """200 with what was checked, also where it failed."""
    tested = await request.app[ADMINISTRATION].upstreams.test(request.match_info["name"], request[ADMINISTRATOR])
    return json_answer({"upstream": tested.upstream, "kind": tested.kind, "passed": tested.passed, "text": tested.text})


def _answer(state: UpstreamState) -> JsonMap:
    upstream, live = state.configured, state.live
    return {
        "name": upstream.name,
        "kind": upstream.kind,
        "on": upstream.off_because is None,
        "off_because": upstream.off_because,
        "calls_in_flight": live.calls_in_flight if live else 0,
        "in_flight": _usd(state.in_flight_microusd),
        "in_doubt": _usd(state.in_doubt_microusd),
        "paid_this_month": _usd(state.paid_this_month_microusd),
        "in_doubt_this_month": _usd(state.in_doubt_this_month_microusd),
        "budgets": [
            {
                "budget": str(item.budget),
                "used": _usd(item.used),
                "left": _usd(item.left),
                "closed": item.is_closed,
                "closed_until_ms": item.closed_until_ms,
            }
            for item in state.budgets
        ],
        "offers": [*_offers(state)],
        "prices": [
            {
                "model": each.model,
                "offer": each.offer.id,
                "price": plain(dataclasses.asdict(each.offer.price)),
                "source": each.source,
                "as_of": None if each.as_of is None else each.as_of.isoformat(),
            }
            for each in upstream.prices
        ],
    }


def _offers(state: UpstreamState) -> list[JsonMap]:
    """An empty account leaves every offer of the upstream alone."""
    alone = state.live.left_alone if state.live else {}
    found: list[JsonMap] = []
    for offer in state.configured.offers:
        item = alone.get(offer) or alone.get(state.configured.name)
        found.append(
            {
                "offer": offer,
                "left_alone_because": item.why if item else None,
                "reopens_in_s": item.reopens_in_s if item else None,
                "needs_operator": bool(item and item.alert),
            }
        )
    return found


def _usd(microusd: int) -> JsonMap:
    return {"usd": money.json_number(microusd)}
