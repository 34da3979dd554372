"""Bodies of requests to upstreams, those with callers' pictures written piece by piece: a picture is never in memory whole.

Owns the two forms that carry pictures, JSON (base64 or data URLs inside it) and multipart. Each has a known length, and can be written any number
of times. How it fails: before anything is sent, `ready` finds a picture that the store does not give (LOCAL, NO); one that fails while the body is
being written breaks the connection off, so that what the upstream made of the beginning is open (NO_ANSWER, UNKNOWN, as `wire` says).
"""

import re
import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from aiohttp import BytesPayload
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Picture, UpstreamFailure

JSON_TYPE = "application/json"
BASE64_PIECE_BYTES = 48 * 1024
"""What is encoded on the loop at once: 64 KiB of text, some 50 microseconds."""
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class RawPart:
    """A picture's bytes as they are."""

    picture: Picture

    @property
    def size_bytes(self) -> int:
        return self.picture.size_bytes

    async def pieces(self) -> AsyncGenerator[bytes]:
        async with aclosing(_checked(self.picture)) as chunks:
            async for chunk in chunks:
                yield chunk


@dataclass(frozen=True, slots=True)
class Base64Part:
    """A picture as base64 text; inside a JSON document it stands where a text would."""

    picture: Picture

    @property
    def size_bytes(self) -> int:
        return 4 * -(-self.picture.size_bytes // 3)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Multiples of three bytes at a time, so that the texts add up to the text of the whole."""
        rest = b""
        async with aclosing(_checked(self.picture)) as chunks:
            async for chunk in chunks:
                data = rest + chunk
                whole = len(data) - len(data) % 3
                rest = data[whole:]
                for at in range(0, whole, BASE64_PIECE_BYTES):
                    yield b64encode(data[at : min(at + BASE64_PIECE_BYTES, whole)])
        if rest:
            yield b64encode(rest)


Part = bytes | RawPart | Base64Part


@dataclass(frozen=True, slots=True)
class Base64Text:
    """In a JSON document: the picture as base64."""

    picture: Picture
    prefix: str = ""


def data_url(picture: Picture) -> Base64Text:
    """In a JSON document: the picture as a `data:` URL."""
    return Base64Text(picture, f"data:{picture.content_type};base64,")


def given_link(picture: Picture) -> str:
    """A link to a caller's picture. Routing asks nobody for it who cannot have one; the config may have changed since."""
    link = picture.link()
    if link is None:
        raise UpstreamFailure(Fault.LOCAL, Billed.NO, "takes links alone, and this gateway has no public https address")
    return link


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A body with pictures, before it is sent."""

    parts: tuple[Part, ...]
    content_type: str

    @property
    def size_bytes(self) -> int:
        return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in self.parts)

    async def ready(self) -> None:
        """Every picture begins to come from the store. Raises UpstreamFailure(LOCAL, NO) where one does not."""
        for part in self.parts:
            if not isinstance(part, bytes):
                async with aclosing(part.pieces()) as pieces:
                    await anext(pieces, b"")


Body = bytes | Outgoing
"""Bytes are JSON."""


def json_body(document: Mapping[str, object], *, sort_keys: bool = False) -> Body:
    """A JSON object with `Base64Text` wherever a picture stands; plain bytes where none does."""
    marker, found = secrets.token_hex(16), list[Base64Text]()

    def placeholder(value: object) -> str:
        if not isinstance(value, Base64Text):
            raise TypeError
        found.append(value)
        return f"{marker}-{len(found) - 1}"

    option = orjson.OPT_PASSTHROUGH_DATACLASS | (orjson.OPT_SORT_KEYS if sort_keys else 0)
    text = orjson.dumps(document, default=placeholder, option=option)
    if not found:
        return text
    parts: list[Part] = []
    for index, piece in enumerate(re.split(rf'"{marker}-(\d+)"'.encode(), text)):
        if index % 2 == 0:
            parts.append(piece)
            continue
        picture = found[int(piece)]
        parts += [b'"' + picture.prefix.encode(), Base64Part(picture.picture), b'"']
    return Outgoing(tuple(parts), JSON_TYPE)


def multipart_body(fields: Mapping[str, object], files: Sequence[tuple[str, Picture]]) -> Outgoing:
    """A form: scalars first, files last, objects and lists as `svg[model]` and `name[]`: all as OpenAI's clients send it."""
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
        for name, value in _flat(fields)
    )
    parts: list[Part] = [head.encode(errors="surrogatepass")]
    for number, (name, picture) in enumerate(files, 1):
        filename = f"{name.removesuffix('[]')}-{number}.{_EXTENSIONS.get(picture.content_type, 'bin')}"
        disposition = f'Content-Disposition: form-data; name="{_quoted(name)}"; filename="{filename}"'
        parts.append(f"--{boundary}\r\n{disposition}\r\nContent-Type: {picture.content_type}\r\n\r\n".encode())
        parts += [RawPart(picture), b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return Outgoing(tuple(parts), f"multipart/form-data; boundary={boundary}")


class TrackedBody(BytesPayload):
    """A JSON body that remembers whether anybody began to write it."""

    def __init__(self, value: bytes) -> None:
        super().__init__(value, content_type=JSON_TYPE)
        self.begun = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.begun = True
        await super().write_with_length(writer, content_length)


class TrackedStream(Payload):
    """The same for a body with pictures. A failure in the middle of it ends the connection, whose error is the caller's."""

    _autoclose = True  # it holds nothing open between two writes

    def __init__(self, outgoing: Outgoing) -> None:
        super().__init__(outgoing, content_type=outgoing.content_type)
        self._outgoing = outgoing
        self._size = outgoing.size_bytes
        self.begun = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a body with pictures is never in memory whole")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """All of it: `content_length` is the size that was announced."""
        self.begun = True
        for part in self._outgoing.parts:
            if isinstance(part, bytes):
                await writer.write(part)
                continue
            async with aclosing(part.pieces()) as pieces:
                async for piece in pieces:
                    await writer.write(piece)


def tracked(body: Body) -> TrackedBody | TrackedStream:
    """What aiohttp sends."""
    return TrackedBody(body) if isinstance(body, bytes) else TrackedStream(body)


async def _checked(picture: Picture) -> AsyncGenerator[bytes]:
    """Its bytes, exactly as many as announced: a body of another length than its header says is no request."""
    left, chunks = picture.size_bytes, picture.chunks()
    try:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if left:
        raise UpstreamFailure(Fault.LOCAL, Billed.NO, "a stored picture has another length than it had when it came")


def _flat(fields: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        key = f"{within}[{name}]" if within else name
        yield from _texts(key, value)


def _texts(key: str, value: object) -> Iterable[tuple[str, str]]:
    match value:
        case None:
            return []
        case bool():
            return [(key, "true" if value else "false")]
        case dict():
            return _flat(value, key)
        case list():
            return [pair for item in value for pair in _texts(f"{key}[]", item)]
        case _:
            return [(key, str(value))]


def _quoted(name: str) -> str:
    """As browsers do; names are the vendor's or the operator's."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
