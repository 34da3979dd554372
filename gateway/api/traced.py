"""The root span of a call at the edge: taken from the caller's `traceparent`, ended with the answer. It changes no answer and never fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

from gateway.telemetry.logs import LogValue
from gateway.telemetry.traces import TRACEPARENT, TRACESTATE, Open, Parent, Traces, parse, root

_TOLD = {
    "org": "gateway.org",
    "team": "gateway.team",
    "key": "gateway.key.name",
    "administrator": "gateway.administrator",
    "task_id": "gateway.task.id",
    "model": "gateway.model",
    "contract": "gateway.contract",
    "n": "gateway.n",
    "upstream": "gateway.upstream",
    "cache": "gateway.cache",
    "attempts": "gateway.attempts",
    "outcome": "gateway.outcome",
    "credits": "gateway.credits",
    "cost_usd": "gateway.cost_usd",
    "replayed": "gateway.replayed",
    "error": "gateway.error.code",
}
"""Of the canonical line's fields those that a span has as well: no text that a caller or an upstream wrote is among them."""


@contextmanager
def call(traces: Traces, request: web.Request, route: str, request_id: str) -> Iterator[Open]:
    attributes = {"http.request.method": request.method, "http.route": route, "gateway.request.id": request_id}
    with root(traces.call(f"{request.method} {route}", _parent(request), attributes)) as opened:
        yield opened


def end(opened: Open, status: int, fields: Mapping[str, LogValue]) -> None:
    """What is known once the request is answered. An answer of 500 and above is a failure, as the conventions for servers have it."""
    told = {name: fields[field] for field, name in _TOLD.items() if fields.get(field) is not None}
    opened.set({"http.response.status_code": status, **told})
    if status >= 500:
        opened.fail(str(fields.get("error") or status))


def _parent(request: web.Request) -> Parent | None:
    """Two of them are none, as the recommendation has it."""
    found = request.headers.getall(TRACEPARENT, ())
    return parse(found[0], ",".join(request.headers.getall(TRACESTATE, ()))) if len(found) == 1 else None
