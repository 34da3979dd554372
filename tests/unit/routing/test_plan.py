"""The plan: who is able, in what order, and which parameters are dropped."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.domain.catalog import Capabilities, MaskPolarity, Model, Offer, PerImage, PriceFormula, SizeRule
from gateway.domain.images import (
    Background,
    Contract,
    ImageInput,
    ImageRequest,
    InputSource,
    Operation,
    OutputFormat,
    Pixels,
    Quality,
)
from gateway.domain.sizes import listed
from gateway.routing.plan import Candidate, NotAble, Plan, plan, request_for, split

FULL = Capabilities(
    n=tuple(range(1, 11)),
    params=frozenset({"quality", "background", "output_format", "moderation", "user"}),
    output_formats=frozenset(OutputFormat),
)
PLAIN = Capabilities(n=(1, 2, 4), sizes=listed("1:1", "1024x1024"))
MODEL = Model("m", Contract.IMAGE, 2000, SizeRule(("1024x1024", "1:1", "1536x1024")), tuple(range(1, 11)), ())
REQUEST = ImageRequest("m", "a cat", size="1024x1024", pixels=Pixels(1024, 1024))


def offer(name: str, usd: str, **changes: object) -> Offer:
    return replace(Offer(f"{name}/m", name, "m", PerImage(Decimal(usd))), **changes)  # type: ignore[arg-type]  # the test's own keywords


CHEAP: Candidate = (offer("cheap", ".01"), PLAIN)
DEAR: Candidate = (offer("dear", ".05"), FULL)


def planned(request: ImageRequest, *candidates: Candidate) -> Plan:
    result = plan(request, MODEL, candidates)
    assert isinstance(result, Plan)
    return result


def names(result: Plan) -> list[str]:
    return [item.offer.upstream for item in result.offers]


def test_cheapest_first() -> None:
    """Offers are ordered by the expected price of this request, whatever their order in the catalogue; the dearest is held for."""
    result = planned(REQUEST, DEAR, CHEAP)
    assert names(result) == ["cheap", "dear"]
    assert result.most_microusd == 50_000


def test_price_order_depends_on_the_size() -> None:
    """A fixed price wins for the square, the formula for the cheaper landscape."""
    fixed: Candidate = (offer("fixed", ".0477"), FULL)
    formula: Candidate = (replace(offer("formula", "0"), price=PriceFormula("gpt-image-2")), FULL)
    medium = replace(REQUEST, quality=Quality.MEDIUM)
    assert names(planned(medium, fixed, formula)) == ["fixed", "formula"]
    wide = replace(medium, size="1536x1024", pixels=Pixels(1536, 1024))
    assert names(planned(wide, fixed, formula)) == ["formula", "fixed"]


def test_equal_prices_are_ordered_by_id() -> None:
    """The same request always gets the same plan."""
    one, two = (offer("a", ".01"), FULL), (offer("b", ".01"), FULL)
    assert planned(REQUEST, two, one) == planned(REQUEST, one, two)


@pytest.mark.parametrize(
    "change",
    [
        {"quality": Quality.HIGH},
        {"background": Background.TRANSPARENT},
        {"output_format": OutputFormat.WEBP},
    ],
)
def test_shaping_parameter_restricts_to_offers_that_understand_it(change: dict[str, object]) -> None:
    """A value that shapes the picture keeps the cheaper offer out as long as some offer honours it; alone, it is dropped and reported."""
    request = replace(REQUEST, **change)  # type: ignore[arg-type]  # the test's own keywords
    result = planned(request, CHEAP, DEAR)
    assert names(result) == ["dear"]
    assert result.dropped == ()
    assert "cheap/m" in str(result.left_out[0])
    alone = planned(request, CHEAP)
    assert names(alone) == ["cheap"]
    assert alone.dropped == tuple(change)


def test_shaping_parameters_that_nobody_honours_together_are_refused() -> None:
    """Two wishes that different offers understand are not silently halved."""
    quality: Candidate = (offer("q", ".01"), replace(FULL, params=frozenset({"quality"})))
    background: Candidate = (offer("b", ".01"), replace(FULL, params=frozenset({"background"})))
    request = replace(REQUEST, quality=Quality.LOW, background=Background.TRANSPARENT)
    result = plan(request, MODEL, [quality, background])
    assert isinstance(result, NotAble)
    assert len(result.reasons) == 2


def test_advisory_parameters_never_restrict() -> None:
    """`user` keeps no offer out, and is only reported where no offer of the plan takes it; so is an opaque background; PNG is no wish."""
    request = replace(REQUEST, options=(("user", '"u"'),), background=Background.OPAQUE, output_format=OutputFormat.PNG)
    assert planned(request, CHEAP, DEAR).dropped == ()
    assert names(planned(request, CHEAP, DEAR)) == ["cheap", "dear"]
    assert planned(request, CHEAP).dropped == ("background", "user")


def test_a_seed_goes_only_where_one_call_makes_all_pictures() -> None:
    """Parts under one seed would all be the same picture: they get none, and the caller is told where no offer makes all at once."""
    single: Candidate = (offer("single", ".01"), Capabilities(n=(1,), params=frozenset({"seed"})))
    whole: Candidate = (offer("whole", ".05"), Capabilities(n=(1, 2), params=frozenset({"seed"})))
    one = replace(REQUEST, options=(("seed", "7"),))
    two = replace(one, n=2)
    assert planned(one, single).dropped == ()
    assert planned(two, single).dropped == ("seed",)
    assert planned(two, single, whole).dropped == ()
    assert [request_for(two, *candidate, n=n).options for candidate, n in ((single, 1), (whole, 2))] == [
        (),
        two.options,
    ]
    assert request_for(one, *single, n=1).options == one.options


def test_fixed_parameter_hides_the_callers_value() -> None:
    """An offer that fixes quality does not honour another one, is priced by its own, and sends its own."""
    fixed = replace(offer("fixed", "0"), price=PriceFormula("gpt-image-2"), params=(("quality", "medium"),))
    request = replace(REQUEST, quality=Quality.HIGH)
    result = planned(request, (fixed, FULL))
    assert result.dropped == ("quality",)
    assert result.offers[0].expected_microusd == 52_680
    assert request_for(request, fixed, FULL).quality is Quality.MEDIUM
    assert planned(replace(request, quality=Quality.MEDIUM), (fixed, FULL)).dropped == ()


def test_partial_pictures_are_asked_for_where_they_can_come() -> None:
    """Others are not asked, their price holds nothing for them, and where nobody sends any the caller is told."""
    streaming: Candidate = (offer("streaming", ".02"), replace(FULL, streams=True))
    asked = replace(REQUEST, partial_images=2)
    assert [request_for(asked, *item).partial_images for item in (streaming, CHEAP)] == [2, 0]
    assert request_for(asked, *streaming) is asked
    assert planned(asked, streaming, CHEAP).dropped == ()
    assert planned(asked, DEAR, CHEAP).dropped == ("partial_images",)


def test_request_for_leaves_out_what_is_not_understood() -> None:
    """The adapter gets only what its upstream understands."""
    request = replace(
        REQUEST,
        quality=Quality.HIGH,
        background=Background.TRANSPARENT,
        output_format=OutputFormat.WEBP,
        options=(("moderation", '"low"'), ("style", '"vivid"')),
    )
    bare = request_for(request, CHEAP[0], PLAIN)
    assert (bare.quality, bare.background, bare.output_format, bare.options) == (
        Quality.AUTO,
        Background.AUTO,
        None,
        (),
    )
    full = request_for(request, DEAR[0], FULL)
    assert full == replace(request, options=(("moderation", '"low"'),))


def test_size_operation_count_and_price_are_hard_limits() -> None:
    """What an offer cannot do keeps it out with a reason; when nobody can, the common parameter is named."""
    wide = replace(REQUEST, size="1536x1024", pixels=Pixels(1536, 1024))
    assert names(planned(wide, CHEAP, DEAR)) == ["dear"]
    size = plan(wide, MODEL, [CHEAP])
    assert isinstance(size, NotAble)
    assert size.param == "size"
    assert "1536x1024" in str(size.reasons[0])
    edit = plan(replace(REQUEST, operation=Operation.EDIT), MODEL, [CHEAP, DEAR])
    assert isinstance(edit, NotAble)
    assert len(edit.reasons) == 2
    count = plan(replace(REQUEST, n=3), MODEL, [(CHEAP[0], replace(PLAIN, n=(2, 4)))])
    assert isinstance(count, NotAble)
    assert count.param == "n"
    formula = replace(offer("f", "0"), price=PriceFormula("gpt-image-2"))
    quality = plan(replace(REQUEST, quality=Quality.MAX), MODEL, [(formula, FULL)])
    assert isinstance(quality, NotAble)
    assert quality.param == "quality"


def test_auto_size_and_ratio_fit_a_size_list() -> None:
    """An upstream with a size list takes `auto` and the ratio that it lists."""
    assert names(planned(replace(REQUEST, size="auto", pixels=None), CHEAP)) == ["cheap"]
    assert names(planned(replace(REQUEST, size="1:1"), CHEAP)) == ["cheap"]


def test_n_max_of_an_offer_lowers_the_capabilities() -> None:
    """An offer's n_max splits into smaller calls, each paying for the prompt."""
    limited = replace(offer("l", ".01"), n_max=2)
    result = planned(replace(REQUEST, n=5), (limited, FULL))
    assert result.offers[0].parts(5) == (2, 2, 1)


