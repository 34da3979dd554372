"""Conversion inside the worker, here called directly: every kind of file becomes the right colours, upright, and nothing but pixels gets out."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image, PngImagePlugin

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging.protocol import Job, Work
from gateway.imaging.worker import jobs, opening
from gateway.imaging.worker.jobs import perform
from gateway.imaging.worker.refusal import GaveUp, Refused
from tests.png_files import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, blank, chunk, interlaced, png, zlib_bomb

SECRET = b"51.5007N 0.1246W, taken by Jane"
PIXELS_MAX = 1_000_000
WHITE, RED, GREEN = (255, 255, 255), (255, 0, 0), (0, 128, 0)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def converted(data: bytes, output_format: OutputFormat = OutputFormat.PNG, compression: int = 100) -> Image.Image:
    result = perform(Job(Work.CONVERT, output_format, compression), data, PIXELS_MAX)
    image = Image.open(io.BytesIO(result))
    image.load()
    assert image.format == output_format.value.upper()
    return image


def values(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def tall(*row: bytes) -> list[bytes]:
    return [b"".join(row)] * 2


@pytest.mark.parametrize(
    ("data", "mode", "pixels"),
    [
        (png((4, 2), 16, GREY, tall(values(0, 300, 0x8000, 0xFFFF))), "L", [0, 1, 128, 255]),
        (png((2, 2), 16, RGB, tall(values(0, 300, 0x8000, 0xFFFF, 0, 0x7FFF))), "RGB", [(0, 1, 128), (255, 0, 127)]),
        (
            png((2, 2), 16, RGBA, tall(values(0, 1, 2, 0x80FF, 0xFFFF, 0, 0, 0))),
            "RGBA",
            [(0, 0, 0, 128), (255, 0, 0, 0)],
        ),
        (
            png((2, 2), 16, GREY_ALPHA, tall(values(0x8000, 0x4000, 0xFFFF, 0))),
            "RGBA",
            [(128, 128, 128, 64), (255, 255, 255, 0)],
        ),
        (png((2, 2), 8, GREY_ALPHA, tall(b"\x80\x40\xff\x00")), "LA", [(128, 64), (255, 0)]),
        (png((4, 2), 1, GREY, tall(b"\xa0")), "L", [255, 0, 255, 0]),
        (
            png((4, 2), 1, GREY, tall(b"\xa0"), chunk(b"tRNS", b"\x00\x01")),
            "LA",
            [(255, 0), (0, 255), (255, 0), (0, 255)],
        ),
        (png((4, 2), 2, GREY, tall(b"\x1b")), "L", [0, 85, 170, 255]),
        (
            png((4, 2), 2, GREY, tall(b"\x1b"), chunk(b"tRNS", b"\x00\x02")),
            "LA",
            [(0, 255), (85, 255), (170, 0), (255, 255)],
        ),
        (png((2, 2), 4, GREY, tall(b"\x3f"), chunk(b"tRNS", b"\x00\x03")), "LA", [(51, 0), (255, 255)]),
        (png((2, 2), 8, GREY, tall(b"\x03\x80"), chunk(b"tRNS", b"\x00\x03")), "LA", [(3, 0), (128, 255)]),
        (
            png((2, 2), 8, RGB, tall(b"\x01\x02\x03\x04\x05\x06"), chunk(b"tRNS", values(1, 2, 3))),
            "RGBA",
            [(1, 2, 3, 0), (4, 5, 6, 255)],
        ),
        (png((2, 2), 4, PALETTE, tall(b"\x01"), chunk(b"PLTE", bytes(range(6)))), "RGB", [(0, 1, 2), (3, 4, 5)]),
        (
            png((2, 2), 4, PALETTE, tall(b"\x01"), chunk(b"PLTE", bytes(range(6))), chunk(b"tRNS", b"\x80")),
            "RGBA",
            [(0, 1, 2, 128), (3, 4, 5, 255)],
        ),
        (png((2, 2), 1, PALETTE, tall(b"\x40"), chunk(b"PLTE", bytes([9, 8, 7]))), "RGB", [(9, 8, 7), (0, 0, 0)]),
        (interlaced((11, 9), [[(x * 20 + y) % 256 for x in range(11)] for y in range(9)]), "L", [0, 20, 40, 60]),
    ],
)
def test_every_kind_of_png_keeps_its_colours(data: bytes, mode: str, pixels: list[object]) -> None:
    """Depths from 1 to 16, palettes, a transparent colour or an alpha channel: as the PNG specification means them, in eight bits."""
    image = converted(data)
    assert image.mode == mode
    assert [image.getpixel((x, 0)) for x in range(len(pixels))] == pixels


def test_all_rows_of_an_interlaced_png_are_in_their_place() -> None:
    """Seven passes, one picture."""
    rows = [[(x * 20 + y) % 256 for x in range(11)] for y in range(9)]
    assert converted(interlaced((11, 9), rows)).tobytes() == b"".join(map(bytes, rows))


def test_sixteen_bits_with_a_transparent_colour_are_refused() -> None:
    """Rare, and eight bits cannot tell that colour from its neighbours; the text says what to do."""
    for colour, row in ((GREY, values(1, 2)), (RGB, values(1, 2, 3, 4, 5, 6))):
        data = png((2, 2), 16, colour, tall(row), chunk(b"tRNS", values(1) if colour == GREY else values(1, 2, 3)))
        with pytest.raises(Refused, match="save it with an alpha channel"):
            converted(data)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_kind_of_jpeg_is_read(mode: str, progressive: bool) -> None:
    """Grey, colour, and ink: white stays white and red stays red, also where Adobe's inks are stored the other way round."""
    picture = Image.new("RGB", (32, 32), WHITE)
    picture.paste(RED, (0, 0, 16, 32))
    data = file_of(picture.convert(mode), "JPEG", quality=100, progressive=progressive)
    image = converted(data)
    assert image.mode == ("L" if mode == "L" else "RGB")
    left, right = image.convert("RGB").getpixel((4, 4)), image.convert("RGB").getpixel((28, 4))
    assert near(right, WHITE)
    assert near(left, (76, 76, 76) if mode == "L" else RED)


