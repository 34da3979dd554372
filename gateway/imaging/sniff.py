"""Reads type, dimensions and transparency from an image's headers, without decoding a pixel.

It must not trust a name or a Content-Type, and not fail in any other way than NotAnImage, whatever the bytes. What passes is well-formed
on the outside; only a decoder can say more. Refused besides malformed headers: SVG (not an image format here), animations, lossless,
arithmetic and 12-bit JPEG (few decoders, many bugs), bytes after a PNG's or WebP's end (a second file hiding behind the first).
Bytes after a JPEG's end stay allowed: phones put depth and gain maps there.
"""

import re
import zlib
from dataclasses import dataclass

BYTES_MAX = 50 * 1024 * 1024
SIDE_MAX = 8_192
PIXELS_MAX = 40_000_000
"""160 MB as RGBA."""
ASPECT_MAX = 16
"""Vendors offer up to 8:1 and round a little beyond."""
SEGMENTS_MAX = 512
PNG_DATA_CHUNKS_MAX = 16_384
"""libpng writes 8 KiB a chunk by default, so BYTES_MAX needs 6,400."""


class NotAnImage(ValueError):
    """`reason` says why, without quoting the bytes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SniffedImage:
    content_type: str
    extension: str
    width: int
    height: int
    has_alpha: bool
    """The file declares transparency; whether a pixel uses it, only decoding tells."""


def sniff(data: bytes) -> SniffedImage:
    """What the bytes are; NotAnImage if they are none of PNG, JPEG, WebP, GIF, or break a limit above."""
    if len(data) > BYTES_MAX:
        raise NotAnImage(f"larger than {BYTES_MAX} bytes")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _gif(data)
    raise NotAnImage("not PNG, JPEG, WebP or GIF")


def _image(kind: str, extension: str, width: int, height: int, has_alpha: bool) -> SniffedImage:
    if width < 1 or height < 1 or width > SIDE_MAX or height > SIDE_MAX or width * height > PIXELS_MAX:
        raise NotAnImage(f"{width}x{height} pixels are outside the limits")
    if max(width, height) > ASPECT_MAX * min(width, height):
        raise NotAnImage(f"{width}x{height} is too narrow")
    return SniffedImage(f"image/{kind}", extension, width, height, has_alpha)


def _number(data: bytes, start: int, size: int, *, big: bool = True) -> int:
    """An unsigned integer; NotAnImage past the end, where a slice would be silently short."""
    if start + size > len(data):
        raise NotAnImage("header is cut off")
    return int.from_bytes(data[start : start + size], "big" if big else "little")


# PNG: https://www.w3.org/TR/png-3/

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PNG_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


def _png(data: bytes) -> SniffedImage:
    width, height, has_alpha = _png_header(data)
    position, segments, data_chunks = 33, 1, 0  # after the signature and IHDR
    while True:
        length, kind = _number(data, position, 4), data[position + 4 : position + 8]
        position += 12 + length
        if position > len(data):
            raise NotAnImage("PNG is cut off")
        if kind == b"IDAT":
            data_chunks += 1
        else:
            segments += 1
        if segments > SEGMENTS_MAX or data_chunks > PNG_DATA_CHUNKS_MAX:
            raise NotAnImage("PNG with too many chunks")
        if kind in _PNG_ANIMATION:
            raise NotAnImage("animated PNG")
        if kind == b"IEND":
            break
        if not kind.isalpha() or kind == b"IHDR" or (kind[:1].isupper() and kind not in _PNG_CRITICAL):
            raise NotAnImage("PNG with an unknown critical chunk")
        has_alpha = has_alpha or kind == b"tRNS"
    if length or not data_chunks or position != len(data):
        raise NotAnImage("PNG without data, or with bytes after its end")
    return _image("png", "png", width, height, has_alpha)


def _png_header(data: bytes) -> tuple[int, int, bool]:
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\x0dIHDR" or zlib.crc32(data[12:29]) != _number(data, 29, 4):
        raise NotAnImage("PNG without a valid IHDR")
    depth, colour, compression, filtering, interlace = data[24:29]
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise NotAnImage("PNG of an undefined kind")
    return _number(data, 16, 4), _number(data, 20, 4), colour in (4, 6)


# JPEG: ITU-T T.81, table B.1

_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all Huffman
_JPEG_REFUSED = frozenset(
    {0xC3, *range(0xC5, 0xC8), *range(0xC8, 0xCC), *range(0xCC, 0xD0)}
)  # lossless, differential, arithmetic
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment; none belongs before the first scan
_JPEG_AFTER_DATA = re.compile(
    rb"\xff[^\x00\xd0-\xd7\xff]"
)  # FF 00 is a data byte, D0 to D7 restart the decoder, FF FF is filling


def _jpeg(data: bytes) -> SniffedImage:
    size: tuple[int, int] | None = None
    scanned = False
    position = 2
    for _ in range(SEGMENTS_MAX):
        marker, position = _jpeg_marker(data, position)
        if marker == 0xD9:
            break
        if marker in _JPEG_REFUSED or marker in _JPEG_ALONE:
            raise NotAnImage("JPEG with a lossless, arithmetic or misplaced segment")
        length = _number(data, position, 2)
        if length < 2 or position + length > len(data):
            raise NotAnImage("JPEG is cut off")
        if marker in _JPEG_FRAMES:
            if size is not None:
                raise NotAnImage("JPEG with two frames")
            size = _jpeg_frame(data, position, length)
        position += length
        if marker == 0xDA:
            end = _JPEG_AFTER_DATA.search(data, position)
            if size is None or end is None:
                raise NotAnImage("JPEG without a frame, or cut off")
            scanned, position = True, end.start()
    else:
        raise NotAnImage("JPEG with too many segments")
    if size is None or not scanned:
        raise NotAnImage("JPEG without a picture")
    return _image("jpeg", "jpg", *size, has_alpha=False)


def _jpeg_marker(data: bytes, position: int) -> tuple[int, int]:
    """The marker's code and the position after it; any number of FF may fill the space before."""
    if _number(data, position, 1) != 0xFF:
        raise NotAnImage("JPEG with bytes between its segments")
    for offset in range(1, SEGMENTS_MAX):
        code = _number(data, position + offset, 1)
        if code != 0xFF:
            return code, position + offset + 1
    raise NotAnImage("JPEG with endless filling")


