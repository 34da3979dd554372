"""Two middlewares around every request: `edge` (request id, errors, canonical log line, metrics) and `authenticate`.

This is the one place of the HTTP edge that catches Exception: what nobody expected is logged once and answered as internal_error.
"""

import logging
import re
from collections.abc import Collection, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import MatchInfoError

from gateway.administration.sessions import Session
from gateway.api import traced
from gateway.api.body import BODY_BYTES_MAX, check_declared_size
from gateway.api.console import CONSOLE
from gateway.api.errors import error_of_http, render_error
from gateway.api.keep_alive import fail_early
from gateway.api.session_gate import session_of
from gateway.api.state import (
    ADMIN_TOKENS,
    ADMINISTRATOR,
    AUTHENTICATOR,
    BODY_LIMITS,
    CANONICAL,
    CLOCK,
    CONTRACT,
    EARLY,
    ERROR_HEADERS,
    LOG,
    METRICS,
    PRINCIPAL,
    RATE_HEADERS,
    REQUEST_ID,
    TRACES,
    LogFields,
)
from gateway.domain.administrators import Scope
from gateway.domain.errors import GatewayError, InternalError, InvalidRequest, ScopeMissing, SubjectNotFound
from gateway.domain.ids import new_request_id
from gateway.telemetry.logs import within
from gateway.telemetry.traces import Open

_logger = logging.getLogger(__name__)

