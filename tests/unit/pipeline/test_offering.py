"""Which offers a call tries now, in which order, and what routing's savings are told against."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.domain.accounts import Budget, Principal, Unit, Window
from gateway.domain.catalog import Capabilities, Model, Offer, PerImage, SizeRule
from gateway.domain.choice import UpstreamChoice
from gateway.domain.clock import SystemClock
from gateway.domain.errors import AllUpstreamsUnavailable, InvalidRequest
from gateway.domain.ids import AccountId, KeyId
from gateway.domain.images import (
    Background,
    Contract,
    ImageInput,
    ImageRequest,
    InputSource,
    Operation,
    OutputFormat,
    Pixels,
)
from gateway.domain.tasks import Fault
from gateway.pipeline.admission import Admitted
from gateway.pipeline.frozen import read_considered, read_plan
from gateway.pipeline.offering import Offering, Terms
from gateway.pipeline.quotation import Quotation
from gateway.routing.health import Circuits
from gateway.routing.last_resort import Resort
from gateway.upstreams.base import Adapter, Generated, LinkedImage, OnSubmitted, UpstreamCall, UpstreamSettings

TERMS = Terms(Decimal(1), Decimal(72), 240.0)
PRINCIPAL = Principal(KeyId("key_1"), "ci", (AccountId("key:acme//ci"), AccountId("org:acme")), "acme", None)
REQUEST = ImageRequest("m", "a cat", size="1024x1024", pixels=Pixels(1024, 1024))
PRICES = {"a": "0.02", "b": "0.02", "c": "0.02", "dear": "0.05", "dearest": "0.09"}


class Able(Adapter):
    """Can everything, and is never asked to."""

    kind = "able"

    def capabilities(self, upstream_model: str) -> Capabilities:
        return Capabilities(
            params=frozenset({"background"} if self.name == "dear" else ()),
            output_formats=frozenset({OutputFormat.PNG}),
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        raise NotImplementedError

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise NotImplementedError


def model(*names: str) -> Model:
    offers = tuple(Offer(f"{name}/m", name, "m", PerImage(Decimal(PRICES[name]))) for name in names)
    return Model("m", Contract.IMAGE, 2000, SizeRule(("1024x1024",)), (1,), offers)


class Desk:
    """The offers of a process whose upstreams are those of PRICES."""

    def __init__(self) -> None:
        self.circuits = Circuits(SystemClock())
        self.offering = Offering({name: Able(UpstreamSettings(name, "able")) for name in PRICES}, self.circuits)

    def ask(self, sold: Model, *, request: ImageRequest = REQUEST, **choice: tuple[str, ...]) -> Quotation:
        return self.offering.quoted(PRINCIPAL, Admitted(request, sold, UpstreamChoice(**choice)), TERMS)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def tried(quoted: Quotation) -> list[str]:
    return [offer.upstream for offer in quoted.frozen.offers]


def told(quoted: Quotation) -> list[tuple[str, str | None]]:
    return [(item.offer.partition("/")[0], item.skipped) for item in quoted.frozen.considered]


def test_equal_prices_go_by_latency_and_ids_last(desk: Desk) -> None:
    """Until something is known by id; then the faster first; a dearer offer never, however fast. What is told has the same order."""
    sold = model("c", "dear", "b", "a")
    first = desk.ask(sold)
    assert tried(first) == ["a", "b", "c", "dear"]
    assert desk.ask(sold) is first
    for name, seconds in (("a", 8.0), ("b", 2.0), ("c", 2.0), ("dear", 0.01)):
        desk.circuits.latencies.took(f"{name}/m", seconds)
    second = desk.ask(sold)
    assert tried(second) == ["b", "c", "a", "dear"]
    assert told(second) == [("b", None), ("c", None), ("a", None), ("dear", None)]
    assert desk.ask(sold) is second, "the new order is kept"
    desk.circuits.failed("b/m", Fault.CREDENTIALS)
    assert told(desk.ask(sold)) == [("b", "circuit_open"), ("c", None), ("a", None), ("dear", None)]


def test_savings_are_told_against_what_could_have_been_tried(desk: Desk) -> None:
    """The dearest offer counts while it is open; failing, or closed by its own budget, it was no alternative."""
    sold = model("a", "dear", "dearest")
    assert desk.ask(sold).frozen.dearest_microusd == 90_000
    desk.circuits.failed("dearest/m", Fault.CREDENTIALS)
    assert desk.ask(sold).frozen.dearest_microusd == 50_000
    desk.circuits.closed.refused("dear", Budget(1, Unit.USD, Window.MONTH), 50_000, None)
    alone = desk.ask(sold)
    assert alone.frozen.dearest_microusd == 20_000
    assert told(alone) == [("a", None), ("dear", "budget_closed"), ("dearest", "circuit_open")]


def test_an_offer_that_only_money_keeps_out_counts_for_savings(desk: Desk) -> None:
    """What a budget or X-Max-Credits leaves is one of the options; all are told against the same dearest offer."""
    quoted = desk.ask(model("a", "dear"))
    assert len(quoted.options) == 2
    assert all('"dearest_microusd":50000' in option.plan_json for option in quoted.options)


def test_nothing_may_be_tried(desk: Desk) -> None:
    """503, with when to come back."""
    desk.circuits.failed("a/m", Fault.CREDENTIALS)
    with pytest.raises(AllUpstreamsUnavailable):
        desk.ask(model("a"))


def fail(desk: Desk, name: str, fault: Fault = Fault.FAILED) -> None:
    for _ in range(5):
        desk.circuits.failed(f"{name}/m", fault)


def test_failing_offers_stand_at_the_end_of_the_plan(desk: Desk) -> None:
    """By price, silent ones behind all; held for, too, but savings are told against what could have been tried without them."""
    sold = model("a", "b", "dear", "dearest")
    whole = desk.ask(sold)
    fail(desk, "a", Fault.NO_ANSWER)
    fail(desk, "b")
    fail(desk, "dearest")
    quoted = desk.ask(sold)
    assert tried(quoted) == ["dear", "b", "dearest", "a"]
    assert told(quoted) == [("a", "last_resort"), ("b", "last_resort"), ("dear", None), ("dearest", "last_resort")]
    assert quoted.options[0].amount == whole.options[0].amount
    assert quoted.frozen.dearest_microusd == 50_000
    for name in ("a", "b", "dearest"):
        desk.circuits.succeeded(f"{name}/m", at_last=True)
    assert tried(desk.ask(sold)) == ["a", "b", "dear", "dearest"], "what was planned in a storm is not kept"


def test_a_call_is_accepted_for_the_last_resort_alone(desk: Desk) -> None:
    """Where every able offer is failing; among the chosen ones, too. Those that an operator must mend, or whose budget is used up, are none."""
    sold = model("a", "b", "dear", "dearest")
    for name in ("a", "b", "dear"):
        fail(desk, name)
    desk.circuits.failed("dearest/m", Fault.CREDENTIALS)
    desk.circuits.closed.refused("b", Budget(1, Unit.USD, Window.MONTH), 10_000, None)
    quoted = desk.ask(sold)
    assert tried(quoted) == ["a", "dear"]
    assert told(quoted) == [
        ("a", "last_resort"), ("b", "circuit_open"), ("dear", "last_resort"), ("dearest", "circuit_open")
    ]  # fmt: skip
    assert quoted.frozen.dearest_microusd == 50_000
    assert tried(desk.ask(sold, only=("dear",))) == ["dear"]
    assert tried(desk.ask(sold, prefer=("dear",))) == ["dear", "a"]
    with pytest.raises(AllUpstreamsUnavailable):
        desk.ask(sold, only=("dearest", "b"))


def test_a_circuit_whose_time_ends_meanwhile_leaves_plan_and_telling_in_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far the clock goes between two questions, an offer told as the last resort stands in the plan, and is not told as too dear."""
    fail(desk, "a")
    fail(desk, "dear")
    genuine = Circuits.resort

    def resort(circuits: Circuits, offer_id: str) -> Resort | None:
        found = genuine(circuits, offer_id)
        circuits.succeeded(offer_id, at_last=True)  # no longer open when it is asked again
        return found

    monkeypatch.setattr(Circuits, "resort", resort)
    quoted = desk.ask(model("a", "b", "dear"))
    assert tried(quoted) == ["b", "a", "dear"]
    kept = read_considered(quoted.options[0].plan_json)
    assert [(item.offer[0], item.skipped) for item in kept] == [("b", None), ("a", "last_resort"), ("d", "last_resort")]


