"""Properties of quotes, splits and plans over many inputs."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalog import (
    Capabilities,
    Model,
    Offer,
    PerImage,
    PerMegapixel,
    Price,
    PriceFormula,
    PriceRow,
    PriceTable,
    SizeRule,
    TokenPrice,
)
from gateway.domain.choice import UpstreamChoice
from gateway.domain.considered import Skip
from gateway.domain.images import Contract, ImageInput, ImageRequest, InputSource, OutputFormat, Pixels, Quality
from gateway.domain.money import usd_cost
from gateway.pipeline import pricing
from gateway.pipeline.frozen import read_considered, read_plan
from gateway.routing.last_resort import Resort
from gateway.routing.order import arrange
from gateway.routing.plan import NotAble, plan, split
from gateway.routing.quote import cost_usd

usd = st.decimals(min_value=0, max_value=5, places=7, allow_nan=False)
prices: st.SearchStrategy[Price] = st.one_of(
    st.builds(PerImage, usd, usd),
    st.builds(PerMegapixel, usd, st.booleans(), usd),
    st.sampled_from(["gpt-image-2", "gpt-image-2.5"]).map(PriceFormula),
    st.builds(TokenPrice, usd, usd, usd, st.integers(1, 30_000)),
    st.lists(
        st.builds(PriceRow, usd, st.sampled_from([None, "1024x1024", "3:2"]), st.sampled_from([None, *Quality])),
        max_size=6,
    ).map(lambda rows: PriceTable(tuple(rows))),
)
sizes = st.one_of(st.none(), st.builds(Pixels, st.integers(16, 3840), st.integers(16, 3840)))
requests = st.builds(
    ImageRequest,
    model=st.just("m"),
    prompt=st.just("p"),
    n=st.integers(1, 10),
    pixels=sizes,
    quality=st.sampled_from(Quality),
    output_format=st.sampled_from([None, *OutputFormat]),
    prompt_tokens=st.integers(0, 32_000),
    images=st.integers(0, 3).map(lambda count: (ImageInput(InputSource.FILE, "file-1"),) * count),
)
capabilities = st.builds(
    Capabilities,
    n=st.sampled_from([(1,), (1, 2, 4), tuple(range(1, 11)), (2,)]),
    references_max=st.integers(0, 3),
    params=st.sets(st.sampled_from(["quality", "output_format"])).map(frozenset),
    output_formats=st.sampled_from([frozenset(OutputFormat), frozenset({OutputFormat.PNG})]),
)
MODEL = Model("m", Contract.IMAGE, 2000, SizeRule(("1024x1024",)), (1,), ())


@given(prices, requests)
def test_quotes_grow_with_n_and_never_expect_more_than_the_most(price: Price, request: ImageRequest) -> None:
    """expected <= most for every request, and neither falls when one more picture is asked for."""
    quotes = [cost_usd(price, request, pixels=request.pixels, n=n, calls=n) for n in range(1, 6)]
    known = [quote for quote in quotes if quote is not None]
    assert len(known) in (0, len(quotes))
    for quote in known:
        assert 0 <= quote.expected_microusd <= quote.most_microusd
    for fewer, more in pairwise(known):
        assert fewer.expected_microusd <= more.expected_microusd
        assert fewer.most_microusd <= more.most_microusd


@given(usd, st.integers(1, 10))
def test_hold_covers_the_sum_of_rounded_attempts(price: Decimal, n: int) -> None:
    """However a call is split, the attempts' costs, each rounded half-up, fit what was held."""
    request = ImageRequest("m", "p", n=n)
    quote = cost_usd(PerImage(price), request, pixels=Pixels(1024, 1024), n=n, calls=n)
    assert quote is not None
    assert n * usd_cost(price) <= quote.most_microusd


@given(st.integers(1, 10), st.sets(st.integers(1, 10), min_size=1))
def test_split_sums_to_n(n: int, counts: set[int]) -> None:
    """Every part is an allowed count, largest first, and together they are n; with 1 allowed there always is a split."""
    allowed = tuple(sorted(counts))
    try:
        parts = split(n, allowed)
    except ValueError:
        assert 1 not in allowed
        return
    assert sum(parts) == n
    assert set(parts) <= counts
    assert list(parts) == sorted(parts, reverse=True)


@given(requests, st.lists(st.tuples(prices, capabilities), max_size=5))
def test_plan_is_sorted_and_deterministic(request: ImageRequest, made: list[tuple[Price, Capabilities]]) -> None:
    """Every candidate is either planned or has a reason, the order is by price, and the catalogue's order changes nothing but the reasons' order."""
    candidates = [
        (Offer(f"up{index}/m", f"up{index}", "m", price), ability) for index, (price, ability) in enumerate(made)
    ]
    result = plan(request, MODEL, candidates)
    turned = plan(request, MODEL, candidates[::-1])
    if isinstance(result, NotAble):
        assert isinstance(turned, NotAble)
        assert len(result.reasons) == len(candidates)
        return
    assert not isinstance(turned, NotAble)
    assert (result.offers, result.dropped) == (turned.offers, turned.dropped)
    assert len(result.offers) + len(result.left_out) == len(candidates)
    expected = [item.expected_microusd for item in result.offers]
    assert expected == sorted(expected)


