"""Typed keys of what the application and a request carry, and the settings of the HTTP edge."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.administration.administration import Administration
from gateway.api.body_budget import BodyBudget, Share
from gateway.api.ports import AdminTokens, Authenticator, Pipeline, Uploads
from gateway.api.refusals import Refusals
from gateway.domain.accounts import Principal
from gateway.domain.administrators import Administrator
from gateway.domain.clock import Clock
from gateway.domain.images import Contract
from gateway.telemetry.logs import LogValue
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What the config says about the HTTP edge."""

    default_model: Callable[[], str]
    """Asked each time: the catalogue may be replaced."""
    credits_per_usd: Callable[[], Decimal] = lambda: Decimal(1)
    version: str = "0"
    metrics_public: bool = False
    public_url: str = ""
    """Where this gateway's own links begin; empty: unknown, and the OpenAPI document names its own host."""
    keep_alive_s: float | None = None
    """How often a caller who waits for pictures is sent a sign of life; None: never."""


LogFields = dict[str, LogValue]
WriteCanonical = Callable[[Mapping[str, LogValue]], None]

SETTINGS = web.AppKey("settings", ApiSettings)
PIPELINE = web.AppKey[Pipeline]("pipeline")
UPLOADS = web.AppKey[Uploads]("uploads")
AUTHENTICATOR = web.AppKey[Authenticator]("authenticator")
ADMIN_TOKENS = web.AppKey[AdminTokens]("admin_tokens")
ADMINISTRATION = web.AppKey("administration", Administration)
METRICS = web.AppKey("metrics", Metrics)
CANONICAL = web.AppKey[WriteCanonical]("canonical")
TRACES = web.AppKey[tuple[Traces | None, Collection[Handler]]]("traces")
"""None: off; and the handlers that are not traced: probes, links to results and other open routes."""
CLOCK = web.AppKey[Clock]("clock")
REFUSALS = web.AppKey("refusals", Refusals)
OPENAPI = web.AppKey("openapi", bytes)
BODIES = web.AppKey("bodies", BodyBudget)
BODY_LIMITS = web.AppKey[Mapping[Handler, int]]("body_limits")
"""The most bytes of a body, of the handlers that take more than others."""

BODY_SHARE = web.RequestKey("body_share", Share)
"""Of the body budget, while a body is read."""
WHOLE_BODY = web.RequestKey("whole_body", bytes)
"""A short body that was looked at before it is read."""
REQUEST_ID = web.RequestKey("request_id", str)
PRINCIPAL = web.RequestKey("principal", Principal)
ADMINISTRATOR = web.RequestKey("administrator", Administrator)
"""Of the admin routes, in place of a principal."""
CONTRACT = web.RequestKey("contract", Contract)
"""Which contract's errors the caller reads; absent until the body is known."""
ERROR_HEADERS = web.RequestKey[Mapping[str, str]]("error_headers")
"""What an error's answer says besides, e.g. the task that failed."""
RATE_HEADERS = web.RequestKey[Mapping[str, str]]("rate_headers")
"""Where the caller stands within its limit of requests, for every answer of a call that such a limit applies to."""
EARLY = web.RequestKey("early", web.StreamResponse)
"""An answer whose headers have left before it is known what to answer; what has left of its body is white space."""
LOG = web.RequestKey[LogFields]("log")
"""Fields of the request's canonical log line; handlers add theirs."""
