"""`/admin/v1/in-doubt…`: attempts of which nobody knows whether they were billed, and what was found out."""

from aiohttp import web

from gateway.administration.in_doubt import Doubt
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import read_body, whole
from gateway.api.rendering import JsonMap
from gateway.api.schemas.admin_books import ResolveBody
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money

LIMIT, LIMIT_MAX = 100, 1_000


async def index(request: web.Request) -> web.Response:
    """Oldest first. Our own books: empty for an org's token."""
    limit, after = whole(request, "limit", LIMIT, LIMIT_MAX), request.query.get("after")
    service = request.app[ADMINISTRATION].in_doubt
    found = await service.doubts(request[ADMINISTRATOR], size=limit, after=after)
    return json_answer({"object": "list", "data": [*map(_answer, found)], "has_more": len(found) == limit})


async def resolve(request: web.Request) -> web.Response:
    """Once: whoever asks again is told how it stands."""
    body = await read_body(request, ResolveBody)
    cost_microusd = None if body.cost_usd is None else money.to_micro(body.cost_usd)
    done = await request.app[ADMINISTRATION].in_doubt.resolve(
        request.match_info["attempt_id"],
        paid=body.outcome == "paid",
        cost_microusd=cost_microusd,
        why=body.why,
        by=request[ADMINISTRATOR],
    )
    return json_answer(
        {
            "attempt_id": done.attempt.id,
            "upstream": done.attempt.upstream,
            "outcome": body.outcome,
            "cost": {"usd": money.json_number(done.cost_microusd)},
        }
    )


def _answer(doubt: Doubt) -> JsonMap:
    attempt = doubt.attempt
    return {
        "attempt_id": attempt.id,
        "task_id": attempt.task_id,
        "account": doubt.account,
        "org": doubt.org,
        "offer": attempt.offer_id,
        "upstream": attempt.upstream,
        "upstream_ref": attempt.upstream_ref,
        "images": attempt.n,
        "sent_at_ms": attempt.sent_at_ms,
        "ended_at_ms": attempt.ended_at_ms,
        "presumed_cost": {"usd": money.json_number(attempt.presumed_cost_microusd)},
        "message": attempt.message,
    }