UNKNOWN_ROUTE = "unmatched"
_CLIENT_GONE = 499
"""nginx's number for a client that closed the connection; only in logs and metrics, never sent."""
_CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the request its id, turns errors into answers, and writes the one line about it."""
    app = request.app
    started_s = app[CLOCK].monotonic_s()
    request[REQUEST_ID] = request_id = new_request_id()
    fields: LogFields = {}
    request[LOG] = fields
    traces, untraced = app[TRACES]
    with within(request_id):
        if traces is None or request.match_info.handler in untraced or isinstance(request.match_info, MatchInfoError):
            return await _recorded(request, handler, started_s, fields)
        with traced.call(traces, request, _route(request), request_id) as opened:
            return await _recorded(request, handler, started_s, fields, opened)


async def _recorded(
    request: web.Request, handler: Handler, started_s: float, fields: LogFields, opened: Open | None = None
) -> web.StreamResponse:
    app, status, request_id = request.app, _CLIENT_GONE, request[REQUEST_ID]
    try:
        response = await _answer(request, handler, fields)
        status = response.status
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            if rate_headers := request.get(RATE_HEADERS):
                response.headers.update(rate_headers)
        return response
    finally:
        if opened is not None:
            traced.end(opened, status, fields)
        _record(app, request, status, app[CLOCK].monotonic_s() - started_s, fields)


async def _answer(request: web.Request, handler: Handler, fields: LogFields) -> web.StreamResponse:
    try:
        if (request.content_length or 0) > BODY_BYTES_MAX:
            limits = request.app[BODY_LIMITS]
            check_declared_size(request, limits.get(request.match_info.handler, BODY_BYTES_MAX))
        return await handler(request)
    except GatewayError as exc:
        error, allow = exc, None
    except web.HTTPException as exc:
        error, allow = error_of_http(exc, request.method, request.path), exc.headers.get("Allow")
    except ConnectionError:
        raise  # the client has gone; aiohttp closes quietly
    except Exception as exc:
        _logger.exception("unexpected error", extra={"request_id": request[REQUEST_ID], "route": _route(request)})
        error, allow = InternalError("Something went wrong in the gateway; the request id finds it in the log."), None
        error.__cause__ = exc
    fields["error"] = error.code
    fields["error_param"] = error.param
    fields["error_log"] = error.log
    if EARLY in request:
        return await fail_early(request, error)
    if request.writer.output_size > 0 and request.transport is not None:
        # Headers have left: nobody may take the part for the whole, and no second answer can follow.
        _logger.error(
            "an answer broke off", extra={"request_id": request[REQUEST_ID], "code": error.code, "log": error.log}
        )
        request.transport.abort()
        raise ConnectionAbortedError("the answer broke off") from error
    response = render_error(error, request[REQUEST_ID], request.get(CONTRACT))
    response.headers.update(request.get(ERROR_HEADERS, {}))
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def authenticate(public: Collection[Handler], admin: Mapping[Handler, Scope]) -> Middleware:
    """The middleware that finds the caller, except for the public handlers and for paths that do not exist.

    The handlers of `admin` need an admin token with their scope; an API key is nothing there, and an admin token nothing elsewhere.
    """
    open_handlers = frozenset(public)

    @web.middleware
    async def find_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
        match = request.match_info
        scope = admin.get(match.handler)
        if scope is not None:
            session = None if _has_key(request) else await _session(request)
            _admit_administrator(request, scope, session)
        elif match.handler not in open_handlers and not isinstance(match, MatchInfoError):
            session = None if _has_key(request) else await _session(request)
            if session is None:
                principal = request.app[AUTHENTICATOR].authenticate(
                    request.headers.get("Authorization"), request.headers.get("api-key")
                )
            else:
                principal = request.app[CONSOLE].sessions.use_key(session)
            request[PRINCIPAL] = principal
            fields = request[LOG]
            fields["key"] = principal.key_name
            fields["key_id"] = principal.key_id
            fields["org"] = principal.org
            fields["team"] = principal.team
        else:
            session = None
        response = await handler(request)
        if session is not None and not response.prepared:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return find_caller


def _has_key(request: web.Request) -> bool:
    """A key in a header always wins over a cookie: its calls pay for this look at the headers, and no more."""
    return "Authorization" in request.headers or "api-key" in request.headers


async def _session(request: web.Request) -> Session | None:
    """Of a browser."""
    session = await session_of(request)
    if session is not None:
        request[LOG]["session"] = True
    return session


def _admit_administrator(request: web.Request, scope: Scope, session: Session | None) -> None:
    """Raises MissingKey and its kin, ScopeMissing."""
    if session is None:
        administrator = request.app[ADMIN_TOKENS].authenticate(request.headers.get("Authorization"))
    else:
        administrator = request.app[CONSOLE].sessions.use_administrator(session)
    request[LOG]["administrator"] = administrator.name
    if scope not in administrator.scopes:
        raise ScopeMissing(f"This admin token may not do this: it needs the scope {scope.value!r}.")
    _refuse_nul(request)
    request[ADMINISTRATOR] = administrator


def _refuse_nul(request: web.Request) -> None:
    """Nothing has it in its name, and PostgreSQL has no such text: it would fail the statement, and with it the whole batch of writes once."""
    if any("\0" in text for text in request.match_info.values()):
        raise SubjectNotFound("There is no such thing: its name has a NUL character.")
    for name, text in request.query.items():
        if "\0" in text:
            raise InvalidRequest(f"{name}: has a NUL character; leave it out.", param=name)


def _record(app: web.Application, request: web.Request, status: int, duration_s: float, fields: LogFields) -> None:
    route, method = _route(request), request.method
    app[METRICS].request_answered(route, method if route != UNKNOWN_ROUTE else "ANY", status)
    headers = request.headers
    client_id = headers.get("X-Request-Id")
    app[CANONICAL](
        {
            "request_id": request[REQUEST_ID],
            "client_request_id": client_id if client_id and _CLIENT_REQUEST_ID.fullmatch(client_id) else None,
            "method": method,
            # Never the path: it may carry a signed link.
            "route": route,
            "status": status,
            "ms": round(duration_s * 1000, 2),
            "user_agent": headers.get("User-Agent", "")[:120] or None,
            "retry": headers.get("X-Stainless-Retry-Count", "")[:8] or None,
            **fields,
        }
    )


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNKNOWN_ROUTE
