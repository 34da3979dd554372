"""The Gemini adapter's own wire: ratios and steps, every form of a refusal and of an error, tokens, and quotes that cover the bill."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain.catalog import CostSource, Offer, PerImage, Price, TokenPrice
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, OutputFormat, Pixels, Quality, Usage
from gateway.domain.tasks import Billed, Fault
from gateway.routing.quote import cost_of_usage, cost_usd
from gateway.tokens.counter import TokenCounter
from gateway.upstreams.base import Adapter, Generated, InlineImage, LinkedImage, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.gemini_rules import BLOCK_REASONS, FINISH_REFUSALS, MODELS
from tests.unit.upstreams.calls import a_call, nothing_submitted

FLASH, NEWER, PRO = "gemini-2.5-flash-image", "gemini-3.1-flash-image", "gemini-3-pro-image"
REQUEST = ImageRequest("a-model", "a fox", size="1024x1536", pixels=Pixels(1024, 1536))
THOUGHTS = 120
Answer = Mapping[str, object]


def price_of(model: str, *, text_out_tokens_max: int = THOUGHTS) -> TokenPrice:
    """The emulator's own rates, as an operator would write them into the catalogue."""
    known = MODELS[model]
    return TokenPrice(
        known.text_in_usd,
        known.text_in_usd,
        known.image_out_usd,
        max(known.tokens.values()),
        image_out_tokens=tuple(known.tokens.items()),
        text_out=known.text_out_usd,
        text_out_tokens_max=text_out_tokens_max,
        own_tokenizer=True,
    )


def an_offer(
    model: str = FLASH,
    price: Price | None = None,
    *,
    params: tuple[tuple[str, str], ...] = (),
    extra: tuple[tuple[str, str], ...] = (),
) -> Offer:
    return Offer(f"g/{model}", "g", model, price or price_of(model), params=params, extra=extra)


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[GeminiEmulator]:
    async with GeminiEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def tokens() -> TokenCounter:
    return TokenCounter()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest_asyncio.fixture
async def made(threads: ThreadPoolExecutor) -> AsyncIterator[Callable[..., Adapter]]:
    """Makes adapters, and closes them."""
    adapters: list[Adapter] = []

    def make(vendor: GeminiEmulator, base_url: str = "", **options: str) -> Adapter:
        settings = UpstreamSettings(
            "g", "gemini", base_url=base_url or vendor.base_url, api_key=vendor.api_key, options=options
        )
        adapters.append(build(settings, Resources(SystemClock(), threads)))
        return adapters[-1]

    yield make
    for adapter in adapters:
        await adapter.close()


@pytest_asyncio.fixture
async def adapter(vendor: GeminiEmulator, made: Callable[..., Adapter]) -> Adapter:
    return made(vendor)


async def generate(adapter: Adapter, request: ImageRequest = REQUEST, offer: Offer | None = None) -> Generated:
    return await adapter.generate(a_call(request, offer=offer or an_offer()), nothing_submitted)


async def failure(adapter: Adapter, offer: Offer | None = None) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await generate(adapter, offer=offer)
    return caught.value


def answering(document: Answer) -> b.Error:
    return b.Error(status=200, body=orjson.dumps(document).decode())


async def test_what_is_sent(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """Prompt, ratio and seed, with the key in its header; nothing that Google does not know, whatever caller and offer say."""
    rich = replace(
        REQUEST,
        quality=Quality.HIGH,
        output_format=OutputFormat.PNG,
        options=(("seed", "4294967295"), ("user", '"u1"')),
    )
    await generate(adapter, rich, an_offer(params=(("quality", "low"),)))
    received = vendor.requests[0]
    assert received.path == f"/v1beta/models/{FLASH}:generateContent"
    assert received.headers["x-goog-api-key"] == vendor.api_key
    assert "authorization" not in received.headers
    assert received.json == {
        "contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "2:3"},
            "seed": 2**31 - 1,
        },
    }


