"""Splitting money and pictures over upstreams: nothing is lost or made, whatever the parts."""

from decimal import ROUND_CEILING, Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalog import Capabilities, Model, Offer, PerImage, Price, PriceFormula, SizeRule, TokenPrice
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import Contract, ImageRequest, Pixels, Quality
from gateway.domain.money import Amount, proportion, split
from gateway.domain.tasks import Attempt, AttemptState
from gateway.ledger.usage import EndedTask, Share, UsageRow, rows_of
from gateway.pipeline import pricing
from gateway.pipeline.frozen import FrozenPlan, read_plan
from gateway.routing.plan import NotAble, plan
from gateway.routing.quote import AUTO_SIZES, cost_usd

amounts = st.integers(0, 10**12)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=12)
shares = st.lists(
    st.builds(
        Share, st.sampled_from("abcdef"), st.integers(0, 10), st.integers(0, 10**6), amounts, st.integers(0, 10**6)
    ),
    max_size=6,
    unique_by=lambda share: share.upstream,
)
charges = st.builds(Amount, amounts, amounts, st.integers(0, 10))


@given(amounts, weights)
def test_parts_add_up_and_are_fair(total: int, given_weights: list[int]) -> None:
    """The parts are the whole; none is a unit or more away from its exact share."""
    parts = split(total, given_weights)
    whole = sum(given_weights)
    assert sum(parts) == total
    assert len(parts) == len(given_weights)
    if whole:
        assert all(
            abs(part * whole - total * weight) < whole for part, weight in zip(parts, given_weights, strict=True)
        )


@given(charges, st.booleans(), shares)
def test_a_tasks_rows_are_the_task(charged: Amount, delivered: bool, parts: list[Share]) -> None:
    """Charge, pictures and payments add up exactly, the task counts once, and no upstream has two rows."""
    task = EndedTask(AccountId("key:o//k"), "UTC", 0, "m", "", charged, delivered)
    rows = rows_of(task, parts)
    total = UsageRow("", AccountId(""), "", "", "").charged
    for row in rows:
        total += row.charged
    assert total == charged
    assert (sum(row.tasks for row in rows), sum(row.failed for row in rows)) == (1, int(not delivered))
    assert sum(row.paid_microusd for row in rows) == sum(share.paid_microusd for share in parts)
    assert len({row.upstream for row in rows}) == len(rows)
    assert {row.day for row in rows} == {"1970-01-01"}


costs = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6), st.integers(0, 4), st.booleans()), max_size=6)


@given(costs, st.integers(0, 10**6), st.booleans())
def test_what_upstreams_did_is_what_attempts_say(
    given_costs: list[tuple[str, int, int, bool]], dearest: int, fixed: bool
) -> None:
    """Every cost is paid once, every delivered picture counted once; routing never saves less than nothing nor more than the dearest offer."""
    attempts = [
        Attempt(
            AttemptId(f"att_{number}"), TaskId("t"), None, f"{upstream}/m", upstream, count,
            AttemptState.SUCCEEDED if made else AttemptState.FAILED, cost, 0, cost_microusd=cost, images=count,
        )
        for number, (upstream, cost, count, made) in enumerate(given_costs)
    ]  # fmt: skip
    delivered = [(attempt, attempt.images) for attempt in attempts if attempt.state is AttemptState.SUCCEEDED]
    n = max(1, sum(count for _, count in delivered))
    frozen = FrozenPlan((), 1_500_000 if fixed else None, Decimal(1), Decimal(72), (), dearest)
    found = pricing.shares(frozen, n, delivered, attempts)
    assert sum(share.paid_microusd for share in found) == sum(attempt.cost_microusd for attempt in attempts)
    assert sum(share.images for share in found) == sum(count for _, count in delivered)
    saved = sum(share.routing_saved_microusd for share in found)
    paid = sum(attempt.cost_microusd for attempt, _ in delivered)
    assert saved == max(0, proportion(dearest, sum(count for _, count in delivered), n) - paid) or not delivered


usd = st.decimals(min_value=0, max_value=5, places=7, allow_nan=False)
prices: st.SearchStrategy[Price] = st.one_of(
    usd.map(PerImage),
    st.sampled_from(["gpt-image-2", "gpt-image-2.5"]).map(PriceFormula),
    st.builds(TokenPrice, usd, usd, usd, st.integers(1, 30_000)),
)
requests = st.builds(
    ImageRequest,
    model=st.just("m"),
    prompt=st.just("p"),
    n=st.integers(1, 4),
    pixels=st.one_of(st.none(), st.just(Pixels(1024, 1536))),
    quality=st.sampled_from([Quality.AUTO, Quality.LOW, Quality.HIGH]),
    prompt_tokens=st.integers(0, 2_000),
)
ABLE = Capabilities(n=(1, 2, 4), params=frozenset({"quality"}))


@given(st.lists(prices, min_size=1, max_size=4), requests, st.decimals("0.5", 3, places=2))
def test_a_hold_is_the_dearest_worst_case_and_no_more(
    given_prices: list[Price], request: ImageRequest, markup: Decimal
) -> None:
    """For auto quality and size, token prices and several offers: each option holds the dearest of its offers' worst cases × markup, rounded up."""
    offers = tuple(Offer(f"u{i}/m", f"u{i}", "m", price) for i, price in enumerate(given_prices))
    model = Model("m", Contract.IMAGE, 2000, SizeRule(("1024x1024",)), (1, 2, 4), offers)
    found = plan(request, model, [(offer, ABLE) for offer in offers])
    if isinstance(found, NotAble):
        return
    frozen = pricing.freeze(found, model, markup=markup, credits_per_usd=Decimal(72))
    worst = {item.offer.id: _worst_microusd(item.offer, request, len(item.parts(request.n))) for item in found.offers}
    options = pricing.hold_options(found, frozen, request.n)
    for option in options:
        kept = [worst[offer.id] for offer in read_plan(option.plan_json).offers]
        exact = max(kept) * markup * 72
        assert option.amount.microcredits == int(exact.to_integral_value(rounding=ROUND_CEILING))
    assert len(read_plan(options[0].plan_json).offers) == len(found.offers)
    assert [option.amount.microcredits for option in options] == sorted(
        {option.amount.microcredits for option in options}, reverse=True
    ) or markup < 1


def _worst_microusd(offer: Offer, request: ImageRequest, calls: int) -> int:
    """By trying every size and quality that the model may choose, one by one."""
    sizes = AUTO_SIZES if request.pixels is None else (request.pixels,)
    qualities = [q for q in Quality if q is not Quality.AUTO] if request.quality is Quality.AUTO else [request.quality]
    found = []
    for size in sizes:
        for quality in qualities:
            fixed = ImageRequest("m", "p", request.n, pixels=size, quality=quality, prompt_tokens=request.prompt_tokens)
            quote = cost_usd(offer.price, fixed, pixels=size, n=request.n, calls=calls)
            found += [] if quote is None else [quote.most_microusd]
    return max(found)
