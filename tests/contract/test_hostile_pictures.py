"""Hostile and odd files through real workers: each is refused for a reason that helps, or right, and memory stays within its bound."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging.decode import Decoder, DecoderLimits, ImageRefused
from gateway.imaging.formats import convert
from gateway.imaging.masks import Edges, alpha_from_white, white_from_alpha
from gateway.imaging.sniff import sniff
from tests.png_files import GREY, PALETTE, RGB, blank, chunk, interlaced, png, zlib_bomb

MB = 1 << 20
SMALL = 64 * MB
"""Python, the decoders, and a picture of a few pixels: 30 MB."""
Case = tuple[bytes, str | tuple[str, tuple[int, int]], int]
"""A file; the reason of its refusal, or mode and size as PNG; and the memory that a worker may take for it."""


def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def noise(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((400, 300), 90).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def cut(data: bytes) -> bytes:
    """The headers whole, half of the data gone, and the end where it was: a sniffer does not notice."""
    end = data[-12:] if data.startswith(b"\x89PNG") else data[-2:]
    return data[: len(data) // 2] + end


def with_text(bomb: bytes) -> bytes:
    return png((8, 8), 8, RGB, [bytes(24)] * 8, bomb)


CASES: dict[str, Case] = {
    "bomb of 400 megapixels": (blank(20_000, 20_000), "20000x20000 pixels are outside the limits", SMALL),
    "bomb of 2^62 pixels": (blank(8, 8, stated=(2**31 - 1, 2**31 - 1)), "outside the limits", SMALL),
    "more than a phone's": (blank(8_000, 5_000), "8000x5000 is more than 25000000 pixels; send a smaller", SMALL),
    "exactly the limit": (blank(5_000, 5_000), ("L", (5_000, 5_000)), 150 * MB),
    "a strip": (blank(8_192, 100), "too narrow", SMALL),
    "states less than it has": (blank(4_000, 4_000, stated=(64, 64)), ("L", (64, 64)), SMALL),
    "states more than it has": (blank(64, 64, stated=(4_000, 4_000)), "damaged", SMALL),
    "text bomb": (with_text(zlib_bomb(b"zTXt", 200)), "damaged", SMALL),
    "international text bomb": (with_text(zlib_bomb(b"iTXt", 200)), "damaged", SMALL),
    "profile bomb": (with_text(zlib_bomb(b"iCCP", 200)), "damaged", SMALL),
    "PNG cut off": (noise("PNG")[:-5_000], "cut off", SMALL),
    "PNG with half its data": (cut(noise("PNG")), "PNG is cut off", SMALL),
    "JPEG cut off": (noise("JPEG")[:-5_000], "cut off", SMALL),
    # As in every viewer: what a JPEG does not say is grey.
    "JPEG with half its data": (cut(noise("JPEG")), ("RGB", (400, 300)), SMALL),
    "WebP cut off": (noise("WEBP")[:-500], "length is not the one it states", SMALL),
    "PNG and ZIP": (saved("PNG") + b"PK\x03\x04", "bytes after its end", SMALL),
    "PNG and HTML": (saved("PNG") + b"<script>", "bytes after its end", SMALL),
    "WebP and ZIP": (saved("WEBP") + b"PK\x03\x04", "length is not the one it states", SMALL),
    "JPEG and ZIP": (saved("JPEG") + b"PK\x03\x04", ("RGB", (40, 30)), SMALL),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "send PNG, JPEG or WebP", SMALL),
    "GIF": (saved("GIF"), "image/gif is not accepted here; send PNG, JPEG or WebP", SMALL),
    "TIFF": (saved("TIFF"), "send PNG, JPEG or WebP", SMALL),
    "PDF": (saved("PDF"), "send PNG, JPEG or WebP", SMALL),
    "AVIF": (saved("AVIF"), "send PNG, JPEG or WebP", SMALL),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "send PNG, JPEG or WebP", SMALL),
    "nothing": (b"", "send PNG, JPEG or WebP", SMALL),
    "animated PNG": (animated("PNG"), "animated PNG", SMALL),
    "animated WebP": (animated("WEBP"), "animated WebP", SMALL),
    "16 bits of grey": (saved("PNG", "I;16"), ("L", (40, 30)), SMALL),
    "16 bits of grey, one clear": (
        png((2, 2), 16, GREY, [bytes(4)] * 2, chunk(b"tRNS", bytes(2))),
        "16 bits with a transparent colour is not accepted; save it with an alpha channel",
        SMALL,
    ),
    "palette with transparency": (saved("PNG", "P", transparency=0), ("RGBA", (40, 30)), SMALL),
    "palette that is too short": (
        png((8, 2), 8, PALETTE, [bytes(range(8))] * 2, chunk(b"PLTE", bytes(6))),
        ("RGB", (8, 2)),
        SMALL,
    ),
    "grey with alpha": (saved("PNG", "LA"), ("LA", (40, 30)), SMALL),
    "interlaced": (interlaced((40, 30), [[9] * 40] * 30), ("L", (40, 30)), SMALL),
    "ink": (saved("JPEG", "CMYK"), ("RGB", (40, 30)), SMALL),
    "progressive": (saved("JPEG", progressive=True), ("RGB", (40, 30)), SMALL),
    "grey JPEG": (saved("JPEG", "L"), ("L", (40, 30)), SMALL),
    "WebP without loss": (saved("WEBP", lossless=True), ("RGB", (40, 30)), SMALL),
}


@asynccontextmanager
async def watched(decoder: Decoder, peaks: list[int]) -> AsyncIterator[None]:
    """Adds the highest resident memory that a worker had meanwhile, whether it lives to the end or not."""

    async def watch() -> None:
        while True:
            peaks[-1] = max(peaks[-1], *map(peak_bytes, decoder.workers), 0)
            await asyncio.sleep(0.002)

    peaks.append(0)
    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        peaks[-1] = max(peaks[-1], *map(peak_bytes, decoder.workers), 0)


def peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@asynccontextmanager
async def decoding(limits: DecoderLimits = DecoderLimits()) -> AsyncIterator[Decoder]:
    decoder = Decoder(limits)
    try:
        yield decoder
    finally:
        await decoder.aclose()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", CASES)
async def test_each_file_is_refused_or_right(name: str) -> None:
    """One worker of its own for each, so that its memory is that file's."""
    data, expected, peak_max = CASES[name]
    peaks: list[int] = []
    async with decoding() as decoder, watched(decoder, peaks):
        if isinstance(expected, str):
            with pytest.raises(ImageRefused, match=expected):
                await convert(decoder, data, OutputFormat.PNG)
        else:
            image = opened(await convert(decoder, data, OutputFormat.PNG))
            assert (image.mode, image.size) == expected
    assert 8 * MB < peaks[0] < peak_max


