"""Sending: small JSON answers, and bodies in parts that are written without being joined."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import cast

import orjson
from aiohttp import web

from gateway.api.keep_alive import finish_early
from gateway.api.parts import write_part
from gateway.api.rendering import JsonMap
from gateway.api.state import EARLY, RATE_HEADERS, REQUEST_ID
from gateway.pipeline.picture_texts import PictureText

JOIN_BYTES_MAX = 256 * 1024
"""Below this, one buffer and one write are cheaper than a stream."""


def json_answer(body: JsonMap, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


async def send_parts(request: web.Request, parts: list[PictureText], headers: Mapping[str, str]) -> web.StreamResponse:
    """A JSON body that stands in parts, some of them large."""
    if EARLY in request:
        return await finish_early(request, parts)
    size_bytes = sum(map(len, parts))
    headers = {"Content-Type": "application/json", **headers}
    if size_bytes <= JOIN_BYTES_MAX:  # a text from the store is longer than that
        return web.Response(body=b"".join(cast(list[bytes], parts)), headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_length = size_bytes
    return await send_stream(request, response, _each(parts))


async def send_stream(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[PictureText]
) -> web.StreamResponse:
    """Sends headers and chunks. Where a chunk cannot be had any more, the error middleware cuts the connection."""
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers.update(request.get(RATE_HEADERS, {}))
    await response.prepare(request)
    async for chunk in chunks:
        await write_part(response, chunk)
    await response.write_eof()
    return response


async def _each(parts: Iterable[PictureText]) -> AsyncIterator[PictureText]:
    for part in parts:
        yield part
