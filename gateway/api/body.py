"""Reading bodies: bounded in bytes and time, JSON decoded strictly. Every way to fail is an InvalidRequest, RequestTooLarge or RequestTimeout.

aiohttp alone would wait for a trickling body for ever and keep the last of two equal keys silently.
"""

import asyncio
import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from aiohttp import StreamReader, web

from gateway.api.body_budget import Share
from gateway.api.state import BODIES, BODY_SHARE, WHOLE_BODY
from gateway.domain.errors import InvalidRequest, RequestTimeout, RequestTooLarge

BODY_BYTES_MAX = 1024 * 1024
"""Of JSON: the longest legal prompt (32,000 characters) fills an eighth of it."""
READ_S_MIN = 10.0
BYTES_PER_S_MIN = 50_000
"""A body may take 10 s, and one second more for every 50 kB that did arrive."""
PIECE_BYTES = 256 * 1024
"""The most that comes at once: for so much the first piece of a body counts in a turn of the loop, or for all that was declared."""

JsonObject = dict[str, object]


async def read_json(request: web.Request) -> JsonObject:
    """The body as a JSON object."""
    check_declared_size(request)
    check_is_json(request)
    with admitted(request):
        return parse_object(await read_whole(request))


def check_declared_size(request: web.Request, bytes_max: int = BODY_BYTES_MAX) -> None:
    """Refuses by Content-Length, before anything is read."""
    if (request.content_length or 0) > bytes_max:
        raise RequestTooLarge(f"The body may have {bytes_max} bytes; this one has {request.content_length}.")


def parse_object(raw: bytes) -> JsonObject:
    """A JSON object from UTF-8 bytes: no repeated keys, no NaN, no nesting beyond the interpreter's limit."""
    if not raw.strip():
        raise InvalidRequest('The body is empty: send a JSON object, for example {"prompt": "a red fox"}.')
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"The body is not UTF-8 (byte {exc.start}): send UTF-8.") from exc
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            _refuse_lone_surrogates(value, None)
    except json.JSONDecodeError as exc:
        raise InvalidRequest(
            f"The body is not valid JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}."
        ) from exc
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.") from exc
    except ValueError as exc:  # an integer of more digits than Python converts
        raise InvalidRequest("The body has a number that is too long.") from exc
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object, not a list or a single value.")
    return value


async def read_whole(request: web.Request) -> bytes:
    """A body of at most BODY_BYTES_MAX, as it is."""
    looked_at: bytes | None = request.get(WHOLE_BODY)
    if looked_at is not None:
        return looked_at
    content = request.content
    try:
        if content.is_eof():  # nearly always: body and headers came in one packet
            raw = content.read_nowait()
            return _within_limit(raw, len(raw))
    except web.RequestPayloadError as exc:
        raise _broken() from exc
    stream = BodyStream(content, BODY_BYTES_MAX)
    parts: list[bytes] = []
    while part := await stream.chunk():
        parts.append(part)
    return b"".join(parts)


async def short_body(request: web.Request, bytes_max: int) -> bytes | None:
    """A body that is all there and short; whoever reads it next finds it as if nobody had. None: it is another one."""
    if (request.content_length or bytes_max + 1) > bytes_max or not request.content.is_eof():
        return None
    request[WHOLE_BODY] = raw = await read_whole(request)
    return raw if len(raw) <= bytes_max else None


@contextmanager
def admitted(request: web.Request) -> Iterator[None]:
    """While a body is read and parsed: it has its share of the budget. Raises Overloaded."""
    with request.app[BODIES].hold(request.content_length) as share:
        request[BODY_SHARE] = share
        yield


def body_stream(request: web.Request, bytes_max: int) -> "BodyStream":
    """The body of an admitted request."""
    return BodyStream(request.content, bytes_max, request[BODY_SHARE])


class BodyStream:
    """A body in pieces as they come, unpacked where it was compressed: at most `bytes_max` in all, and not slower than a body may be.

    Only the time spent on waiting for the sender counts, not what is done with the pieces meanwhile.
    """

    def __init__(self, content: StreamReader, bytes_max: int, share: Share | None = None) -> None:
        self._content = content
        self._share = share
        self._bytes_max = bytes_max
        self._loop = asyncio.get_running_loop()
        self._waited_s = 0.0
        self._expected_bytes = PIECE_BYTES if share is None else min(PIECE_BYTES, share.coming_bytes)
        """Of the next piece: as many as the last one had."""
        self.size_bytes = 0
        """What came so far."""

    async def chunk(self) -> bytes:
        """The next piece, of at most some 256 KiB; empty at the end. Raises RequestTimeout, RequestTooLarge, InvalidRequest."""
        if self._share is not None:  # before it is read: what is read makes room for the socket to be read again
            await self._share.budget.turns.take(self._expected_bytes)
        began_s = self._loop.time()
        may_wait_s = READ_S_MIN + self.size_bytes / BYTES_PER_S_MIN - self._waited_s
        try:
            async with asyncio.timeout_at(began_s + may_wait_s):
                part = await self._content.readany()
        except TimeoutError as exc:
            raise RequestTimeout("The body did not arrive in time; send it again over a better connection.") from exc
        except web.RequestPayloadError as exc:
            raise _broken() from exc
        self._waited_s += self._loop.time() - began_s
        self.size_bytes += len(part)
        self._expected_bytes = len(part)
        if self._share is not None:
            self._share.cover(self.size_bytes)
        return _within_limit(part, self.size_bytes, self._bytes_max)


def _within_limit(part: bytes, size_bytes: int, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    if size_bytes > bytes_max:
        raise RequestTooLarge(f"The body may have {bytes_max} bytes.")
    return part


def _broken() -> InvalidRequest:
    return InvalidRequest("The body could not be read: its framing or compression is broken.")


def check_is_json(request: web.Request) -> None:
    """By its Content-Type, in UTF-8. Raises InvalidRequest."""
    kind = request.content_type
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    # Without the header aiohttp says application/octet-stream; such a body is taken for JSON, as OpenAI does.
    if not is_json and "Content-Type" in request.headers:
        raise InvalidRequest(
            f"Content-Type is {kind[:60]}: send the body as JSON with Content-Type: application/json.",
            param="Content-Type",
        )
    charset = (request.charset or "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise InvalidRequest(f"The charset is {charset[:40]}: send UTF-8.", param="Content-Type")


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidRequest(f"{_shown(name)} stands in the body twice: send it once.", param=_shown(name))
            seen.add(name)
    return value


def _refuse_lone_surrogates(value: object, field: str | None) -> None:
    """JSON may spell `\\ud800` alone; no database, log or upstream could store or send it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            name = _shown(field) if field else "The body"
            raise InvalidRequest(f"{name}: has half a surrogate pair, which is no character.", param=field) from exc
    elif isinstance(value, dict):
        for key, member in value.items():
            _refuse_lone_surrogates(key, field)
            _refuse_lone_surrogates(member, field or key)
    elif isinstance(value, list):
        for member in value:
            _refuse_lone_surrogates(member, field)


def _shown(name: str) -> str:
    return name[:60]


def _refuse_constant(text: str) -> Never:
    raise InvalidRequest(f"The body has {text}, which is not JSON: send a number or null.")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
"""Kept: `json.loads` with hooks makes one for every body."""
