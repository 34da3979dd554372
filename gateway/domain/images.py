"""What is asked for and what comes back: the nouns of one image call."""

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum


class Operation(StrEnum):
    """What the call does."""

    GENERATE = "generate"
    EDIT = "edit"
    VARIATION = "variation"


class OutputFormat(StrEnum):
    """File formats that a caller may ask for."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        return f"image/{self.value}"


class Quality(StrEnum):
    """OpenAI's quality steps, lowest first. AUTO leaves the choice to the model."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Background(StrEnum):
    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class ResponseFormat(StrEnum):
    """What an item of an image answer carries; without a wish it carries both."""

    URL = "url"
    B64_JSON = "b64_json"


class Contract(StrEnum):
    """The two views of a task: an OpenAI image answer, or a task to poll."""

    IMAGE = "image"
    TASK = "task"


_PIXELS = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
_RATIO = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture's width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def ratio(self) -> "tuple[int, int]":
        divisor = math.gcd(self.width, self.height)
        return self.width // divisor, self.height // divisor


def parse_pixels(text: str) -> Pixels | None:
    """`1024x1536`, or None where the text has another form."""
    match = _PIXELS.fullmatch(text)
    return Pixels(int(match[1]), int(match[2])) if match else None


def parse_ratio(text: str) -> tuple[int, int] | None:
    """`2:3` -> (2, 3), or None where the text has another form."""
    match = _RATIO.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


class InputSource(StrEnum):
    """Where the bytes of a caller's picture are."""

    URL = "url"  # at a stranger's: fetched inside the task
    FILE = "file"  # stored here before the call was accepted: uploaded, part of a form, or a `data:` URL


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A picture that the caller gives: a reference, or a mask. `value` is the URL, or the id of the stored file (`file-…`)."""

    source: InputSource
    value: str


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One call, checked and normalised: what offers are compared for and adapters translate. Everything a caller said that shapes the picture."""

    model: str
    prompt: str
    n: int = 1
    size: str = "auto"
    """As the caller wrote it, kept for answers: `auto`, a ratio, or pixels."""
    pixels: Pixels | None = None
    """The pixel size that the text means; None for `auto`."""
    quality: Quality = Quality.AUTO
    background: Background = Background.AUTO
    output_format: OutputFormat | None = None
    operation: Operation = Operation.GENERATE
    prompt_tokens: int = 0
    """o200k_base tokens, or an upper bound of them (the UTF-8 length) where counting was not needed; for quotes."""
    options: tuple[tuple[str, str], ...] = ()
    """Other parameters of OpenAI's contract by name, as JSON text, sorted: moderation, user, output_compression, style …"""
    images: tuple[ImageInput, ...] = ()
    """Reference pictures in the caller's order; EDIT has at least one, VARIATION exactly one."""
    mask: ImageInput | None = None
    """Transparent (alpha 0) is the area to edit, of the first picture."""
    partial_images: int = 0
    """How many partial pictures the caller wishes to see on the way, 0 to 3; they cost tokens of their own."""

    def option_names(self) -> frozenset[str]:
        """Names of all parameters that the caller gave a meaning beyond the default, as the contract spells them."""
        names = {name for name, _ in self.options}
        if self.quality is not Quality.AUTO:
            names.add("quality")
        if self.background is not Background.AUTO:
            names.add("background")
        if self.output_format is not None:
            names.add("output_format")
        return frozenset(names)


@dataclass(frozen=True, slots=True)
class PartialImage:
    """A picture as far as it is made, for a caller who streams: base64 text as the upstream sent it. `index` counts them from 0."""

    base64: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage as OpenAI reports it."""

    input_text_tokens: int
    input_image_tokens: int
    output_tokens: int
    output_text_tokens: int = 0
    """How many of them are text, thoughts included; these may cost less."""

    @property
    def input_tokens(self) -> int:
        return self.input_text_tokens + self.input_image_tokens

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def add_usages(usages: "list[Usage]") -> Usage | None:
    """The sum of the parts' usages; None where there are none."""
    if not usages:
        return None
    return Usage(
        sum(usage.input_text_tokens for usage in usages),
        sum(usage.input_image_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        sum(usage.output_text_tokens for usage in usages),
    )


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One delivered picture as it is stored: where its bytes are and what a header look said about them."""

    blob: str
    content_type: str
    extension: str
    size_bytes: int
    width: int
    height: int
    sha256: str
    revised_prompt: str | None = field(default=None)
