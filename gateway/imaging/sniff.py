"""Reads type, dimensions and transparency from an image's headers, without decoding a pixel, from bytes that may come in pieces.

It must not trust a name or a Content-Type, and not fail in any other way than NotAnImage, whatever the bytes. What passes is well-formed
on the outside; only a decoder can say more. Refused besides malformed headers: SVG (not an image format here), animations, lossless,
arithmetic and 12-bit JPEG (few decoders, many bugs), bytes after a PNG's or WebP's end (a second file hiding behind the first).
Bytes after a JPEG's end stay allowed: phones put depth and gain maps there.

Every byte is looked at once at most, so the time is linear in the length. A `Sniffer` keeps a header's bytes at most of what it was fed, and
its readers are generators: each `yield` asks for more bytes.
"""

import zlib
from collections.abc import Generator
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
_MAGIC_BYTES = 12
_SEARCHED_AT_ONCE = 1 << 18
"""Bytes searched for a marker in one step: some 0.2 ms, after which other threads may have the interpreter."""


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
    sniffer = Sniffer()
    sniffer.feed(data)
    return sniffer.finish()


class Sniffer:
    """Looks at one file while it comes: `feed` each piece, then `finish`. Both raise NotAnImage as soon as it is known; then it is of no more use."""

    def __init__(self) -> None:
        self._bytes = _Bytes()
        self._reading = _read(self._bytes)
        self._found: SniffedImage | None = None

    def feed(self, piece: bytes) -> None:
        self._bytes.add(piece)
        if self._bytes.total > BYTES_MAX:
            raise NotAnImage(f"larger than {BYTES_MAX} bytes")
        self._go_on()

    def finish(self) -> SniffedImage:
        """What it is, now that all of it has come."""
        self._bytes.ended = True
        self._go_on()
        if self._found is None:
            raise AssertionError("a reader asked for more than there is")
        return self._found

    def _go_on(self) -> None:
        try:
            next(self._reading)
        except StopIteration as stop:
            self._found = stop.value or self._found


class _Bytes:
    """What has come and is not read yet. A reader's position only grows."""

    def __init__(self) -> None:
        self.ended = False
        self.total = 0
        self.last = b""
        """The file's last byte so far."""
        self._window = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self.total - len(self._window) + self._at

    def add(self, piece: bytes) -> None:
        left = self._window[self._at :]
        self._window, self._at = left + piece if left else piece, 0
        self.total += len(piece)
        self.last = piece[-1:] or self.last

    def begin(self, size: int) -> Generator[None, None, bytes]:
        """The first so many bytes, fewer of a shorter file; they are not read by that."""
        while len(self._window) < size and not self.ended:
            yield
        return self._window[:size]

    def take(self, size: int, reason: str = "header is cut off") -> Generator[None, None, bytes]:
        """The next so many bytes; NotAnImage past the end."""
        while len(self._window) - self._at < size:
            self._more(reason)
            yield
        self._at += size
        return self._window[self._at - size : self._at]

    def skip(self, size: int, reason: str) -> Generator[None, None, None]:
        """Past so many bytes, without keeping them."""
        while True:
            step = min(size, len(self._window) - self._at)
            self._at += step
            size -= step
            if not size:
                return
            self._more(reason)
            yield

    def number(self, size: int, *, big: bool = True) -> Generator[None, None, int]:
        return int.from_bytes((yield from self.take(size)), "big" if big else "little")

    def find(self, kinds: bytes, pair: bytes, reason: str) -> Generator[None, None, None]:
        """Up to the next two bytes whose kinds are `pair`; `kinds` is a table of 256. Two passes of the C library over every byte."""
        while True:
            end = min(self._at + _SEARCHED_AT_ONCE, len(self._window))
            place = self._window[self._at : end].translate(kinds).find(pair)
            if place >= 0:
                self._at += place
                return
            self._at = max(self._at, end - 1)  # the first of the two may be the last byte
            if end == len(self._window):
                self._more(reason)
                yield

    def to_the_end(self) -> Generator[None, None, None]:
        """Past all the rest."""
        while True:
            self._at = len(self._window)
            if self.ended:
                return
            yield

    def nothing_left(self, reason: str) -> Generator[None, None, None]:
        """NotAnImage unless the file ends here."""
        while True:
            if self._at < len(self._window):
                raise NotAnImage(reason)
            if self.ended:
                return
            yield

    def _more(self, reason: str) -> None:
        if self.ended:
            raise NotAnImage(reason)


Reading = Generator[None, None, SniffedImage]


