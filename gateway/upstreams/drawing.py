"""The sandbox's pictures: the prompt on a pattern that follows from it, under a label nobody can take for a model's work.

Pure computation with Pillow, for a thread: a 1024x1024 PNG takes some 20 ms. Text that the built-in font lacks appears as boxes.
"""

import functools
import hashlib
import io
import textwrap
import threading
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from gateway.domain.images import OutputFormat, Pixels

LABEL = "SANDBOX - not a real model"
"""A plain hyphen: the built-in font has no dash."""
PROMPT_CHARS_MAX = 600
_CELLS = {"low": 4, "medium": 8, "high": 16, "xhigh": 24, "max": 32}
_LINES_MAX = 14


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """A picture of the caller as the drawing shows it: what it was, and a colour that follows from its bytes. It is not decoded here."""

    name: str
    content_type: str
    pixels: Pixels
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.name}: {self.pixels} {self.content_type.removeprefix('image/')} {self.sha256.hex()[:8]}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to be drawn. `compression` is OpenAI's output_compression (0 to 100), for JPEG and WebP."""

    prompt: str
    index: int
    pixels: Pixels
    output_format: OutputFormat
    transparent: bool = False
    compression: int = 100
    quality: str = "auto"
    given: tuple["GivenPicture", ...] = ()
    """The caller's pictures, the mask last."""


def draw(drawing: Drawing) -> bytes:
    """The file. The same drawing gives the same bytes with the same version of Pillow."""
    given = "".join(f"\0{picture}" for picture in drawing.given)
    seed = hashlib.sha256(f"{drawing.prompt}\0{drawing.index}\0{drawing.pixels}{given}".encode()).digest()
    size = (drawing.pixels.width, drawing.pixels.height)
    image = Image.new("RGBA", size) if drawing.transparent else _pattern(seed, size, drawing.quality)
    canvas = ImageDraw.Draw(image)
    _shapes(canvas, seed, size)
    _texts(canvas, drawing, size)
    _given(canvas, drawing, size)
    return _encode(image, drawing)


def _pattern(seed: bytes, size: tuple[int, int], quality: str) -> Image.Image:
    """A few colours of one family in a grid; higher quality, finer grid."""
    cells = _CELLS.get(quality, 8)
    base = [64 + value // 2 for value in seed[:3]]
    grid = Image.new("RGB", (cells, cells))
    shades = hashlib.shake_128(seed).digest(cells * cells)
    grid.putdata([(base[0] + shade % 64, base[1] + shade % 48, base[2] + shade % 32) for shade in shades])
    return grid.resize(size, Image.Resampling.NEAREST)


def _shapes(canvas: ImageDraw.ImageDraw, seed: bytes, size: tuple[int, int]) -> None:
    width, height = size
    for at in range(4, 28, 6):
        x, y, radius = seed[at] * width // 255, seed[at + 1] * height // 255, min(size) * (40 + seed[at + 2]) // 1024
        canvas.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=(seed[at + 3], seed[at + 4], seed[at + 5])
        )


def _texts(canvas: ImageDraw.ImageDraw, drawing: Drawing, size: tuple[int, int]) -> None:
    width, height = size
    points = max(9, min(width // 26, height // 20))
    font = _font(points, threading.get_ident())
    margin = points // 2
    canvas.rectangle((0, height - 2 * points, width, height), fill=(20, 20, 20))
    canvas.text((margin, height - 2 * points + margin), LABEL, font=font, fill=(255, 214, 0))
    # The font's letters are about half as wide as it is high; wide scripts run out of the picture, which harms nobody.
    lines = textwrap.wrap(drawing.prompt[:PROMPT_CHARS_MAX], max(8, int((width - 2 * margin) / (points * 0.56))))
    text = "\n".join([*lines[:_LINES_MAX], f"#{drawing.index + 1}  {drawing.pixels}"])
    canvas.multiline_text(
        (margin, margin), text, font=font, fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0)
    )


def _given(canvas: ImageDraw.ImageDraw, drawing: Drawing, size: tuple[int, int]) -> None:
    """A line for each picture of the caller above the label, with a swatch of its colour."""
    width, height = size
    points = max(9, min(width // 26, height // 20)) * 2 // 3
    font = _font(points, threading.get_ident())
    top = height - 3 * points - len(drawing.given) * (points + 4)
    for index, picture in enumerate(drawing.given):
        y = top + index * (points + 4)
        canvas.rectangle((0, y - 2, width, y + points + 2), fill=(20, 20, 20))
        canvas.rectangle((2, y, 2 + 2 * points, y + points), fill=tuple(picture.sha256[:3]))
        canvas.text((2 * points + 8, y), str(picture), font=font, fill=(255, 255, 255))


@functools.lru_cache(maxsize=32)
def _font(points: int, thread: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """One object a thread: FreeType faces must not be shared while they draw."""
    return ImageFont.load_default(points)


def _encode(image: Image.Image, drawing: Drawing) -> bytes:
    stream = io.BytesIO()
    match drawing.output_format:
        case OutputFormat.PNG:
            image.save(stream, "PNG", compress_level=1)
        case OutputFormat.JPEG:
            image.save(
                stream, "JPEG", quality=max(1, min(drawing.compression, 95))
            )  # above 95 Pillow's files only grow
        case OutputFormat.WEBP:
            image.save(stream, "WEBP", quality=drawing.compression, method=0)
    return stream.getvalue()
