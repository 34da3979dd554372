"""The bytes of `data:` URLs (RFC 2397) and of plain base64, in pieces as they come. Pure but for its source; fails as InvalidImage.

Large pieces are decoded in a thread: the decoder gives the interpreter away meanwhile, and the loop would wait for other threads to give it back.
"""

import asyncio
import binascii
from collections.abc import AsyncIterator
from typing import Final

import pybase64

from gateway.domain.errors import InvalidImage

THREAD_BYTES_MIN: Final = 64 * 1024
_HEADER_BYTES_MAX: Final = 256


async def decoded(pieces: AsyncIterator[bytes], *, bare: bool = False) -> AsyncIterator[bytes]:
    """`bare`: base64 without a header is fine. The type that a header says means nothing: bytes tell what they are."""
    held = b""
    is_open = False  # whether the header was read
    ended = False
    async for piece in pieces:
        held += piece
        if not is_open:
            rest = _without_header(held, bare=bare)
            if rest is None:
                continue
            held, is_open = rest, True
        whole = len(held) - len(held) % 4
        ready, held = held[:whole], held[whole:]
        if ready and ended:
            raise _invalid("goes on behind its padding")
        if ready:
            ended = ready.endswith(b"=")
            yield _decode(ready) if len(ready) < THREAD_BYTES_MIN else await asyncio.to_thread(_decode, ready)
    if not is_open:
        raise _invalid("has no comma")
    if held and (ended or len(held) == 1):
        raise _invalid("was cut")
    if held:  # padding may be left out: https://fetch.spec.whatwg.org/#data-urls
        yield _decode(held.ljust(4, b"="))


def is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:"


def _without_header(text: bytes, *, bare: bool) -> bytes | None:
    """What follows the header; None: it is not whole yet."""
    if text[:5].lower() != b"data:":
        if bare and len(text) >= 5:
            return text
        return None if len(text) < 5 else _refuse("is no data: URL")
    header, comma, rest = text.partition(b",")
    if not comma:
        return None if len(text) <= _HEADER_BYTES_MAX else _refuse("has no comma")
    if not header.rstrip().lower().endswith(b";base64"):
        return _refuse("is not base64: write data:image/png;base64,…")
    return rest


def _decode(text: bytes) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise _invalid("has characters that are not base64, or was cut") from exc


def _refuse(what: str) -> bytes:
    raise _invalid(what)


def _invalid(what: str) -> InvalidImage:
    return InvalidImage(f"The data: URL {what}.")