def _read(data: _Bytes) -> Reading:
    magic = yield from data.begin(_MAGIC_BYTES)
    if magic.startswith(b"\x89PNG\r\n\x1a\n"):
        return (yield from _png(data))
    if magic.startswith(b"\xff\xd8\xff"):
        return (yield from _jpeg(data))
    if magic.startswith(b"RIFF") and magic[8:] == b"WEBP":
        return (yield from _webp(data))
    if magic.startswith((b"GIF87a", b"GIF89a")):
        return (yield from _gif(data))
    raise NotAnImage("not PNG, JPEG, WebP or GIF")


def _image(kind: str, extension: str, width: int, height: int, has_alpha: bool) -> SniffedImage:
    if width < 1 or height < 1 or width > SIDE_MAX or height > SIDE_MAX or width * height > PIXELS_MAX:
        raise NotAnImage(f"{width}x{height} pixels are outside the limits")
    if max(width, height) > ASPECT_MAX * min(width, height):
        raise NotAnImage(f"{width}x{height} is too narrow")
    return SniffedImage(f"image/{kind}", extension, width, height, has_alpha)


# PNG: https://www.w3.org/TR/png-3/

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PNG_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


def _png(data: _Bytes) -> Reading:
    found = _png_header((yield from data.take(33, "PNG without a valid IHDR")))
    has_alpha = found.has_alpha
    segments, data_chunks = 1, 0
    while True:
        head = yield from data.take(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IDAT":
            data_chunks += 1
        else:
            segments += 1
        if segments > SEGMENTS_MAX or data_chunks > PNG_DATA_CHUNKS_MAX:
            raise NotAnImage("PNG with too many chunks")
        if kind in _PNG_ANIMATION:
            raise NotAnImage("animated PNG")
        if not kind.isalpha() or kind == b"IHDR" or (kind[:1].isupper() and kind not in _PNG_CRITICAL):
            raise NotAnImage("PNG with an unknown critical chunk")
        yield from data.skip(length + 4, "PNG is cut off")
        if kind == b"IEND":
            break
        has_alpha = has_alpha or kind == b"tRNS"
    if length or not data_chunks:
        raise NotAnImage("PNG without data, or with bytes after its end")
    yield from data.nothing_left("PNG without data, or with bytes after its end")
    return _image("png", "png", found.width, found.height, has_alpha)


def _png_header(head: bytes) -> SniffedImage:
    """From the signature and IHDR."""
    if head[8:16] != b"\x00\x00\x00\x0dIHDR" or zlib.crc32(head[12:29]) != int.from_bytes(head[29:33], "big"):
        raise NotAnImage("PNG without a valid IHDR")
    depth, colour, compression, filtering, interlace = head[24:29]
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise NotAnImage("PNG of an undefined kind")
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    return _image("png", "png", width, height, colour in (4, 6))


# JPEG: ITU-T T.81, table B.1

_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all Huffman
_JPEG_REFUSED = frozenset(
    {0xC3, *range(0xC5, 0xC8), *range(0xC8, 0xCC), *range(0xCC, 0xD0)}
)  # lossless, differential, arithmetic
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment; none belongs before the first scan
# After a scan's data: FF 00 is a data byte, D0 to D7 restart the decoder, FF FF is filling; FF and anything else is a marker.
_JPEG_KINDS = bytes(
    ord("F") if byte == 0xFF else ord("d") if byte == 0 or 0xD0 <= byte <= 0xD7 else ord("m") for byte in range(256)
)
_JPEG_MARKER = b"Fm"


def _jpeg(data: _Bytes) -> Reading:
    size: tuple[int, int] | None = None
    scanned = False
    yield from data.take(2)
    for _ in range(SEGMENTS_MAX):
        marker = yield from _jpeg_marker(data)
        if marker == 0xD9:
            break
        if marker in _JPEG_REFUSED or marker in _JPEG_ALONE:
            raise NotAnImage("JPEG with a lossless, arithmetic or misplaced segment")
        length = yield from data.number(2)
        if length < 2:
            raise NotAnImage("JPEG is cut off")
        if marker in _JPEG_FRAMES:
            if size is not None:
                raise NotAnImage("JPEG with two frames")
            size = _jpeg_frame((yield from data.take(length - 2, "JPEG is cut off")))
        else:
            yield from data.skip(length - 2, "JPEG is cut off")
        if marker == 0xDA:
            if size is None:
                raise NotAnImage("JPEG without a frame, or cut off")
            yield from data.find(_JPEG_KINDS, _JPEG_MARKER, "JPEG without a frame, or cut off")
            scanned = True
    else:
        raise NotAnImage("JPEG with too many segments")
    if size is None or not scanned:
        raise NotAnImage("JPEG without a picture")
    yield from data.to_the_end()
    return _image("jpeg", "jpg", *size, has_alpha=False)


def _jpeg_marker(data: _Bytes) -> Generator[None, None, int]:
    """A marker's code; any number of FF may fill the space before."""
    if (yield from data.number(1)) != 0xFF:
        raise NotAnImage("JPEG with bytes between its segments")
    for _ in range(1, SEGMENTS_MAX):
        code = yield from data.number(1)
        if code != 0xFF:
            return code
    raise NotAnImage("JPEG with endless filling")


def _jpeg_frame(body: bytes) -> tuple[int, int]:
    if len(body) < 6 or body[0] != 8 or body[5] not in (1, 3, 4) or len(body) != 6 + 3 * body[5]:
        raise NotAnImage("JPEG frame of an unsupported kind")
    width, height = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
    _image("jpeg", "jpg", width, height, has_alpha=False)
    return width, height


# WebP: RFC 9649

_WEBP_LENGTH = "WebP whose length is not the one it states"


def _webp(data: _Bytes) -> Reading:
    head = yield from data.take(12)
    stated = int.from_bytes(head[4:8], "little") + 8
    canvas: tuple[int, int, bool] | None = None
    frame: tuple[int, int, bool] | None = None
    for index in range(SEGMENTS_MAX):
        if data.position == stated:
            break
        head = yield from data.take(8, _WEBP_LENGTH)
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        left = length + (length & 1)
        if data.position + left > stated:
            raise NotAnImage("WebP is cut off")
        if kind in (b"ANIM", b"ANMF"):
            raise NotAnImage("animated WebP")
        begin = yield from data.take(min(length, 10), _WEBP_LENGTH)
        if kind == b"VP8X" and index == 0:
            canvas = _webp_canvas(begin)
        elif kind in (b"VP8 ", b"VP8L"):
            if frame is not None or (index and canvas is None):
                raise NotAnImage("WebP with a misplaced frame")
            frame = (_webp_lossy if kind == b"VP8 " else _webp_lossless)(begin)
        yield from data.skip(left - len(begin), _WEBP_LENGTH)
    else:
        raise NotAnImage("WebP with too many chunks")
    yield from data.nothing_left(_WEBP_LENGTH)
    if frame is None or (canvas is not None and canvas[:2] != frame[:2]):
        raise NotAnImage("WebP without a frame, or one of another size than its canvas")
    return _image("webp", "webp", frame[0], frame[1], canvas[2] if canvas is not None else frame[2])


# Each of the three gets how its chunk begins: ten bytes, fewer of a shorter one.


def _webp_canvas(body: bytes) -> tuple[int, int, bool]:
    if len(body) < 10:
        raise NotAnImage("WebP with a short VP8X chunk")
    if body[0] & 0x02:
        raise NotAnImage("animated WebP")
    return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1, bool(body[0] & 0x10)


def _webp_lossy(body: bytes) -> tuple[int, int, bool]:
    # RFC 6386, 9.1: frame tag (bit 0 clear = key frame), start code, 14 bits a side below two bits of scale.
    if len(body) < 10 or body[0] & 1 or body[3:6] != b"\x9d\x01\x2a":
        raise NotAnImage("WebP with a malformed VP8 frame")
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF, False


def _webp_lossless(body: bytes) -> tuple[int, int, bool]:
    bits = int.from_bytes(body[1:5], "little")
    if len(body) < 5 or body[0] != 0x2F or bits >> 29:
        raise NotAnImage("WebP with a malformed VP8L frame")
    return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, bool(bits >> 28 & 1)


# GIF: the GIF89a specification


def _gif(data: _Bytes) -> Reading:
    head = yield from data.take(13)
    if head[10] & 0x80:
        yield from data.skip(3 * 2 ** ((head[10] & 7) + 1), "GIF without a picture, or cut off")
    has_alpha, introducer = False, 0
    for _ in range(SEGMENTS_MAX):
        introducer = yield from data.number(1)
        if introducer != 0x21:
            break
        label = yield from data.number(1)
        first = yield from _gif_blocks(data)
        has_alpha = has_alpha or (label == 0xF9 and bool(first & 1))
    if introducer != 0x2C:
        raise NotAnImage("GIF without a picture, or cut off")
    yield from data.to_the_end()
    if data.last != b"\x3b":
        raise NotAnImage("GIF without a picture, or cut off")
    return _image(
        "gif", "gif", int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"), has_alpha=has_alpha
    )


def _gif_blocks(data: _Bytes) -> Generator[None, None, int]:
    """Past an extension's blocks; the first byte in them, or 0."""
    first = 0
    for index in range(SEGMENTS_MAX):
        length = yield from data.number(1)
        if not length:
            return first
        if index == 0:
            first, length = (yield from data.number(1)), length - 1
        yield from data.skip(length, "header is cut off")
    raise NotAnImage("GIF with an endless extension")
