"""From a browser's cookie to the session behind it, for requests that the console itself sends, and no other page.

A request that changes something must repeat the session's token in a header, which a foreign page cannot know, and must not come from one by its
own account (`Sec-Fetch-Site`, `Origin`). Requests with a key in a header never come here. How it fails: CsrfRefused; MissingKey where the session
has ended; StorageUnavailable.
"""

import hmac

from aiohttp import web

from gateway.administration.sessions import Session
from gateway.api.console import CONSOLE, Console
from gateway.domain.errors import CsrfRefused, MissingKey

COOKIES_CHARS_MAX = 8_190
"""Of a line of headers, as the server has it."""
READING = frozenset({"GET", "HEAD"})
TOKEN_HEADER = "X-CSRF-Token"


async def session_of(request: web.Request) -> Session | None:
    """The session of a request without a key in its headers; None: it sent no cookie of ours, or there is no console.

    Raises CsrfRefused, and MissingKey where there is no such session (any more).
    """
    console = request.app.get(CONSOLE)
    cookie = None if console is None else cookie_of(request, console)
    if console is None or cookie is None:
        return None
    refuse_foreign(request, console)
    session = await console.sessions.find(cookie)
    if session is None:
        raise MissingKey("This session has ended: sign in again, or send a key in the header 'Authorization'.")
    refuse_without_token(request, session)
    return session


def cookie_of(request: web.Request, console: Console) -> str | None:
    """None also where there are two: one of them was put there by somebody else, and nobody knows which."""
    name = console.cookie_name(request)
    found = [
        value.strip()
        for line in request.headers.getall("Cookie", ())
        for given, equals, value in (pair.partition("=") for pair in line[:COOKIES_CHARS_MAX].split(";"))
        if equals and given.strip() == name
    ]
    return found[0] if len(found) == 1 else None


def refuse_foreign(request: web.Request, console: Console) -> None:
    """Raises CsrfRefused where a browser says that another site's page sent the request."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # `none`: typed by hand, or a bookmark, which only reads.
    own_sites = ("same-origin", "none") if request.method in READING else ("same-origin",)
    if (site is not None and site not in own_sites) or (origin is not None and not console.is_own(origin, request)):
        raise CsrfRefused(
            "This request comes from a page of another site: a session is good for the console's own pages alone."
            " Where a proxy changes the host, set server.public_url to what browsers see."
        )


def refuse_without_token(request: web.Request, session: Session) -> None:
    """Raises CsrfRefused where a request that changes something does not repeat the session's token."""
    if request.method in READING:
        return
    given = request.headers.get(TOKEN_HEADER, "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, session.csrf.encode()):
        raise CsrfRefused(
            f"The header {TOKEN_HEADER} is missing or of another session: send `csrf` of GET /console/api/session, and"
            " ask for it again after signing in."
        )