async def test_refused_files_do_not_spoil_those_that_follow() -> None:
    """All of them through one pool, a good picture after each."""
    good = saved("PNG")
    async with decoding(DecoderLimits(workers=2)) as decoder:
        for data, expected, _ in CASES.values():
            if isinstance(expected, str):
                with pytest.raises(ImageRefused):
                    await convert(decoder, data, OutputFormat.JPEG)
            assert sniff(await convert(decoder, good, OutputFormat.WEBP)).content_type == "image/webp"


async def test_a_picture_that_would_take_too_much_memory_is_refused() -> None:
    """By the limit of the address space: resident memory stays below it, the reason says so, and the next picture is converted."""
    limit, peaks = 110 * MB, list[int]()
    big = saved("PNG", "RGBA", (5_000, 5_000), compress_level=1)
    async with decoding(DecoderLimits(memory_bytes=limit)) as decoder:
        for output_format in OutputFormat:
            async with watched(decoder, peaks):
                with pytest.raises(ImageRefused, match="takes too much memory; send a smaller one"):
                    await convert(decoder, big, output_format)
            assert opened(await convert(decoder, saved("PNG"), output_format)).size == (40, 30)
    assert max(peaks) < limit


@pytest.mark.slow
@pytest.mark.parametrize("output_format", OutputFormat)
async def test_the_largest_picture_fits(output_format: OutputFormat) -> None:
    """25 megapixels with transparency, turned by EXIF, in every format: within the default limits of memory and time."""
    ramp = Image.linear_gradient("L").resize((5_000, 5_000))
    picture, file, exif = (
        Image.merge("RGBA", (ramp, ramp.rotate(90), ramp, ramp.rotate(180))),
        io.BytesIO(),
        Image.Exif(),
    )
    exif[0x0112] = 6
    picture.save(file, "PNG", compress_level=1, exif=exif)
    peaks: list[int] = []
    async with decoding() as decoder, watched(decoder, peaks):
        result = await convert(decoder, file.getvalue(), output_format)
    assert (sniff(result).width, sniff(result).height) == (5_000, 5_000)
    assert 200 * MB < peaks[0] < 800 * MB


async def test_masks_go_through_workers_in_both_directions() -> None:
    """A red area proves it: the same part of the picture is made anew with each of the masks."""
    size, area = (64, 48), (8, 4, 24, 40)
    mask = Image.new("RGBA", size, "black")
    mask.paste((0, 0, 0, 0), area)
    file = io.BytesIO()
    mask.save(file, "PNG")
    async with decoding() as decoder:
        white = b""
        for edges in Edges:
            white = await white_from_alpha(decoder, file.getvalue(), Pixels(*size), edges=edges)
            colour = await white_from_alpha(decoder, file.getvalue(), Pixels(*size), edges=edges, rgb=True)
            alpha = await alpha_from_white(decoder, colour, Pixels(*size), edges=edges)
            assert (opened(white).mode, opened(colour).mode, opened(alpha).mode) == ("L", "RGB", "RGBA")
            assert opened(alpha).tobytes() == mask.tobytes()
            edited = Image.composite(Image.new("RGB", size, "red"), Image.new("RGB", size, "blue"), opened(white))
            assert edited.crop(area).getcolors() == [(16 * 36, (255, 0, 0))]
            assert (64 * 48 - 16 * 36, (0, 0, 255)) in (edited.getcolors() or [])
        with pytest.raises(ImageRefused, match="no white pixel; paint it white"):
            await alpha_from_white(decoder, file.getvalue(), Pixels(*size))
        with pytest.raises(ImageRefused, match="is 64x48 and the picture 48x64; make the mask of exactly that size"):
            await white_from_alpha(decoder, white, Pixels(48, 64))


async def test_compression_is_0_to_100() -> None:
    """Anything else is a mistake of the caller's code."""
    async with decoding() as decoder:
        for compression in (-1, 101):
            with pytest.raises(ValueError, match="0 to 100"):
                await convert(decoder, saved("PNG"), OutputFormat.JPEG, compression)


async def test_ordinary_users_can_decode_as_well() -> None:
    """Without children of its own a process may not start threads either: no decoder and no encoder asks for one."""
    async with decoding() as decoder:
        most = 1
        for kind in OutputFormat:
            call = asyncio.create_task(convert(decoder, saved("WEBP", "RGB", (2_000, 2_000)), kind))
            while not call.done():
                await asyncio.sleep(0.001)
                for pid in decoder.workers:
                    most = max(most, len(os.listdir(f"/proc/{pid}/task")))
            await call
    assert most == 1
