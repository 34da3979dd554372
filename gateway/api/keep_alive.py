"""Signs of life while a caller waits for pictures, for proxies that cut what is silent for a minute: white space, which JSON allows before a value.

The first one takes the headers along: status 200 and what is known of the task, for a call whose end nobody knows yet. So what would have been
another status comes as the error's body, and what is known at the end is in no header. An answer that is there before the first sign is a usual one.
How it fails: a caller that hung up is a ConnectionError, and the task goes on.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import TypeVar

from aiohttp import web

from gateway.api.errors import render_error
from gateway.api.parts import write_part
from gateway.api.state import CONTRACT, EARLY, LOG, RATE_HEADERS, REQUEST_ID
from gateway.domain.errors import GatewayError
from gateway.pipeline.picture_texts import PictureText

T = TypeVar("T")

SIGN = b" "
KNOWN_EARLY = ("X-Task-Id", "X-Cache", "X-Dropped-Params", "Idempotency-Replayed")
"""Headers that can be said before the task has ended."""


async def kept_alive(
    request: web.Request, waiting: Coroutine[None, None, T], every_s: float, headers: Mapping[str, str]
) -> T:
    """What `waiting` returns or raises, with a sign of life after each `every_s`."""
    task = asyncio.create_task(waiting)
    try:
        while not (await asyncio.wait({task}, timeout=every_s))[0]:
            await _give_sign(request, headers)
        return task.result()
    finally:
        task.cancel()


async def finish_early(request: web.Request, parts: Sequence[PictureText]) -> web.StreamResponse:
    """The body of an answer whose headers have left."""
    response = request[EARLY]
    del request[EARLY]  # what breaks off from here on cannot be mended by an error's body
    for part in parts:
        await write_part(response, part)
    await response.write_eof()
    return response


async def fail_early(request: web.Request, error: GatewayError) -> web.StreamResponse:
    """The error as it would have been answered, without its status and headers."""
    rendered = render_error(error, request[REQUEST_ID], request.get(CONTRACT)).body
    if not isinstance(rendered, bytes):
        raise AssertionError("an error has a body of bytes")
    return await finish_early(request, [rendered])


async def _give_sign(request: web.Request, headers: Mapping[str, str]) -> None:
    response = request.get(EARLY)
    if response is None:
        known = {name: headers[name] for name in KNOWN_EARLY if name in headers}
        response = web.StreamResponse(headers=known)
        response.content_type = "application/json"
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        response.headers["X-Accel-Buffering"] = "no"  # nginx would keep the signs to itself
        response.headers.update(request.get(RATE_HEADERS, {}))
        request[LOG]["kept_alive"] = True
        await response.prepare(request)
        request[EARLY] = response
    await response.write(SIGN)
