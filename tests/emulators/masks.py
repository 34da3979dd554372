"""Masks for tests: a known area in the middle of a picture, in the form of either meaning."""

import io

from PIL import Image, ImageChops

from tests.emulators.inputs import Polarity

Box = tuple[int, int, int, int]


def box_of(size: tuple[int, int]) -> Box:
    """Left, top, right and bottom of the area: off the middle, so that mirrored or swapped sides show."""
    width, height = size
    return width // 4, height // 8, width // 2, height * 3 // 4


def mask(polarity: Polarity = "alpha", size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG whose area to edit is `box_of` its size."""
    if polarity == "alpha":
        image = Image.new("RGBA", size, (10, 20, 30, 255))
        image.paste((10, 20, 30, 0), box_of(size))
    else:
        image = Image.new("L", size, 0)
        image.paste(255, box_of(size))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def red_box(content: bytes) -> Box | None:
    """The bounds of all red pixels; None where they do not fill them."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = image.convert("RGB")
    channels = [
        channel.point([255 * (value == wanted) for value in range(256)])
        for channel, wanted in zip(pixels.split(), (255, 0, 0), strict=True)
    ]
    red = ImageChops.darker(ImageChops.darker(channels[0], channels[1]), channels[2])
    found = red.getbbox()
    if found is None or red.crop(found).getextrema() != (255, 255):
        return None
    return found
