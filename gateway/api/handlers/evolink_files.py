"""`/api/v1/files/upload/…`: EvoLink's file service (docs.evolink.ai, "File Series") for its clients, in its envelope.

What it stores are files like any other: `file_url` works in `image_urls`, and `/v1/files` lists them.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.api.answers import json_answer
from gateway.api.body import JsonObject, admitted, body_stream, read_json
from gateway.api.data_urls import decoded
from gateway.api.errors import error_of_validation
from gateway.api.handlers.files import UPLOAD_BYTES_MAX, store
from gateway.api.long_strings import read_json_taking
from gateway.api.multipart import Part, is_form, read_form
from gateway.api.pictures import BodyPictures, of_field, once
from gateway.api.schemas.files import EvolinkBase64Body, EvolinkUrlBody
from gateway.api.state import LOG, PRINCIPAL, SETTINGS, UPLOADS
from gateway.domain.errors import GatewayError, InvalidRequest
from gateway.domain.files import StoredFile

BASE64_BYTES_MAX: Final = UPLOAD_BYTES_MAX * 4 // 3 + 64 * 1024
_UPLOAD_PATH = "images"
_NAME_CHARS_MAX = 255
_Body = TypeVar("_Body", bound=BaseModel)


async def base64(request: web.Request) -> web.Response:
    """A picture as base64 in JSON."""
    async with BodyPictures(request) as pictures:
        with admitted(request):
            source = body_stream(request, BASE64_BYTES_MAX)
            raw = await read_json_taking(request, source, pictures.take_bare, beginning=b"")
        body = _checked(EvolinkBase64Body, raw)
        name = body.file_name or "upload"
        taken = pictures.taken(body.base64_data, "base64_data")
        # The body's name of the file may stand behind the file, so a long one is stored under no name first.
        chunks = (
            decoded(once(body.base64_data.encode()), bare=True) if taken is None else await _content(request, taken)
        )
        file = await store(request, chunks, name, "base64_data")
    return _answer(request, file, file.filename, body.upload_path)


async def stream(request: web.Request) -> web.Response:
    """A picture as a part of a form."""
    if not is_form(request):
        raise InvalidRequest(
            "Content-Type: send the file as multipart/form-data, as the part file.", param="Content-Type"
        )
    async with BodyPictures(request) as pictures:
        with admitted(request):
            taken, original, texts = await _read_form(request, pictures)
        if taken is None:
            raise InvalidRequest("file: is required: send the picture as the part `file`.", param="file")
        name = texts.get("file_name") or texts.get("fileName") or original
        file = await store(request, await _content(request, taken), name, "file")
    return _answer(request, file, original, texts.get("upload_path") or texts.get("uploadPath"))


async def url(request: web.Request) -> web.Response:
    """A picture behind a public URL, fetched now."""
    body = _checked(EvolinkUrlBody, await read_json(request))
    original = body.file_url.partition("?")[0].rpartition("/")[2][:_NAME_CHARS_MAX] or "upload"
    try:
        file = await request.app[UPLOADS].fetch(request[PRINCIPAL], body.file_url, filename=body.file_name or original)
    except GatewayError as exc:
        raise of_field(exc, "file_url") from exc
    request[LOG].update(file_id=file.id, file_bytes=file.size_bytes)
    return _answer(request, file, original, body.upload_path)


async def _read_form(request: web.Request, pictures: BodyPictures) -> tuple[StoredFile | None, str, dict[str, str]]:
    """The file, how it is called, and what else the form says."""
    texts: dict[str, str] = {}
    taken, original = None, ""
    async for part in read_form(request, body_stream(request, UPLOAD_BYTES_MAX)).parts():
        if part.name == "file" and taken is None:
            taken, original = await _take(part, pictures), part.filename or "upload"
        elif part.name == "file":
            raise InvalidRequest("file: stands in the form twice; one picture a call.", param="file")
        else:
            texts[part.name] = (await part.text(4 * _NAME_CHARS_MAX))[:_NAME_CHARS_MAX]
    return taken, original, texts


async def _take(part: Part, pictures: BodyPictures) -> StoredFile:
    taken = pictures.taken(await pictures.take_part(part, UPLOAD_BYTES_MAX), part.name)
    if taken is None:
        raise AssertionError("it was just received")
    return taken


async def _content(request: web.Request, file: StoredFile) -> AsyncIterator[bytes]:
    return await request.app[UPLOADS].content(request[PRINCIPAL], file.id)


def _answer(request: web.Request, file: StoredFile, original: str, upload_path: str | None) -> web.Response:
    url = f"{request.app[SETTINGS].public_url.rstrip('/')}/v1/files/{file.id}/content"
    return json_answer(
        {
            "success": True,
            "code": 200,
            "msg": "File uploaded successfully",
            "data": {
                "file_id": file.id,
                "file_name": file.filename,
                "original_name": original,
                "file_size": file.size_bytes,
                "mime_type": file.content_type,
                "upload_path": upload_path or _UPLOAD_PATH,
                "file_url": url,
                "download_url": url,
                "upload_time": _time(file.created_at_ms),
                "expires_at": _time(file.expires_at_ms),
            },
        }
    )


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat()


def _checked(kind: type[_Body], body: JsonObject) -> _Body:
    try:
        return kind.model_validate(body)
    except ValidationError as exc:
        raise error_of_validation(exc) from exc
