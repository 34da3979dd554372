"""The OpenAI adapter's own wire: what it sends, and the account of tokens it brings back."""

from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.domain.images import Background, ImageRequest, OutputFormat, Pixels, Quality
from gateway.upstreams.base import Generated, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted

RICH = ImageRequest(
    "a-model",
    "a fox",
    n=3,
    size="1024x1536",
    pixels=Pixels(1024, 1536),
    quality=Quality.HIGH,
    background=Background.TRANSPARENT,
    output_format=OutputFormat.WEBP,
    options=(("moderation", '"low"'), ("output_compression", "80"), ("style", '"vivid"'), ("user", '"u1"')),
)


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[OpenAIEmulator]:
    async with OpenAIEmulator(legacy=True) as emulator:
        yield emulator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def sent(
    vendor: OpenAIEmulator,
    threads: ThreadPoolExecutor,
    request: ImageRequest,
    model: str,
    *,
    params: tuple[tuple[str, str], ...] = (),
    **options: str,
) -> tuple[Mapping[str, object], Generated]:
    settings = UpstreamSettings("o", "openai", base_url=vendor.base_url + "/", api_key=vendor.api_key, options=options)
    adapter = build(settings, Resources(SystemClock(), threads))
    generated = await adapter.generate(a_call(request, offer=an_offer(model, params=params)), nothing_submitted)
    await adapter.close()
    return vendor.requests[-1].json or {}, generated


async def test_gpt_image_models_get_what_they_understand(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """All of OpenAI's parameters but the legacy ones, which these models answer with 400."""
    body, generated = await sent(vendor, threads, RICH, "gpt-image-2")
    assert body == {
        "model": "gpt-image-2",
        "prompt": "a fox",
        "n": 3,
        "size": "1024x1536",
        "quality": "high",
        "background": "transparent",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "user": "u1",
    }
    assert generated.usage is not None
    assert generated.usage.output_tokens > 0
    assert generated.cost_usd is None
    headers = vendor.requests[-1].headers
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == f"Bearer {vendor.api_key}"


async def test_defaults_are_not_sent(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """`auto` is the vendor's own default, so nothing is said about it."""
    body, _ = await sent(vendor, threads, ImageRequest("a-model", "a fox"), "gpt-image-2")
    assert body == {"model": "gpt-image-2", "prompt": "a fox", "n": 1}


async def test_offer_params_win(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """What the catalogue fixes replaces what the caller asked for; PNG takes no compression."""
    params = (("quality", "low"), ("output_format", "png"))
    body, _ = await sent(vendor, threads, RICH, "gpt-image-2", params=params)
    assert (body["quality"], body["output_format"]) == ("low", "png")
    assert "output_compression" not in body


async def test_other_models_are_asked_for_base64(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """Where response_format exists it saves a download; the option switches it."""
    request = ImageRequest("a-model", "a fox", size="1024x1024", pixels=Pixels(1024, 1024))
    body, _ = await sent(vendor, threads, request, "dall-e-2")
    assert body["response_format"] == "b64_json"
    body, _ = await sent(vendor, threads, request, "dall-e-2", response_format="url")
    assert body["response_format"] == "url"
    body, _ = await sent(vendor, threads, request, "dall-e-2", response_format="")
    assert "response_format" not in body


async def test_large_chunked_answers(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """An answer of several megabytes in pieces arrives whole."""
    vendor.picture_bytes = 2_000_000
    vendor.next(b.Drip(chunk_bytes=500_000, pause_s=0))
    _, generated = await sent(vendor, threads, ImageRequest("a-model", "a fox", n=2), "gpt-image-2")
    assert len(generated.images) == 2
