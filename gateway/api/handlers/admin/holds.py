"""`GET /admin/v1/holds`: pending holds that nothing will end. There should be none."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money

LIMIT, LIMIT_MAX = 100, 1_000


async def index(request: web.Request) -> web.Response:
    """An org's token sees those of that org."""
    limit = whole(request, "limit", LIMIT, LIMIT_MAX)
    found = await request.app[ADMINISTRATION].holds.stranded(request[ADMINISTRATOR], size=limit)
    data: list[JsonMap] = [
        {
            "task_id": hold.task_id,
            "task_state": hold.task_state,
            "account": hold.path[0],
            "created_at_ms": hold.created_at_ms,
            "held": {
                "credits": money.json_number(hold.amount.microcredits),
                "usd": money.json_number(hold.amount.microusd),
                "images": hold.amount.images,
            },
        }
        for hold in found
    ]
    return json_answer({"object": "list", "data": [*data], "has_more": len(found) == limit})
