"""The checks before anything is held: each rule with its own error, field and remedy."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.domain.accounts import Limits, Principal
from gateway.domain.catalog import Catalog, Model, Offer, PerImage, PixelRange, PriceFormula, SizeRule
from gateway.domain.choice import UpstreamChoice
from gateway.domain.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    PromptTooLong,
    UnsupportedSize,
    UpstreamChoiceNotAllowed,
)
from gateway.domain.ids import AccountId, KeyId
from gateway.domain.images import Contract, ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.money import to_micro
from gateway.pipeline.admission import Admission, RequestDraft
from gateway.tokens.counter import TokenCounter

RATIOS = SizeRule(("1:1", "2:3", "3:2", "1024x1024", "1024x1536", "1536x1024"))
ANY = SizeRule(("auto", "1024x1024", "1536x1024", "1024x1536"), PixelRange(16, 3, 3840, 655_360, 8_294_400))
PER_IMAGE = Offer("evolink/gpt-4o-image", "evolink", "gpt-4o-image", PerImage(Decimal("0.0208")))
BY_TOKENS = Offer("openai/gpt-image-2", "openai", "gpt-image-2", PriceFormula("gpt-image-2"))
FOUR_O = Model(
    "gpt-4o-image", Contract.TASK, 2000, RATIOS, (1, 2, 4), (PER_IMAGE,), charge_microcredits=to_micro("1.5")
)
IMAGE_2 = Model("gpt-image-2", Contract.IMAGE, 32_000, ANY, tuple(range(1, 11)), (BY_TOKENS,))
CATALOG = Catalog(
    {"gpt-4o-image": FOUR_O, "gpt-image-2": IMAGE_2}, {"dall-e-3": "gpt-image-2", "dall-e-2": "gpt-image-2"}
)
PRINCIPAL = Principal(KeyId("key_1"), "ci", (AccountId("key:acme//ci"), AccountId("org:acme")), "acme", None)
DRAFT = RequestDraft("gpt-4o-image", "A cat", 1, None, None, None, None, (), True)


@pytest.fixture(scope="module")
def admission() -> Admission:
    """With the real vocabulary."""
    return Admission(lambda: CATALOG, TokenCounter())


async def admitted(admission: Admission, **changes: object) -> ImageRequest:
    return (await admission.admit(PRINCIPAL, replace(DRAFT, **changes))).request  # type: ignore[arg-type]  # the test's own keywords


@pytest.mark.parametrize(
    ("changes", "error", "param", "says"),
    [
        ({"model": "gpt-5"}, ModelNotFound, "model", "gpt-4o-image, gpt-image-2"),
        ({"prompt": " \n\t"}, InvalidRequest, "prompt", "blank"),
        ({"prompt": " cat" * 2001}, PromptTooLong, "prompt", "2000 tokens"),
        ({"n": 3}, InvalidRequest, "n", "1, 2, 4"),
        ({"n": 0}, InvalidRequest, "n", "1, 2, 4"),
        ({"model": "gpt-image-2", "n": 11}, InvalidRequest, "n", "1 to 10"),
        ({"size": "16:9"}, UnsupportedSize, "size", "1536x1024"),
        ({"size": "512x512"}, UnsupportedSize, "size", "2:3"),
        ({"model": "gpt-image-2", "size": "1000x1000"}, UnsupportedSize, "size", "multiples of 16"),
        ({"model": "gpt-image-2", "size": "3856x1024"}, UnsupportedSize, "size", "at most 3840"),
        ({"model": "gpt-image-2", "size": "256x256"}, UnsupportedSize, "size", "655360"),
        ({"model": "gpt-image-2", "quality": "max"}, InvalidRequest, "quality", "low, medium, high"),
        (
            {"model": "gpt-image-2", "background": "transparent", "output_format": "jpeg"},
            InvalidRequest,
            "background",
            "png or webp",
        ),
    ],
)
async def test_each_rule_has_its_own_error(
    admission: Admission, changes: dict[str, object], error: type[GatewayError], param: str, says: str
) -> None:
    """The class, the field, and what may be written instead."""
    with pytest.raises(error) as caught:
        await admitted(admission, **changes)
    assert caught.value.param == param
    assert says in caught.value.message


async def test_exactly_the_limit_of_tokens_fits(admission: Admission) -> None:
    """2,000 tokens pass, 2,001 do not; the upper bound of a fixed-price model is its length in bytes."""
    assert (await admitted(admission, prompt=" cat" * 2000)).prompt_tokens == 8000


async def test_tokens_are_counted_where_a_price_depends_on_them(admission: Admission) -> None:
    """Exact for short and for long prompts."""
    assert (await admitted(admission, model="gpt-image-2", prompt=" cat" * 7)).prompt_tokens == 7
    assert (await admitted(admission, model="gpt-image-2", prompt=" cat" * 7000)).prompt_tokens == 7000


@pytest.mark.parametrize(
    ("model", "size", "text", "pixels"),
    [
        ("gpt-4o-image", None, "1024x1024", Pixels(1024, 1024)),
        ("gpt-4o-image", "auto", "1024x1024", Pixels(1024, 1024)),
        ("gpt-4o-image", "2:3", "2:3", Pixels(1024, 1536)),
        ("gpt-4o-image", "3:2", "3:2", Pixels(1536, 1024)),
        ("gpt-image-2", None, "auto", None),
        ("gpt-image-2", "2048x1152", "2048x1152", Pixels(2048, 1152)),
        ("dall-e-3", "1792x1024", "1536x1024", Pixels(1536, 1024)),
        ("dall-e-2", "256x256", "1024x1024", Pixels(1024, 1024)),
    ],
)
async def test_sizes_mean_pixels(
    admission: Admission, model: str, size: str | None, text: str, pixels: Pixels | None
) -> None:
    """Ratios, ranges, defaults, and the old sizes of old names."""
    request = await admitted(admission, model=model, size=size)
    assert (request.size, request.pixels) == (text, pixels)


async def test_the_request_is_normalised(admission: Admission) -> None:
    """An alias becomes its model; enumerations become values; options stay as they came."""
    request = await admitted(
        admission, model="dall-e-3", quality="high", output_format="webp", options=(("user", '"u"'),), n=10
    )
    assert request.model == "gpt-image-2"
    assert (request.quality, request.output_format, request.n) == (Quality.HIGH, OutputFormat.WEBP, 10)
    assert request.option_names() == {"quality", "output_format", "user"}


async def test_a_key_may_only_use_its_models(admission: Admission) -> None:
    """403 for others, and an unknown model lists only what the key may use."""
    narrow = replace(PRINCIPAL, models=("gpt-image-2",))
    with pytest.raises(ModelNotAllowed) as refused:
        await admission.admit(narrow, DRAFT)
    assert refused.value.param == "model"
    alias = await admission.admit(narrow, replace(DRAFT, model="dall-e-3"))
    assert alias.model is IMAGE_2
    with pytest.raises(ModelNotFound) as unknown:
        await admission.admit(narrow, replace(DRAFT, model="x" * 500))
    assert "gpt-4o-image" not in unknown.value.message
    assert len(unknown.value.message) < 300


NARROW = replace(
    PRINCIPAL,
    limits=(
        (AccountId("key:acme//ci"), Limits(sizes=("1024x1024", "1024x1536", "auto"), n_max=4)),
        (AccountId("org:acme"), Limits(models=("gpt-4o-image",), sizes=("1024x1024", "1024x1536", "2:3"), n_max=2)),
    ),
)


@pytest.mark.parametrize(
    ("changes", "error", "param", "says"),
    [
        ({"n": 4}, InvalidRequest, "n", "the org 'acme' may ask for at most 2"),
        ({"size": "1536x1024"}, UnsupportedSize, "size", "the key 'ci'. Use one of: 1024x1024, 1024x1536, auto"),
        ({"size": "3:2"}, UnsupportedSize, "size", "the key 'ci'"),
        ({"model": "gpt-image-2"}, ModelNotAllowed, "model", "may use: gpt-4o-image;"),
        ({"model": "dall-e-3"}, ModelNotAllowed, "model", "may use: gpt-4o-image;"),
        ({"model": "gpt-5"}, ModelNotFound, "model", "may use: gpt-4o-image."),
    ],
)
async def test_every_account_of_the_path_has_its_say(
    admission: Admission, changes: dict[str, object], error: type[GatewayError], param: str, says: str
) -> None:
    """Models, sizes and counts that key or org do not allow are refused with the account, the field, and what is allowed."""
    with pytest.raises(error) as caught:
        await admission.admit(NARROW, replace(DRAFT, **changes))  # type: ignore[arg-type]  # the test's own keywords
    assert caught.value.param == param
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("size", "taken"), [("1024x1536", "1024x1536"), ("2:3", "2:3"), ("auto", "1024x1024"), (None, "1024x1024")]
)
async def test_a_size_is_allowed_by_its_word_or_its_pixels(admission: Admission, size: str | None, taken: str) -> None:
    """`2:3` is 1024x1536 here, which both accounts list."""
    assert (await admission.admit(NARROW, replace(DRAFT, size=size, n=2))).request.size == taken


async def test_a_call_without_a_size_gets_one_that_is_allowed(admission: Admission) -> None:
    """The model's `auto` is not open to this key, so the first listed size that is open counts; written out, `auto` is refused."""
    only = replace(PRINCIPAL, limits=((AccountId("org:acme"), Limits(sizes=("1536x1024", "1024x1536"))),))
    draft = replace(DRAFT, model="gpt-image-2")
    assert (await admission.admit(only, draft)).request.pixels == Pixels(1536, 1024)
    with pytest.raises(UnsupportedSize):
        await admission.admit(only, replace(draft, size="auto"))


