"""What models at fal.ai accept and what they cost; pure functions, no I/O.

Owns a few endpoints of each kind: by megapixel (FLUX), by picture (nano-banana), by OpenAI's tokens rounded up (gpt-image-2). Fields that an
endpoint does not know are ignored, as the vendor does. A body that it would not accept raises `Invalid`, and becomes the result of the request:
the queue itself does not look into bodies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job, Size, megapixels, read_object
from tests.emulators.openai_rules import image_tokens

_PRESETS: Mapping[str, Size] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_SIDE_MAX = 14_142  # of FLUX' schema
_BANANA_RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
_QUALITIES = {"low": 16, "medium": 48, "high": 96}
_CENT = Decimal("0.001")
_PICTURE_TOKENS = 1_024  # what gives the published prices of edits

ERROR_TYPES: Mapping[str, int] = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "generation_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_connection_refused": 503,
    "runner_disconnected": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "downstream_service_error": 500,
    "internal_error": 500,
    "bad_request": 400,
    "image_too_large": 422,
}
"""Error types with their status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One application path."""

    kind: str
    unit_usd: Decimal
    edits: bool = False


ENDPOINTS: Mapping[str, Endpoint] = {
    "fal-ai/flux/schnell": Endpoint(kind="flux", unit_usd=Decimal("0.003")),
    "fal-ai/flux/dev": Endpoint(kind="flux", unit_usd=Decimal("0.025")),
    "fal-ai/flux-pro/v1.1": Endpoint(kind="flux", unit_usd=Decimal("0.04")),
    "fal-ai/nano-banana": Endpoint(kind="banana", unit_usd=Decimal("0.039")),
    "fal-ai/nano-banana/edit": Endpoint(kind="banana", unit_usd=Decimal("0.039"), edits=True),
    "openai/gpt-image-2": Endpoint(kind="gpt", unit_usd=_CENT),  # what a unit is here is assumed
    "openai/gpt-image-2/edit": Endpoint(kind="gpt", unit_usd=_CENT, edits=True),
}


def check(path: str, document: Mapping[str, object] | None) -> Job:
    """The job of a request to an endpoint that exists, or Invalid."""
    endpoint, body = ENDPOINTS[path], read_object(document)
    prompt = body.text("prompt")
    n = body.integer("num_images", 1, 4, 1)
    body.integer("seed", 0, 2**64, 0)
    pictures = body.pictures("image_urls", 16)
    if endpoint.edits and not pictures:
        raise Invalid("missing", "Field required", "image_urls")
    if not endpoint.edits and (body.has("image_urls") or body.has("mask_url")):
        raise Invalid("value", "This emulator wants pictures to go to the /edit endpoint.", "image_urls")
    formats = ("jpeg", "png") if endpoint.kind == "flux" else ("jpeg", "png", "webp")
    output_format = body.choice("output_format", formats, "jpeg" if endpoint.kind == "flux" else "png")
    size, usd = _size_and_price(endpoint, body, len(pictures))
    options = {
        "pictures": pictures,
        "mask": next(iter(body.pictures("mask_url", 1)), None),
        "sync_mode": body.flag("sync_mode"),
        "units": usd / endpoint.unit_usd,
        "seed": body.values.get("seed", 7),
    }
    return Job(
        model=path, prompt=prompt, n=n, size=size, usd_per_image=usd, output_format=output_format, options=options
    )


def _size_and_price(endpoint: Endpoint, body: Body, pictures: int) -> tuple[Size, Decimal]:
    if endpoint.kind == "banana":
        return RATIO_SIZES[body.choice("aspect_ratio", _BANANA_RATIOS, "1:1")], endpoint.unit_usd
    size = _size(body, "landscape_4_3")
    if endpoint.kind == "flux":
        body.integer("num_inference_steps", 1, 50, 4)
        body.number("guidance_scale", 1, 20)
        body.flag("enable_safety_checker", True)
        return size, megapixels(size) * endpoint.unit_usd
    if size[0] % 16 or size[1] % 16:
        raise Invalid("value", "Both sides must be multiples of 16.", "image_size")
    quality = body.choice("quality", ("auto", *_QUALITIES), "high")
    body.choice("background", ("auto", "transparent", "opaque"), "auto")
    tokens = image_tokens(_QUALITIES.get(quality, _QUALITIES["high"]), *size)
    usd = (tokens * Decimal(30) + pictures * _PICTURE_TOKENS * Decimal(8)) / 1_000_000
    return size, usd.quantize(_CENT, ROUND_UP)


def _size(body: Body, default: str) -> Size:
    value = body.values.get("image_size")
    if isinstance(value, dict):
        sides = Body(value)
        return (sides.integer("width", 1, _SIDE_MAX, 512), sides.integer("height", 1, _SIDE_MAX, 512))
    return _PRESETS[body.choice("image_size", _PRESETS, default)]
