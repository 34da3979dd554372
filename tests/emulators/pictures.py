"""Small real pictures of any size in PNG, JPEG and WebP, each carrying a label that says which call made it.

Owns the bytes only. The base picture of a size and format is made once; label and padding are added as a chunk that
decoders skip, so that two answers never have the same bytes and a test can prove that a picture reached its owner.
Sizes are (width, height) in pixels. An unknown format is a KeyError.
"""

import functools
import io
import os
import struct
import zlib

from PIL import Image

Size = tuple[int, int]

_MARK = b"emulator:"
_COMMENT_BYTES_MAX = 65_533  # a JPEG segment counts its own two length bytes in 16 bits


def picture(size: Size, output_format: str, label: str, *, transparent: bool = False, padding_bytes: int = 0) -> bytes:
    """A picture of exactly this size and format; padding makes it as heavy as a real one."""
    payload = _MARK + label.encode() + b"\0" + _padding(padding_bytes)
    return _EMBED[output_format](_base(size, output_format, transparent), payload)


def spoiled(
    what: str | None,
    size: Size,
    output_format: str,
    label: str,
    *,
    transparent: bool = False,
    padding_bytes: int = 0,
) -> bytes:
    """The picture, or what a broken vendor delivers instead of it (the words of `behaviours.WrongImage`)."""
    match what:
        case "not_an_image":
            return b"<html><body>" + label.encode() + b"</body></html>"
        case "empty":
            return b""
        case "other_format":
            output_format = "png" if output_format == "jpeg" else "jpeg"
        case "other_size":
            size = (size[0] // 2, size[1] // 2)
    content = picture(size, output_format, label, transparent=transparent, padding_bytes=padding_bytes)
    return content[: len(content) // 2] if what == "cut_off" else content


def blackened(size: Size, output_format: str, label: str) -> bytes:
    """What some vendors deliver instead of a picture that their filter caught: all of it black."""
    return _EMBED[output_format](_black(size, output_format), _MARK + label.encode() + b"\0")


def label_of(content: bytes) -> str | None:
    """The label inside a picture of ours, else None."""
    start = content.find(_MARK)
    if start < 0:
        return None
    return content[start + len(_MARK) : content.index(b"\0", start)].decode()


def decoded(content: bytes) -> tuple[str, Size]:
    """Format and size after decoding every pixel; raises what Pillow raises."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return str(image.format).lower(), image.size


@functools.lru_cache(maxsize=64)
def _base(size: Size, output_format: str, transparent: bool) -> bytes:
    if output_format == "png":
        return _png(size, transparent)
    stream = io.BytesIO()
    mode, colour = ("RGBA", (0, 0, 0, 0)) if transparent and output_format == "webp" else ("RGB", (64, 128, 192))
    Image.new(mode, size, colour).save(stream, output_format)
    return stream.getvalue()


@functools.lru_cache(maxsize=8)
def _black(size: Size, output_format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, output_format)
    return stream.getvalue()


def _png(size: Size, transparent: bool) -> bytes:
    width, height = size
    pixel, colour_type = (b"\0\0\0\0", 6) if transparent else (b"\x40\x80\xc0", 2)
    row = b"\0" + pixel * width
    deflate = zlib.compressobj(1)
    packed = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _embed_png(base: bytes, payload: bytes) -> bytes:
    return base[:-12] + _chunk(b"emUl", payload) + base[-12:]  # the IEND chunk is the last 12 bytes


def _embed_jpeg(base: bytes, payload: bytes) -> bytes:
    parts = [payload[at : at + _COMMENT_BYTES_MAX] for at in range(0, len(payload), _COMMENT_BYTES_MAX)]
    comments = b"".join(b"\xff\xfe" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return base[:2] + comments + base[2:]


def _embed_webp(base: bytes, payload: bytes) -> bytes:
    chunk = b"EMUL" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    content = base[8:] + chunk
    return b"RIFF" + struct.pack("<I", len(content)) + content


_EMBED = {"png": _embed_png, "jpeg": _embed_jpeg, "webp": _embed_webp}


@functools.lru_cache(maxsize=4)
def _padding(size_bytes: int) -> bytes:
    return os.urandom(size_bytes)
