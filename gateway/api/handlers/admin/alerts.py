"""`/admin/v1/alerts…`: what was told about budgets."""

import orjson
from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.errors import InvalidRequest

LIMIT, LIMIT_MAX = 100, 1_000
ID_CHARS_MAX = 64


async def index(request: web.Request) -> web.Response:
    """An org's token sees the alerts of that org's accounts."""
    limit, before_id = whole(request, "limit", LIMIT, LIMIT_MAX), request.query.get("before", "")
    if len(before_id) > ID_CHARS_MAX or not before_id.isascii() or not before_id.isprintable():
        raise InvalidRequest("before: must be the id of an alert.", param="before")
    service = request.app[ADMINISTRATION].alerts
    found = await service.all(request[ADMINISTRATOR], before_id=before_id, size=limit + 1)
    data = [_answer(alert) for alert in found[:limit]]
    return json_answer({"object": "list", "data": [*data], "has_more": len(found) > limit})


async def resend(request: web.Request) -> web.Response:
    service = request.app[ADMINISTRATION].alerts
    return json_answer(_answer(await service.resend(request.match_info["alert_id"], request[ADMINISTRATOR])))


def _answer(alert: BudgetAlert) -> JsonMap:
    return {
        "id": alert.id,
        "account": alert.account,
        "budget": alert.budget,
        "window_start_ms": alert.window_start_ms,
        "threshold_percent": alert.threshold_percent,
        "created_at_ms": alert.created_at_ms,
        "state": alert.state.value,
        "tries": alert.tries,
        "next_at_ms": alert.next_at_ms if alert.state is AlertState.DUE else None,
        "answer": alert.answer,
        "message": orjson.loads(alert.body),
    }
