"""`/v1/files`: pictures that a key keeps here for its calls, in the shape of OpenAI's Files API. Another key's files do not exist."""

import re
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from gateway.api.answers import json_answer, send_stream
from gateway.api.body import admitted, body_stream
from gateway.api.multipart import is_form, read_form
from gateway.api.pictures import of_field
from gateway.api.rendering import JsonMap
from gateway.api.state import LOG, PRINCIPAL, UPLOADS
from gateway.domain.errors import GatewayError, InvalidRequest
from gateway.domain.files import FILE_BYTES_MAX, Purpose, StoredFile

UPLOAD_BYTES_MAX: Final = FILE_BYTES_MAX + 64 * 1024
"""A file, and the form around it."""
_SHORT_BYTES_MAX: Final = 1024
_PAGE_MAX: Final = 100
_LIMIT_MAX: Final = 10_000
"""As OpenAI; a page has fewer, and says that there are more."""
_PLAIN_NAME = re.compile(r"[^A-Za-z0-9._-]")


async def create(request: web.Request) -> web.Response:
    """The form's `file`, for the purpose `vision`. `expires_after` and the like mean nothing: every file lives as long as the config says."""
    if not is_form(request):
        raise InvalidRequest(
            "Content-Type: send the file as multipart/form-data with the parts purpose and file.", param="Content-Type"
        )
    received: list[StoredFile] = []
    is_good = False
    try:
        with admitted(request):
            await _read_form(request, received)
        is_good = True
    finally:
        if not is_good:  # a file may be stored before the rest of its form is known to be no good
            await request.app[UPLOADS].forget([file.id for file in received])
    return json_answer(answer(received[0]))


async def _read_form(request: web.Request, received: list[StoredFile]) -> None:
    purposes: list[str] = []
    async for part in read_form(request, body_stream(request, UPLOAD_BYTES_MAX)).parts():
        if part.name == "file" and not received:
            received.append(await store(request, part.chunks(), part.filename or "upload", "file"))
        elif part.name == "purpose" and not purposes:
            purposes.append(await part.text(_SHORT_BYTES_MAX))
        elif part.name in ("file", "purpose"):
            raise InvalidRequest(f"{part.name}: stands in the form twice.", param=part.name)
        else:
            await part.text(_SHORT_BYTES_MAX)
    if purposes != [Purpose.VISION]:
        said = f"{purposes[0][:40]} is not served" if purposes else "is required"
        raise InvalidRequest(f"purpose: {said}; files here are pictures for calls: send vision.", param="purpose")
    if not received:
        raise InvalidRequest("file: is required: send the picture as the part `file`.", param="file")


async def index(request: web.Request) -> web.Response:
    """The key's own, newest first."""
    query = request.query
    text = query.get("limit", str(_PAGE_MAX))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= limit <= _LIMIT_MAX:
        raise InvalidRequest(f"limit: must be a number from 1 to {_LIMIT_MAX}.", param="limit")
    if query.get("order", "desc") != "desc":
        raise InvalidRequest("order: files are listed newest first; leave it out.", param="order")
    files: list[StoredFile] = []
    more = False
    if query.get("purpose", Purpose.VISION) == Purpose.VISION:  # of other purposes there are none
        try:
            files, more = await _page(request, min(limit, _PAGE_MAX), query.get("after") or None)
        except GatewayError as exc:
            raise of_field(exc, "after") from exc
    return json_answer(
        {
            "object": "list",
            "data": [answer(file) for file in files],
            "first_id": files[0].id if files else None,
            "last_id": files[-1].id if files else None,
            "has_more": more,
        }
    )


async def get(request: web.Request) -> web.Response:
    return json_answer(answer(await _file(request)))


async def content(request: web.Request) -> web.StreamResponse:
    """The bytes, told by what they are. They are the caller's: a browser is told to run nothing and to guess nothing."""
    file = await _file(request)
    chunks = await request.app[UPLOADS].content(request[PRINCIPAL], file.id)
    response = web.StreamResponse(
        headers={
            "Content-Disposition": f'attachment; filename="{_PLAIN_NAME.sub("_", file.filename)[-100:]}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    response.content_type, response.content_length = file.content_type, file.size_bytes
    return await send_stream(request, response, chunks)


async def delete(request: web.Request) -> web.Response:
    """A task that uses it already still gets it."""
    file = await _file(request)
    await request.app[UPLOADS].delete(request[PRINCIPAL], file.id)
    return json_answer({"id": file.id, "object": "file", "deleted": True})


async def store(request: web.Request, chunks: AsyncIterator[bytes], filename: str, field: str) -> StoredFile:
    """An upload of its owner. Raises with the field what was wrong with it."""
    try:
        file = await request.app[UPLOADS].receive(
            request[PRINCIPAL], chunks, purpose=Purpose.VISION, filename=filename, bytes_max=FILE_BYTES_MAX
        )
    except GatewayError as exc:
        raise of_field(exc, field) from exc
    request[LOG].update(file_id=file.id, file_bytes=file.size_bytes)
    return file


def answer(file: StoredFile) -> JsonMap:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_at_ms // 1000,
        "expires_at": file.expires_at_ms // 1000,
        "filename": file.filename,
        "purpose": Purpose.VISION.value,
        "status": "processed",
    }


async def _page(request: web.Request, limit: int, after: str | None) -> tuple[list[StoredFile], bool]:
    files, more = await request.app[UPLOADS].files(request[PRINCIPAL], limit=limit, after=after)
    return list(files), more


async def _file(request: web.Request) -> StoredFile:
    try:
        return await request.app[UPLOADS].file(request[PRINCIPAL], request.match_info["file_id"])
    except GatewayError as exc:
        raise of_field(exc, "file_id") from exc
