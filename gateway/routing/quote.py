"""What a call costs at one offer, before it is sent and after its usage came back.

Owns the published formulas and the reading of price tables. Pure: no clock, no network, no budget. It fails by answering None: an offer
without a price for this very request cannot be held for, so the plan leaves it out.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from gateway.domain import money
from gateway.domain.catalog import (
    REFERENCE_TOKENS_MAX,
    PerImage,
    PerMegapixel,
    Price,
    PriceFormula,
    PriceRow,
    PriceTable,
    TokenPrice,
)
from gateway.domain.images import ImageRequest, Pixels, Quality, Usage, parse_ratio
from gateway.domain.sizes import Fit, Sizes, fit

MILLION = Decimal(1_000_000)
WHOLE_MEGAPIXEL = 1024 * 1024
"""What vendors who round to whole megapixels call one."""

PARTIAL_IMAGE_TOKENS = 100
"""Output tokens of one partial picture, as OpenAI counts them."""

REFERENCE_TOKENS = 1_024
"""Input tokens that one reference picture is expected to be: a square of 1024 in patches of 32x32. Resellers' prices of edits agree."""

AUTO_SIZES = (Pixels(1024, 1024), Pixels(1536, 1024), Pixels(1024, 1536))
"""What `size: auto` may turn out to be: the sizes every GPT image model has. The first orders offers, the dearest is held."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A published price by size and quality: token steps per quality, and USD per million tokens."""

    steps: Mapping[Quality, int]
    text_in: Decimal = Decimal(5)
    image_in: Decimal = Decimal(8)
    image_out: Decimal = Decimal(30)
    reference_tokens_max: int = REFERENCE_TOKENS_MAX

    def tokens(self, quality: Quality, width: int, height: int) -> int:
        """Output tokens of one picture. Raises KeyError for a quality without a step."""
        steps = self.steps[quality]
        long, short = max(width, height), min(width, height)
        short_steps = (2 * steps * short + long) // (2 * long)  # round(steps * short / long), halves up
        return -(-(steps * short_steps * (2_000_000 + width * height)) // 4_000_000)


# OpenAI's pricing page, read 2026-11-23: the formula gives all 156 per-size prices listed there. Rates in USD per million tokens:
# text in 5, image in 8, image out 30, the same for both families.
FORMULAS: Mapping[str, Formula] = {
    "gpt-image-2": Formula({Quality.LOW: 16, Quality.MEDIUM: 48, Quality.HIGH: 96}),
    "gpt-image-2.5": Formula(
        {Quality.LOW: 16, Quality.MEDIUM: 24, Quality.HIGH: 48, Quality.XHIGH: 64, Quality.MAX: 96},
    ),
}


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call costs. `expected` orders offers; `most` is what must be held."""

    expected_microusd: int
    most_microusd: int


def image_tokens(formula: str, quality: Quality, width: int, height: int) -> int:
    """Output tokens of one picture by a named formula. Raises KeyError for an unknown formula or quality."""
    return FORMULAS[formula].tokens(quality, width, height)


def cost_usd(
    price: Price, request: ImageRequest, *, pixels: Pixels | None, n: int, calls: int, sizes: Sizes | None = None
) -> Quote | None:
    """The cost of `n` pictures made in `calls` upstream calls; each pays for prompt and references again. None: no price for this size and quality.

    `sizes` is what the upstream makes: what it makes of `pixels` is priced. Where the caller left the choice to the model, `most` takes
    the dearest: any quality, and for size (pixels None) the dearest of AUTO_SIZES; `expected` takes medium and 1024x1024.
    """
    asked = AUTO_SIZES if pixels is None else (pixels,)
    fits = [found for size in asked if (found := fit(sizes, request.size, size)) is not None]
    if not fits and pixels is None:  # none of the usual sizes: what it makes unasked is not known
        fits = [Fit(str(size), size) for size in asked]
    inputs, inputs_most = _inputs(price, request, most=False), _inputs(price, request, most=True)
    expected = _image_usd(price, request, fits[0], inputs.image_usd) if fits else None
    most = max(
        (usd for size in fits for usd in _all_image_usd(price, request, size, inputs_most.image_usd)), default=None
    )
    if expected is None or most is None:
        return None
    prompt = calls * (request.prompt_tokens * _text_in(price) / MILLION + inputs.call_usd)
    prompt_most = calls * (_prompt_tokens_most(price, request) * _text_in(price) / MILLION + inputs_most.call_usd)
    beside = (
        calls * _text_out_most(price) + n * request.partial_images * PARTIAL_IMAGE_TOKENS * _image_out(price) / MILLION
    )
    # Each attempt's cost is rounded half-up by itself, so that a split call may end up to half a micro higher per call than the sum.
    return Quote(
        expected_microusd=money.usd_cost(n * expected + prompt),
        most_microusd=money.usd_cost_most(n * most + prompt_most + beside) + (calls - 1),
    )


def cost_of_usage(price: Price, usage: Usage) -> Decimal | None:
    """The actual cost in USD by reported tokens, unrounded. None where the price does not depend on tokens."""
    match price:
        case TokenPrice():
            return price.usd(usage)
        case PriceFormula():
            formula = FORMULAS[price.formula]
            rates = TokenPrice(formula.text_in, formula.image_in, formula.image_out, image_out_tokens_max=0)
            return rates.usd(usage)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the caller's pictures cost: with each picture that is made, or once a call."""

    image_usd: Decimal = Decimal(0)
    call_usd: Decimal = Decimal(0)


_NO_INPUTS = _Inputs()


def _inputs(price: Price, request: ImageRequest, *, most: bool) -> _Inputs:
    """A mask may count as one more picture. Tokens are paid once a call; a reseller who rounds a picture's price up has them in it."""
    if not request.images:
        return _NO_INPUTS
    count = len(request.images) + (most and request.mask is not None)
    match price:
        case TokenPrice():
            tokens = price.image_in_tokens_max if most else min(price.image_in_tokens_max, REFERENCE_TOKENS)
            return _Inputs(call_usd=count * tokens * price.image_in / MILLION)
        case PriceFormula():
            formula = FORMULAS[price.formula]
            tokens = formula.reference_tokens_max if most else REFERENCE_TOKENS
            usd = count * tokens * formula.image_in / MILLION
            return _Inputs(call_usd=usd) if price.round_up_usd is None else _Inputs(image_usd=usd)
        case _:
            return _Inputs(image_usd=count * price.per_reference_usd)


def _image_usd(price: Price, request: ImageRequest, size: Fit, inputs_usd: Decimal) -> Decimal | None:
    """One picture as expected: `auto` quality is taken as medium, or as the dearest where a price knows no medium."""
    if request.quality is not Quality.AUTO:
        return max(_all_image_usd(price, request, size, inputs_usd), default=None)
    medium = list(_all_image_usd(price, replace(request, quality=Quality.MEDIUM), size, inputs_usd))
    return max(medium or _all_image_usd(price, request, size, inputs_usd), default=None)


def _all_image_usd(price: Price, request: ImageRequest, size: Fit, inputs_usd: Decimal) -> Iterable[Decimal]:
    """What one picture of this size may cost: one price, or one a quality where the model chooses; empty where there is none.

    `inputs_usd` is what the caller's pictures add to each.
    """
    match price:
        case PerImage():
            return (price.per_image_usd + inputs_usd,)
        case PerMegapixel():
            area = size.pixels.area
            megapixels = math.ceil(area / WHOLE_MEGAPIXEL) if price.whole else area / MILLION
            return (price.per_megapixel_usd * megapixels + inputs_usd,)
        case TokenPrice():
            tokens = dict(price.image_out_tokens).get(size.step or "", price.image_out_tokens_max)
            return (tokens * price.image_out / MILLION,)
        case PriceFormula():
            formula = FORMULAS[price.formula]
            steps = formula.steps if request.quality is Quality.AUTO else formula.steps.keys() & {request.quality}
            usd = [
                formula.tokens(quality, size.pixels.width, size.pixels.height) * formula.image_out / MILLION
                + inputs_usd
                for quality in steps
            ]
            return [_rounded_up(amount, price.round_up_usd) for amount in usd]
        case PriceTable():
            return [usd + inputs_usd for usd in _table_usd(price, request, size)]


def _rounded_up(usd: Decimal, unit: Decimal | None) -> Decimal:
    return usd if unit is None else (usd / unit).to_integral_value(ROUND_CEILING) * unit


def _table_usd(price: PriceTable, request: ImageRequest, size: Fit) -> list[Decimal]:
    rows = [row for row in price.table if _row_has_size(row, request, size)]
    if request.quality is Quality.AUTO:
        return [row.usd for row in rows]
    return [row.usd for row in rows if row.quality in (None, request.quality)][:1]


def _row_has_size(row: PriceRow, request: ImageRequest, size: Fit) -> bool:
    """A row names pixels, or a ratio as the caller wrote it, as the upstream does, or as the pixels have it; and perhaps a step."""
    if row.step is not None and row.step != size.step:
        return False
    if row.size is None or row.size in (str(size.pixels), request.size, size.text):
        return True
    ratio = parse_ratio(row.size)
    return ratio is not None and Pixels(*ratio).ratio == size.pixels.ratio


def _prompt_tokens_most(price: Price, request: ImageRequest) -> int:
    """A prompt that is gone by its retention counts as the tokens it was held for as."""
    if isinstance(price, TokenPrice) and price.own_tokenizer:
        return max(request.prompt_tokens, len(request.prompt.encode(errors="surrogatepass")))
    return request.prompt_tokens


def _text_out_most(price: Price) -> Decimal:
    """What the text beside the pictures of one call may cost."""
    if not isinstance(price, TokenPrice):
        return Decimal(0)
    return price.text_out_tokens_max * (price.text_out or price.image_out) / MILLION


def _image_out(price: Price) -> Decimal:
    match price:
        case TokenPrice():
            return price.image_out
        case PriceFormula():
            return FORMULAS[price.formula].image_out
        case _:
            return Decimal(0)


def _text_in(price: Price) -> Decimal:
    match price:
        case TokenPrice():
            return price.text_in
        case PriceFormula():
            return FORMULAS[price.formula].text_in
        case _:
            return Decimal(0)
