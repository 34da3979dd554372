"""`/console/…`: the built console. Its page runs only its own scripts, and styles that carry this answer's nonce; nothing of another host."""

import logging
import re
import secrets
from typing import Final

from aiohttp import web

from gateway.api.console import CONSOLE, Console
from gateway.api.console_files import ENCODINGS, ConsoleFile
from gateway.domain.errors import NotFound

log = logging.getLogger(__name__)

HOME: Final = "/console/"
NOT_BUILT: Final = "The console is not built. `make console` builds it (Node ≥ 20); then restart the gateway."
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,10}$")
"""Of a file's name. What ends in digits, such as a model's name, is a page's."""
_YEAR: Final = "public, max-age=31536000, immutable"
_SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_HEADERS: Final = {
    **_SAFE_HEADERS,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


async def root(request: web.Request) -> web.Response:
    """The console, for people; for programs there is nothing."""
    if request.app.get(CONSOLE) is not None and "text/html" in request.headers.get("Accept", ""):
        return web.Response(status=302, headers={"Location": HOME, "Vary": "Accept"})
    raise web.HTTPNotFound


async def home(request: web.Request) -> web.Response:
    _console(request)
    return web.Response(status=308, headers={"Location": HOME})


async def get(request: web.Request) -> web.Response:
    """A file of the build; for every path that is no file's, the page, which knows what to show there."""
    console, name = _console(request), request.match_info["path"]
    if console.files is None:
        text = f'<!doctype html><html lang="en"><title>Image gateway</title><p>{NOT_BUILT}</p></html>'
        headers = {**_PAGE_HEADERS, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        return web.Response(status=503, text=text, content_type="text/html", charset="utf-8", headers=headers)
    file = console.files.files.get(name)
    if file is not None:
        return _file(request, name, file)
    if name.startswith(("assets/", "api/")) or (_EXTENSION.search(name) and name != "index.html"):
        raise NotFound("The console has no such file. After an update, load its page again.")
    nonce = secrets.token_urlsafe(16)
    policy = _policy(nonce, await console.picture_origin())
    return web.Response(
        body=console.files.page_with(nonce),
        content_type="text/html",
        charset="utf-8",
        headers={**_PAGE_HEADERS, "Content-Security-Policy": policy},
    )


def _console(request: web.Request) -> Console:
    console = request.app.get(CONSOLE)
    if console is None:
        raise NotFound("The console is switched off: `console.enabled` in the config.")
    return console


def _policy(nonce: str, picture_origin: str | None) -> str:
    pictures = " ".join(["'self'", "blob:", "data:", *([] if picture_origin is None else [picture_origin])])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src {pictures}; font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _file(request: web.Request, name: str, file: ConsoleFile) -> web.Response:
    """Names below `assets/` carry a hash of what is in the file, so they never change; others are asked for again."""
    coding = next((coding for coding, _ in ENCODINGS if coding in file.encoded and _accepts(request, coding)), None)
    etag = f'"{file.etag}{f"-{coding}" if coding else ""}"'
    headers = {
        **_SAFE_HEADERS,
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # an SVG is a document when it is opened alone
        "Cache-Control": _YEAR if name.startswith("assets/") else "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = file.content_type
    if coding is not None:
        headers["Content-Encoding"] = coding
    return web.Response(body=file.body if coding is None else file.encoded[coding], headers=headers)


def _accepts(request: web.Request, coding: str) -> bool:
    """Named, and not with a weight of nought."""
    for offer in request.headers.get("Accept-Encoding", "").split(","):
        name, _, weight = offer.partition(";")
        if name.strip().lower() == coding:
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
