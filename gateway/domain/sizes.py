"""Which sizes an upstream makes, and what it makes of the size that was asked for. Pure; what cannot be made is None, never an exception.

An upstream takes one of three things: sizes of a list, any pixels within bounds, or a ratio with, perhaps, a resolution step such as 2K.
A caller who asked for pixels gets the nearest that the upstream makes, as long as it is the same picture: RATIO_TOLERANCE and AREA_MIN_SHARE
say how far off it may be.
"""

import math
from dataclasses import dataclass

from gateway.domain.images import Pixels, parse_pixels, parse_ratio

RATIO_TOLERANCE = 0.03
"""Largest |ln| between the ratio asked for and the one made: 31 pixels of 1024."""
AREA_MIN_SHARE = 0.5
"""A picture of fewer than half of the pixels asked for is another picture."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What an upstream makes of a size."""

    text: str
    """In the upstream's words: pixels, or a ratio."""
    pixels: Pixels
    """What comes, as far as it is known beforehand: by this it is priced."""
    step: str | None = None
    """The resolution step, where the upstream has such."""


@dataclass(frozen=True, slots=True)
class ListedSizes:
    """Sizes by name: pixels, or ratios as the caller writes them."""

    texts: tuple[str, ...]

    def fit(self, size: str, pixels: Pixels) -> Fit | None:
        """The caller's own text where it is listed, else its pixels."""
        for text in (size, str(pixels)):
            if text in self.texts and text != "auto":
                return Fit(text, pixels)
        return None

    def __str__(self) -> str:
        return ", ".join(self.texts)


@dataclass(frozen=True, slots=True)
class PixelBounds:
    """Any WxH within these bounds."""

    multiple_of: int = 1
    edge_min: int = 1
    edge_max: int = 99_999
    area_min: int = 1
    area_max: int = 99_999**2
    ratio_max: float = 99_999.0

    def fit(self, size: str, pixels: Pixels) -> Fit | None:
        """Both sides rounded to the multiple, where the picture stays the same by RATIO_TOLERANCE."""
        unit = self.multiple_of
        made = Pixels(*(max(unit, round(side / unit) * unit) for side in (pixels.width, pixels.height)))
        within = (
            self.edge_min <= min(made.width, made.height)
            and max(made.width, made.height) <= self.edge_max
            and self.area_min <= made.area <= self.area_max
            and max(made.width, made.height) <= min(made.width, made.height) * self.ratio_max
        )
        return Fit(str(made), made) if within and _is_same(pixels, made) else None

    def __str__(self) -> str:
        return f"sides of {self.edge_min} to {self.edge_max} pixels, {self.area_min} to {self.area_max} in all"


@dataclass(frozen=True, slots=True)
class Step:
    """A resolution step: pictures of any ratio with about as many pixels as a square of this edge."""

    name: str
    edge: int


@dataclass(frozen=True, slots=True)
class Ratios:
    """A ratio, and the step whose pixels come nearest. One step without a name: the upstream has one resolution."""

    ratios: tuple[str, ...]
    steps: tuple[Step, ...] = (Step("", 1024),)

    def fit(self, size: str, pixels: Pixels) -> Fit | None:
        """The nearest ratio within RATIO_TOLERANCE at the step nearest in area; None where even that has too few pixels."""
        near = [(abs(math.log(pixels.width / pixels.height * h / w)), text) for text, (w, h) in self._parsed()]
        off, text = min(near, default=(math.inf, ""))
        step = min(self.steps, key=lambda step: abs(math.log(pixels.area / step.edge**2)))
        if off > RATIO_TOLERANCE or step.edge**2 < pixels.area * AREA_MIN_SHARE:
            return None
        width, height = parse_ratio(text) or (1, 1)
        scale = step.edge / math.sqrt(width * height)
        return Fit(text, Pixels(round(width * scale), round(height * scale)), step.name or None)

    def __str__(self) -> str:
        steps = ", ".join(step.name for step in self.steps if step.name)
        return ", ".join(self.ratios) + (f" at {steps}" if steps else "")

    def _parsed(self) -> list[tuple[str, tuple[int, int]]]:
        return [(text, ratio) for text in self.ratios if (ratio := parse_ratio(text)) is not None]


Sizes = ListedSizes | PixelBounds | Ratios


def fit(sizes: Sizes | None, size: str, pixels: Pixels) -> Fit | None:
    """What an upstream with these sizes makes of the caller's `size`, which means `pixels`; None for `sizes`: exactly that."""
    return Fit(str(pixels), pixels) if sizes is None else sizes.fit(size, pixels)


def listed(*texts: str) -> ListedSizes:
    """Sizes by name. Raises ValueError for a text that is neither auto nor pixels nor a ratio."""
    for text in texts:
        if text != "auto" and parse_pixels(text) is None and parse_ratio(text) is None:
            raise ValueError(f"{text!r} is no size")
    return ListedSizes(texts)


def _is_same(asked: Pixels, made: Pixels) -> bool:
    off = abs(math.log(asked.width / asked.height * made.height / made.width))
    return off <= RATIO_TOLERANCE and made.area >= asked.area * AREA_MIN_SHARE
