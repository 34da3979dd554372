"""What is sold and how it can be made: models, the offers that make them, what each can do, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from gateway.domain.images import Contract, Operation, OutputFormat, Pixels, Quality, Usage, parse_pixels, parse_ratio
from gateway.domain.sizes import Sizes


class Recovery(StrEnum):
    """How a submit whose answer was lost can be found again at an upstream."""

    IDEMPOTENCY_KEY = "idempotency_key"  # send again with the same key: the upstream answers with the first call's task
    ASYNC_JOB = "async_job"  # the upstream's job id is stored before polling; polling resumes
    LOOKUP = "lookup"  # the upstream can be asked by our own reference
    NONE = "none"  # never sent again: the outcome stays unknown


class OnUnknown(StrEnum):
    """What follows a try that may have been billed."""

    STOP = "stop"
    NEXT = "next"


REFERENCE_TOKENS_MAX = 8_192
"""The most input tokens that a reference picture may be, where an upstream does not say: 8.3 million pixels in patches of 32x32."""


@dataclass(frozen=True, slots=True)
class PerImage:
    """A fixed price in USD for every image."""

    per_image_usd: Decimal
    per_reference_usd: Decimal = Decimal(0)
    """What each reference picture of an edit adds to that."""


@dataclass(frozen=True, slots=True)
class PerMegapixel:
    """USD for every million pixels; `whole`: for every begun 1024x1024."""

    per_megapixel_usd: Decimal
    whole: bool = False
    per_reference_usd: Decimal = Decimal(0)
    """What each reference picture of an edit adds to an image."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of a price table; None matches any size, quality or resolution step."""

    usd: Decimal
    size: str | None = None
    quality: Quality | None = None
    step: str | None = None
    """The upstream's resolution step, such as 2K."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """USD per image by size and quality; the first row that matches counts."""

    table: tuple[PriceRow, ...]
    per_reference_usd: Decimal = Decimal(0)
    """What each reference picture of an edit adds to an image."""


@dataclass(frozen=True, slots=True)
class PriceFormula:
    """A published formula by name (`gpt-image-2`, `gpt-image-2.5`): output tokens by size and quality, plus the prompt's tokens."""

    formula: str
    round_up_usd: Decimal | None = None
    """A reseller that takes whole steps of this per picture: what the formula says, rounded up."""


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens. `image_out_tokens_max` is the worst case of one image, for the hold."""

    text_in: Decimal
    image_in: Decimal
    image_out: Decimal
    image_out_tokens_max: int
    image_out_tokens: tuple[tuple[str, int], ...] = ()
    """Tokens of one image by resolution step; a step that is not named counts as the worst case."""
    text_out: Decimal = Decimal(0)
    """For text beside the image, thoughts included."""
    text_out_tokens_max: int = 0
    """The worst case of such text in one call, for the hold."""
    own_tokenizer: bool = False
    """The upstream does not count prompts as OpenAI does: every byte of one is held for, since no tokenizer makes more tokens than that."""
    image_in_tokens_max: int = REFERENCE_TOKENS_MAX
    """The worst case of one reference picture, for the hold."""

    def usd(self, usage: Usage) -> Decimal:
        """What these tokens cost, unrounded. Text beside the picture costs as much as the picture where no price of its own is given."""
        tokens_usd = (
            usage.input_text_tokens * self.text_in
            + usage.input_image_tokens * self.image_in
            + (usage.output_tokens - usage.output_text_tokens) * self.image_out
            + usage.output_text_tokens * (self.text_out or self.image_out)
        )
        return tokens_usd / 1_000_000


Price = PerImage | PerMegapixel | PriceTable | PriceFormula | TokenPrice


class MaskPolarity(StrEnum):
    """Which part of a mask is to be made anew."""

    TRANSPARENT = "transparent"  # as OpenAI: where alpha is 0
    WHITE = "white"


class CostSource(StrEnum):
    """Where the actual cost of a call comes from."""

    CATALOG = "catalog"  # the price of what came: the upstream does not say what it took
    TOKENS = "tokens"  # the usage in its answer, by the catalogue's price a token
    ANSWER = "answer"  # the upstream names it


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an upstream can do with one of its models."""

    operations: frozenset[Operation] = frozenset({Operation.GENERATE})
    n: tuple[int, ...] = (1,)
    """Counts that one call may ask for, ascending; other counts are split."""
    sizes: Sizes | None = None
    """What it makes of a size; None: any size of the model, as it is."""
    params: frozenset[str] = frozenset()
    """Optional parameters of OpenAI's contract that are understood, by name."""
    qualities: frozenset[Quality] | None = None
    """The values of `quality` that are understood; None: all."""
    output_formats: frozenset[OutputFormat] = frozenset({OutputFormat.PNG})
    recovery: Recovery = Recovery.NONE
    can_cancel: bool = False
    prompt_chars_max: int | None = None
    """None: as many as the model's tokens allow."""
    references_max: int = 0
    """Reference pictures that one call may carry."""
    references_by_link: bool = False
    """It takes callers' pictures as public links alone."""
    edits_keep_size: bool = False
    """An edit has the size of its picture: no other can be asked for."""
    mask: MaskPolarity | None = None
    streams: bool = False
    """Whether it sends partial pictures as they come."""
    links_live_s: float | None = None
    """How long the links of its answers live; None: pictures stand in the answer."""
    cost: CostSource = CostSource.CATALOG


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to make a model: an upstream, its name for the model, fixed parameters, and a price."""

    id: str
    """`upstream/model`, unique within a model; the label of circuits and attempts."""
    upstream: str
    upstream_model: str
    price: Price
    params: tuple[tuple[str, str], ...] = ()
    """Parameters that are fixed here, whatever the caller says, e.g. quality."""
    extra: tuple[tuple[str, str], ...] = ()
    """What only this upstream knows, by its own names, as JSON text: sent as it is, e.g. num_inference_steps."""
    on_unknown: OnUnknown | None = None
    n_max: int | None = None
    """Lowers what the adapter's capabilities say."""


