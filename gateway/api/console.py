"""What the HTTP edge needs for the web console: its sessions, its files, and what the config says about where browsers reach it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from gateway.administration.sessions import Sessions
from gateway.api.console_files import ConsoleFiles
from gateway.api.forwarded import Proxies
from gateway.api.sign_in_failures import SignInFailures

SECURE_COOKIE, PLAIN_COOKIE = "__Host-igw_session", "igw_session"
"""A browser takes and gives the first one over TLS alone, and lets no other host set it."""


@dataclass(frozen=True, slots=True)
class Console:
    """Of a gateway that has one switched on. `files` None: it is not built."""

    sessions: Sessions
    files: ConsoleFiles | None
    failures: SignInFailures
    proxies: Proxies
    public_url: str
    picture_origin: Callable[[], Awaitable[str | None]]
    """Where links to results lead, where that is not here."""

    def is_secure(self, request: web.Request) -> bool:
        """Whether the browser came over TLS: by the config, or by the word of a proxy that the config trusts."""
        return self.public_url.startswith("https://") or self.proxies.says_https(request)

    def cookie_name(self, request: web.Request) -> str:
        return SECURE_COOKIE if self.is_secure(request) else PLAIN_COOKIE

    def is_own(self, origin: str, request: web.Request) -> bool:
        """Whether a page of this origin is one of ours: as callers name us, or as this request does."""
        try:
            asked, public = urlsplit(origin), urlsplit(self.public_url)
            if asked.scheme != "https" and self.is_secure(request):
                return False
            return asked.scheme in ("http", "https") and asked.netloc.lower() in (
                public.netloc.lower(), request.headers.get("Host", "").lower(),
            )  # fmt: skip
        except ValueError:
            return False


CONSOLE = web.AppKey("console", Console)
