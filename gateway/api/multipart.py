"""Reading `multipart/form-data` (RFC 7578) part by part as it comes: no part is ever in memory whole unless it is asked for as a text.

Everything is bounded: the parts, their names, their headers, what stands before the first and behind the last boundary; the stream below bounds all
bytes and the time. A body has one reading or is refused: no nested bodies, no folded headers, no line that only begins like the boundary. Every way
to fail is an InvalidRequest that says what is wrong with the form, or what the stream below raises.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import unquote

from aiohttp import web

from gateway.domain.errors import InvalidRequest

FORM: Final = "multipart/form-data"
PARTS_MAX = 64
"""OpenAI's edits have 16 pictures, a mask and some 20 parameters."""
HEADER_BYTES_MAX = 8 * 1024
"""Of one part: a name, a type, and a file's name of at most 4 KiB in any encoding."""
NAME_CHARS_MAX = 100
FILENAME_CHARS_MAX = 255
"""What is kept of it; it is shown and means nothing."""
OUTSIDE_BYTES_MAX = 4 * 1024
"""Before the first boundary and behind the last, where only mail programs ever put anything."""
TEXT_BYTES_MAX = 256 * 1024
"""The longest legal prompt: 32,000 characters of four bytes, with room."""

_BOUNDARY = re.compile(
    r""";\s*boundary=(?:"([0-9A-Za-z'()+_,\-./:=? ]{1,70})"|([0-9A-Za-z'()+_\-./:=?]{1,70}))\s*(?=;|\Z)""", re.I
)
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00\r\n]*)")
_PARAMETER = re.compile(r""";[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"\s]*)[ \t]*""")
_WHITE = b" \t"
# What browsers and SDKs write for characters that would end a quoted name: https://html.spec.whatwg.org/#multipart-form-data
_PERCENT = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


class Source(Protocol):
    """Where the bytes come from: empty at the end."""

    async def chunk(self) -> bytes: ...


@dataclass(slots=True)
class Part:
    """One part, to be read once and before the next one is asked for; what is left of it is thrown away then."""

    name: str
    filename: str | None
    """As the sender said, shortened; may be a path. None: the part is no file."""
    content_type: str
    """As the sender said, in small letters; empty where nothing was said."""
    form: "Form" = field(repr=False)

    def chunks(self) -> AsyncIterator[bytes]:
        """The content in the pieces in which it comes."""
        return self.form.content()

    async def text(self, bytes_max: int = TEXT_BYTES_MAX) -> str:
        """The content as UTF-8. Raises InvalidRequest, which names the part."""
        content = bytearray()
        async for piece in self.chunks():
            content += piece
            if len(content) > bytes_max:
                raise InvalidRequest(f"{self.name}: may have {bytes_max} bytes.", param=self.name)
        try:
            return content.decode()
        except UnicodeDecodeError as exc:
            raise InvalidRequest(f"{self.name}: is not UTF-8 (byte {exc.start}): send UTF-8.", param=self.name) from exc