def near(found: object, wanted: tuple[int, ...], by: int = 6) -> bool:
    assert isinstance(found, tuple)
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def transparent() -> Image.Image:
    """Left half clear red, right half solid green, between them half transparent black."""
    picture = Image.new("RGBA", (60, 20), (*RED, 0))
    picture.paste((*GREEN, 255), (40, 0, 60, 20))
    picture.paste((0, 0, 0, 128), (20, 0, 40, 20))
    return picture


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_jpeg_gets_white_behind_what_was_transparent(kind: str) -> None:
    """Not the colour that lies hidden there, and not black."""
    image = converted(file_of(transparent(), kind, **({"lossless": True} if kind == "WEBP" else {})), OutputFormat.JPEG)
    assert image.mode == "RGB"
    assert near(image.getpixel((8, 8)), WHITE)
    assert near(image.getpixel((30, 8)), (127, 127, 127))
    assert near(image.getpixel((52, 8)), GREEN)


def test_grey_with_alpha_is_flattened_over_white() -> None:
    """A grey JPEG, with white where it was clear."""
    picture = Image.new("LA", (40, 20), (0, 255))
    picture.paste((0, 0), (0, 0, 20, 20))
    image = converted(file_of(picture), OutputFormat.JPEG)
    assert image.mode == "L"
    assert (image.getpixel((4, 4)), image.getpixel((35, 4))) == (255, 0)


