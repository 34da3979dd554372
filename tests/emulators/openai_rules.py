"""What OpenAI's Images API accepts and what it costs; pure functions, no I/O.

Owns the models, the checks of a request in the order and with the texts of the vendor as far as they are public, the
token formulas and the prices. A request that the vendor would not accept raises `Invalid`. Texts are illustrative:
only status, type, code and param are meant to be relied on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Size = tuple[int, int]

_MILLION = Decimal(1_000_000)
_PROMPT_CHARS_MAX = 32_000  # OpenAI's reference, GPT image models
_PARTIAL_TOKENS = 100
_N_MAX = 10  # the same
_PIXELS_MIN, _PIXELS_MAX = 655_360, 8_294_400  # limits of gpt-image-2 and later
_EDGE_MAX = 3_840
_FIXED_SIZES = ("1024x1024", "1024x1536", "1536x1024")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One generation of models: what it understands and what it costs."""

    image_out_usd: Decimal  # per million tokens
    text_in_usd: Decimal
    image_in_usd: Decimal = Decimal(8)
    qualities: Mapping[str, int]  # formula: the factor q; fixed: tokens of the square
    free_sizes: bool = True
    oblong_tokens: Mapping[str, int] | None = None
    parameters: frozenset[str] = frozenset()


_PARAMETERS = frozenset(
    {
        *("prompt", "model", "n", "size", "quality", "background", "moderation", "output_format"),
        *("output_compression", "partial_images", "stream", "user", "safety_identifier"),
    }
)
_NEWER = _PARAMETERS | {"complexity", "frame_count", "frame_duration_ms", "svg"}