def test_a_failing_offer_that_money_keeps_out_is_told_so(desk: Desk) -> None:
    """It is not tried at last either."""
    fail(desk, "dear")
    quoted = desk.ask(model("a", "dear"))
    smaller = quoted.options[-1].plan_json
    assert [offer.upstream for offer in read_plan(smaller).offers] == ["a"]
    assert [item.skipped for item in read_considered(smaller)] == [None, "over_budget"]


def test_an_offer_without_its_upstream_is_told_of(desk: Desk) -> None:
    """A reload may name an upstream that only a restart brings."""
    known = model("a")
    absent = Offer("gone/m", "gone", "m", PerImage(Decimal(1)))
    quoted = desk.ask(Model("m", Contract.IMAGE, 2000, known.sizes, (1,), (absent, *known.offers)))
    assert told(quoted) == [("a", None), ("gone", "not_able")]
    assert quoted.frozen.considered[1].why == "its upstream is not served by this process"


def test_preferred_upstreams_go_first_and_the_hold_covers_all(desk: Desk) -> None:
    """In the order in which they are named; the others follow by price. What is preferred must be able and healthy all the same."""
    sold = model("a", "b", "dear", "dearest")
    free, chosen = desk.ask(sold), desk.ask(sold, prefer=("dearest", "b"))
    assert tried(chosen) == ["dearest", "b", "a", "dear"]
    assert chosen.options[0].amount == free.options[0].amount
    assert desk.ask(sold, prefer=("dearest", "b")) is chosen
    assert tried(desk.ask(sold)) == ["a", "b", "dear", "dearest"]
    desk.circuits.failed("dearest/m", Fault.CREDENTIALS)
    assert tried(desk.ask(sold, prefer=("dearest", "b"))) == ["b", "a", "dear"]