@pytest.mark.parametrize("output_format", [OutputFormat.PNG, OutputFormat.WEBP])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_png_and_webp_keep_transparency(kind: str, output_format: OutputFormat) -> None:
    """Exactly, also through WebP's lossy form: its alpha is lossless."""
    data = file_of(transparent(), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    image = converted(data, output_format)
    assert image.mode == "RGBA"
    assert image.getchannel("A").tobytes() == transparent().getchannel("A").tobytes()
    if output_format is OutputFormat.PNG:
        assert image.tobytes() == transparent().tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("output_format", OutputFormat)
def test_every_mode_is_written_in_every_format(mode: str, output_format: OutputFormat) -> None:
    """Whatever opening gives, encoding takes."""
    colours: dict[str, int | tuple[int, ...]] = {
        "L": 90,
        "LA": (90, 255),
        "RGB": (90, 90, 90),
        "RGBA": (90, 90, 90, 255),
    }
    image = converted(file_of(Image.new(mode, (20, 12), colours[mode])), output_format)
    assert image.size == (20, 12)
    assert near(image.convert("RGB").getpixel((7, 7)), (90, 90, 90), by=2)


def test_compression_goes_from_the_smallest_file_to_the_best_picture() -> None:
    """0 to 100 in JPEG and WebP, also the ends; a PNG does not change."""
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    for output_format in (OutputFormat.JPEG, OutputFormat.WEBP):
        sizes = [
            len(perform(Job(Work.CONVERT, output_format, level), file_of(noise), PIXELS_MAX))
            for level in (0, 50, 95, 100)
        ]
        assert sizes[0] * 2 < sizes[1] < sizes[2] <= sizes[3]
    best, worst = (
        perform(Job(Work.CONVERT, OutputFormat.PNG, level), file_of(noise), PIXELS_MAX) for level in (100, 0)
    )
    assert best == worst
    assert converted(file_of(noise)).tobytes() == noise.tobytes()


def corners() -> Image.Image:
    """Upright: red at the top left, green at the top right."""
    picture = Image.new("RGB", (48, 32), WHITE)
    picture.paste(RED, (0, 0, 16, 16))
    picture.paste(GREEN, (32, 0, 48, 16))
    return picture


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that writes this orientation stores an upright picture: what undoes the turn that viewers make."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_lies_on_its_side_is_set_upright(kind: str, orientation: int) -> None:
    """All eight orientations of EXIF, in each format that has it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    method = STORED[orientation]
    stored = corners() if method is None else corners().transpose(method)
    image = converted(file_of(stored, kind, exif=exif, quality=100))
    assert image.size == (48, 32)
    assert near(image.getpixel((4, 4)), RED, by=12)
    assert near(image.getpixel((44, 4)), GREEN, by=12)
    assert near(image.getpixel((4, 28)), WHITE, by=12)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    """The picture stays as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert converted(file_of(corners(), exif=exif)).tobytes() == corners().tobytes()


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00" + bytes(50),
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff",
    ],
)
def test_broken_exif_is_no_reason_to_refuse(exif: bytes) -> None:
    """Phones and editors write it; the picture is as good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert converted(file_of(corners(), "JPEG", exif=exif)).size == (48, 32)


def tagged(kind: str) -> bytes:
    """A picture with everything around it that its format can carry."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825)[0x001D] = SECRET.decode()
    options: dict[str, object] = {"exif": exif, "icc_profile": b"profile " + SECRET, "xmp": b"<x>" + SECRET + b"</x>"}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", SECRET.decode())
        text.add_itxt("Comment", SECRET.decode())
        del options["xmp"]
        options |= {"pnginfo": text, "dpi": (300, 300)}
    if kind == "JPEG":
        options |= {"comment": SECRET, "dpi": (300, 300)}
    return file_of(corners(), kind, **options)


@pytest.mark.parametrize("output_format", OutputFormat)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_pixels_gets_out(kind: str, output_format: OutputFormat) -> None:
    """EXIF with its place, XMP, comments, text chunks, profile and resolution are gone: not a byte of the words, not a name of such a chunk."""
    data = tagged(kind)
    assert SECRET in data
    result = perform(Job(Work.CONVERT, output_format), data, PIXELS_MAX)
    assert SECRET not in result
    assert not [
        name
        for name in (b"Exif", b"EXIF", b"eXIf", b"ICC", b"iCCP", b"XMP", b"tEXt", b"iTXt", b"pHYs")
        if name in result
    ]
    image = Image.open(io.BytesIO(result))
    assert dict(image.getexif()) == {}
    assert set(image.info) <= {
        "jfif",
        "jfif_version",
        "jfif_unit",
        "jfif_density",
        "loop",
        "background",
        "timestamp",
        "duration",
    }


def test_what_a_phone_hides_behind_a_jpeg_is_gone() -> None:
    """A second picture (gain map, depth) behind the first one, with the index that names it: the first is the picture."""
    second = Image.new("RGB", (48, 32), GREEN)
    file = io.BytesIO()
    corners().save(file, "MPO", save_all=True, append_images=[second])
    result = perform(Job(Work.CONVERT, OutputFormat.JPEG), file.getvalue(), PIXELS_MAX)
    assert b"MPF" not in result
    assert near(converted(file.getvalue()).getpixel((4, 4)), RED, by=12)
    assert b"PK\x03\x04" not in perform(
        Job(Work.CONVERT, OutputFormat.JPEG), file_of(corners(), "JPEG") + b"PK\x03\x04", PIXELS_MAX
    )