@pytest.mark.parametrize(
    ("n", "allowed", "parts"),
    [(3, (1, 2, 4), (2, 1)), (10, (1, 2, 4), (4, 4, 2)), (4, (1,), (1, 1, 1, 1)), (7, (1, 2, 3, 10), (3, 3, 1))],
)
def test_split_takes_the_largest_calls_first(n: int, allowed: tuple[int, ...], parts: tuple[int, ...]) -> None:
    """3 pictures at an upstream of 1, 2 or 4 are made as 2 + 1."""
    assert split(n, allowed) == parts


def test_split_refuses_counts_that_do_not_add_up() -> None:
    """Three pictures cannot be made two at a time, nor without any count."""
    for allowed in [(2, 4), ()]:
        with pytest.raises(ValueError, match="3 pictures"):
            split(3, allowed)


def test_a_quality_that_one_upstream_does_not_have() -> None:
    """It leaves the plan while another makes that quality; alone, it makes its own and the caller's wish is reported as dropped."""
    few = replace(FULL, qualities=frozenset({Quality.LOW, Quality.MEDIUM}))
    limited: Candidate = (offer("limited", ".01"), few)
    high = replace(REQUEST, quality=Quality.HIGH)
    assert names(planned(high, limited, DEAR)) == ["dear"]
    alone = planned(high, limited)
    assert (names(alone), alone.dropped) == (["limited"], ("quality",))
    assert request_for(high, *limited).quality is Quality.AUTO
    low = replace(REQUEST, quality=Quality.LOW)
    assert names(planned(low, limited, DEAR)) == ["limited", "dear"]
    assert request_for(low, *limited) is low
    assert names(planned(REQUEST, limited, DEAR)) == ["limited", "dear"]
    assert request_for(REQUEST, *limited).quality is Quality.AUTO