@given(
    requests,
    st.lists(st.tuples(prices, capabilities), max_size=5),
    st.sets(st.integers(0, 4)),
    st.sets(st.integers(0, 4)),
    st.one_of(st.none(), st.integers(0, 10_000_000)),
)
def test_a_kept_plan_tells_of_every_offer_once(
    request: ImageRequest, made: list[tuple[Price, Capabilities]], closed: set[int], failing: set[int], most: int | None
) -> None:
    """Whatever is closed, failing, held or limited: each offer of the model stands once in what a task keeps; without a reason exactly where it is
    tried in its turn, and then with prices; in the order of the prices. Those of the last resort stand at the plan's end, silent ones behind all."""
    candidates = [
        (Offer(f"up{index}/m", f"up{index}", "m", price), ability) for index, (price, ability) in enumerate(made)
    ]
    whole = plan(request, MODEL, candidates)
    if isinstance(whole, NotAble):
        return
    able = {item.offer.id for item in whole.offers}
    shut = {offer_id: Skip.CIRCUIT_OPEN for offer_id in (f"up{index}/m" for index in closed) if offer_id in able}
    shut |= {offer_id: Skip.LAST_RESORT for offer_id in (f"up{index}/m" for index in failing) if offer_id in able}
    resorts = {
        offer_id: list(Resort)[int(offer_id[2]) % 2] for offer_id, why in shut.items() if why is Skip.LAST_RESORT
    }
    usable = arrange(whole, shut, lambda _: 0, resorts=resorts)
    if not usable.offers:
        return
    frozen = pricing.freeze(usable, MODEL, markup=Decimal(1), credits_per_usd=Decimal(72))
    options = pricing.hold_options(usable, frozen, request.n)
    for option in options if most is None else pricing.within(options, most):
        kept = read_considered(option.plan_json)
        assert sorted(item.offer for item in kept) == sorted(offer.id for offer, _ in candidates)
        plain = read_plan(option.plan_json)
        in_turn = [item.offer for item in kept if item.skipped is None]
        at_last = [item.offer for item in kept if item.skipped == Skip.LAST_RESORT]
        at_last.sort(key=lambda offer_id: resorts[offer_id] is Resort.SILENT)  # by price in each of the two
        assert [*in_turn, *at_last] == [offer.id for offer in plain.offers]
        priced = [(item.expected_microusd, item.most_microusd) for item in kept if item.skipped != Skip.NOT_ABLE]
        assert all(expected is not None and most_of is not None for expected, most_of in priced)
        assert [expected for expected, _ in priced] == sorted(
            expected for expected, _ in priced if expected is not None
        )
        assert all(item.why for item in kept if item.skipped is not None)
        closed_now = {item.offer for item in kept if item.skipped == Skip.CIRCUIT_OPEN}
        assert closed_now == {offer_id for offer_id, why in shut.items() if why is Skip.CIRCUIT_OPEN}


@given(
    requests,
    st.lists(st.tuples(prices, capabilities, st.integers(0, 3)), max_size=6),
    st.sets(st.integers(0, 5)),
    st.lists(st.integers(0, 7), max_size=3, unique=True),
)
def test_offers_are_tried_by_preference_then_price_then_latency_then_id(
    request: ImageRequest, made: list[tuple[Price, Capabilities, int]], closed: set[int], preferred: list[int]
) -> None:
    """Able, healthy, preferred, cheapest, fastest, id: but for what is preferred the order is that of the sorted prices, whatever is closed or fast;
    latency decides ties, and nothing else."""
    choice = UpstreamChoice(prefer=tuple(f"up{index}" for index in preferred))
    # The first price for every other offer, so that there are ties.
    candidates = [
        (Offer(f"up{index}/m", f"up{index}", "m", made[0][0] if index % 2 else price), ability)
        for index, (price, ability, _) in enumerate(made)
    ]
    steps = {f"up{index}/m": step for index, (_, _, step) in enumerate(made)}
    whole = plan(request, MODEL, candidates)
    if isinstance(whole, NotAble):
        return
    able = {item.offer.id for item in whole.offers}
    shut = {offer_id: Skip.BUDGET_CLOSED for offer_id in (f"up{index}/m" for index in closed) if offer_id in able}
    arranged = arrange(whole, shut, steps.__getitem__, choice)
    tried = [
        (
            choice.rank(item.offer.upstream),
            item.expected_microusd,
            item.most_microusd,
            steps[item.offer.id],
            item.offer.id,
        )
        for item in arranged.offers
    ]
    assert tried == sorted(tried)
    assert {item.offer.id for item in arranged.offers} == able - shut.keys()
    assert [item.offer for item in arranged.considered if item.skipped is None] == [
        item.offer.id for item in arranged.offers
    ]
    assert sorted(item.offer for item in arranged.considered) == sorted(item.offer for item in whole.considered)
    assert arrange(arranged, {}, steps.__getitem__, choice) is arranged
    assert (arranged is whole) == (arranged == whole)