def _jpeg_frame(data: bytes, position: int, length: int) -> tuple[int, int]:
    precision, components = _number(data, position + 2, 1), _number(data, position + 7, 1)
    if precision != 8 or components not in (1, 3, 4) or length != 8 + 3 * components:
        raise NotAnImage("JPEG frame of an unsupported kind")
    return _number(data, position + 5, 2), _number(data, position + 3, 2)


# WebP: RFC 9649


def _webp(data: bytes) -> SniffedImage:
    if _number(data, 4, 4, big=False) + 8 != len(data):
        raise NotAnImage("WebP whose length is not the one it states")
    canvas: tuple[int, int, bool] | None = None
    frame: tuple[int, int, bool] | None = None
    position = 12
    for index in range(SEGMENTS_MAX):
        if position == len(data):
            break
        kind, length, body = data[position : position + 4], _number(data, position + 4, 4, big=False), position + 8
        position = body + length + (length & 1)
        if position > len(data):
            raise NotAnImage("WebP is cut off")
        if kind in (b"ANIM", b"ANMF"):
            raise NotAnImage("animated WebP")
        if kind == b"VP8X" and index == 0:
            canvas = _webp_canvas(data, body, length)
        elif kind in (b"VP8 ", b"VP8L"):
            if frame is not None or (index and canvas is None):
                raise NotAnImage("WebP with a misplaced frame")
            frame = (_webp_lossy if kind == b"VP8 " else _webp_lossless)(data, body, length)
    else:
        raise NotAnImage("WebP with too many chunks")
    if frame is None or (canvas is not None and canvas[:2] != frame[:2]):
        raise NotAnImage("WebP without a frame, or one of another size than its canvas")
    return _image("webp", "webp", frame[0], frame[1], canvas[2] if canvas is not None else frame[2])


def _webp_canvas(data: bytes, body: int, length: int) -> tuple[int, int, bool]:
    if length < 10:
        raise NotAnImage("WebP with a short VP8X chunk")
    flags = _number(data, body, 1)
    if flags & 0x02:
        raise NotAnImage("animated WebP")
    return _number(data, body + 4, 3, big=False) + 1, _number(data, body + 7, 3, big=False) + 1, bool(flags & 0x10)


def _webp_lossy(data: bytes, body: int, length: int) -> tuple[int, int, bool]:
    # RFC 6386, 9.1: frame tag (bit 0 clear = key frame), start code, 14 bits a side below two bits of scale.
    if length < 10 or _number(data, body, 1) & 1 or data[body + 3 : body + 6] != b"\x9d\x01\x2a":
        raise NotAnImage("WebP with a malformed VP8 frame")
    return _number(data, body + 6, 2, big=False) & 0x3FFF, _number(data, body + 8, 2, big=False) & 0x3FFF, False


def _webp_lossless(data: bytes, body: int, length: int) -> tuple[int, int, bool]:
    bits = _number(data, body + 1, 4, big=False)
    if length < 5 or _number(data, body, 1) != 0x2F or bits >> 29:
        raise NotAnImage("WebP with a malformed VP8L frame")
    return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, bool(bits >> 28 & 1)


# GIF: the GIF89a specification


def _gif(data: bytes) -> SniffedImage:
    packed = _number(data, 10, 1)
    position = 13 + (3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0)
    has_alpha = False
    for _ in range(SEGMENTS_MAX):
        if _number(data, position, 1) != 0x21:
            break
        if _number(data, position + 1, 1) == 0xF9:
            has_alpha = has_alpha or bool(_number(data, position + 3, 1) & 1)
        position = _gif_after_blocks(data, position + 2)
    if _number(data, position, 1) != 0x2C or data[-1:] != b"\x3b":
        raise NotAnImage("GIF without a picture, or cut off")
    return _image("gif", "gif", _number(data, 6, 2, big=False), _number(data, 8, 2, big=False), has_alpha)


def _gif_after_blocks(data: bytes, position: int) -> int:
    for _ in range(SEGMENTS_MAX):
        length = _number(data, position, 1)
        position += 1 + length
        if not length:
            return position
    raise NotAnImage("GIF with an endless extension")
