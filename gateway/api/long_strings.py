"""Reading JSON bodies that carry pictures in strings: each such string is handed on in pieces as it comes, and what is left is small enough to parse.

A JSON parser would hold a picture five times and stop the loop for it. Here a string that begins with `data:` and is longer than INLINE_BYTES_MAX is
taken out of the text, and a name that nobody can guess stands in its place; the rest is parsed as strictly as any other body. How it fails: as
`body.py` says, and with whatever the taker of a string raises.
"""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import web

from gateway.api.body import BODY_BYTES_MAX, BodyStream, JsonObject, check_is_json, parse_object, read_whole
from gateway.api.multipart import Source
from gateway.domain.errors import InvalidRequest, RequestTooLarge

INLINE_BYTES_MAX: Final = 16 * 1024
"""Shorter strings stay in the text: a prompt, a link, an icon."""
DATA: Final = b"data:"

Take = Callable[[str, AsyncIterator[bytes]], Awaitable[None]]
"""Gets the name that stands in the body instead, and the string's own bytes; what it does not read of them is thrown away."""

_STRING_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
# What serialisers escape although they need not: PHP the slash, .NET the plus, Gson the equals sign. Anything else escaped is no base64.
_ESCAPED = ((b"\\/", b"/"), (b"\\u002B", b"+"), (b"\\u002b", b"+"), (b"\\u003D", b"="), (b"\\u003d", b"="))
_ESCAPE_BYTES = 6


async def read_json_taking(
    request: web.Request, source: BodyStream, take: Take, *, beginning: bytes = DATA
) -> JsonObject:
    """The body as an object; long strings that begin with `beginning` are handed to `take`, in the body's order."""
    check_is_json(request)
    if request.content.is_eof():  # nearly always: body and headers came in one packet
        raw = await read_whole(request)
        if beginning and beginning not in raw:
            return parse_object(raw)
        return await _Scan(_After(raw, source), take, beginning).read()
    return await _Scan(source, take, beginning).read()


class _After:
    """A source of which something was read already."""

    def __init__(self, first: bytes, source: Source) -> None:
        self._first, self._source = first, source

    async def chunk(self) -> bytes:
        first, self._first = self._first, b""
        return first or await self._source.chunk()


class _Scan:
    """One pass over a body. `_chunk` from `_at` on is what was read and not yet looked at."""

    def __init__(self, source: Source, take: Take, beginning: bytes) -> None:
        self._source, self._take, self._beginning = source, take, beginning
        self._text = bytearray()
        self._chunk, self._at = b"", 0
        self._nonce = secrets.token_hex(16)
        self._taken = 0
        self._open = False
        """Whether a string that was handed on goes on."""

    async def read(self) -> JsonObject:
        while await self._more():
            quote = self._chunk.find(b'"', self._at)
            if quote < 0:
                self._keep(len(self._chunk))
                continue
            self._keep(quote + 1)
            await self._string()
        return parse_object(bytes(self._text))

    async def _string(self) -> None:
        """From behind its opening quote to before its closing one; a body that ends before is left to the parser."""
        began = len(self._text)
        while await self._more():
            match = _STRING_REST.match(self._chunk, self._at)
            end = self._at if match is None else match.end()
            closed = self._chunk[end : end + 1] == b'"'
            if end == self._at and not closed:  # a backslash whose letter is still to come
                if not await self._join():
                    self._keep(len(self._chunk))
                    return
                continue
            self._keep(end)
            if len(self._text) - began > INLINE_BYTES_MAX and self._text.startswith(self._beginning, began):
                await self._hand_on(began)
                return
            if closed:
                self._keep(end + 1)
                return

    async def _hand_on(self, began: int) -> None:
        first = bytes(memoryview(self._text)[began:])
        del self._text[began:]
        name = f"{self._nonce}-{self._taken}"
        self._taken += 1
        self._open = True
        await self._take(name, _unescaped(self._rest_of_string(first)))
        while self._open:  # the taker may have given up before the end
            async for _ in self._rest_of_string(b""):
                pass
        self._text += name.encode() + b'"'

    async def _rest_of_string(self, first: bytes) -> AsyncIterator[bytes]:
        """To its closing quote, which is read away. No picture has a quote in it, so the first one ends it, escaped or not."""
        if first:
            yield first
        while await self._more():
            quote = self._chunk.find(b'"', self._at)
            piece = self._chunk[self._at : quote if quote >= 0 else None]
            self._at = len(self._chunk) if quote < 0 else quote + 1
            self._open = quote < 0
            if piece:
                yield piece
            if not self._open:
                return
        raise InvalidRequest("The body is not valid JSON: it ends within a string.")

    def _keep(self, end: int) -> None:
        """What was looked at belongs to the text."""
        self._text += memoryview(self._chunk)[self._at : end]
        self._at = end
        if len(self._text) > BODY_BYTES_MAX:
            raise RequestTooLarge(f"The body may have {BODY_BYTES_MAX} bytes besides its pictures.")

    async def _more(self) -> bool:
        """Whether there is something to look at."""
        if self._at >= len(self._chunk):
            self._chunk, self._at = await self._source.chunk(), 0
        return bool(self._chunk)

    async def _join(self) -> bool:
        """What is left and what comes next, as one."""
        piece = await self._source.chunk()
        self._chunk, self._at = self._chunk[self._at :] + piece, 0
        return bool(piece)


async def _unescaped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Without the escapes that base64 and its header may have in JSON; one that is cut waits for its other half."""
    held = b""
    async for piece in pieces:
        whole, held = held + piece, b""
        if b"\\" in whole:
            cut = whole.rfind(b"\\", max(0, len(whole) - _ESCAPE_BYTES + 1))
            if cut >= 0 and whole[cut + 1 : cut + 2] in (b"", b"u"):
                whole, held = whole[:cut], whole[cut:]
            for escaped, plain in _ESCAPED:
                whole = whole.replace(escaped, plain)
        if whole:
            yield whole
    if held:
        yield held