@pytest.mark.parametrize(("length", "able"), [(10, ["short", "dear"]), (11, ["dear"])])
def test_a_prompt_that_one_upstream_refuses(length: int, able: list[str]) -> None:
    """An upstream that takes fewer characters than the model allows is not asked; alone, it is the prompt's fault."""
    short: Candidate = (offer("short", ".01"), replace(FULL, prompt_chars_max=10))
    request = replace(REQUEST, prompt="狐" * length)
    assert names(planned(request, short, DEAR)) == able
    if length > 10:
        refused = plan(request, MODEL, [short])
        assert isinstance(refused, NotAble)
        assert refused.param == "prompt"


EDITS = replace(FULL, operations=frozenset({Operation.EDIT}), references_max=2, mask=MaskPolarity.WHITE)
A_PICTURE = ImageInput(InputSource.FILE, "file-1")
EDIT = replace(REQUEST, operation=Operation.EDIT, images=(A_PICTURE,))


@pytest.mark.parametrize(
    ("request_", "able", "param"),
    [
        (EDIT, ["edits"], None),
        (replace(EDIT, images=(A_PICTURE, A_PICTURE)), ["edits"], None),
        (replace(EDIT, images=(A_PICTURE,) * 3), [], "image"),
        (replace(EDIT, mask=A_PICTURE), ["edits"], None),
        (REQUEST, [], None),
        (replace(EDIT, operation=Operation.VARIATION), [], None),
    ],
)
def test_who_can_edit(request_: ImageRequest, able: list[str], param: str | None) -> None:
    """By operation, by the number of pictures, and by the mask; what is at fault is named."""
    result = plan(request_, MODEL, [(offer("edits", ".01"), EDITS)])
    if able:
        assert isinstance(result, Plan)
        assert names(result) == able
    else:
        assert isinstance(result, NotAble)
        assert result.param == param


def test_a_mask_goes_where_masks_are_understood() -> None:
    """An offer without them is left out, however cheap; with only such offers, it is the mask's fault."""
    maskless: Candidate = (offer("maskless", ".001"), replace(EDITS, mask=None))
    masked = replace(EDIT, mask=A_PICTURE)
    assert names(planned(EDIT, maskless, (offer("edits", ".01"), EDITS))) == ["maskless", "edits"]
    assert names(planned(masked, maskless, (offer("edits", ".01"), EDITS))) == ["edits"]
    refused = plan(masked, MODEL, [maskless])
    assert isinstance(refused, NotAble)
    assert refused.param == "mask"


def test_links_only() -> None:
    """An upstream that fetches pictures itself is able only where this gateway can be reached; without pictures it does not matter."""
    linked: Candidate = (
        offer("linked", ".01"),
        replace(EDITS, operations=frozenset({Operation.EDIT, Operation.GENERATE}), references_by_link=True),
    )
    refused = plan(EDIT, MODEL, [linked])
    assert isinstance(refused, NotAble)
    assert "server.public_url" in str(refused.reasons[0])
    assert isinstance(plan(EDIT, MODEL, [linked], links=True), Plan)
    assert names(planned(REQUEST, linked)) == ["linked"]
