"""`GET /admin/v1/audit-log`: who changed what."""

from aiohttp import web

from gateway.administration.audit_log import LINE_ID_MAX
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR

LIMIT, LIMIT_MAX = 100, 1_000


async def index(request: web.Request) -> web.Response:
    """An org's token sees the lines of that org."""
    before_id = whole(request, "before", LINE_ID_MAX, LINE_ID_MAX)
    limit = whole(request, "limit", LIMIT, LIMIT_MAX)
    lines = await request.app[ADMINISTRATION].audit_log.lines(request[ADMINISTRATOR], before_id=before_id, size=limit)
    data: list[JsonMap] = [
        {
            "id": line.id,
            "at_ms": line.at_ms,
            "actor": line.actor,
            "action": line.action,
            "subject": line.subject,
            "org": line.org,
            "details": {
                name: value if not isinstance(value, list) else [*value] for name, value in line.details.items()
            },
        }
        for line in lines
    ]
    return json_answer({"object": "list", "data": [*data], "has_more": len(lines) == limit})
