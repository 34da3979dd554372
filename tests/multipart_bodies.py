"""Forms for tests: parts as bodies, and bodies cut into the pieces in which they come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.api.multipart import Form

BOUNDARY = "----boundary-7f3a"


@dataclass
class Pieces:
    """A body in pieces."""

    pieces: list[bytes] = field(default_factory=list)

    async def chunk(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


@dataclass(frozen=True)
class Sent:
    """A part as it is sent."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    def encoded(self) -> bytes:
        head = f'Content-Disposition: form-data; name="{_quoted(self.name)}"'
        if self.filename is not None:
            head += f'; filename="{_quoted(self.filename)}"'
        if self.content_type is not None:
            head += f"\r\nContent-Type: {self.content_type}"
        return head.encode() + b"\r\n\r\n" + self.content


def body_of(parts: Iterable[Sent | bytes], boundary: str = BOUNDARY) -> bytes:
    """A valid body; a part given as bytes stands there as it is, headers included."""
    line = b"--" + boundary.encode()
    encoded = (part if isinstance(part, bytes) else part.encoded() for part in parts)
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in encoded) + line + b"--\r\n"


def cut(body: bytes, sizes: Sequence[int]) -> Pieces:
    """In pieces of these sizes, and the rest in one."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    return Pieces([piece for piece in (*pieces, body[at:]) if piece])


async def read(body: bytes, sizes: Sequence[int] = (), boundary: str = BOUNDARY) -> list[Sent]:
    """What the gateway reads."""
    found: list[Sent] = []
    async for part in Form(cut(body, sizes), boundary.encode()).parts():
        content = b"".join([piece async for piece in part.chunks()])
        found.append(Sent(part.name, content, part.filename, part.content_type or None))
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
