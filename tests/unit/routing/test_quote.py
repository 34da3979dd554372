"""Prices: the published formula, tables, tokens, and what is held where the model chooses."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.domain.catalog import PerImage, PerMegapixel, PriceFormula, PriceRow, PriceTable, TokenPrice
from gateway.domain.images import ImageInput, ImageRequest, InputSource, Operation, Pixels, Quality, Usage
from gateway.routing.quote import cost_of_usage, cost_usd, image_tokens

SQUARE = Pixels(1024, 1024)
GPT_IMAGE_2 = PriceFormula("gpt-image-2")
MINI = PriceTable(
    (
        PriceRow(Decimal(".005"), "1:1", Quality.LOW),
        PriceRow(Decimal(".011"), "1:1", Quality.MEDIUM),
        PriceRow(Decimal(".2"), "1536x1024"),
    )
)

# OpenAI's published USD per picture (pricing page, 2026-11-23).
PUBLISHED = [
    ("gpt-image-2", "low", 1024, 1024, ".00588"),
    ("gpt-image-2", "medium", 1024, 1024, ".05268"),
    ("gpt-image-2", "high", 1024, 1024, ".21072"),
    ("gpt-image-2", "low", 1536, 1024, ".00474"),
    ("gpt-image-2", "medium", 1536, 1024, ".04116"),
    ("gpt-image-2", "high", 1536, 1024, ".16464"),
    ("gpt-image-2", "low", 2048, 2048, ".01191"),
    ("gpt-image-2", "medium", 2048, 2048, ".10704"),
    ("gpt-image-2", "high", 2048, 2048, ".42816"),
    ("gpt-image-2", "low", 3840, 2160, ".01113"),
    ("gpt-image-2", "medium", 3840, 2160, ".10008"),
    ("gpt-image-2", "high", 3840, 2160, ".40026"),
    ("gpt-image-2.5", "low", 1024, 1024, ".00588"),
    ("gpt-image-2.5", "medium", 1024, 1024, ".01317"),
    ("gpt-image-2.5", "high", 1024, 1024, ".05268"),
    ("gpt-image-2.5", "xhigh", 1024, 1024, ".09366"),
    ("gpt-image-2.5", "max", 1024, 1024, ".21072"),
    ("gpt-image-2.5", "low", 1536, 1024, ".00474"),
    ("gpt-image-2.5", "medium", 1536, 1024, ".01029"),
    ("gpt-image-2.5", "high", 1536, 1024, ".04116"),
    ("gpt-image-2.5", "xhigh", 1536, 1024, ".07377"),
    ("gpt-image-2.5", "max", 1536, 1024, ".16464"),
]


def request(quality: Quality = Quality.LOW, prompt_tokens: int = 0) -> ImageRequest:
    return ImageRequest(model="m", prompt="a cat", quality=quality, prompt_tokens=prompt_tokens)


@pytest.mark.parametrize(("formula", "quality", "width", "height", "usd"), PUBLISHED)
def test_formula_gives_the_published_price(formula: str, quality: str, width: int, height: int, usd: str) -> None:
    """Every published per-size price comes out of the formula to the last digit, in either orientation."""
    tokens = image_tokens(formula, Quality(quality), width, height)
    assert tokens * Decimal(30) / 1_000_000 == Decimal(usd)
    assert image_tokens(formula, Quality(quality), height, width) == tokens


def test_prompt_is_paid_once_a_call() -> None:
    """Two calls pay for the prompt's tokens twice, at 5 USD a million."""
    one = cost_usd(GPT_IMAGE_2, request(prompt_tokens=1000), pixels=SQUARE, n=2, calls=1)
    two = cost_usd(GPT_IMAGE_2, request(prompt_tokens=1000), pixels=SQUARE, n=2, calls=2)
    assert one is not None
    assert two is not None
    assert (one.expected_microusd, one.most_microusd) == (2 * 5880 + 5000, 2 * 5880 + 5000)
    assert two.expected_microusd == one.expected_microusd + 5000


def test_auto_quality_expects_medium_and_holds_the_dearest() -> None:
    """Where the model chooses the quality, offers are ordered by medium and the dearest is held."""
    quote = cost_usd(GPT_IMAGE_2, request(Quality.AUTO), pixels=SQUARE, n=1, calls=1)
    assert quote is not None
    assert (quote.expected_microusd, quote.most_microusd) == (52_680, 210_720)


