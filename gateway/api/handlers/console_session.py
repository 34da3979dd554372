"""`/console/api/session`: signing in to the console and out of it. A secret is read here and kept nowhere."""

import logging

from aiohttp import web

from gateway.administration.sessions import Part, Session
from gateway.api.answers import json_answer
from gateway.api.console import CONSOLE, Console
from gateway.api.handlers.admin.query import choice, read_body
from gateway.api.rendering import JsonMap
from gateway.api.schemas.console import SessionBody
from gateway.api.session_gate import cookie_of, refuse_foreign, refuse_without_token
from gateway.api.state import LOG, SETTINGS
from gateway.domain.errors import AuthenticationError, CsrfRefused, NotFound, RateLimited

log = logging.getLogger(__name__)

RETRY_AFTER_S_MAX = 59


async def get(request: web.Request) -> web.Response:
    """Who is signed in; nobody, where another site's page asks. A page asks by itself every minute: that is no use of the session."""
    console = _console(request)
    try:
        _, session = await _current(request, console, is_use=False)
    except CsrfRefused:
        session = None
    return _answer(request, session)


async def create(request: web.Request) -> web.Response:
    """Sign in, beside who is signed in already. The session has another id and another token from then on."""
    console = _console(request)
    _, before = await _current(request, console)
    address = console.proxies.client(request)
    wait_s = console.failures.wait_s(address)
    if wait_s is not None:
        raise RateLimited(
            f"Too many failed sign-ins from {address}: try again in {wait_s} s.",
            retry_after_s=min(wait_s, RETRY_AFTER_S_MAX),
            log=f"sign-ins from {address} are refused",
        )
    body = await read_body(request, SessionBody)
    try:
        signed_in = await console.sessions.sign_in(body.secret, before, address)
    except AuthenticationError as exc:
        console.failures.note(address)
        log.warning("a sign-in to the console failed", extra={"address": address, "code": exc.code})
        raise
    _note(request, signed_in.session)
    response = _answer(request, signed_in.session)
    _set_cookie(request, console, response, signed_in.cookie)
    return response


async def delete(request: web.Request) -> web.Response:
    """Sign out, on the server: of one half, or of all. Who is not signed in is signed out."""
    console, part = _console(request), choice(request, "part", Part)
    cookie, session = await _current(request, console)
    left = None
    if session is not None:
        _note(request, session)
        left = await console.sessions.sign_out(cookie, session, part, console.proxies.client(request))
    response = _answer(request, left)
    if left is None and cookie:
        _set_cookie(request, console, response, "")
    return response


def _console(request: web.Request) -> Console:
    console = request.app.get(CONSOLE)
    if console is None:
        raise NotFound("The console is switched off: `console.enabled` in the config.")
    return console


async def _current(request: web.Request, console: Console, *, is_use: bool = True) -> tuple[str, Session | None]:
    """The cookie, and the session behind it. Raises CsrfRefused."""
    refuse_foreign(request, console)
    cookie = cookie_of(request, console)
    session = None if cookie is None else await console.sessions.find(cookie, is_use=is_use)
    if session is not None:
        refuse_without_token(request, session)
    return cookie or "", session


def _answer(request: web.Request, session: Session | None) -> web.Response:
    settings = request.app[SETTINGS]
    administrator = None if session is None else session.administrator
    principal = None if session is None else session.principal
    body: JsonMap = {
        "signed_in": session is not None,
        "csrf": None if session is None else session.csrf,
        "expires_at_ms": None if session is None else session.expires_at_ms,
        "administrator": None
        if administrator is None
        else {"name": administrator.name, "scopes": [*sorted(administrator.scopes)], "org": administrator.org},
        "key": None
        if principal is None or session is None
        else {
            "id": principal.key_id,
            "name": principal.key_name,
            "org": principal.org,
            "team": principal.team,
            "display": session.key_display,
        },
        "version": settings.version,
        "public_url": settings.public_url,
    }
    return json_answer(body, headers={"Cache-Control": "no-store", "Vary": "Cookie"})


def _note(request: web.Request, session: Session) -> None:
    fields = request[LOG]
    fields["session"] = True
    if session.administrator is not None:
        fields["administrator"] = session.administrator.name
    if session.principal is not None:
        fields["key"], fields["key_id"] = session.principal.key_name, session.principal.key_id
        fields["org"], fields["team"] = session.principal.org, session.principal.team


def _set_cookie(request: web.Request, console: Console, response: web.Response, value: str) -> None:
    """Empty: the browser forgets it. Without an age: it ends with the browser, if not before."""
    response.set_cookie(
        console.cookie_name(request),
        value,
        max_age=None if value else 0,
        path="/",
        secure=console.is_secure(request),
        httponly=True,
        samesite="Strict",
    )
