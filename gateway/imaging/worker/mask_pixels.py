"""The two meanings of a mask, pixel by pixel.

OpenAI's: where alpha is 0 the picture is made anew. The other: white is made anew, black stays. Soft edges become the inverse value; hard ones
are cut at 128. A mask that asks for nothing is refused: somebody would pay for a copy, and nearly always it is a mask of the other kind.
"""

from PIL import Image, ImageChops

from gateway.imaging.worker.encoding import on
from gateway.imaging.worker.refusal import Refused

THRESHOLD = 128


def white_from_alpha(mask: Image.Image, *, hard_edges: bool, rgb: bool) -> Image.Image:
    """White where the mask is transparent: one channel, or three equal ones."""
    if mask.mode not in ("LA", "RGBA"):
        raise Refused("the mask has no alpha channel; save it as PNG with transparency where the picture is to change")
    white = ImageChops.invert(mask.getchannel("A"))
    white = _cut(white) if hard_edges else white
    _asks_for_something(
        white, "the mask has no transparent pixel; make it transparent (alpha 0) where the picture is to change"
    )
    return Image.merge("RGB", (white, white, white)) if rgb else white


def alpha_from_white(mask: Image.Image, *, hard_edges: bool) -> Image.Image:
    """Black, transparent where the mask is white. What is transparent in the mask itself counts as black."""
    white = on(0, mask).convert("L")
    white = _cut(white) if hard_edges else white
    _asks_for_something(white, "the mask has no white pixel; paint it white where the picture is to change")
    made = Image.new("RGB", mask.size)
    made.putalpha(ImageChops.invert(white))
    return made


def _cut(white: Image.Image) -> Image.Image:
    return white.point([255 * (value >= THRESHOLD) for value in range(256)])


def _asks_for_something(white: Image.Image, reason: str) -> None:
    if white.getbbox() is None:
        raise Refused(reason)
