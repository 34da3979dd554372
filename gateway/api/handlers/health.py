"""`/healthz`: the event loop turns (never more: a database's outage must not restart every replica). `/readyz`: may receive traffic."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.state import PIPELINE


async def alive(request: web.Request) -> web.Response:
    return json_answer({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """503 with the reasons while this process should get no traffic."""
    reasons = list(await request.app[PIPELINE].ready())
    if reasons:
        return json_answer({"status": "not_ready", "reasons": list(reasons)}, status=503, headers={"Retry-After": "5"})
    return json_answer({"status": "ready", "reasons": []})
