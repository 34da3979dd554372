"""Holds, charges and costs by frozen prices."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.domain.catalog import Capabilities, Model, Offer, PerImage, Price, PriceFormula, SizeRule
from gateway.domain.considered import CONSIDERED_MAX, Considered, Skip
from gateway.domain.images import Contract, ImageRequest, ImageResult, Pixels, Quality, Usage
from gateway.domain.money import Amount
from gateway.pipeline import pricing
from gateway.pipeline.frozen import FrozenPlan, plan_text, read_considered, read_plan, read_request, request_text
from gateway.pipeline.results import Delivery
from gateway.routing.plan import NotAble, Plan, plan

RATE = Decimal(72)
ANY = Capabilities(n=(1, 2, 3, 4), params=frozenset({"quality"}))
REQUEST = ImageRequest("m", "a cat", n=2, size="1024x1024", pixels=Pixels(1024, 1024), prompt_tokens=10)


def offer(name: str, price: Price) -> Offer:
    return Offer(f"{name}/m", name, "m", price)


def model(*offers: Offer, charge: int | None = None, markup: Decimal | None = None) -> Model:
    return Model(
        "m",
        Contract.IMAGE,
        2000,
        SizeRule(("1024x1024",)),
        (1, 2, 4),
        offers,
        charge_microcredits=charge,
        markup=markup,
    )


def planned(request: ImageRequest, *offers: Offer) -> Plan:
    verdict = plan(request, model(*offers), [(item, ANY) for item in offers])
    assert not isinstance(verdict, NotAble)
    return verdict


def image(width: int = 1024, height: int = 1024) -> ImageResult:
    return ImageResult("att_x/0", "image/png", "png", 9, width, height, "0" * 64)


CHEAP, DEAR = offer("cheap", PerImage(Decimal("0.02"))), offer("dear", PerImage(Decimal("0.05")))


def test_a_fixed_charge_is_held_n_times_whatever_the_offers_cost() -> None:
    """Two pictures at 1.5 credits: 3 credits, 2 images, and their dollars at the frozen rate."""
    found = planned(REQUEST, CHEAP, DEAR)
    frozen = pricing.freeze(found, model(CHEAP, DEAR, charge=1_500_000), markup=Decimal(1), credits_per_usd=RATE)
    [option] = pricing.hold_options(found, frozen, 2)
    assert option.amount == Amount(3_000_000, 41_667, 2)
    assert pricing.charge(frozen, 1, [999]) == Amount(1_500_000, 20_833, 1)


def test_without_a_fixed_charge_the_dearest_offer_is_held_and_may_leave() -> None:
    """Largest first; each smaller option has a plan without the offers above it."""
    found = planned(REQUEST, CHEAP, DEAR)
    frozen = pricing.freeze(found, model(CHEAP, DEAR), markup=Decimal("1.5"), credits_per_usd=RATE)
    options = pricing.hold_options(found, frozen, 2)
    assert [option.amount.microcredits for option in options] == [10_800_000, 4_320_000]  # 0.1 and 0.04 USD x 1.5 x 72
    assert [[o.upstream for o in read_plan(option.plan_json).offers] for option in options] == [
        ["cheap", "dear"],
        ["cheap"],
    ]
    assert all(option.has_first_offer for option in options)


def test_an_option_without_the_first_offer_says_so() -> None:
    """Of unknown quality the offer expected cheapest may cost most: where only the other fits, its attempt must not go out."""
    auto = offer("auto", PriceFormula("gpt-image-2"))  # medium 0.053 expected, high 0.211 at most
    fixed = offer("fixed", PerImage(Decimal("0.06")))
    request = replace(REQUEST, n=1, quality=Quality.AUTO)
    found = planned(request, auto, fixed)
    assert [item.offer.upstream for item in found.offers] == ["auto", "fixed"]
    frozen = pricing.freeze(found, model(auto, fixed), markup=Decimal(1), credits_per_usd=RATE)
    assert [option.has_first_offer for option in pricing.hold_options(found, frozen, 1)] == [True, False]


def test_a_models_own_markup_goes_before_the_general_one() -> None:
    """And an org's own before both; without either the config's counts."""
    with_own = model(CHEAP, markup=Decimal(3))
    assert pricing.markup_of(None, with_own, Decimal(2)) == 3
    assert pricing.markup_of(Decimal(5), with_own, Decimal(2)) == 5
    assert pricing.markup_of(None, model(CHEAP), Decimal(2)) == 2


def test_a_charge_by_cost_is_rounded_once_per_task() -> None:
    """Half-up over the sum of the parts, not over each."""
    frozen = FrozenPlan((CHEAP,), None, Decimal("1.1"), Decimal("0.5"))
    assert pricing.charge(frozen, 2, [1, 2]).microcredits == 2  # 3 x 0.55 = 1.65; each alone: 0.55 + 1.1 -> 1 + 1


@pytest.mark.parametrize(
    ("delivery", "cost", "actual"),
    [
        (Delivery((image(),), Usage(10, 0, 1756), Decimal("0.0477")), 47_700, True),
        (Delivery((image(),), Usage(10, 0, 1756)), 52_730, True),  # 1756 x 30 + 10 x 5 microusd
        (Delivery((image(),)), 52_730, False),
        (Delivery((image(),), Usage(0, 0, 0)), 52_730, False),
        (Delivery((image(),), Usage(10, 0, 0)), 52_730, False),
        (Delivery((image(),), Usage(10, 0, 30, 30)), 52_730, False),
    ],
)
def test_a_delivery_costs_what_the_upstream_says_else_its_tokens_else_the_catalogue(
    delivery: Delivery, cost: int, actual: bool
) -> None:
    """In this order; gateways that count nothing say 0, and no picture is made of no tokens, or of text alone."""
    item = offer("openai", PriceFormula("gpt-image-2"))
    request = replace(REQUEST, n=1, quality=Quality.MEDIUM)
    receipt = pricing.receipt(item, ANY, request, delivery)
    assert (receipt.cost_microusd, receipt.actual) == (cost, actual)


def test_fewer_pictures_cost_less_by_the_catalogue() -> None:
    """Two asked for, one came: the price of one."""
    assert pricing.receipt(CHEAP, ANY, REQUEST, Delivery((image(),))).cost_microusd == 20_000


def test_plan_and_request_survive_their_row() -> None:
    """Every kind of price, sizes and options come back equal; the prompt has its own column."""
    frozen = FrozenPlan((CHEAP, offer("o", PriceFormula("gpt-image-2"))), 1_500_000, Decimal("1.25"), RATE, ("style",))
    assert read_plan(plan_text(frozen)) == frozen
    request = replace(REQUEST, quality=Quality.HIGH, options=(("user", '"u1"'),))
    assert "cat" not in request_text(request)
    assert read_request(request_text(request), "a cat") == request


def told(text: str) -> list[tuple[str, str | None]]:
    return [(item.offer, item.skipped) for item in read_considered(text)]


def test_every_option_tells_which_offers_it_is_too_small_for() -> None:
    """Whatever is held, all offers are told of: the largest option tries them all, the smaller ones say over_budget of the others."""
    found = planned(REQUEST, DEAR, CHEAP)
    frozen = pricing.freeze(found, model(CHEAP, DEAR), markup=Decimal(1), credits_per_usd=RATE)
    whole, small = pricing.hold_options(found, frozen, 2)
    assert told(whole.plan_json) == [("cheap/m", None), ("dear/m", None)]
    assert told(small.plan_json) == [("cheap/m", None), ("dear/m", Skip.OVER_BUDGET)]
    assert read_plan(small.plan_json).considered[1].expected_microusd == 100_000


def test_what_a_callers_own_limit_cuts_is_told_as_such() -> None:
    """Too dear for X-Max-Credits is another reason than too dear for a budget; where nothing is cut nothing is written anew."""
    middle = offer("middle", PerImage(Decimal("0.03")))
    found = planned(REQUEST, DEAR, middle, CHEAP)
    frozen = pricing.freeze(found, model(CHEAP, DEAR), markup=Decimal(1), credits_per_usd=RATE)
    options = pricing.hold_options(found, frozen, 2)
    first, second = pricing.within(options, options[1].amount.microcredits)
    assert told(first.plan_json) == [("cheap/m", None), ("middle/m", None), ("dear/m", "over_max_credits")]
    assert told(second.plan_json) == [("cheap/m", None), ("middle/m", "over_budget"), ("dear/m", "over_max_credits")]
    assert (first.amount, second.has_first_offer) == (options[1].amount, options[2].has_first_offer)
    assert pricing.within(options, options[0].amount.microcredits) == options
    assert pricing.within(options, 1) == ()


def test_what_a_plan_tells_is_short_and_bounded() -> None:
    """Lists of an id and integers, some forty bytes an offer, and no more than CONSIDERED_MAX of them."""
    offers = [offer(f"upstream-{index:03}", PerImage(Decimal(1))) for index in range(CONSIDERED_MAX + 10)]
    found = planned(REQUEST, *offers)
    frozen = pricing.freeze(found, model(*offers), markup=Decimal(1), credits_per_usd=RATE)
    assert len(found.considered) == CONSIDERED_MAX + 10
    assert [item.offer for item in frozen.considered] == [item.id for item in offers[:CONSIDERED_MAX]]
    bare = len(plan_text(replace(frozen, considered=())))
    assert len(plan_text(frozen)) - bare < 60 * CONSIDERED_MAX
    assert '["upstream-000/m",2000000,2000000,null,null]' in plan_text(frozen)


def test_plans_of_other_versions_are_read() -> None:
    """Without the offers' reasons, with words that this version does not know, and with a form that it does not know."""
    frozen = FrozenPlan((CHEAP,), None, Decimal(1), RATE, considered=(Considered("cheap/m", 1, 2),))
    text = plan_text(frozen)
    before = text.replace(',"considered":[["cheap/m",1,2,null,null]]', "")
    assert before != text
    assert read_plan(before) == replace(frozen, considered=())
    assert read_considered(before) == ()
    later = text.replace('["cheap/m",1,2,null,null]', '["cheap/m",1,2,"too_slow",null]')
    assert read_considered(later) == (Considered("cheap/m", 1, 2, "too_slow"),)
    assert read_considered(later)[0].why == "too_slow"
    assert read_considered(text.replace('["cheap/m",1,2,null,null]', "7")) == ()
    assert read_considered("") == ()
