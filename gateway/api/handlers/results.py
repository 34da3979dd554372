"""`/v1/results/{token}/{file}`: pictures behind signed links. The link is the permission; no key is asked for.

The bytes come from upstreams, so a browser is told to run nothing, guess nothing and store nothing in shared caches.
"""

import hashlib
import re

from aiohttp import web

from gateway.api.answers import send_stream
from gateway.api.ports import ResultFile
from gateway.api.state import PIPELINE
from gateway.domain.errors import NotFound

_SHOWN_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")


async def get(request: web.Request) -> web.StreamResponse:
    """The picture: whole, one range of it (206), or nothing new (304)."""
    token, file = request.match_info["token"], request.match_info["file"]
    found = await request.app[PIPELINE].result(token, file)
    if found is None:
        raise NotFound(
            "This link leads nowhere: it has expired or was cut. Query the task for new ones while it is kept."
        )
    # A link's bytes never change, so the link is the version.
    etag = f'"{hashlib.sha256(f"{token}/{file}".encode()).hexdigest()[:32]}"'
    headers = _headers(found, file, etag)
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    start, length = 0, found.size_bytes
    status, span = 200, _span(request, etag, found.size_bytes)
    if span is not None:
        start, length = span
        if length == 0:
            unsatisfiable = {**headers, "Content-Range": f"bytes */{found.size_bytes}"}
            return web.Response(status=416, headers=unsatisfiable)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size_bytes}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = found.content_type if found.content_type in _SHOWN_TYPES else "application/octet-stream"
    response.content_length = length
    if request.method == "HEAD":
        return await _send_head(request, response)
    return await send_stream(request, response, found.read(start, length))


async def _send_head(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    await response.prepare(request)
    await response.write_eof()
    return response


def _headers(found: ResultFile, file: str, etag: str) -> dict[str, str]:
    way = "inline" if found.content_type in _SHOWN_TYPES else "attachment"
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f'{way}; filename="{_FILE_NAME.sub("_", file)[-100:]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def _span(request: web.Request, etag: str, size_bytes: int) -> tuple[int, int] | None:
    """(start, length) of a single range; length 0: not satisfiable; None: no range, or one that may be ignored (RFC 9110 §14.2)."""
    match = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if match is None or request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        length = min(int(last), size_bytes)
        return size_bytes - length, length
    start, end = int(first), min(int(last), size_bytes - 1) if last else size_bytes - 1
    if last and int(last) < start:
        return None
    return (start, end - start + 1) if start < size_bytes else (start, 0)