@pytest.mark.parametrize("header", ["X-Upstream-Prefer", "X-Upstream-Only"])
async def test_only_a_key_that_may_choose_upstreams_does(header: str) -> None:
    """403 that names the header; with leave, an upstream that is not on is a 400 that names it, and those that are on."""
    admission = Admission(lambda: CATALOG, TokenCounter(), ("evolink", "openai"))
    field = header.rpartition("-")[2].lower()

    def draft(*names: str) -> RequestDraft:
        return replace(DRAFT, choice=UpstreamChoice(**{field: names}))

    with pytest.raises(UpstreamChoiceNotAllowed, match=header) as refused:
        await admission.admit(PRINCIPAL, draft("openai"))
    assert (refused.value.param, refused.value.status, refused.value.type) == (header, 403, "permission_error")
    chooser = replace(PRINCIPAL, choose_upstream=True)
    with pytest.raises(InvalidRequest, match="no upstream 'azure' now; there are: evolink, openai") as unknown:
        await admission.admit(chooser, draft("openai", "azure"))
    assert unknown.value.param == header
    found = await admission.admit(chooser, draft("openai", "evolink"))
    assert getattr(found.choice, field) == ("openai", "evolink")
    assert (await admission.admit(PRINCIPAL, DRAFT)).choice == UpstreamChoice()


async def test_the_very_same_call_is_checked_once() -> None:
    """As long as caller and catalogue are the same ones: with another of either it is checked again."""
    asked: list[Catalog] = [CATALOG]
    admission, draft = Admission(lambda: asked[-1], TokenCounter()), replace(DRAFT)
    first = await admission.admit(PRINCIPAL, draft)
    assert await admission.admit(PRINCIPAL, draft) is first
    limited = replace(PRINCIPAL, models=("gpt-image-2",))
    with pytest.raises(ModelNotAllowed):
        await admission.admit(limited, draft)
    asked.append(Catalog({"gpt-image-2": IMAGE_2}))
    with pytest.raises(ModelNotFound):
        await admission.admit(PRINCIPAL, draft)
    asked.append(Catalog({"gpt-4o-image": replace(FOUR_O, n=(1,))}))
    again = await admission.admit(PRINCIPAL, draft)
    assert again is not first
    assert again.model.n == (1,)
