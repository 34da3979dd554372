"""Quotations kept by the shape of a request: the same as made anew, and never another model's, request's or moment's."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.catalog import (
    Capabilities,
    MaskPolarity,
    Model,
    Offer,
    PerImage,
    Price,
    PriceFormula,
    SizeRule,
    TokenPrice,
)
from gateway.domain.choice import ANY_UPSTREAM, UpstreamChoice
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
from gateway.pipeline import quotation as kept
from gateway.pipeline.frozen import read_request
from gateway.pipeline.quotation import Quotation, Quotations, quotation
from gateway.routing.plan import NotAble, Plan, plan

RATE, MARKUP = Decimal(72), Decimal("1.5")
ANY = Capabilities(n=(1, 2), params=frozenset({"quality", "user", "background", "output_format"}), operations=frozenset(Operation),
                   output_formats=frozenset(OutputFormat), references_max=1, mask=MaskPolarity.TRANSPARENT)  # fmt: skip
REQUEST = ImageRequest("m", "a cat", n=3, size="1024x1024", pixels=Pixels(1024, 1024), prompt_tokens=10_000)


def offer(name: str, price: Price) -> Offer:
    return Offer(f"{name}/m", name, "m", price)


CHEAP, DEAR = offer("cheap", PriceFormula("gpt-image-2")), offer("dear", PerImage(Decimal("0.5")))


def model(*offers: Offer) -> Model:
    return Model("m", Contract.IMAGE, 2000, SizeRule(("1024x1024",)), (1, 2, 3, 4), offers)


class Desk:
    """Counts the plans that are made."""

    def __init__(self, capabilities: Capabilities = ANY) -> None:
        self.made = 0
        self.capabilities = capabilities
        self.able: dict[str, Capabilities] = {}
        """Of an upstream, where they are others."""
        self.closed: set[str] = set()
        self.quotations = Quotations(self._plan)

    def _plan(self, request: ImageRequest, model: Model, choice: UpstreamChoice = ANY_UPSTREAM) -> Plan | NotAble:
        self.made += 1
        return plan(request, model, [(item, self.able.get(item.upstream, self.capabilities)) for item in model.offers])

    def _open_now(self, plan: Plan) -> Plan:
        usable = tuple(item for item in plan.offers if item.offer.upstream not in self.closed)
        return plan if len(usable) == len(plan.offers) else Plan(usable, plan.dropped, plan.left_out)

    def ask(
        self, request: ImageRequest, model: Model, markup: Decimal = MARKUP, choice: UpstreamChoice = ANY_UPSTREAM
    ) -> Quotation:
        found = self.quotations.of(
            request, model, open_now=self._open_now, markup=markup, credits_per_usd=RATE, choice=choice
        )
        assert isinstance(found, Quotation)
        return found


def test_another_prompt_of_the_same_length_costs_the_same() -> None:
    """The plan is made once, what is answered equals one made anew, and no words of the prompt are in it."""
    desk, sold = Desk(), model(CHEAP, DEAR)
    first = desk.ask(REQUEST, sold)
    other = replace(REQUEST, prompt="a dog")
    assert desk.ask(other, sold) is first
    assert desk.made == 1
    made = desk._plan(other, sold)
    assert isinstance(made, Plan)
    assert first == quotation(made, other, sold, MARKUP, RATE)
    assert read_request(first.request_json, "a dog") == other
    assert [count for count, _ in first.first_parts] == [2, 1]


DIFFERENT: dict[str, Any] = {
    "model": "n",
    "n": 1,
    "size": "1:1",
    "pixels": Pixels(2048, 2048),
    "quality": Quality.HIGH,
    "background": Background.OPAQUE,
    "output_format": OutputFormat.WEBP,
    "operation": Operation.EDIT,
    "prompt_tokens": 20_000,
    "options": (("user", '"u"'),),
    "images": (ImageInput(InputSource.FILE, "file-a"),),
    "mask": ImageInput(InputSource.URL, "https://images.example/mask.png"),
    "partial_images": 2,
}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(ImageRequest)} - {"prompt"}))
def test_whatever_else_differs_is_quoted_anew(name: str) -> None:
    """Every field of a request but its prompt belongs to its shape; a new field must be named here."""
    desk, sold = Desk(), model(CHEAP, DEAR)
    different = replace(REQUEST, **{name: DIFFERENT[name]})
    before = desk.ask(REQUEST, sold)
    after = desk.ask(different, sold)
    assert desk.made == 2
    assert read_request(after.request_json, different.prompt) == different
    assert desk.ask(REQUEST, sold) is before


OWN = TokenPrice(Decimal(2), Decimal(2), Decimal(30), 1_000, own_tokenizer=True)


def test_where_every_byte_is_held_for_the_prompts_length_counts() -> None:
    """As many tokens by our count, and ten times as many bytes: the upstream's own tokenizer may make more of them."""
    desk, sold = Desk(), model(offer("own", OWN))
    short, long = replace(REQUEST, prompt="a" * 30_000), replace(REQUEST, prompt="a" * 300_000)
    assert desk.ask(short, sold).options[0].amount.microusd < desk.ask(long, sold).options[0].amount.microusd
    assert desk.ask(replace(long, prompt="b" * 300_000), sold) is desk.ask(long, sold)
    assert desk.made == 2


