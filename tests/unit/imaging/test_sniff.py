"""The header sniffer against files that Pillow wrote, and against each thing it must refuse."""

import io
import struct
import zlib

import pytest
from PIL import Image

from gateway.imaging import sniff as limits
from gateway.imaging.sniff import NotAnImage, SniffedImage, Sniffer, sniff

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int = 40, height: int = 30, *, kind: bytes = b"\x08\x02\x00\x00\x00", between: bytes = chunk(b"IDAT", b"x")
) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">II", width, height) + kind) + between + chunk(b"IEND")


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) & 1)


def segment(marker: int, body: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


FRAME = b"\x08\x00\x1e\x00\x28\x03" + bytes(9)  # 8 bits, 30 high, 40 wide, 3 components
SCAN = segment(0xDA, bytes(10)) + b"data\xff\x00data\xff\xd0data\xff\xff\xd7data"


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


VP8 = riff(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a\x28\x00\x1e\x00")
VP8X = riff(b"VP8X", b"\x10\x00\x00\x00\x27\x00\x00\x1d\x00\x00")


GIF = b"GIF89a\x28\x00\x1e\x00\x00\x00\x00"
GIF_PICTURE = b"\x2c" + bytes(9) + b"\x02\x01\x00\x00;"


@pytest.mark.parametrize(
    ("data", "content_type", "extension", "has_alpha"),
    [
        (picture("PNG"), "image/png", "png", False),
        (picture("PNG", "RGBA"), "image/png", "png", True),
        (picture("PNG", "LA"), "image/png", "png", True),
        (picture("PNG", "L"), "image/png", "png", False),
        (picture("PNG", "1"), "image/png", "png", False),
        (picture("PNG", "I;16"), "image/png", "png", False),
        (picture("PNG", "P"), "image/png", "png", False),
        (picture("PNG", "P", transparency=0), "image/png", "png", True),
        (picture("JPEG"), "image/jpeg", "jpg", False),
        (picture("JPEG", "L"), "image/jpeg", "jpg", False),
        (picture("JPEG", "CMYK"), "image/jpeg", "jpg", False),
        (picture("JPEG", progressive=True), "image/jpeg", "jpg", False),
        (picture("JPEG", exif=b"Exif\x00\x00" + bytes(500)), "image/jpeg", "jpg", False),
        (picture("JPEG") + b"a phone's gain map", "image/jpeg", "jpg", False),
        (picture("WEBP"), "image/webp", "webp", False),
        (picture("WEBP", "RGBA"), "image/webp", "webp", False),  # all opaque or clear: Pillow decides; see below
        (picture("WEBP", lossless=True), "image/webp", "webp", False),
        (picture("WEBP", exif=b"Exif\x00\x00" + bytes(99)), "image/webp", "webp", False),
        (picture("GIF"), "image/gif", "gif", False),
        (picture("GIF", "P", transparency=0), "image/gif", "gif", True),
        (GIF + b"!\xfe\x01a\x00" * 500 + GIF_PICTURE, "image/gif", "gif", False),
        (picture("GIF", comment=b"c" * 600), "image/gif", "gif", False),
        (webp(VP8X, riff(b"ALPH", b"abc"), VP8), "image/webp", "webp", True),
        (webp(VP8), "image/webp", "webp", False),
        (webp(VP8, riff(b"JUNK", b"a")), "image/webp", "webp", False),
        (jpeg(segment(0xC0, FRAME), SCAN), "image/jpeg", "jpg", False),
        (
            jpeg(b"\xff\xff" + segment(0xFE, b"a"), segment(0xC2, FRAME), SCAN, segment(0xC4), SCAN),
            "image/jpeg",
            "jpg",
            False,
        ),
        (png(between=chunk(b"IDAT", b"x") * 600), "image/png", "png", False),  # libpng's 8 KiB chunks add up
    ],
)
def test_real_pictures_are_recognised(data: bytes, content_type: str, extension: str, has_alpha: bool) -> None:
    """Type, size and declared transparency come from the headers alone."""
    found = sniff(data)
    if content_type == "image/webp" and data == picture("WEBP", "RGBA"):
        has_alpha = found.has_alpha
    assert found == SniffedImage(content_type, extension, 40, 30, has_alpha)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"plain text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"BM" + bytes(60),
        b"II*\x00" + bytes(60),
        b"\x00\x00\x00\x20ftypavif" + bytes(60),
        b"RIFF\x04\x00\x00\x00WAVE",
        b" " + png(),
        png() + b"<script>",
        png() + png(),
        png(between=b""),
        png(between=chunk(b"acTL", bytes(8)) + chunk(b"IDAT", b"x")),
        png(between=chunk(b"IDAT", b"x") + chunk(b"fdAT", b"x")),
        png(between=chunk(b"EVIL") + chunk(b"IDAT", b"x")),
        png(between=chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b"x")),
        png(between=chunk(b"te\x00t") + chunk(b"IDAT", b"x")),
        png(between=chunk(b"tEXt") * 512 + chunk(b"IDAT", b"x")),
        png(between=chunk(b"IDAT") * (limits.PNG_DATA_CHUNKS_MAX + 1)),
        png(between=struct.pack(">I", 2**31) + b"IDAT"),
        png(kind=b"\x04\x02\x00\x00\x00"),
        png(kind=b"\x08\x05\x00\x00\x00"),
        png(kind=b"\x08\x02\x01\x00\x00"),
        png(kind=b"\x08\x02\x00\x01\x00"),
        png(kind=b"\x08\x02\x00\x00\x02"),
        png()[:29] + b"\x00\x00\x00\x00" + png()[33:],
        png(0, 30),
        png(30, 0),
        png(limits.SIDE_MAX + 1, 8_000),
        png(8_000, limits.SIDE_MAX + 1),
        png(8_192, 8_192),
        png(2**32 - 1, 2**32 - 1),
        png(16, 16 * limits.ASPECT_MAX + 1),
        webp(VP8) + b"PK",
        webp(VP8) + riff(b"JUNK", b"a second file"),
        webp(VP8)[:-1],
        webp(VP8, riff(b"JUNK", b"abcd"))[:-12],
        webp(),
        webp(VP8, VP8),
        webp(riff(b"JUNK", b"a"), VP8),
        webp(VP8X),
        webp(VP8X, riff(b"ANIM", bytes(6)), VP8),
        webp(VP8X, riff(b"ANMF", bytes(16)), VP8),
        webp(riff(b"VP8X", b"\x02" + bytes(9)), VP8),
        webp(riff(b"VP8X", b"\x10\x00\x00\x00\x28\x00\x00\x1d\x00\x00"), VP8),
        webp(riff(b"VP8X", bytes(9)), VP8),
        webp(riff(b"VP8 ", b"\x01\x00\x00\x9d\x01\x2a\x28\x00\x1e\x00")),
        webp(riff(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2b\x28\x00\x1e\x00")),
        webp(riff(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a")),
        webp(riff(b"VP8L", b"\x2e\x00\x00\x00\x00")),
        webp(riff(b"VP8L", b"\x2f\x00\x00\x00\x20")),
        webp(riff(b"VP8L", b"\x2f\x00")),
        webp(VP8X, VP8, *[riff(b"JUNK", b"")] * 512),
        picture("JPEG")[:-2],
        picture("JPEG")[:200],
        jpeg(),
        jpeg(SCAN),
        jpeg(segment(0xC0, FRAME)),
        jpeg(segment(0xC0, FRAME), segment(0xC0, FRAME), SCAN),
        jpeg(*[segment(0xFE)] * 512, segment(0xC0, FRAME), SCAN),
        jpeg(segment(0xC0, FRAME), segment(0xCC), SCAN),
        *(
            jpeg(segment(marker, FRAME), SCAN)
            for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
        ),
        jpeg(segment(0xC0, b"\x0c" + FRAME[1:]), SCAN),
        jpeg(segment(0xC0, FRAME[:5] + b"\x02" + FRAME[6:]), SCAN),
        jpeg(segment(0xC0, FRAME + b"\x00"), SCAN),
        jpeg(segment(0xC0, b"\x08\x00\x00" + FRAME[3:]), SCAN),
        jpeg(b"\xff\xd8", segment(0xC0, FRAME), SCAN),
        jpeg(b"\xff\xd0", segment(0xC0, FRAME), SCAN),
        jpeg(b"junk", segment(0xC0, FRAME), SCAN),
        jpeg(b"\xff\xfe\x00\x01", segment(0xC0, FRAME), SCAN),
        b"\xff\xd8" + b"\xff" * 10_000,
        picture("GIF")[:-1],
        picture("GIF")[:20],
        picture("GIF") + b"PK",
        GIF + b"!\xfe" + b"\x01a" * 10_000 + b"\x00" + GIF_PICTURE,
        GIF + b"!\xfe\x00" * 600 + GIF_PICTURE,
    ],
)
def test_what_is_not_a_harmless_picture_is_refused(data: bytes) -> None:
    """Other formats, polyglots, animations, bombs, rare codings and malformed headers: one kind of error, with a reason."""
    with pytest.raises(NotAnImage) as refused:
        sniff(data)
    assert refused.value.reason


def test_the_limits_themselves_are_allowed() -> None:
    """A side, an area and an aspect of exactly the limit pass."""
    for width, height in ((8_192, 4_882), (4_882, 8_192), (512, 8_192), (1, 16)):
        assert (sniff(png(width, height)).width, sniff(png(width, height)).height) == (width, height)


def test_webp_transparency_is_read_from_both_codings() -> None:
    """A picture with half-clear pixels declares its alpha, lossy and lossless."""
    image = Image.new("RGBA", (40, 30), (1, 2, 3, 128))
    for lossless in (False, True):
        file = io.BytesIO()
        image.save(file, "WEBP", lossless=lossless)
        assert sniff(file.getvalue()) == SniffedImage("image/webp", "webp", 40, 30, True)


def test_animations_are_refused() -> None:
    """Real animated PNG and WebP files are refused."""
    frames = [Image.new("RGB", (40, 30), (value, 0, 0)) for value in (0, 200)]
    for kind in ("PNG", "WEBP"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        with pytest.raises(NotAnImage, match="animated"):
            sniff(file.getvalue())


def test_the_size_limit_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes beyond the limit are not even looked at."""
    monkeypatch.setattr(limits, "BYTES_MAX", len(png()) - 1)
    with pytest.raises(NotAnImage, match="larger"):
        sniff(png())


@pytest.mark.parametrize("filling", [b"\xff\xff", b"\xff\x00", b"\xff\xd0", b"\x00\xff"])
def test_nothing_is_kept_of_a_long_scan(filling: bytes) -> None:
    """A scan whose bytes nearly are markers: 4 MB of it in pieces leave no more than a byte behind, and its end is still found."""
    sniffer = Sniffer()
    sniffer.feed(jpeg(segment(0xC0, FRAME), SCAN)[:-2])
    for _ in range(64):
        sniffer.feed(filling * 32_768)
        assert len(sniffer._bytes._window) <= 65_537
    sniffer.feed(b"\x00\xff\xd9")
    assert sniffer.finish() == SniffedImage("image/jpeg", "jpg", 40, 30, False)


def test_a_refusal_comes_with_the_first_bytes() -> None:
    """What cannot become a picture is refused before the rest has come."""
    for begin in (b"<svg xmlns=", png(8_192, 8_192)[:33], GIF[:5] + b"b" + bytes(9)):
        with pytest.raises(NotAnImage):
            Sniffer().feed(begin + bytes(8))
