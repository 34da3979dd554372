"""`/openapi.json` and `/docs`, a page of our own that shows it: no foreign host, no inline script that its policy does not name."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.api.state import OPENAPI

_PAGE: Final = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")


def _hash(tag: str) -> str:
    """The CSP source of the page's one element of that kind."""
    match = re.search(rf"<{tag}>(.*?)</{tag}>", _PAGE, re.S)
    assert match is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()}'"


_PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def document(request: web.Request) -> web.Response:
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


async def page(request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)