def test_auto_size_expects_square_and_holds_the_dearest() -> None:
    """Where the model chooses the size, the square orders and the dearest of the common sizes is held, even if it is the landscape."""
    quote = cost_usd(MINI, request(), pixels=None, n=1, calls=1)
    assert quote is not None
    assert (quote.expected_microusd, quote.most_microusd) == (5_000, 200_000)


def test_table_takes_the_first_row_that_matches() -> None:
    """A row matches by pixels or ratio, and by quality or any quality; without one there is no price."""
    wide = cost_usd(MINI, request(Quality.HIGH), pixels=Pixels(1536, 1024), n=1, calls=1)
    assert wide is not None
    assert wide.most_microusd == 200_000
    assert cost_usd(MINI, request(Quality.HIGH), pixels=SQUARE, n=1, calls=1) is None
    assert cost_usd(MINI, request(), pixels=Pixels(1024, 1536), n=1, calls=1) is None


def test_unknown_quality_of_a_formula_has_no_price() -> None:
    """gpt-image-2 has no xhigh: None, not a guess."""
    assert cost_usd(GPT_IMAGE_2, request(Quality.XHIGH), pixels=SQUARE, n=1, calls=1) is None


def test_split_calls_hold_room_for_rounding() -> None:
    """Ten attempts that each round half a micro up stay within what was held."""
    price = PerImage(Decimal("0.0000005"))
    quote = cost_usd(price, request(), pixels=SQUARE, n=10, calls=10)
    assert quote is not None
    assert quote.most_microusd >= 10
    assert quote.expected_microusd == 5


def test_megapixel_price_counts_the_area() -> None:
    """USD per million pixels times the picture's pixels."""
    quote = cost_usd(PerMegapixel(Decimal("0.01")), request(), pixels=Pixels(2000, 1000), n=3, calls=1)
    assert quote is not None
    assert quote.expected_microusd == 60_000


def test_actual_cost_comes_from_reported_tokens() -> None:
    """Text, image input and output tokens each at their own rate; a fixed price ignores usage."""
    usage = Usage(input_text_tokens=100, input_image_tokens=10, output_tokens=196)
    assert cost_of_usage(GPT_IMAGE_2, usage) == Decimal("0.00646")
    tokens = TokenPrice(Decimal(1), Decimal(2), Decimal(10), image_out_tokens_max=1000)
    assert cost_of_usage(tokens, usage) == Decimal("0.00208")
    assert cost_of_usage(PerImage(Decimal(1)), usage) is None


def test_token_price_holds_its_worst_case() -> None:
    """A price by tokens holds the model's largest picture plus the prompt."""
    tokens = TokenPrice(Decimal(5), Decimal(8), Decimal(30), image_out_tokens_max=1000)
    quote = cost_usd(tokens, request(prompt_tokens=200), pixels=SQUARE, n=2, calls=1)
    assert quote is not None
    assert quote.most_microusd == 61_000


@pytest.mark.parametrize(
    "price", [TokenPrice(Decimal(0), Decimal(0), Decimal(30), 196), GPT_IMAGE_2, PerImage(Decimal("0.00588"))]
)
def test_partial_pictures_are_held_for_where_tokens_are_paid(price: TokenPrice | PriceFormula | PerImage) -> None:
    """Each is 100 output tokens, for every picture; whether they come is up to the upstream, so they are not expected."""
    plain = cost_usd(price, request(), pixels=SQUARE, n=2, calls=1)
    partial = cost_usd(price, replace(request(), partial_images=3), pixels=SQUARE, n=2, calls=1)
    assert plain is not None
    assert partial is not None
    more = 0 if isinstance(price, PerImage) else 2 * 3 * 100 * 30
    assert (plain.most_microusd, partial.most_microusd) == (11_760, 11_760 + more)
    assert partial.expected_microusd == plain.expected_microusd


A_PICTURE = ImageInput(InputSource.FILE, "file-1")


def edit(pictures: int, *, mask: bool = False) -> ImageRequest:
    return replace(
        request(), operation=Operation.EDIT, images=(A_PICTURE,) * pictures, mask=A_PICTURE if mask else None
    )


