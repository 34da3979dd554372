"""Masks in both directions, pixel by pixel: what one upstream would make anew is what every other would."""

import io
from itertools import product

import pytest
from PIL import Image, ImageChops

from gateway.domain.files import MASK_BYTES_MAX
from gateway.domain.images import Pixels
from gateway.imaging.decode import ImageRefused
from gateway.imaging.masks import check_mask
from gateway.imaging.protocol import Job, Work
from gateway.imaging.worker.jobs import perform
from gateway.imaging.worker.refusal import Refused
from tests.png_files import GREY, PALETTE, chunk, png

SIZE = (24, 16)
PIXELS = Pixels(*SIZE)
AREA = (3, 2, 10, 14)
"""Neither in the middle nor square: a flipped, turned or inverted mask would be noticed."""
RED, BLUE = (255, 0, 0), (0, 0, 255)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def image_of(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def alpha_mask(mode: str = "RGBA") -> Image.Image:
    """OpenAI's kind: transparent in the area. What is transparent is white and the rest black, which must not matter."""
    mask = Image.new(mode, SIZE, (0, 255) if mode == "LA" else (0, 0, 0, 255))
    mask.paste((255, 0) if mode == "LA" else (255, 255, 255, 0), AREA)
    return mask


def white_mask(mode: str = "L") -> Image.Image:
    mask = Image.new(mode, SIZE)
    mask.paste(1 if mode == "1" else "white", AREA)
    return mask


def in_area(x: int, y: int) -> bool:
    left, top, right, bottom = AREA
    return left <= x < right and top <= y < bottom


def edited(mask: Image.Image) -> Image.Image:
    """What an upstream makes of a blue picture and the wish for red: by alpha where the mask has it, else by white."""
    where = ImageChops.invert(mask.getchannel("A")) if mask.mode == "RGBA" else mask.convert("L")
    return Image.composite(Image.new("RGB", SIZE, RED), Image.new("RGB", SIZE, BLUE), where)


def assert_red_in_the_area_alone(picture: Image.Image) -> None:
    for x, y in product(range(SIZE[0]), range(SIZE[1])):
        assert picture.getpixel((x, y)) == (RED if in_area(x, y) else BLUE), (x, y)


def job(work: Work, *, hard_edges: bool = False, rgb: bool = False) -> Job:
    return Job(work, hard_edges=hard_edges, rgb=rgb, pixels=PIXELS)


def made(work: Work, mask: Image.Image | bytes, *, hard_edges: bool = False, rgb: bool = False) -> Image.Image:
    data = mask if isinstance(mask, bytes) else file_of(mask)
    return image_of(perform(job(work, hard_edges=hard_edges, rgb=rgb), data, 10_000))


@pytest.mark.parametrize("hard_edges", [False, True])
@pytest.mark.parametrize(("mode", "rgb"), [("RGBA", False), ("RGBA", True), ("LA", False)])
def test_transparent_becomes_white(mode: str, rgb: bool, hard_edges: bool) -> None:
    """The same area is made anew as with the mask that came: its meaning has not been inverted, nor the mask turned."""
    assert_red_in_the_area_alone(edited(alpha_mask()))
    white = made(Work.WHITE_MASK, alpha_mask(mode), hard_edges=hard_edges, rgb=rgb)
    assert (white.mode, white.size) == ("RGB" if rgb else "L", SIZE)
    assert_red_in_the_area_alone(edited(white))


@pytest.mark.parametrize("hard_edges", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P"])
def test_white_becomes_transparent(mode: str, hard_edges: bool) -> None:
    """And the other way, from every way in which a black and white mask is saved."""
    mask = white_mask().convert("P") if mode == "P" else white_mask(mode)
    if mode == "RGBA":
        mask.putalpha(255)
    alpha = made(Work.ALPHA_MASK, mask, hard_edges=hard_edges)
    assert (alpha.mode, alpha.size) == ("RGBA", SIZE)
    assert_red_in_the_area_alone(edited(alpha))


def ramp() -> Image.Image:
    """A mask whose alpha takes every value once."""
    mask = Image.new("RGBA", (256, 1), (7, 8, 9, 0))
    mask.putalpha(Image.frombytes("L", (256, 1), bytes(range(256))))
    return mask


@pytest.mark.parametrize("rgb", [False, True])
def test_soft_edges_survive_the_round_trip(rgb: bool) -> None:
    """Every alpha value becomes its inverse and comes back as it was."""
    tall = ramp().resize((256, 16), Image.Resampling.NEAREST)
    there, back = Job(Work.WHITE_MASK, rgb=rgb, pixels=Pixels(256, 16)), Job(Work.ALPHA_MASK, pixels=Pixels(256, 16))
    white_file = perform(there, file_of(tall), 10_000)
    assert image_of(white_file).convert("L").crop((0, 0, 256, 1)).tobytes() == bytes(range(255, -1, -1))
    assert image_of(perform(back, white_file, 10_000)).getchannel("A").tobytes() == tall.getchannel("A").tobytes()


def test_hard_edges_are_cut_at_128_in_both_directions() -> None:
    """An alpha of 127 is edited, one of 128 is not; and what was cut is the same after a round trip."""
    tall = ramp().resize((256, 16), Image.Resampling.NEAREST)
    there = Job(Work.WHITE_MASK, hard_edges=True, pixels=Pixels(256, 16))
    back = Job(Work.ALPHA_MASK, hard_edges=True, pixels=Pixels(256, 16))
    white_file = perform(there, file_of(tall), 10_000)
    assert image_of(white_file).crop((0, 0, 256, 1)).tobytes() == b"\xff" * 128 + b"\x00" * 128
    alpha = image_of(perform(back, white_file, 10_000)).getchannel("A")
    assert alpha.crop((0, 0, 256, 1)).tobytes() == b"\x00" * 128 + b"\xff" * 128
    grey = Image.frombytes("L", (256, 1), bytes(range(256))).resize((256, 16), Image.Resampling.NEAREST)
    cut = image_of(perform(back, file_of(grey), 10_000)).getchannel("A")
    assert cut.crop((0, 0, 256, 1)).tobytes() == b"\xff" * 128 + b"\x00" * 128


def test_a_transparent_colour_is_transparency_as_well() -> None:
    """A palette whose one entry is clear, and a grey of four bits that is."""
    rows = [bytes([0x01] * (SIZE[0] // 2))] * SIZE[1]  # columns 0, 1, 0, 1, ...
    palette = png(SIZE, 4, PALETTE, rows, chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\xff\x00"))
    grey = png(SIZE, 4, GREY, rows, chunk(b"tRNS", b"\x00\x01"))
    for mask in (palette, grey):
        check_mask(mask, PIXELS)
        assert made(Work.WHITE_MASK, mask).tobytes() == bytes([0, 255] * (SIZE[0] * SIZE[1] // 2))


def test_clear_parts_of_a_white_mask_stay() -> None:
    """Transparent white is not white: nobody sees it."""
    mask = white_mask("RGBA")
    mask.putalpha(255)
    mask.paste((255, 255, 255, 0), (15, 0, 24, 16))
    assert_red_in_the_area_alone(edited(made(Work.ALPHA_MASK, mask)))


@pytest.mark.parametrize(
    ("work", "mask", "reason"),
    [
        (Work.WHITE_MASK, white_mask("RGB"), "no alpha channel.*transparency where"),
        (Work.WHITE_MASK, Image.new("RGBA", SIZE, "white"), "no transparent pixel.*alpha 0"),
        (Work.ALPHA_MASK, Image.new("L", SIZE), "no white pixel.*paint it white"),
        (Work.ALPHA_MASK, alpha_mask(), "no white pixel"),
        (Work.WHITE_MASK, alpha_mask().resize((16, 24)), "is 16x24 and must be 24x16.*resize"),
    ],
)
def test_a_mask_that_asks_for_nothing_is_refused(work: Work, mask: Image.Image, reason: str) -> None:
    """Without transparency, opaque or black all over (nearly always a mask of the other kind), or of another size; the text names the remedy."""
    with pytest.raises(Refused, match=reason):
        made(work, mask)


def test_hard_edges_that_leave_nothing_are_refused() -> None:
    """A mask that is nowhere more than half transparent asks for nothing once it is cut."""
    mask = Image.new("RGBA", SIZE, (0, 0, 0, 200))
    assert made(Work.WHITE_MASK, mask).getpixel((0, 0)) == 55
    with pytest.raises(Refused, match="no transparent pixel"):
        made(Work.WHITE_MASK, mask, hard_edges=True)


def test_the_orientation_of_a_mask_means_nothing() -> None:
    """Its pixels count as they are stored."""
    exif = Image.Exif()
    exif[0x0112] = 3
    assert_red_in_the_area_alone(edited(made(Work.WHITE_MASK, file_of(alpha_mask(), exif=exif))))


def heavy(size_bytes: int) -> bytes:
    """A good mask with a chunk that decoders skip, of exactly that length."""
    mask = file_of(alpha_mask())
    return mask[:33] + chunk(b"juNk", bytes(size_bytes - len(mask) - 12)) + mask[33:]


def test_a_good_mask_passes_the_check_of_its_headers() -> None:
    """Also one byte below 4 MB, and without alpha where white is meant."""
    check_mask(file_of(alpha_mask()), PIXELS)
    check_mask(heavy(4 * 1024 * 1024 - 1), PIXELS)
    check_mask(file_of(white_mask()), PIXELS, alpha=False)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (file_of(white_mask()), "no alpha channel; save it as PNG with transparency"),
        (file_of(alpha_mask().resize((25, 16))), "is 25x16 and the picture 24x16; make the mask of exactly"),
        (file_of(alpha_mask().resize((16, 24))), "is 16x24 and the picture 24x16"),
        (heavy(4 * 1024 * 1024), "smaller than 4 MB; save it with fewer colours"),
        (file_of(alpha_mask(), "WEBP"), "is image/webp; save it as PNG"),
        (file_of(white_mask(), "JPEG"), "is image/jpeg; save it as PNG"),
        (file_of(alpha_mask()) + b"PK", "bytes after its end; save it as PNG"),
        (b"", "not PNG.*save it as PNG"),
    ],
)
def test_the_check_names_what_is_wrong_and_the_remedy(mask: bytes, reason: str) -> None:
    """Before anything is decoded."""
    with pytest.raises(ImageRefused, match=reason) as refused:
        check_mask(mask, PIXELS)
    assert str(refused.value) == refused.value.reason


def test_the_limit_is_below_four_megabytes() -> None:
    """OpenAI: less than 4 MB; what is made is bounded by it, too."""
    assert MASK_BYTES_MAX == 4 * 1024 * 1024 - 1
    with pytest.raises(Refused, match="larger than 50 bytes"):
        perform(Job(Work.ALPHA_MASK, pixels=PIXELS, bytes_max=50), file_of(white_mask()), 10_000)
