"""What Google's `generateContent` accepts of a model that draws, and what it costs; pure functions, no I/O.

Owns the models with their ratios, sizes and token prices, the two spellings of a field (proto JSON takes camelCase and snake_case, mixed), and
the checks. A body that the vendor would not accept raises `Invalid`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job

FINISH_REFUSALS = (
    *("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
)
BLOCK_REASONS = ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY")

_MILLION = Decimal(1_000_000)
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_EXTREME = ("1:4", "4:1", "1:8", "8:1")
_SCALE = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}
_PICTURE_TOKENS = 258  # of a picture in the prompt
_CAMEL = re.compile(r"_([a-z])")
_TOP = frozenset(
    ("contents", "generationConfig", "safetySettings", "systemInstruction", "tools", "toolConfig", "cachedContent")
)
_CONFIG = frozenset(
    (
        *("responseModalities", "seed", "imageConfig", "candidateCount", "temperature", "topP", "topK"),
        *("maxOutputTokens", "stopSequences", "responseMimeType", "thinkingConfig", "mediaResolution"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: USD per million tokens, and the tokens of a picture by imageSize."""

    text_in_usd: Decimal
    text_out_usd: Decimal
    image_out_usd: Decimal
    tokens: Mapping[str, int]
    ratios: tuple[str, ...] = (*_RATIOS, *_EXTREME)


MODELS: Mapping[str, Model] = {
    "gemini-2.5-flash-image": Model(  # $0.039
        text_in_usd=Decimal("0.3"), text_out_usd=Decimal("2.5"), image_out_usd=Decimal(30),
        tokens={"1K": 1290}, ratios=_RATIOS,
    ),
    "gemini-3.1-flash-image": Model(  # $0.045, $0.0672, …
        text_in_usd=Decimal("0.5"), text_out_usd=Decimal(3), image_out_usd=Decimal(60),
        tokens={"512": 747, "1K": 1120, "2K": 1680, "4K": 2520},
    ),
    "gemini-3-pro-image": Model(  # $0.134, $0.24
        text_in_usd=Decimal(2), text_out_usd=Decimal(12), image_out_usd=Decimal(120),
        tokens={"1K": 1120, "2K": 1120, "4K": 2000},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiJob:
    """A valid request."""

    request: Job
    model: Model
    image_size: str
    draws: bool
    talks: bool
    pictures_in: int

    @property
    def _tokens_in(self) -> int:
        return max(1, -(-len(self.request.prompt) // 4)) + self.pictures_in * _PICTURE_TOKENS

    def usd(self, images: int, thoughts: int) -> Decimal:
        """What these tokens cost, unrounded."""
        out = images * self.model.tokens[self.image_size] * self.model.image_out_usd
        return (out + thoughts * self.model.text_out_usd + self._tokens_in * self.model.text_in_usd) / _MILLION

    def usage(self, images: int, thoughts: int) -> dict[str, object]:
        """`usageMetadata`."""
        tokens = images * self.model.tokens[self.image_size]
        usage: dict[str, object] = {
            "promptTokenCount": self._tokens_in,
            "totalTokenCount": self._tokens_in + tokens + thoughts,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": self._tokens_in - self.pictures_in * _PICTURE_TOKENS},
                *(
                    [{"modality": "IMAGE", "tokenCount": self.pictures_in * _PICTURE_TOKENS}]
                    if self.pictures_in
                    else []
                ),
            ],
        }
        if images:
            usage["candidatesTokenCount"] = tokens
            usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": tokens}]
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
        return usage


def prompt_text(document: Mapping[str, object]) -> str:
    """All texts of all contents, or nothing."""
    return "\n".join(str(part["text"]) for part in _parts(document) if isinstance(part.get("text"), str))


def inline_pictures(document: Mapping[str, object]) -> list[tuple[str, object]]:
    """Type and base64 of every picture, in order."""
    found = [part.get("inlineData") for part in _parts(_camel(document))]
    return [(str(one.get("mimeType")), one.get("data")) for one in found if isinstance(one, dict)]


def check(model: str, document: Mapping[str, object] | None) -> GeminiJob:
    """The job of a request, or Invalid."""
    known = MODELS.get(model)
    if known is None:
        raise Invalid(
            "model", f"models/{model} is not found for API version v1, or is not supported for generateContent."
        )
    if document is None:
        raise Invalid("type", "Invalid JSON payload received.")
    body = Body(_camel(document))
    _only(body, _TOP, "")
    prompt = prompt_text(body.values)
    if not prompt.strip():
        raise Invalid("missing", "GenerateContentRequest.contents: contents is not specified", "contents")
    config = Body(_object(body, "generationConfig"))
    _only(config, _CONFIG, "generation_config")
    if config.integer("candidateCount", 1, 8, 1) != 1:
        raise Invalid("value", "Multiple candidates is not enabled for this model", "generation_config.candidate_count")
    config.integer("seed", -(2**31), 2**31 - 1, 0)
    modalities = config.values.get("responseModalities", ["TEXT", "IMAGE"])
    if not isinstance(modalities, list) or not set(map(str, modalities)) <= {"TEXT", "IMAGE"}:
        raise Invalid(
            "value", "Invalid value at 'generation_config.response_modalities'", "generation_config.response_modalities"
        )
    image = Body(_object(config, "imageConfig"))
    _only(image, ("aspectRatio", "imageSize"), "generation_config.image_config")
    ratio = image.choice("aspectRatio", known.ratios, "1:1")
    image_size = image.choice("imageSize", known.tokens, "1K")
    width, height = RATIO_SIZES[ratio]
    scale = _SCALE[image_size]
    size = (int(width * scale), int(height * scale))
    request = Job(model=model, prompt=prompt, n=1, size=size, usd_per_image=Decimal(0))
    return GeminiJob(
        request=request,
        model=known,
        image_size=image_size,
        draws="IMAGE" in modalities,
        talks="TEXT" in modalities,
        pictures_in=sum(1 for part in _parts(body.values) if "inlineData" in part),
    )


def _only(body: Body, names: object, at: str) -> None:
    try:
        body.only(names)  # type: ignore[arg-type]  # any collection of names
    except Invalid as exc:
        where = f" at '{at}'" if at else ""
        message = f'Invalid JSON payload received. Unknown name "{exc.param}"{where}: Cannot find field.'
        raise Invalid("unknown", message, f"{at}.{exc.param}".strip(".")) from exc


def _object(body: Body, name: str) -> Mapping[str, object]:
    value = body.values.get(name) or {}
    if not isinstance(value, dict):
        raise Invalid("type", f"Invalid value at '{name}'", name)
    return value


def _parts(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    contents = document.get("contents")
    rows = contents if isinstance(contents, list) else [contents]
    parts: list[Mapping[str, object]] = []
    for row in rows:
        found = row.get("parts") if isinstance(row, dict) else None
        parts += [part for part in (found if isinstance(found, list) else ()) if isinstance(part, dict)]
    return parts


def _camel(value: Mapping[str, object]) -> Mapping[str, object]:
    return {_CAMEL.sub(lambda found: found[1].upper(), name): _camel_in(inner) for name, inner in value.items()}


def _camel_in(value: object) -> object:
    if isinstance(value, dict):
        return _camel(value)
    return [_camel_in(one) for one in value] if isinstance(value, list) else value