async def test_the_operators_fields_go_beside_ours(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """An offer's own fields are laid over the body object by object."""
    extra = (("generationConfig", '{"temperature": 0.5, "imageConfig": {"imageSize": "4K"}}'), ("safetySettings", "[]"))
    await generate(adapter, REQUEST, an_offer(NEWER, extra=extra))
    body = vendor.requests[0].json or {}
    assert body["safetySettings"] == []
    config = {"temperature": 0.5, "imageConfig": {"aspectRatio": "2:3", "imageSize": "4K"}}
    assert body["generationConfig"] == {"responseModalities": ["IMAGE"], **config}


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        (FLASH, "auto", None),
        (FLASH, "1024x1024", {"aspectRatio": "1:1"}),
        (FLASH, "1792x1024", {"aspectRatio": "16:9"}),
        (NEWER, "512x512", {"aspectRatio": "1:1", "imageSize": "512"}),
        (NEWER, "1536x1024", {"aspectRatio": "3:2", "imageSize": "1K"}),
        (NEWER, "2048x2048", {"aspectRatio": "1:1", "imageSize": "2K"}),
        (NEWER, "512x4096", {"aspectRatio": "1:8", "imageSize": "1K"}),
        (PRO, "512x512", {"aspectRatio": "1:1", "imageSize": "1K"}),
        (PRO, "3840x2160", {"aspectRatio": "16:9", "imageSize": "2K"}),
        (PRO, "4096x4096", {"aspectRatio": "1:1", "imageSize": "4K"}),
    ],
)
async def test_sizes(
    vendor: GeminiEmulator, adapter: Adapter, model: str, size: str, sent: Mapping[str, str] | None
) -> None:
    """The nearest ratio, and the nearest step where the model has several; nothing for auto."""
    pixels = None if size == "auto" else Pixels(*map(int, size.split("x")))
    await generate(adapter, replace(REQUEST, size=size, pixels=pixels), an_offer(model))
    config = (vendor.requests[0].json or {})["generationConfig"]
    assert isinstance(config, dict)
    assert config.get("imageConfig") == sent


def test_what_models_can_do(vendor: GeminiEmulator, made: Callable[..., Adapter]) -> None:
    """Steps and extreme ratios are the newer models'; an unknown model is taken for the least."""
    adapter = made(vendor, base_url="http://127.0.0.1:9")

    def fits(model: str, width: int, height: int) -> bool:
        sizes = adapter.capabilities(model).sizes
        assert sizes is not None
        return sizes.fit(f"{width}x{height}", Pixels(width, height)) is not None

    for model in (FLASH, "gemini-9-image"):
        assert not fits(model, 2048, 2048)
        assert not fits(model, 512, 2048)
        assert fits(model, 1536, 672)
    for model in (NEWER, PRO, "models/gemini-3-pro-image", "gemini-3-pro-image-preview"):
        assert fits(model, 4096, 4096)
        assert fits(model, 512, 2048)
    able = adapter.capabilities(PRO)
    assert (able.n, able.params, able.mask, able.cost) == ((1,), frozenset({"seed"}), None, CostSource.TOKENS)
    assert (able.references_max, adapter.capabilities(FLASH).references_max) == (14, 3)


async def test_versions_and_addresses(vendor: GeminiEmulator, made: Callable[..., Adapter]) -> None:
    """The version is an option; an address pasted with one works the same, and so does Google's full name of a model."""
    for base_url, version in (("", "v1"), ("/v1beta/", "v1beta"), ("/v1", "v1"), ("/", "v1beta")):
        adapter = made(vendor, vendor.base_url + base_url, api_version=version)
        await generate(adapter, offer=an_offer(f"models/{FLASH}", price_of(FLASH)))
        assert vendor.requests[-1].path == f"/{version}/models/{FLASH}:generateContent"
        assert await adapter.check(a_call().deadline_s) == (
            f"GET /{version}/models answered: the address is right, and the key is taken"
        )
    with pytest.raises(ValueError, match=r"upstreams\.g\.api_version"):
        made(vendor, api_version="../v1")


