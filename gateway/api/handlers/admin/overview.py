"""`GET /admin/v1/overview`: how the last hours went."""

from aiohttp import web

from gateway.administration.overview import Latency, UpstreamRecord
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR

HOURS, HOURS_MAX = 24, 168


async def get(request: web.Request) -> web.Response:
    """An administrator of one org sees that org's tasks, and no upstreams."""
    hours = whole(request, "hours", HOURS, HOURS_MAX)
    found = await request.app[ADMINISTRATION].overviews.of(hours, request[ADMINISTRATOR])
    return json_answer(
        {
            "object": "overview",
            "hours": found.hours,
            "tasks": found.tasks,
            "whole": found.whole,
            "by_state": {state.value: count for state, count in found.by_state},
            "by_cache": {cache.value: count for cache, count in found.by_cache},
            "by_model": [{"model": model, "tasks": tasks, "failed": failed} for model, tasks, failed in found.by_model],
            "latency": _latency(found.latency),
            "upstreams": [_record(record) for record in found.upstreams],
        }
    )


def _record(record: UpstreamRecord) -> JsonMap:
    return {
        "upstream": record.upstream,
        "attempts": record.attempts,
        "succeeded": record.succeeded,
        "in_flight": record.in_flight,
        "in_doubt": record.in_doubt,
        "faults": [{"fault": fault, "attempts": attempts} for fault, attempts in record.faults],
        "latency": _latency(record.latency),
    }


def _latency(latency: Latency) -> JsonMap:
    return {"p50_ms": latency.p50_ms, "p95_ms": latency.p95_ms}