@pytest.mark.parametrize("long_first", [False, True])
def test_where_an_upstream_takes_only_short_prompts_their_length_counts(long_first: bool) -> None:
    """Whichever came first: the offer is planned for the prompts that it takes, and for no other."""
    desk, sold = Desk(replace(ANY, prompt_chars_max=1_000)), model(CHEAP, DEAR)
    desk.able["dear"] = ANY
    prompts = sorted(("a" * 1_000, "a" * 1_001), key=len, reverse=long_first)
    found = {len(text): desk.ask(replace(REQUEST, prompt=text), sold) for text in prompts}
    assert {size: [item.offer.upstream for item in one.plan.offers] for size, one in found.items()} == {
        1_000: ["cheap", "dear"],
        1_001: ["dear"],
    }


def test_a_reloaded_model_and_new_terms_are_quoted_anew() -> None:
    """An equal name is not enough: the offers behind it, or the markup, may be others."""
    desk, sold, reloaded = Desk(), model(CHEAP, DEAR), model(DEAR)
    desk.ask(REQUEST, sold)
    assert [item.upstream for item in desk.ask(REQUEST, reloaded).frozen.offers] == ["dear"]
    assert desk.ask(REQUEST, sold, Decimal(2)).frozen.markup == 2
    assert desk.made == 3


def test_another_choice_of_upstreams_is_quoted_anew() -> None:
    """What one caller prefers, or excludes, is nobody else's plan."""
    desk, sold = Desk(), model(CHEAP, DEAR)
    free = desk.ask(REQUEST, sold)
    for choice in (
        UpstreamChoice(prefer=("dear",)),
        UpstreamChoice(only=("dear",)),
        UpstreamChoice(prefer=("cheap", "dear")),
    ):
        chosen = desk.ask(REQUEST, sold, choice=choice)
        assert chosen is not free
        assert desk.ask(REQUEST, sold, choice=choice) is chosen
    assert desk.made == 4
    assert desk.ask(REQUEST, sold) is free


def test_an_open_circuit_counts_at_once_and_only_while_it_is_open() -> None:
    """The kept plan is asked about every time: a closed offer is left out of what is held, and comes back."""
    desk, sold = Desk(), model(CHEAP, DEAR)
    whole = desk.ask(REQUEST, sold)
    desk.closed = {"cheap"}
    rest = desk.ask(REQUEST, sold)
    assert [item.upstream for item in rest.frozen.offers] == ["dear"]
    assert rest.first_parts == ((2, 1_000_000), (1, 500_000))
    desk.closed = set()
    assert desk.ask(REQUEST, sold) is whole


def test_a_plan_made_while_a_circuit_is_open_is_not_kept() -> None:
    """Else the offer would be missing when it works again."""
    desk, sold = Desk(), model(CHEAP, DEAR)
    desk.closed = {"cheap"}
    desk.ask(REQUEST, sold)
    desk.closed = set()
    assert [item.upstream for item in desk.ask(REQUEST, sold).frozen.offers] == ["cheap", "dear"]


def test_what_is_kept_is_bounded_and_has_no_words_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than SHAPES_MAX; options, which callers write themselves, are not kept at all."""
    monkeypatch.setattr(kept, "SHAPES_MAX", 3)
    desk, sold = Desk(), model(CHEAP, DEAR)
    for tokens in range(10):
        desk.ask(replace(REQUEST, prompt_tokens=tokens), sold)
        assert len(desk.quotations._kept) <= 3
    for _ in range(2):
        desk.ask(replace(REQUEST, options=(("user", '"u"'),)), sold)
    assert desk.made == 12
