"""More than a hundred hostile files on the way in: each refused with a reason that helps; neither memory nor the event loop notices."""

import asyncio
import io
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image

from gateway.domain.errors import GatewayError, ImageTooLarge, InvalidImage
from gateway.domain.files import FILE_BYTES_MAX, Purpose
from gateway.imaging.sniff import (
    _JPEG_KINDS,
    _JPEG_MARKER,
    _SEARCHED_AT_ONCE,
    ASPECT_MAX,
    PNG_DATA_CHUNKS_MAX,
    SEGMENTS_MAX,
    SIDE_MAX,
)
from tests.books import opened
from tests.png_files import GREY, RGB, SIGNATURE, blank, chunk, png
from tests.uploads import OWNER, Desk, desk_on, picture

BLOCK_S_MAX = 0.05
PEAK_BYTES_MAX = 8_000_000
"""Of Python's memory, for 50 MB on their way."""
PIECE = 65_536

PNG, JPEG, WEBP = picture(mode="RGBA"), picture("JPEG"), picture("WEBP")
FRAME = b"\x08\x00\x1e\x00\x28\x03" + bytes(9)
ZIP, HTML = b"PK\x03\x04" + bytes(40), b"<html><script>alert(1)</script></html>"


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def segment(marker: int, body: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + segment(0xDA, bytes(10)) + b"data\xff\xd9"


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def webp(*chunks: bytes, stated: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if stated is None else stated) + body


VP8 = riff(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a\x28\x00\x1e\x00")
VP8X = riff(b"VP8X", b"\x10\x00\x00\x00\x27\x00\x00\x1d\x00\x00")


def with_chunks(*chunks: bytes) -> bytes:
    return png((8, 8), 8, RGB, [bytes(24)] * 8, *chunks)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that state much, or more parts than anybody writes."""
    for stated in (
        (SIDE_MAX + 1, 8), (8, SIDE_MAX + 1), (8_192, 8_192), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (0, 8), (8, 0),
        (16, 16 * ASPECT_MAX + 1), (8_192, 100),
    ):  # fmt: skip
        yield f"PNG of {stated}", blank(8, 8, stated=stated)
    for height, width in ((65_535, 65_535), (65_535, 1), (0, 40), (30, 0)):
        yield f"JPEG of {width}x{height}", jpeg(segment(0xC0, b"\x08" + struct.pack(">HH", height, width) + FRAME[5:]))
    yield "WebP of 16383", webp(riff(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a\xff\x3f\xff\x3f"))
    yield "WebP canvas of 2^24", webp(riff(b"VP8X", b"\x10\x00\x00\x00" + b"\xff" * 6), VP8)
    yield "WebP without loss of 16384", webp(riff(b"VP8L", b"\x2f\xff\xff\xff\x0f"))
    yield "PNG of a thousand texts", with_chunks(*[chunk(b"tEXt", b"a")] * (SEGMENTS_MAX + 1))
    yield "PNG of empty data", SIGNATURE + PNG[8:33] + chunk(b"IDAT") * (PNG_DATA_CHUNKS_MAX + 1) + chunk(b"IEND")
    yield "JPEG of a thousand comments", jpeg(*[segment(0xFE)] * SEGMENTS_MAX, segment(0xC0, FRAME))
    yield "JPEG of a thousand scans", jpeg(segment(0xC0, FRAME), *[segment(0xDA, bytes(10))] * SEGMENTS_MAX)
    yield "JPEG of filling", b"\xff\xd8" + b"\xff" * 100_000
    yield "WebP of a thousand chunks", webp(VP8X, VP8, *[riff(b"JUNK", b"")] * SEGMENTS_MAX)


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Two files in one, or another one's beginning."""
    for name, first in (("PNG", PNG), ("WebP", WEBP)):
        for other, second in (
            ("ZIP", ZIP),
            ("HTML", HTML),
            ("PNG", PNG),
            ("JPEG", JPEG),
            ("a byte", b"\x00"),
            ("PDF", b"%PDF-1.7"),
        ):
            yield f"{name} and {other}", first + second
    for name, second in (("PNG", PNG), ("JPEG", JPEG), ("WebP", WEBP)):
        for other, first in (
            ("HTML", HTML),
            ("a space", b" "),
            ("a line", b"\n"),
            ("a mark", b"\xef\xbb\xbf"),
            ("PDF", b"%PDF-1.7\n"),
        ):
            yield f"{other} and {name}", first + second
    yield "WAVE as WebP", b"RIFF" + WEBP[4:8] + b"WAVE" + WEBP[12:]
    yield "PNG with a JPEG's beginning", JPEG[:20] + PNG


def wrong_types() -> Iterator[tuple[str, bytes]]:
    """What is no picture here, whatever it is called."""
    for kind, mode in (("GIF", "L"), ("TIFF", "RGB"), ("BMP", "RGB"), ("PDF", "RGB"), ("AVIF", "RGB"), ("ICO", "RGB"), ("PPM", "RGB"), ("TGA", "RGB"),
                       ("DDS", "RGB"), ("PCX", "RGB"), ("SGI", "RGB"), ("EPS", "RGB"), ("JPEG2000", "RGB")):  # fmt: skip
        yield kind, picture(kind, mode)
    yield from (
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), ("SVG behind a declaration", b"<?xml version='1.0'?><svg/>"),
        ("HTML", HTML), ("ZIP", ZIP), ("gzip", b"\x1f\x8b\x08" + bytes(40)), ("ELF", b"\x7fELF" + bytes(60)), ("MP4", bytes(4) + b"ftypisom"),
        ("HEIC", b"\x00\x00\x00\x18ftypheic" + bytes(40)), ("PSD", b"8BPS\x00\x01" + bytes(40)), ("EXR", b"\x76\x2f\x31\x01" + bytes(40)),
        ("FITS", b"SIMPLE  =                    T"), ("JPEG XL", b"\xff\x0a" + bytes(40)), ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("MIFF", b"id=ImageMagick  version=1.0\n"), ("MVG", b"push graphic-context\nfill 'url(https://a.example/)'"), ("text", b"plain text"),
        ("nothing", b""), ("zeros", bytes(100)), ("ones", b"\xff" * 100), ("GIF89a", b"GIF89a"), ("MNG", b"\x8aMNG\r\n\x1a\n" + PNG[8:]),
    )  # fmt: skip


def truncated() -> Iterator[tuple[str, bytes]]:
    """Cut anywhere; JPEG as well, before its end."""
    for name, data in (("PNG", PNG), ("JPEG", JPEG), ("WebP", WEBP)):
        for share in (1, 5, 10, 30, 50, 70, 90, 99):
            yield f"{name} of {share} %", data[: len(data) * share // 100]
        yield f"{name} without its last byte", data[:-1]


def broken() -> Iterator[tuple[str, bytes]]:
    """Animations, rare codings, headers that contradict themselves."""
    yield "animated PNG", animated("PNG")
    yield "animated WebP", animated("WEBP")
    yield "PNG that says animated behind its data", PNG[:-12] + chunk(b"acTL", bytes(8)) + chunk(b"IEND")
    yield "PNG with frames", PNG[:-12] + chunk(b"fdAT", bytes(8)) + chunk(b"IEND")
    yield "PNG with an unknown critical chunk", with_chunks(chunk(b"EVIL", b"a"))
    yield "PNG with two headers", with_chunks(chunk(b"IHDR", bytes(13)))
    yield "PNG with a false check sum", PNG[:29] + bytes(4) + PNG[33:]
    yield "PNG of 3 bits", png((8, 8), 3, GREY, [bytes(3)] * 8)
    yield "PNG with a chunk of 2 GB", PNG[:33] + struct.pack(">I", 2**31) + b"IDAT"
    yield "PNG without data", SIGNATURE + PNG[8:33] + chunk(b"IEND")
    for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF):
        yield f"JPEG of coding {marker:x}", jpeg(segment(marker, FRAME))
    yield "JPEG of 12 bits", jpeg(segment(0xC1, b"\x0c" + FRAME[1:]))
    yield "JPEG of two frames", jpeg(segment(0xC0, FRAME), segment(0xC0, FRAME))
    yield "JPEG without a frame", jpeg()
    yield "JPEG of seven channels", jpeg(segment(0xC0, FRAME[:5] + b"\x07" + bytes(21)))
    yield "WebP that states less", webp(VP8, stated=len(VP8))
    yield "WebP that states 4 GB", webp(VP8, stated=2**32 - 2)
    yield "WebP with a chunk of 4 GB", webp(b"VP8 " + b"\xff" * 4 + VP8[8:])
    yield "WebP of two frames", webp(VP8, VP8)
    yield "WebP without a frame", webp(VP8X)
    yield "WebP that is no key frame", webp(riff(b"VP8 ", b"\x01\x00\x00\x9d\x01\x2a\x28\x00\x1e\x00"))


CASES = dict([*bombs(), *polyglots(), *wrong_types(), *truncated(), *broken()])


@pytest.fixture
async def desk(sqlite_database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    database = await opened(sqlite_database)
    desk = await desk_on(database, tmp_path)
    yield desk
    await desk.close()
    await database.close()


async def refusal(desk: Desk, data: bytes) -> str:
    """Why it is refused; empty where it is not."""
    try:
        await desk.receive(data, Purpose.CALL)
    except InvalidImage as exc:
        return exc.message
    return ""


async def test_hostile_files_are_refused_with_a_reason(desk: Desk) -> None:
    """Each by name; the text names the fault and the remedy in plain words, and never the bytes."""
    assert len(CASES) >= 130
    for name, data in CASES.items():
        said = await refusal(desk, data)
        assert said.isascii(), name
        assert said.startswith("The picture cannot be used: "), name
        assert said.endswith("Send a PNG, JPEG or WebP file."), name
        assert len(said) < 200, name
    assert await desk.left() == ()


async def test_honest_files_pass(desk: Desk) -> None:
    """The same ways do not refuse what programs and cameras write."""
    for data in (
        PNG, JPEG, WEBP, picture("PNG", "I;16"), picture("PNG", "L"), picture("PNG", "P", transparency=0), picture("JPEG", "CMYK"),
        picture("JPEG", progressive=True), picture("JPEG", exif=b"Exif\x00\x00" + bytes(500)), picture("WEBP", lossless=True),
        JPEG + b"a phone's gain map", picture("PNG", size=(SIDE_MAX // ASPECT_MAX, 32)),
    ):  # fmt: skip
        assert await desk.content(await desk.receive(data, Purpose.CALL)) == data


async def stream(begin: bytes, block: bytes, size: int) -> AsyncIterator[bytes]:
    """As from a socket: `size` bytes that are nowhere as a whole."""
    yield begin
    for _ in range((size - len(begin)) // len(block)):
        yield block


HUGE: dict[str, tuple[bytes, bytes, int, type[GatewayError]]] = {
    "a scan of markers that are none": (jpeg(segment(0xC0, FRAME))[:-2], b"\xff" * PIECE, 50_000_000, InvalidImage),
    "a scan of data bytes": (jpeg(segment(0xC0, FRAME))[:-2], b"\xff\x00" * (PIECE // 2), 50_000_000, InvalidImage),
    "small data chunks without end": (PNG[:33], chunk(b"IDAT", bytes(8)) * 3_000, 50_000_000, InvalidImage),
    "one data chunk": (PNG[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT", bytes(PIECE), 50_000_000, InvalidImage),
    "more than is allowed": (
        PNG[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT",
        bytes(PIECE),
        52_000_000,
        ImageTooLarge,
    ),
    "single bytes": (JPEG[:-2], b"\x01", 30_000, InvalidImage),
}


@pytest.fixture
def blocks_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Processor time of every callback of the loop: how long it kept others from running, whatever else this machine does meanwhile."""
    found: list[float] = []
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        before_s = time.thread_time()
        run(handle)
        found.append(time.thread_time() - before_s)

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    return found


@pytest.mark.parametrize("name", HUGE)
async def test_the_loop_goes_on_whatever_comes(desk: Desk, blocks_s: list[float], name: str) -> None:
    """50 MB made for the sniffer's worst case: no callback above 50 ms."""
    begin, block, size, error = HUGE[name]
    with pytest.raises(error):
        await desk.uploads.receive(
            OWNER, stream(begin, block, size), purpose=Purpose.CALL, filename="a", bytes_max=FILE_BYTES_MAX
        )
    assert len(blocks_s) > 10
    assert max(blocks_s) <= BLOCK_S_MAX
    assert await desk.left() == ()


def test_no_step_of_the_sniffer_holds_the_interpreter() -> None:
    """Its threads share the interpreter with the loop: a step of the C library, which cannot be interrupted, takes some milliseconds at most."""
    for block in (b"\xff", b"\xff\x00", b"\x00", b"\xd0\xff"):
        piece = (block * _SEARCHED_AT_ONCE)[:_SEARCHED_AT_ONCE]
        before_s = time.thread_time()
        for _ in range(10):
            assert piece.translate(_JPEG_KINDS).find(_JPEG_MARKER) < 0
        assert (time.thread_time() - before_s) / 10 < 0.02


async def test_memory_does_not_grow_with_the_file(desk: Desk) -> None:
    """A good file of 50 MB and two bad ones: never more than some pieces of each."""
    filling = struct.pack(">I", 49_000_000) + b"teXt"
    tracemalloc.start()
    try:
        for begin, block in (
            (PNG[:33] + filling, bytes(PIECE)),
            (JPEG[:-2], b"\xff" * PIECE),
            (JPEG[:-2], b"\x01" * PIECE),
        ):
            with pytest.raises(InvalidImage):
                await desk.uploads.receive(
                    OWNER,
                    stream(begin, block, 45_000_000),
                    purpose=Purpose.CALL,
                    filename="a",
                    bytes_max=FILE_BYTES_MAX,
                )

        async def good() -> AsyncIterator[bytes]:
            async for piece in stream(PNG[:33] + struct.pack(">I", 720 * PIECE) + b"teXt", bytes(PIECE), 721 * PIECE):
                yield piece
            yield bytes(4) + PNG[33:]

        file = await desk.uploads.receive(OWNER, good(), purpose=Purpose.CALL, filename="a", bytes_max=FILE_BYTES_MAX)
        assert file.size_bytes > 47_000_000
        length = 0
        async for piece in await desk.uploads.content(OWNER, file.id):
            length += len(piece)
        assert length == file.size_bytes
        assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES_MAX
    finally:
        tracemalloc.stop()


async def test_a_slow_sender_holds_nothing_but_its_pieces(desk: Desk) -> None:
    """Two hundred at once, each in the middle of its file: what they hold together is what they have sent since their last piece."""
    release = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield JPEG[:-2]
        await release.wait()
        yield b"\xff\xd9"

    receiving = [
        asyncio.create_task(
            desk.uploads.receive(OWNER, slow(), purpose=Purpose.CALL, filename="a", bytes_max=FILE_BYTES_MAX)
        )
        for _ in range(200)
    ]
    await asyncio.sleep(0.05)
    release.set()
    files = await asyncio.gather(*receiving)
    assert len({file.id for file in files}) == 200
    assert len(await desk.left()) == 200
    assert await desk.content(files[0]) == JPEG
