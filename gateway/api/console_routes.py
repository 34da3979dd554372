"""The routes of the web console: its files, and signing in. All else it does by the routes of callers and administrators."""

from gateway.api.handlers import console, console_session
from gateway.api.route import Route
from gateway.api.schemas.console import SessionAnswer, SessionBody

_TOKEN = (
    ("X-CSRF-Token", {"type": "string"}, "Of a request with a session's cookie: `csrf` of this session."),
)  # fmt: skip
_PART = (("part", "string", "key or administrator; where absent both."),)

CONSOLE_ROUTES: tuple[Route, ...] = (
    Route("GET", "/console/api/session", console_session.get, "Who is signed in at the console", ((200, (SessionAnswer,)),), (404, 503), public=True),
    Route("POST", "/console/api/session", console_session.create, "Sign in with an admin token or an API key; sets the session's cookie",
          ((200, (SessionAnswer,)),), (400, 401, 403, 404, 408, 413, 429, 503), SessionBody, headers=_TOKEN, public=True),
    Route("DELETE", "/console/api/session", console_session.delete, "Sign out",
          ((200, (SessionAnswer,)),), (400, 403, 404, 413, 503), query=_PART, headers=_TOKEN, public=True),
    Route("GET", "/console", console.home, "To the console", ((308, ""),), (404,), public=True),
    Route("GET", "/console/{path}", console.get, "The console's page and files",
          ((200, "text/html"), (304, ""), (503, "text/html")), (404,), public=True),
    Route("GET", "/", console.root, "To the console, for browsers", ((302, ""),), (404,), public=True),
)  # fmt: skip
