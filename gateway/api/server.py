"""Builds the HTTP application and its runner. Nothing here decides anything: objects come in, routes and middlewares are put together."""

import asyncio

from aiohttp import http_parser, web

from gateway.administration.administration import Administration
from gateway.api.body import BODY_BYTES_MAX
from gateway.api.body_budget import BodyBudget
from gateway.api.console import CONSOLE, Console
from gateway.api.document import openapi_document
from gateway.api.known_calls import KNOWN_CALLS, KnownCalls
from gateway.api.middlewares import authenticate, edge
from gateway.api.ports import AdminTokens, Authenticator, Pipeline, Uploads
from gateway.api.refusals import Refusals
from gateway.api.routes import add_routes, admin_handlers, body_limits, public_handlers
from gateway.api.state import (
    ADMIN_TOKENS,
    ADMINISTRATION,
    AUTHENTICATOR,
    BODIES,
    BODY_LIMITS,
    CANONICAL,
    CLOCK,
    METRICS,
    OPENAPI,
    PIPELINE,
    REFUSALS,
    SETTINGS,
    TRACES,
    UPLOADS,
    ApiSettings,
    WriteCanonical,
)
from gateway.domain.clock import Clock, SystemClock
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.telemetry.traces import Traces

KEEPALIVE_S = 15.0
"""Also how long a connection may take for its headers; aiohttp's own default here is an hour."""
LINGER_S = 2.0
"""How long the rest of a refused body is read and thrown away, so that its sender can see the answer; aiohttp's default is 10 s."""
STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set at shutdown: whoever is answered should come back over another connection."""


def make_app(  # noqa: PLR0913 - one object of the root each, by name
    *,
    pipeline: Pipeline,
    uploads: Uploads,
    authenticator: Authenticator,
    metrics: Metrics,
    canonical: WriteCanonical,
    settings: ApiSettings,
    admin_tokens: AdminTokens,
    bodies: BodyBudget | None = None,
    administration: Administration | None = None,
    console: Console | None = None,
    clock: Clock = SystemClock(),
    traces: Traces | None = None,
) -> web.Application:
    """The whole HTTP edge."""
    app = web.Application(
        middlewares=[edge, authenticate(public_handlers(), admin_handlers())], client_max_size=BODY_BYTES_MAX
    )
    app[PIPELINE] = pipeline
    app[UPLOADS] = uploads
    app[BODY_LIMITS] = body_limits()
    app[BODIES] = bodies or BodyBudget()
    app[KNOWN_CALLS] = KnownCalls(clock)
    app[AUTHENTICATOR] = authenticator
    app[ADMIN_TOKENS] = admin_tokens
    if administration is not None:
        app[ADMINISTRATION] = administration
    if console is not None:
        app[CONSOLE] = console
    app[METRICS] = metrics
    app[CANONICAL] = canonical
    app[TRACES] = traces, frozenset(public_handlers())
    app[SETTINGS] = settings
    app[CLOCK] = clock
    app[REFUSALS] = Refusals(clock)
    app[OPENAPI] = openapi_document(version=settings.version, public_url=settings.public_url)
    app[STOPPING] = asyncio.Event()
    app.on_response_prepare.append(_close_when_stopping)
    add_routes(app)
    return app


def make_metrics_app(metrics: Metrics) -> web.Application:
    """`/metrics` alone, for a port of its own: whoever reaches that port may read it."""

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", render)
    return app


def make_runner(app: web.Application, *, drain_s: float) -> web.AppRunner:
    """The runner for `app`. No access log: the canonical line says more. Handlers outlive their clients, because what they wait for is paid."""
    return web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        shutdown_timeout=drain_s,
        handler_cancellation=False,
    )


def announce_close(runner: web.AppRunner) -> None:
    """From now on every answer says `Connection: close`, and its connection is closed: clients move on without meeting a closed one."""
    runner.app[STOPPING].set()


async def stop_listening(runner: web.AppRunner) -> None:
    """New connections are refused; those that are there go on."""
    for site in runner.sites:
        await site.stop()


async def finish(runner: web.AppRunner) -> None:
    """Close idle connections, let the others have their answer, and let every answer leave."""
    connections = runner.server.connections if runner.server is not None else []
    transports = [connection.transport for connection in connections if connection.transport is not None]
    await runner.cleanup()
    until_s = asyncio.get_running_loop().time() + LINGER_S
    # What the kernel has been given it delivers without us; the rest would be lost with this process.
    while asyncio.get_running_loop().time() < until_s and any(each.get_write_buffer_size() for each in transports):  # noqa: ASYNC110 - transports tell nobody
        await asyncio.sleep(0.01)


async def _close_when_stopping(request: web.Request, response: web.StreamResponse) -> None:
    if request.app[STOPPING].is_set():
        response.force_close()
        response.headers["Connection"] = "close"


def assert_compiled_parser() -> None:
    """Nearly every request-smuggling advisory of aiohttp concerned its pure-Python parser only: without the compiled one we do not start."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise RuntimeError(
            "aiohttp runs with its pure-Python HTTP parser: install its wheel and unset AIOHTTP_NO_EXTENSIONS."
        )
