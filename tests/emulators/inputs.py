"""Callers' pictures as vendors get them: out of a form, of base64 or of a `data:` URL, looked at as vendors look at them.

Owns the reading and the checks that all vendors share: a picture decodes, a mask is a PNG as large as the first picture, with an alpha channel where
transparent means edit and without where white does. What is wrong raises `Unusable`, which each vendor words in its own way.
"""

import base64
import binascii
import functools
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Literal, cast

from PIL import Image

from tests.emulators.records import Received

Polarity = Literal["alpha", "white"]

FORMATS = ("PNG", "JPEG", "WEBP")
PATCH = 32
TOKENS_MAX = 8_192
_DATA_URL = re.compile(r"data:(?:image/(?:png|jpeg|webp)|application/octet-stream);base64,([A-Za-z0-9+/=]+)")


class Unusable(Exception):
    """Pictures that the vendor does not take; `mask`: which of them."""

    def __init__(self, message: str, *, mask: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.mask = mask


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body."""

    fields: dict[str, str]
    files: dict[str, list[bytes]]


def read_form(received: Received) -> Form | None:
    """By the standard library's parser; None for another type."""
    content_type = received.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return None
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + received.body)
    fields, files = dict[str, str](), dict[str, list[bytes]]()
    for part in cast(list[Message], message.get_payload()):
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename() is None:
            fields[name] = content.decode()
        else:
            files.setdefault(name, []).append(content)
    return Form(fields, files)


def typed(form: Form) -> dict[str, object]:
    """The scalars of a form, numbers as numbers."""
    return {name: _number(value) if name in ("n", "strength", "seed") else value for name, value in form.fields.items()}


def _number(value: str) -> object:
    try:
        return int(value) if value.lstrip("-").isdecimal() else float(value)
    except ValueError:
        return value


def from_base64(text: object) -> bytes:
    """A picture's bytes."""
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error as exc:
        raise Unusable("The image is not valid base64.") from exc


def from_url(received: Received, url: object) -> bytes:
    """Of a `data:` URL, or what the vendor fetched from a link."""
    match = _DATA_URL.fullmatch(str(url))
    if match is not None:
        return from_base64(match[1])
    if str(url) not in received.fetched:
        raise Unusable("The image could not be downloaded.")
    return received.fetched[str(url)]


def is_here(url: str) -> bool:
    """Whether an emulator can fetch it: it leaves this machine no more than anything else in a test does."""
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "data:"))


def take_urls(received: Received, urls: Sequence[object], mask: object = None, polarity: Polarity = "alpha") -> None:
    """The same for pictures behind links and in `data:` URLs; links to elsewhere are taken on trust, all of them unseen."""
    if all(is_here(str(url)) for url in (*urls, *([mask] if mask else ()))):
        images = [from_url(received, url) for url in urls]
        take(received, images, from_url(received, mask) if mask else None, polarity)


def take(received: Received, images: list[bytes], mask: bytes | None = None, polarity: Polarity = "alpha") -> None:
    """Look at the pictures and write them down."""
    sizes = [_opened(image, "image").size for image in images]
    if mask is not None:
        found = _opened(mask, "mask", mask=True)
        if found.format != "PNG":
            raise Unusable("The mask must be a PNG.", mask=True)
        if not sizes or found.size != sizes[0]:
            raise Unusable("The mask must have the size of the image.", mask=True)
        if (polarity == "alpha") is not found.transparent:
            raise Unusable(f"The mask must {'' if polarity == 'alpha' else 'not '}have an alpha channel.", mask=True)
    received.images, received.mask = images, mask


def painted(received: Received, polarity: Polarity) -> bytes:
    """The first picture with what the vendor would make anew all red: a map of the edit."""
    assert received.mask is not None
    with Image.open(io.BytesIO(received.images[0])) as image, Image.open(io.BytesIO(received.mask)) as mask:
        values = mask.convert("RGBA").getchannel("A") if polarity == "alpha" else mask.convert("L")
        edited = values.point(
            [255 * ((value < 128) if polarity == "alpha" else (value >= 128)) for value in range(256)]
        )
        red = Image.new("RGB", image.size, (255, 0, 0))
        made = Image.composite(red, image.convert("RGB"), edited)
        stream = io.BytesIO()
        made.save(stream, "PNG")
        return stream.getvalue()


def tokens(images: list[bytes]) -> int:
    """Input tokens of pictures: patches of 32x32, of at most 8.3 million pixels each (assumed; the published price of resold edits agrees)."""
    sizes = [_opened(image, "image").size for image in images]
    return sum(min(TOKENS_MAX, -(-width // PATCH) * -(-height // PATCH)) for width, height in sizes)


@dataclass(frozen=True, slots=True)
class _Seen:
    format: str | None
    size: tuple[int, int]
    transparent: bool


@functools.lru_cache(maxsize=64)
def _decoded(content: bytes) -> _Seen:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.load()
        return _Seen(image.format, image.size, image.has_transparency_data)


def _opened(content: bytes, what: str, *, mask: bool = False) -> _Seen:
    try:
        return _decoded(content)
    except Exception as exc:
        raise Unusable(f"The {what} could not be read.", mask=mask) from exc