@pytest.mark.parametrize(("calls", "pictures", "mask"), [(1, 1, False), (2, 1, False), (1, 3, False), (2, 1, True)])
@pytest.mark.parametrize("price", [GPT_IMAGE_2, TokenPrice(Decimal(5), Decimal(8), Decimal(30), 196)])
def test_references_are_paid_by_tokens(price: PriceFormula | TokenPrice, calls: int, pictures: int, mask: bool) -> None:
    """Each call pays for all of them, at 8 USD a million; held is the worst case of each, and of the mask."""
    plain = cost_usd(price, request(), pixels=SQUARE, n=2, calls=calls)
    quote = cost_usd(price, edit(pictures, mask=mask), pixels=SQUARE, n=2, calls=calls)
    assert plain is not None
    assert quote is not None
    assert quote.expected_microusd == plain.expected_microusd + calls * pictures * 1024 * 8
    assert quote.most_microusd == plain.most_microusd + calls * (pictures + mask) * 8192 * 8


def test_references_of_a_known_size() -> None:
    """A catalogue that knows how many tokens a picture may be holds for no more, and expects no more."""
    price = TokenPrice(Decimal(0), Decimal(1), Decimal(30), 0, image_in_tokens_max=560)
    quote = cost_usd(price, edit(2), pixels=SQUARE, n=1, calls=1)
    assert quote is not None
    assert (quote.expected_microusd, quote.most_microusd) == (1120, 1120)


def test_a_reseller_rounds_references_with_the_picture() -> None:
    """The published price of such an edit comes out: 0.015 USD for a small one with one reference, 0.061 and 0.219 for larger ones."""
    price = PriceFormula("gpt-image-2", round_up_usd=Decimal("0.001"))
    for quality, usd in ((Quality.LOW, 15_000), (Quality.MEDIUM, 61_000), (Quality.HIGH, 219_000)):
        quote = cost_usd(price, replace(edit(1), quality=quality), pixels=SQUARE, n=2, calls=1)
        assert quote is not None
        assert quote.expected_microusd == 2 * usd


@pytest.mark.parametrize(
    "price",
    [
        PerImage(Decimal("0.03"), Decimal("0.015")),
        PerMegapixel(Decimal("0.03"), whole=True, per_reference_usd=Decimal("0.015")),
        PriceTable((PriceRow(Decimal("0.03")),), Decimal("0.015")),
    ],
)
def test_a_price_a_reference(price: PerImage | PerMegapixel | PriceTable) -> None:
    """A fixed price may grow with each reference; without pictures it is what it was."""
    quote, plain = (cost_usd(price, one, pixels=SQUARE, n=2, calls=2) for one in (edit(2), request()))
    assert quote is not None
    assert plain is not None
    assert (quote.expected_microusd, plain.expected_microusd) == (120_000, 60_000)


def test_another_tokenizer_is_held_for_by_bytes() -> None:
    """No tokenizer makes more tokens than the prompt has bytes; a prompt that is gone counts as it was counted. What is expected stays."""
    tokens = TokenPrice(Decimal(5), Decimal(8), Decimal(30), image_out_tokens_max=1000, own_tokenizer=True)
    for prompt, counted, most in (("ü" * 200, 100, 400), ("", 150, 150), ("\ud800", 1, 3)):
        asked = replace(request(prompt_tokens=counted), prompt=prompt)
        quote = cost_usd(tokens, asked, pixels=SQUARE, n=2, calls=2)
        assert quote is not None
        assert quote.most_microusd == 60_000 + 2 * most * 5 + 1
        assert quote.expected_microusd == 60_000 + 2 * counted * 5


def test_text_beside_a_picture_is_held_for_as_it_is_billed() -> None:
    """With a price of its own, or without one as the picture's."""
    tokens = TokenPrice(Decimal(0), Decimal(0), Decimal(30), image_out_tokens_max=1000, text_out_tokens_max=100)
    for price, text_microusd in ((tokens, 3_000), (replace(tokens, text_out=Decimal(2)), 200)):
        quote = cost_usd(price, request(), pixels=SQUARE, n=1, calls=1)
        assert quote is not None
        assert quote.most_microusd == 30_000 + text_microusd
        assert cost_of_usage(price, Usage(0, 0, 1100, 100)) == Decimal(30_000 + text_microusd) / 1_000_000