@dataclass(frozen=True, slots=True)
class PixelRange:
    """Any WxH within these bounds, as OpenAI documents for gpt-image-2 and later."""

    multiple_of: int
    ratio_max: int
    edge_max: int
    area_min: int
    area_max: int

    def allows(self, pixels: Pixels) -> bool:
        long, short = max(pixels.width, pixels.height), min(pixels.width, pixels.height)
        return (
            pixels.width % self.multiple_of == 0
            and pixels.height % self.multiple_of == 0
            and long <= self.edge_max
            and long <= short * self.ratio_max
            and self.area_min <= pixels.area <= self.area_max
        )


@dataclass(frozen=True, slots=True)
class SizeRule:
    """The sizes a model accepts: listed texts, and optionally any pixels within a range."""

    listed: tuple[str, ...]
    pixel_range: PixelRange | None = None

    def resolve(self, text: str) -> Pixels | None:
        """The pixel size that an accepted text means, None for `auto`; a ratio means the listed pixel size of that ratio.

        Raises ValueError for any other text, with what may be written.
        """
        if text in self.listed:
            if text == "auto":
                return None
            pixels, ratio = parse_pixels(text), parse_ratio(text)
            if pixels is not None:
                return pixels
            for candidate in map(parse_pixels, self.listed):
                if ratio is not None and candidate is not None and candidate.ratio == _reduced(ratio):
                    return candidate
            raise ValueError(f"{text!r} has no pixel size")
        pixels = parse_pixels(text)
        if pixels is not None and self.pixel_range is not None and self.pixel_range.allows(pixels):
            return pixels
        raise ValueError(self.describe())

    def describe(self) -> str:
        """For error messages: what may be written."""
        text = ", ".join(self.listed)
        if self.pixel_range is not None:
            limits = self.pixel_range
            text += (
                f", or WIDTHxHEIGHT with both sides multiples of {limits.multiple_of}, at most {limits.edge_max}, "
                f"ratio up to {limits.ratio_max}:1, {limits.area_min} to {limits.area_max} pixels"
            )
        return text


def _reduced(ratio: tuple[int, int]) -> tuple[int, int]:
    return Pixels(*ratio).ratio


LEGACY_SIZES: Mapping[str, Mapping[str, str]] = {
    "dall-e-2": {"256x256": "1024x1024", "512x512": "1024x1024", "1024x1024": "1024x1024"},
    "dall-e-3": {"1024x1024": "1024x1024", "1792x1024": "1536x1024", "1024x1792": "1024x1536"},
}
"""Old names go on accepting their old sizes; each means the nearest size that every present model has."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as callers see it."""

    name: str
    response: Contract
    prompt_tokens_max: int
    sizes: SizeRule
    n: tuple[int, ...]
    """Counts that a call may ask for, ascending."""
    offers: tuple[Offer, ...]
    estimated_time_s: int = 30
    charge_microcredits: int | None = None
    """Fixed charge per image; None: the actual cost × markup."""
    markup: Decimal | None = None
    qualities: tuple[Quality, ...] = (Quality.AUTO, Quality.LOW, Quality.MEDIUM, Quality.HIGH)
    image_urls_max: int = 0
    cache: bool = True
    """Whether identical calls may share pictures."""
    convert: bool = False
    """Whether `output_format`, `output_compression` and an opaque background are honoured here, where an upstream cannot."""
    created_at_s: int = 1_757_165_031
    """For `GET /v1/models`: when the model became known; the catalogue may say."""
    owned_by: str = "gateway"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models by name, aliases resolved at look-up, and the upstreams' ways of doing things that routing needs."""

    models: Mapping[str, Model]
    aliases: Mapping[str, str] = field(default_factory=dict)
    default_model: str = "gpt-image-2"

    def find(self, name: str) -> Model | None:
        return self.models.get(self.aliases.get(name, name))

    def estimated_time_s(self, name: str) -> int:
        """How long a task of a model takes; half a minute, where there is no such model any more."""
        model = self.find(name)
        return 30 if model is None else model.estimated_time_s