_GPT_IMAGE_2 = Family(
    image_out_usd=Decimal(30),
    text_in_usd=Decimal(5),
    qualities={"low": 16, "medium": 48, "high": 96},
    parameters=_PARAMETERS,
)
_GPT_IMAGE_25 = Family(
    image_out_usd=Decimal(30),
    text_in_usd=Decimal(5),
    qualities={"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96},
    parameters=_NEWER,
)
_GPT_IMAGE_15 = Family(
    image_out_usd=Decimal(32),
    text_in_usd=Decimal(5),
    qualities={"low": 272, "medium": 1_056, "high": 4_160},
    oblong_tokens={"low": 408, "medium": 1_584, "high": 6_240},
    free_sizes=False,
    parameters=_PARAMETERS,
)
_GPT_IMAGE_1_MINI = Family(  # token counts that give the published price per picture
    image_out_usd=Decimal(8),
    text_in_usd=Decimal(2),
    image_in_usd=Decimal("2.5"),
    qualities={"low": 625, "medium": 1_375, "high": 4_500},
    oblong_tokens={"low": 750, "medium": 1_875, "high": 6_500},
    free_sizes=False,
    parameters=_PARAMETERS,
)

FAMILIES: Mapping[str, Family] = {
    "gpt-image-2": _GPT_IMAGE_2,
    "gpt-image-2-2026-04-21": _GPT_IMAGE_2,
    "gpt-image-2.5-sunburst": _GPT_IMAGE_25,
    "gpt-image-2.5-sunburst-2026-09-08": _GPT_IMAGE_25,
    "gpt-image-2.5-flare": _GPT_IMAGE_25,
    "gpt-image-2.5-flare-2026-09-08": _GPT_IMAGE_25,
    "gpt-image-2.6-sunburst": _GPT_IMAGE_25,
    "gpt-image-2.6-flare": _GPT_IMAGE_25,
    "gpt-image-1.5": _GPT_IMAGE_15,
    "gpt-image-1.5-2025-12-16": _GPT_IMAGE_15,
    "chatgpt-image-latest": _GPT_IMAGE_15,
    "gpt-image-1-mini": _GPT_IMAGE_1_MINI,
}

# Retired at OpenAI, still the wire of many compatible vendors: USD per picture by (size, quality).
LEGACY: Mapping[str, Mapping[tuple[str, str], Decimal]] = {
    "dall-e-2": {
        ("1024x1024", "standard"): Decimal("0.02"),
        ("512x512", "standard"): Decimal("0.018"),
        ("256x256", "standard"): Decimal("0.016"),
    },
    "dall-e-3": {
        ("1024x1024", "standard"): Decimal("0.04"),
        ("1792x1024", "standard"): Decimal("0.08"),
        ("1024x1792", "standard"): Decimal("0.08"),
        ("1024x1024", "hd"): Decimal("0.08"),
        ("1792x1024", "hd"): Decimal("0.12"),
        ("1024x1792", "hd"): Decimal("0.12"),
    },
}
_LEGACY_PARAMETERS = frozenset({"prompt", "model", "n", "size", "quality", "style", "response_format", "user"})


class Invalid(Exception):
    """A request that the vendor answers with an error of the caller's making."""

    def __init__(self, code: str | None, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A valid request with everything resolved that the caller left open."""

    model: str
    prompt: str
    n: int
    size: Size
    quality: str
    output_format: str = "png"
    background: str = "opaque"
    as_url: bool = False
    image_tokens_in: int = 0
    streams: bool = False
    partial_images: int = 0

    @property
    def legacy(self) -> bool:
        """Whether the answer has the shape of the DALL·E models."""
        return self.model in LEGACY

    @property
    def size_text(self) -> str:
        """As the wire writes it."""
        return f"{self.size[0]}x{self.size[1]}"


def image_tokens(q: int, width: int, height: int) -> int:
    """Output tokens of one picture of gpt-image-2 and later; reproduces every published price per size."""
    long, short = max(width, height), min(width, height)
    scaled = (2 * q * short + long) // (2 * long)  # round(q * short / long)
    return -(-(q * scaled * (2_000_000 + width * height)) // 4_000_000)  # ceil


def text_tokens(prompt: str) -> int:
    """Input tokens of a prompt, roughly: four characters each."""
    return max(1, -(-len(prompt) // 4))


def output_tokens(job: Job, images: int) -> int:
    """Output tokens of this many pictures of a job, and of the partial ones on the way."""
    family = FAMILIES[job.model]
    width, height = job.size
    partial = images * job.partial_images * _PARTIAL_TOKENS
    if family.free_sizes:
        return images * image_tokens(family.qualities[job.quality], width, height) + partial
    table = family.qualities if width == height else (family.oblong_tokens or {})
    return images * table[job.quality] + partial


def price_usd(job: Job, images: int) -> Decimal:
    """What the vendor bills for this many pictures of a job, unrounded."""
    if job.legacy:
        return images * LEGACY[job.model][job.size_text, job.quality]
    family = FAMILIES[job.model]
    tokens_out = output_tokens(job, images) * family.image_out_usd
    tokens_in = text_tokens(job.prompt) * family.text_in_usd + job.image_tokens_in * family.image_in_usd
    return (tokens_out + tokens_in) / _MILLION


def check(body: Mapping[str, object], *, legacy: bool) -> Job:
    """The job of a request, or Invalid."""
    model = _string(body, "model")
    if model is None:
        raise Invalid("missing_required_parameter", "Missing required parameter: 'model'.", "model")
    known_legacy = legacy and model in LEGACY
    if model not in FAMILIES and not known_legacy:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise Invalid("model_not_found", message, "model", status=404)
    allowed = _LEGACY_PARAMETERS if known_legacy else FAMILIES[model].parameters
    for name in body:
        if name not in allowed:
            raise Invalid("unknown_parameter", f"Unknown parameter: '{name}'.", name)
    prompt = _prompt(body)
    return _check_legacy(body, model, prompt) if known_legacy else _check_gpt(body, model, prompt)


def _check_gpt(body: Mapping[str, object], model: str, prompt: str) -> Job:
    family = FAMILIES[model]
    quality = _choice(body, "quality", ("auto", *family.qualities), "auto")
    output_format = _choice(body, "output_format", ("png", "jpeg", "webp"), "png")
    background = _choice(body, "background", ("auto", "transparent", "opaque"), "auto")
    _choice(body, "moderation", ("auto", "low"), "auto")
    compression = _integer(body, "output_compression", 0, 100, 100)
    if compression != 100 and output_format == "png":
        raise Invalid("invalid_value", "Compression is not supported for PNG output.", "output_compression")
    if background == "transparent" and output_format == "jpeg":
        raise Invalid("invalid_value", "Transparent background is not supported for JPEG output.", "background")
    partial_images, streams = _integer(body, "partial_images", 0, 3, 0), body.get("stream") is True
    if partial_images and not streams:
        raise Invalid("invalid_value", "partial_images is only supported with stream.", "partial_images")
    return Job(
        model=model,
        prompt=prompt,
        n=_integer(body, "n", 1, _N_MAX, 1),
        size=_size(_string(body, "size") or "auto", family),
        quality="medium" if quality == "auto" else quality,
        output_format=output_format,
        background="transparent" if background == "transparent" else "opaque",
        streams=streams,
        partial_images=partial_images,
    )


def _check_legacy(body: Mapping[str, object], model: str, prompt: str) -> Job:
    prices = LEGACY[model]
    size = _choice(body, "size", tuple(dict.fromkeys(size for size, _ in prices)), "1024x1024")
    quality = _choice(body, "quality", tuple(dict.fromkeys(quality for _, quality in prices)), "standard")
    width, height = size.split("x")
    return Job(
        model=model,
        prompt=prompt,
        n=_integer(body, "n", 1, 1 if model == "dall-e-3" else _N_MAX, 1),
        size=(int(width), int(height)),
        quality=quality,
        as_url=_choice(body, "response_format", ("url", "b64_json"), "url") == "url",
    )


def _prompt(body: Mapping[str, object]) -> str:
    prompt = _string(body, "prompt")
    if not prompt:
        raise Invalid("missing_required_parameter", "Missing required parameter: 'prompt'.", "prompt")
    if len(prompt) > _PROMPT_CHARS_MAX:
        message = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {_PROMPT_CHARS_MAX}, "
            f"but got a string with length {len(prompt)} instead."
        )
        raise Invalid("string_above_max_length", message, "prompt")
    return prompt


def _size(text: str, family: Family) -> Size:
    if text == "auto":
        return (1024, 1024)
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or (not family.free_sizes and text not in _FIXED_SIZES):
        raise Invalid("invalid_value", f"Invalid size '{text}'.", "size")
    width, height = int(match[1]), int(match[2])
    if family.free_sizes:
        multiple = width % 16 == 0 and height % 16 == 0
        area = _PIXELS_MIN <= width * height <= _PIXELS_MAX
        if not (multiple and area and max(width, height) <= min(_EDGE_MAX, 3 * min(width, height))):
            message = f"Invalid size '{text}'. Both sides must be multiples of 16, the ratio within 1:3 and 3:1."
            raise Invalid("invalid_value", message, "size")
    return (width, height)


def _string(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid("invalid_type", f"Invalid type for '{name}': expected a string.", name)
    return value


def _choice(body: Mapping[str, object], name: str, values: tuple[str, ...], default: str) -> str:
    value = _string(body, name)
    if value is None:
        return default
    if value not in values:
        supported = ", ".join(f"'{one}'" for one in values)
        raise Invalid("invalid_value", f"Invalid value: '{value}'. Supported values are: {supported}.", name)
    return value


def _integer(body: Mapping[str, object], name: str, low: int, high: int, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("invalid_type", f"Invalid type for '{name}': expected an integer.", name)
    if value > high:
        message = f"Invalid '{name}': integer above maximum value. Expected a value <= {high}, but got {value} instead."
        raise Invalid("integer_above_max_value", message, name)
    if value < low:
        message = f"Invalid '{name}': integer below minimum value. Expected a value >= {low}, but got {value} instead."
        raise Invalid("integer_below_min_value", message, name)
    return value
