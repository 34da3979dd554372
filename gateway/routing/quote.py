"""What a call costs at one offer, before it is sent and after its usage came back.

Owns the published formulas and the reading of price tables. Pure: no clock, no network, no budget. It fails by answering None: an offer
without a price for this very request cannot be held for, so the plan leaves it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from gateway.domain import money
from gateway.domain.catalog import PerImage, PerMegapixel, Price, PriceFormula, PriceRow, PriceTable, TokenPrice
from gateway.domain.images import ImageRequest, Pixels, Quality, Usage, parse_ratio

MILLION = Decimal(1_000_000)

AUTO_SIZES = (Pixels(1024, 1024), Pixels(1536, 1024), Pixels(1024, 1536))
"""What `size: auto` may turn out to be: the sizes every GPT image model has. The first orders offers, the dearest is held."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A published price by size and quality: token steps per quality, and USD per million tokens."""

    steps: Mapping[Quality, int]
    text_in: Decimal = Decimal(5)
    image_in: Decimal = Decimal(8)
    image_out: Decimal = Decimal(30)

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


def cost_usd(price: Price, request: ImageRequest, *, pixels: Pixels | None, n: int, calls: int) -> Quote | None:
    """The cost of `n` pictures made in `calls` upstream calls; each call pays for the prompt again. None: no price for this size and quality.

    Where the caller left the choice to the model, `most` takes the dearest: any quality, and for size (pixels None) the dearest of AUTO_SIZES;
    `expected` takes medium and 1024x1024.
    """
    sizes = AUTO_SIZES if pixels is None else (pixels,)
    expected = _image_usd(price, request, sizes[0])
    most = max((usd for size in sizes for usd in _all_image_usd(price, request, size)), default=None)
    if expected is None or most is None:
        return None
    prompt = calls * request.prompt_tokens * _text_in(price) / MILLION
    # Each attempt's cost is rounded half-up by itself, so that a split call may end up to half a micro higher per call than the sum.
    return Quote(
        expected_microusd=money.usd_cost(n * expected + prompt),
        most_microusd=money.usd_cost_most(n * most + prompt) + (calls - 1),
    )


def cost_of_usage(price: Price, usage: Usage) -> Decimal | None:
    """The actual cost in USD by reported tokens, unrounded. None where the price does not depend on tokens."""
    match price:
        case TokenPrice():
            text_in, image_in, image_out = price.text_in, price.image_in, price.image_out
        case PriceFormula():
            formula = FORMULAS[price.formula]
            text_in, image_in, image_out = formula.text_in, formula.image_in, formula.image_out
        case _:
            return None
    tokens_usd = (
        usage.input_text_tokens * text_in + usage.input_image_tokens * image_in + usage.output_tokens * image_out
    )
    return tokens_usd / MILLION


def _image_usd(price: Price, request: ImageRequest, pixels: Pixels) -> Decimal | None:
    """One picture as expected: `auto` quality is taken as medium, or as the dearest where a price knows no medium."""
    if request.quality is not Quality.AUTO:
        return max(_all_image_usd(price, request, pixels), default=None)
    medium = list(_all_image_usd(price, replace(request, quality=Quality.MEDIUM), pixels))
    return max(medium or _all_image_usd(price, request, pixels), default=None)


def _all_image_usd(price: Price, request: ImageRequest, pixels: Pixels) -> Iterable[Decimal]:
    """What one picture of these pixels may cost: one price, or one a quality where the model chooses; empty where there is none."""
    match price:
        case PerImage():
            return (price.per_image_usd,)
        case PerMegapixel():
            return (price.per_megapixel_usd * pixels.area / MILLION,)
        case TokenPrice():
            return (price.image_out_tokens_max * price.image_out / MILLION,)
        case PriceFormula():
            formula = FORMULAS[price.formula]
            steps = formula.steps if request.quality is Quality.AUTO else formula.steps.keys() & {request.quality}
            return [
                formula.tokens(quality, pixels.width, pixels.height) * formula.image_out / MILLION for quality in steps
            ]
        case PriceTable():
            return _table_usd(price, request, pixels)


def _table_usd(price: PriceTable, request: ImageRequest, pixels: Pixels) -> list[Decimal]:
    rows = [row for row in price.table if _row_has_size(row, request, pixels)]
    if request.quality is Quality.AUTO:
        return [row.usd for row in rows]
    return [row.usd for row in rows if row.quality in (None, request.quality)][:1]


def _row_has_size(row: PriceRow, request: ImageRequest, pixels: Pixels) -> bool:
    """A row names pixels, or a ratio as the caller wrote it or as the pixels have it."""
    if row.size is None or row.size in (str(pixels), request.size):
        return True
    ratio = parse_ratio(row.size)
    return ratio is not None and Pixels(*ratio).ratio == pixels.ratio


def _text_in(price: Price) -> Decimal:
    match price:
        case TokenPrice():
            return price.text_in
        case PriceFormula():
            return FORMULAS[price.formula].text_in
        case _:
            return Decimal(0)