def test_a_preferred_offer_that_money_keeps_out_does_not_go_first(desk: Desk) -> None:
    """The smaller options begin with what they pay for."""
    quoted = desk.ask(model("a", "dear"), prefer=("dear",))
    assert [option.has_first_offer for option in quoted.options] == [True, False]


def test_only_the_chosen_upstreams_are_tried(desk: Desk) -> None:
    """Held for and planned with them alone; the others are told of with what they would have cost, and savings are not told against them."""
    quoted = desk.ask(model("a", "dear", "dearest"), only=("dear", "b"))
    assert tried(quoted) == ["dear"]
    assert told(quoted) == [("dear", None), ("a", "not_chosen"), ("dearest", "not_chosen")]
    assert [item.expected_microusd for item in quoted.frozen.considered] == [50_000, 20_000, 90_000]
    assert (quoted.frozen.dearest_microusd, len(quoted.options)) == (50_000, 1)


def test_what_only_others_understand_does_not_keep_the_chosen_out(desk: Desk) -> None:
    """Among all, an offer without the parameter leaves the plan; alone it makes the picture, and the parameter is reported as dropped."""
    sold = model("a", "dear")
    clear = ImageRequest("m", "a cat", size="1024x1024", pixels=Pixels(1024, 1024), background=Background.TRANSPARENT)
    assert tried(desk.ask(sold, request=clear)) == ["dear"]
    alone = desk.ask(sold, request=clear, only=("a",))
    assert (tried(alone), alone.plan.dropped) == (["a"], ("background",))


def test_chosen_upstreams_that_cannot_are_named(desk: Desk) -> None:
    """400 where no offer of the model is theirs; 503 where they are failing, however well the others work."""
    sold = model("a", "dear")
    with pytest.raises(InvalidRequest, match="X-Upstream-Only: b, c cannot make this request of m") as refused:
        desk.ask(sold, only=("b", "c"))
    assert refused.value.param == "X-Upstream-Only"
    desk.circuits.failed("a/m", Fault.CREDENTIALS)
    with pytest.raises(AllUpstreamsUnavailable):
        desk.ask(sold, only=("a",))


@pytest.mark.parametrize("links", [False, True])
def test_links_decide_who_can_edit(links: bool) -> None:
    """Where upstreams cannot fetch pictures from here, those that take nothing else are left out, and the caller is told that none is able."""

    class Linked(Able):
        def capabilities(self, upstream_model: str) -> Capabilities:
            operations = frozenset({Operation.EDIT})
            return replace(
                super().capabilities(upstream_model), operations=operations, references_max=1, references_by_link=True
            )

    adapters = {"a": Linked(UpstreamSettings("a", "able"))}
    offering = Offering(adapters, Circuits(SystemClock()), links=links)
    picture = ImageInput(InputSource.FILE, "file-1")
    edit = replace(REQUEST, operation=Operation.EDIT, images=(picture,))
    admitted = Admitted(edit, model("a"), UpstreamChoice())
    if links:
        assert tried(offering.quoted(PRINCIPAL, admitted, TERMS)) == ["a"]
    else:
        with pytest.raises(InvalidRequest):
            offering.quoted(PRINCIPAL, admitted, TERMS)