async def test_a_wrong_key_is_found_for_nothing(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """Google says 400 to it."""
    vendor.api_key = "another"
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.check(a_call().deadline_s)
    assert (caught.value.fault, caught.value.billed) == (Fault.CREDENTIALS, Billed.NO)
    assert vendor.bills == []


@pytest.mark.parametrize("form", GeminiEmulator.refusals)
async def test_refusals(vendor: GeminiEmulator, adapter: Adapter, form: str) -> None:
    """An answer of 200 that withholds the picture, in every form; it costs the tokens of its prompt, and says so."""
    vendor.next(b.Refuse(form=form))
    found = await failure(adapter)
    assert (found.fault, found.billed) == (Fault.REFUSED, Billed.YES)
    assert found.cost_usd == 2 * Decimal("0.3") / 1_000_000
    assert (form.rpartition(":")[2] or "IMAGE_SAFETY") in found.message


async def test_refusals_of_a_price_by_picture(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """Where the catalogue has no price of a token, a prompt alone is not booked as a picture."""
    vendor.next(b.Refuse())
    found = await failure(adapter, an_offer(price=PerImage(Decimal("0.039"))))
    assert (found.fault, found.billed, found.cost_usd) == (Fault.REFUSED, Billed.NO, None)


NOTHING = {"promptTokenCount": 4, "totalTokenCount": 4}
DRAWN = {"promptTokenCount": 4, "candidatesTokenCount": 1290, "totalTokenCount": 1294}
ONLY_TEXT = {"content": {"parts": [{"text": "I would rather not."}]}, "finishReason": "STOP"}


@pytest.mark.parametrize(
    "candidate",
    [
        *({"finishReason": reason} for reason in ("IMAGE_OTHER", "NO_IMAGE", "OTHER", "MAX_TOKENS", "SOMETHING_NEW")),
        {"finishReason": "MALFORMED_FUNCTION_CALL", "content": {}},
        ONLY_TEXT,
        {"content": {"parts": [{"thought": True, "inlineData": {"data": "aGk=", "mimeType": "image/png"}}]}},
        {"content": {"parts": [{"inlineData": {"data": "", "mimeType": "image/png"}}, {"inlineData": 5}, None, 7]}},
        {"content": {"parts": "none"}, "finishReason": 5},
        {},
        None,
    ],
)
@pytest.mark.parametrize(
    ("usage", "billed", "cost"),
    [
        (None, Billed.NO, None),
        ({}, Billed.NO, None),
        (NOTHING, Billed.YES, 4 * Decimal("0.3")),
        (DRAWN, Billed.YES, 4 * Decimal("0.3") + 1290 * 30),
        ({**NOTHING, "thoughtsTokenCount": 10}, Billed.YES, 4 * Decimal("0.3") + 25),
    ],
)
async def test_no_picture(
    vendor: GeminiEmulator,
    adapter: Adapter,
    candidate: Answer | None,
    usage: Answer | None,
    billed: Billed,
    cost: Decimal | None,
) -> None:
    """Another upstream may have one: NO_IMAGE, billed as far as the answer counts tokens."""
    vendor.next(answering({"candidates": [candidate], "usageMetadata": usage}))
    found = await failure(adapter)
    assert (found.fault, found.billed) == (Fault.NO_IMAGE, billed)
    assert found.cost_usd == (None if cost is None else cost / 1_000_000)


async def test_the_emulators_bill_of_no_picture(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """What is booked for an answer of text alone is what the vendor bills."""
    vendor.next(b.Fewer(images=0))
    found = await failure(adapter)
    assert (found.fault, found.billed, found.cost_usd) == (Fault.NO_IMAGE, Billed.YES, vendor.billed_usd)


async def test_a_refusal_that_drew(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """Withheld after it was drawn: the tokens are paid, with any price."""
    vendor.always(answering({"candidates": [{"finishReason": "IMAGE_SAFETY"}], "usageMetadata": DRAWN}))
    found = await failure(adapter)
    assert (found.fault, found.billed) == (Fault.REFUSED, Billed.YES)
    assert found.cost_usd == (1290 * 30 + 4 * Decimal("0.3")) / 1_000_000
    found = await failure(adapter, an_offer(price=PerImage(Decimal("0.039"))))
    assert (found.billed, found.cost_usd) == (Billed.YES, None)


async def test_an_error_in_a_200(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """Classified as if it had its status."""
    vendor.next(answering({"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "Enable billing."}}))
    found = await failure(adapter)
    assert (found.fault, found.billed) == (Fault.NO_MONEY, Billed.NO)


async def test_thoughts_are_no_pictures() -> None:
    """A sketch on the way is skipped, wherever it stands; the result counts."""
    with ThreadPoolExecutor(1) as threads:
        async with GeminiEmulator() as vendor:
            settings = UpstreamSettings("g", "gemini", base_url=vendor.base_url, api_key=vendor.api_key)
            adapter = build(settings, Resources(SystemClock(), threads))
            sketch = {"thought": True, "inlineData": {"data": "c2tldGNo", "mimeType": "image/png"}}
            result = {"inlineData": {"data": "cmVzdWx0", "mimeType": "image/png"}, "thoughtSignature": "x"}
            parts = [sketch, {"text": "Here.", "thought": True}, {"text": "Here."}, result, {**result}]
            vendor.next(answering({"candidates": [None, {"content": {"parts": parts}, "finishReason": "STOP"}]}))
            assert await generate(adapter) == Generated((InlineImage(b"cmVzdWx0"),))
            await adapter.close()


@pytest.mark.parametrize(
    ("behaviour", "fault", "wait_s"),
    [
        (b.RateLimit(retry_in="1.17"), Fault.RATE_LIMITED, 1.17),
        (b.RateLimit(), Fault.RATE_LIMITED, None),
        (b.Overloaded(), Fault.OVERLOADED, None),
        (b.Overloaded(form="MODEL_CAPACITY_EXHAUSTED"), Fault.OVERLOADED, None),
        *((b.OutOfMoney(code=code), Fault.NO_MONEY, None) for code in GeminiEmulator.shortages),
        (b.Error(status=400, code="FAILED_PRECONDITION", message="User location is not supported."), Fault.CREDENTIALS, None),
        (b.Error(status=403, code=None), Fault.CREDENTIALS, None),
        (b.Error(status=404, code=None), Fault.CREDENTIALS, None),
        (b.Error(status=500), Fault.FAILED, None),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)  # fmt: skip
@pytest.mark.parametrize("listed", [False, True])
async def test_errors(
    made: Callable[..., Adapter], listed: bool, behaviour: b.Behaviour, fault: Fault, wait_s: float | None
) -> None:
    """Every form of the vendor's errors, plain and wrapped in a list; none of them is billed."""
    async with GeminiEmulator(listed_errors=listed) as vendor:
        vendor.next(behaviour)
        found = await failure(made(vendor))
        assert (found.fault, found.billed, found.retry_after_s) == (fault, Billed.NO, wait_s)
        assert vendor.bills == []


async def test_its_own_deadline_leaves_the_outcome_open(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """504 DEADLINE_EXCEEDED: it may have drawn."""
    vendor.next(b.Error(status=504, code="DEADLINE_EXCEEDED"))
    found = await failure(adapter)
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)


def details(**tokens: int) -> list[object]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in tokens.items()]


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 1290, "candidatesTokensDetails": details(image=1290)}, Usage(5, 0, 1290)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 1290}, Usage(5, 0, 1290)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 1400, "candidatesTokensDetails": details(image=1290)}, Usage(5, 0, 1400, 110)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 1300, "thoughtsTokenCount": 7, "candidatesTokensDetails": details(text=10, image=1290)},
            Usage(5, 0, 1307, 17),
        ),
        (
            {"promptTokenCount": 263, "candidatesTokenCount": 1290, "promptTokensDetails": details(text=5, image=258)},
            Usage(5, 258, 1290),
        ),
        ({"promptTokenCount": 5, "totalTokenCount": 1302, "thoughtsTokenCount": 7}, Usage(5, 0, 1297, 7)),
        ({"promptTokenCount": 5, "candidatesTokenCount": "many", "totalTokenCount": 1295}, Usage(5, 0, 1290)),
        ({"promptTokenCount": 5, "candidatesTokensDetails": 3, "promptTokensDetails": [None, 4], "candidatesTokenCount": 9}, Usage(5, 0, 9)),
        ({"candidatesTokenCount": 1290}, None),
        ({}, None),
        (7, None),
    ],
)  # fmt: skip
async def test_tokens(vendor: GeminiEmulator, adapter: Adapter, metadata: object, usage: Usage | None) -> None:
    """Text and picture, in and out, thoughts as text; what is odd counts as absent, and no picture is lost for it."""
    picture = {"content": {"parts": [{"inlineData": {"data": "aGk="}}]}}
    vendor.next(answering({"candidates": [picture], "usageMetadata": metadata}))
    assert (await generate(adapter)).usage == usage


LONG = "the internationalisation " * 300


@pytest.mark.parametrize(
    ("model", "prompt", "size"),
    [
        *(
            (model, prompt, "1024x1024")
            for model in MODELS
            for prompt in ("cat", LONG, " " * 4_000 + "x", "狐狸" * 200)
        ),
        *((model, "🦊", "auto") for model in MODELS),
        (NEWER, "cat", "512x512"),
        (NEWER, "cat", "2048x2048"),
        (PRO, "cat", "4096x4096"),
    ],
    ids=lambda value: value[:12].strip(),
)
async def test_the_quote_covers_the_bill(
    made: Callable[..., Adapter], tokens: TokenCounter, model: str, prompt: str, size: str
) -> None:
    """Prompts that Google counts in its own way, and thoughts: never billed more than is held for, and booked as it is billed."""
    async with GeminiEmulator(thoughts=THOUGHTS) as vendor:
        adapter, offer = made(vendor), an_offer(model)
        pixels = None if size == "auto" else Pixels(*map(int, size.split("x")))
        request = replace(REQUEST, prompt=prompt, size=size, pixels=pixels, prompt_tokens=tokens.count(prompt))
        sizes = adapter.capabilities(model).sizes
        quote = cost_usd(offer.price, request, pixels=pixels, n=1, calls=1, sizes=sizes)
        assert quote is not None
        generated = await generate(adapter, request, offer)
        assert generated.usage is not None
        assert cost_of_usage(offer.price, generated.usage) == vendor.billed_usd
        assert vendor.billed_usd * 1_000_000 <= quote.most_microusd
        assert generated.usage.output_text_tokens == THOUGHTS


async def test_there_are_no_links(adapter: Adapter) -> None:
    """Pictures stand in the answer."""
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.fetch(LinkedImage("https://example.com/a.png"), a_call().deadline_s)
    assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)


async def test_large_answers(vendor: GeminiEmulator, adapter: Adapter) -> None:
    """A picture of several megabytes in pieces arrives whole, read beside the loop."""
    vendor.picture_bytes = 3_000_000
    vendor.next(b.Drip(chunk_bytes=500_000, pause_s=0))
    generated = await generate(adapter)
    image = generated.images[0]
    assert isinstance(image, InlineImage)
    assert len(image.base64) > 3_000_000


def test_every_form_is_known() -> None:
    """The emulator's refusals are all that the vendor documents."""
    assert set(GeminiEmulator.refusals) == {"", *FINISH_REFUSALS, *(f"blockReason:{one}" for one in BLOCK_REASONS)}