class Form:
    """A body that is being read. `async for part in form.parts()`."""

    def __init__(self, source: Source, boundary: bytes) -> None:
        self._source = source
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # so that the first boundary, at the very beginning, looks like the others
        self._in_part = False

    async def parts(self) -> AsyncIterator[Part]:
        """Every part in the sender's order."""
        await self._skip_preamble()
        count = 0
        while not await self._at_end():
            count += 1
            if count > PARTS_MAX:
                raise _invalid(f"it has more than {PARTS_MAX} parts")
            part = await self._head()
            self._in_part = True
            yield part
            async for _ in self.content():
                pass
        await self._skip_epilogue()

    async def content(self) -> AsyncIterator[bytes]:
        """What is left of the present part."""
        kept = len(self._delimiter) - 1  # so much of the end may be the begin of a boundary
        while self._in_part:
            at = self._buffer.find(self._delimiter)
            ready = at if at >= 0 else len(self._buffer) - kept
            self._in_part = at < 0
            if ready > 0:
                piece = bytes(memoryview(self._buffer)[:ready])
                del self._buffer[:ready]
                yield piece
            if self._in_part:
                await self._more("the body ends within a part: its last boundary is missing")

    async def _skip_preamble(self) -> None:
        while (at := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > OUTSIDE_BYTES_MAX:
                break
            await self._more("the body has no boundary as its Content-Type says")
        if not 0 <= at <= OUTSIDE_BYTES_MAX:
            raise _invalid("the body does not begin with the boundary of its Content-Type")
        del self._buffer[:at]

    async def _at_end(self) -> bool:
        """Whether the boundary that comes now is the last one; it is taken away, with the end of its line."""
        await self._at_least(len(self._delimiter) + 2)
        del self._buffer[: len(self._delimiter)]
        if self._buffer.startswith(b"--"):
            del self._buffer[:2]
            return True
        while True:
            line = self._buffer.lstrip(_WHITE)
            if line.startswith(b"\r\n"):
                self._buffer = line[2:]
                return False
            if bytes(line) not in (b"", b"\r") or len(self._buffer) > OUTSIDE_BYTES_MAX:
                raise _invalid("a line begins with the boundary and goes on")
            await self._more("the body ends after a boundary")

    async def _head(self) -> Part:
        """The headers of the part that begins, up to the empty line."""
        while not self._buffer.startswith(b"\r\n") and (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEADER_BYTES_MAX:
                raise _invalid(f"a part has headers of more than {HEADER_BYTES_MAX} bytes")
            await self._more("the body ends within the headers of a part")
        if self._buffer.startswith(b"\r\n"):
            raise _invalid("a part has no headers: each needs Content-Disposition: form-data with a name")
        if end > HEADER_BYTES_MAX:
            raise _invalid(f"a part has headers of more than {HEADER_BYTES_MAX} bytes")
        head = bytes(self._buffer[:end])
        # The line break of the empty line stays: a part without content is followed by its boundary at once.
        del self._buffer[: end + 2]
        headers = _headers(head)
        name, filename = _disposition(headers.get("content-disposition"))
        encoding = headers.get("content-transfer-encoding", "").lower()
        content_type = headers.get("content-type", "").lower()
        if content_type.startswith("multipart/"):
            raise _invalid(f"the part {name!r} is itself multipart; send each file as a part of its own")
        if encoding not in _PLAIN_ENCODINGS:
            raise _invalid(f"the part {name!r} has a Content-Transfer-Encoding; send its bytes as they are")
        await self._drop_line_break()
        return Part(name, filename, content_type[:100], self)

    async def _drop_line_break(self) -> None:
        """Of the empty line, unless it belongs to a boundary that follows at once."""
        while not self._buffer.startswith(self._delimiter):
            if not self._delimiter.startswith(self._buffer):
                del self._buffer[:2]
                return
            await self._more("the body ends within a part: its last boundary is missing")

    async def _skip_epilogue(self) -> None:
        while len(self._buffer) <= OUTSIDE_BYTES_MAX and (piece := await self._source.chunk()):
            self._buffer += piece
        if len(self._buffer) > OUTSIDE_BYTES_MAX:
            raise _invalid("the body goes on behind its last boundary")
        if bytes(self._buffer.lstrip(_WHITE)[:2]) not in (b"", b"\r\n"):
            raise _invalid("a line begins with the last boundary and goes on")

    async def _at_least(self, size_bytes: int) -> None:
        while len(self._buffer) < size_bytes:
            await self._more("the body ends within a boundary")

    async def _more(self, otherwise: str) -> None:
        piece = await self._source.chunk()
        if not piece:
            raise _invalid(otherwise)
        self._buffer += piece


def is_form(request: web.Request) -> bool:
    """By the header's first word. aiohttp reads all of it with a parser of mail, 0.2 ms for every new boundary, and every form has one."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM


def read_form(request: web.Request, source: Source) -> Form:
    """The form of a request whose bytes come from `source`. Raises InvalidRequest where the Content-Type names no boundary, or more than one."""
    found = _BOUNDARY.findall(request.headers.get("Content-Type", ""))
    boundary = found[0][0] or found[0][1] if len(found) == 1 else ""
    if not boundary or boundary.endswith(" "):
        raise InvalidRequest(
            f"Content-Type: {FORM} needs one boundary of 1 to 70 characters; let your HTTP library set the header.",
            param="Content-Type",
        )
    return Form(source, boundary.encode())


def _headers(head: bytes) -> dict[str, str]:
    """By name in small letters. Raises InvalidRequest for what is no header, and for one that comes twice."""
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            raise _invalid("a part has a header that is none")
        name = match[1].decode().lower()
        if name in headers:
            raise _invalid(f"a part has the header {name[:40]} twice")
        headers[name] = match[2].strip(_WHITE).decode("utf-8", "replace")
    return headers


def _disposition(text: str | None) -> tuple[str, str | None]:
    """Name and file name of a part. Raises InvalidRequest."""
    text = text or ""
    kind = text.partition(";")[0]
    if kind.strip().lower() != "form-data":
        raise _invalid("a part has no Content-Disposition: form-data with a name")
    parameters: dict[str, str] = {}
    at = len(kind)
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1].lower() in parameters:
            raise _invalid("a part has a Content-Disposition that cannot be read, or reads in two ways")
        parameters[match[1].lower()] = _unquoted(match[2])
        at = match.end()
    name = parameters.get("name", "")
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise _invalid(f"a part has no name, or one that is not of 1 to {NAME_CHARS_MAX} printable characters")
    filename = parameters.get("filename")
    if "filename*" in parameters:  # RFC 5987: charset'language'percent-encoded
        filename = unquote(parameters["filename*"].rpartition("'")[2], errors="replace")
    return name, None if filename is None else filename[-FILENAME_CHARS_MAX:]


def _unquoted(text: str) -> str:
    if text[:1] == '"':
        # Only these two are escaped: Windows' paths come with plain backslashes.
        text = re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return re.sub("%22|%0[DdAa]", lambda found: _PERCENT[found[0]], text)


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(f"The body is no valid {FORM}: {what}.", param="body")