GIF = file_of(Image.new("P", (9, 9)), "GIF")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GIF, "image/gif is not accepted here; send PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not PNG.*; send PNG, JPEG or WebP"),
        (blank(1_001, 1_000), "1001x1000 is more than 1000000 pixels; send a smaller picture"),
        (blank(8, 8, stated=(60_000, 60_000)), "outside the limits"),
        (file_of(corners()) + file_of(corners()), "bytes after its end"),
        (file_of(corners())[:-20], "cut off"),
        (b"", "cannot be used"),
    ],
)
def test_what_the_headers_give_away_is_never_decoded(data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other formats, too many pixels, second files: a reason, and no decoder was called."""
    monkeypatch.setattr(jobs, "pixels_of", None)
    with pytest.raises(Refused, match=reason) as refused:
        converted(data)
    assert not isinstance(refused.value, GaveUp)


def damaged() -> Iterator[bytes]:
    good = png((4, 2), 8, GREY, [bytes(4)] * 2)
    data = good.index(b"IDAT")
    yield good[: data + 4] + b"\xff" * 5 + good[data + 9 :]  # no zlib stream, and a wrong sum
    yield png((4, 2), 8, GREY, [], chunk(b"IDAT", zlib.compress(b"")[:-3]))
    yield png((2, 2), 8, PALETTE, [bytes(2)] * 2, chunk(b"PLTE", b""), chunk(b"PLTE", bytes(5)), chunk(b"iCCP", b""))
    yield png((4, 2), 8, RGB, [bytes(12)] * 2, zlib_bomb(b"zTXt", 70))
    yield png((4, 2), 8, RGB, [bytes(12)] * 2, zlib_bomb(b"iTXt", 70))
    webp = file_of(corners(), "WEBP", lossless=True)
    yield webp[:30] + bytes(len(webp) - 30)


@pytest.mark.parametrize("data", [*damaged()])
def test_what_only_a_decoder_notices_ends_as_damaged(data: bytes) -> None:
    """Broken or short data, bombs in text chunks: one kind of error that says so, and after which the worker is not used again."""
    with pytest.raises(GaveUp, match=r"damaged.*save it anew"):
        converted(data)


def test_rows_that_are_not_there_are_black() -> None:
    """A whole stream of fewer rows than stated is what every viewer shows: the rest is nothing."""
    image = converted(png((40, 100), 8, GREY, [b"\xff" * 40] * 2))
    assert image.getbbox() == (0, 0, 40, 2)


def test_two_sizes_in_one_file_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the decoder is about to make must be what was allowed."""
    seen = opening.look(file_of(corners()), PIXELS_MAX)
    with pytest.raises(GaveUp, match="two sizes"):
        opening.pixels_of(file_of(corners().resize((49, 32))), seen, upright=True)


def test_only_the_decoder_of_the_seen_format_is_called() -> None:
    """A JPEG is not offered to the PNG decoder, nor to any other."""
    seen = opening.look(file_of(corners()), PIXELS_MAX)
    with pytest.raises(GaveUp, match="damaged"):
        opening.pixels_of(file_of(corners(), "JPEG"), seen, upright=True)


def test_too_large_results_are_stopped_while_they_are_written() -> None:
    """The bound is exact."""
    size = len(perform(Job(Work.CONVERT), file_of(corners()), PIXELS_MAX))
    assert perform(Job(Work.CONVERT, bytes_max=size), file_of(corners()), PIXELS_MAX)
    for output_format in OutputFormat:
        with pytest.raises(Refused, match="larger than 60 bytes; ask for"):
            perform(Job(Work.CONVERT, output_format, bytes_max=60), file_of(corners()), PIXELS_MAX)


def test_a_memory_error_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it happens: not damaged, too large."""

    def full(*_: object, **__: object) -> Image.Image:
        raise MemoryError

    for name in ("load", "getexif", "save"):
        with monkeypatch.context() as patch:
            patch.setattr(Image.Image if name == "save" else PngImagePlugin.PngImageFile, name, full)
            with pytest.raises(GaveUp, match="takes too much memory; send a smaller one"):
                perform(Job(Work.CONVERT), FILE, PIXELS_MAX)


FILE = file_of(corners())


def test_an_encoder_that_fails_names_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some noise cannot be written as WebP; another format can."""

    def fails(*_: object, **__: object) -> None:
        raise ValueError("encoding error 6")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(GaveUp, match="cannot be written as webp; ask for another format"):
        perform(Job(Work.CONVERT, OutputFormat.WEBP), FILE, PIXELS_MAX)


def test_the_wanted_size_is_asserted_for_any_work() -> None:
    """Before decoding."""
    with pytest.raises(Refused, match="is 48x32 and must be 48x33"):
        perform(Job(Work.CONVERT, pixels=Pixels(48, 33)), FILE, PIXELS_MAX)
