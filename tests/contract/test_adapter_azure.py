"""Azure's adapter against its emulator: both surfaces, the deployment's name in its place, the content filter's forms, and its account of tokens."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.domain.images import Background, ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Adapter, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.azure import API_VERSION, AzureEmulator
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted

RICH = ImageRequest(
    "a-model",
    "a fox",
    n=2,
    size="1024x1536",
    pixels=Pixels(1024, 1536),
    quality=Quality.LOW,
    background=Background.OPAQUE,
    output_format=OutputFormat.WEBP,
    options=(("output_compression", "80"), ("style", '"vivid"'), ("user", '"u1"')),
)
BODY = {
    "prompt": "a fox",
    "n": 2,
    "size": "1024x1536",
    "quality": "low",
    "background": "opaque",
    "output_format": "webp",
    "output_compression": 80,
    "user": "u1",
}
PATH = "/openai/deployments/pictures/images/generations?api-version="
V1_PATH = "/openai/v1/images/generations"
Opened = Callable[..., AbstractAsyncContextManager[Adapter]]


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[AzureEmulator]:
    async with AzureEmulator(deployments={"pictures": "gpt-image-2", "of tea/2": "gpt-image-1.5"}) as emulator:
        yield emulator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def opened(vendor: AzureEmulator, threads: ThreadPoolExecutor) -> Opened:
    @asynccontextmanager
    async def adapter_at(path: str = "", key: str | None = None, **options: str) -> AsyncIterator[Adapter]:
        settings = UpstreamSettings(
            "azure", "azure", base_url=vendor.base_url + path, api_key=key or vendor.api_key, options=options
        )
        adapter = build(settings, Resources(SystemClock(), threads))
        try:
            yield adapter
        finally:
            await adapter.close()

    return adapter_at


async def failed(adapter: Adapter, deployment: str = "pictures") -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(a_call(RICH, offer=an_offer(deployment)), nothing_submitted)
    return caught.value


@pytest.mark.parametrize(
    ("path", "options", "sent_to", "names_model"),
    [
        ("", {}, PATH + API_VERSION, False),
        ("/", {}, PATH + API_VERSION, False),
        ("/openai", {}, PATH + API_VERSION, False),
        ("/openai/deployments/other", {}, PATH + API_VERSION, False),
        ("/openai/deployments/other/images/generations", {}, PATH + API_VERSION, False),
        ("", {"api_version": "2026-01-01"}, PATH + "2026-01-01", False),
        ("/openai/v1", {"surface": "deployments"}, PATH + API_VERSION, False),
        ("/openai/v1", {}, V1_PATH, True),
        ("/openai/v1/", {}, V1_PATH, True),
        ("", {"surface": "v1"}, V1_PATH, True),
        ("/openai", {"surface": "v1"}, V1_PATH, True),
    ],
)
async def test_the_deployment_is_named_once(
    vendor: AzureEmulator,
    opened: Opened,
    path: str,
    options: dict[str, str],
    sent_to: str,
    names_model: bool,
) -> None:
    """In the path, or on the v1 surface as the model; the key is in `api-key`, the rest is OpenAI's for GPT image models, whatever the name."""
    async with opened(path, **options) as adapter:
        generated = await adapter.generate(a_call(RICH, offer=an_offer("pictures")), nothing_submitted)
    assert len(generated.images) == 2
    [received] = vendor.requests
    assert received.path == sent_to
    assert received.json == (BODY | {"model": "pictures"} if names_model else BODY)
    assert received.headers["api-key"] == vendor.api_key
    assert "authorization" not in received.headers
    assert generated.usage is not None
    assert generated.usage.output_tokens == 2 * 158  # OpenAI's formula: low, 1024x1536
    assert generated.cost_usd is None


async def test_a_deployment_of_any_name(vendor: AzureEmulator, opened: Opened) -> None:
    """Its name stays one part of the path."""
    async with opened() as adapter:
        request = ImageRequest("a-model", "a fox")
        assert (await adapter.generate(a_call(request, offer=an_offer("of tea/2")), nothing_submitted)).images
    assert "/of%20tea%2F2/" in vendor.requests[0].path


async def test_what_is_known_of_a_deployment(opened: Opened) -> None:
    """Sizes where it has the model's own name, OpenAI's parameters always."""
    async with opened() as adapter:
        assert adapter.capabilities("pictures").sizes is None
        assert adapter.capabilities("gpt-image-1.5").sizes is not None
        assert {"quality", "output_compression"} <= adapter.capabilities("pictures").params
        assert adapter.capabilities("pictures").output_formats == frozenset(OutputFormat)
    async with opened(params="quality") as adapter:
        assert adapter.capabilities("pictures").params == {"quality"}


@pytest.mark.parametrize("path", ["", "/openai/v1"])
@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        *((b.Refuse(form=form), Fault.REFUSED) for form in AzureEmulator.refusals),
        *((b.Overloaded(form=form), Fault.OVERLOADED) for form in AzureEmulator.overloads),
        (b.OutOfMoney(), Fault.NO_MONEY),
        (b.RateLimit(), Fault.RATE_LIMITED),
        (b.Error(status=404, code="DeploymentNotFound"), Fault.CREDENTIALS),
    ],
    ids=str,
)
async def test_each_form_of_failure(
    vendor: AzureEmulator, opened: Opened, path: str, behaviour: b.Behaviour, fault: Fault
) -> None:
    """Azure's words, those inside `inner_error` included, mean what they mean at OpenAI; nothing was billed."""
    vendor.next(behaviour)
    async with opened(path) as adapter:
        found = await failed(adapter)
    assert (found.fault, found.billed) == (fault, Billed.NO)
    assert vendor.billed_images == 0


@pytest.mark.parametrize(
    ("behaviour", "wait_s"),
    [
        (b.RateLimit(retry_after="7"), 7),
        (b.RateLimit(retry_after_ms=1500, retry_after="2"), 1.5),
        (b.RateLimit(retry_in="31"), 31),
        (b.RateLimit(), 60),
    ],
    ids=str,
)
async def test_how_long_to_wait(vendor: AzureEmulator, opened: Opened, behaviour: b.RateLimit, wait_s: float) -> None:
    """From the headers, else from the sentence that Azure always writes."""
    vendor.next(behaviour)
    async with opened() as adapter:
        assert (await failed(adapter)).retry_after_s == wait_s


@pytest.mark.parametrize("path", ["", "/openai/v1"])
async def test_what_the_operator_must_mend(vendor: AzureEmulator, opened: Opened, path: str) -> None:
    """A wrong key, and a deployment that does not exist."""
    async with opened(path, key="wrong") as adapter:
        assert (await failed(adapter)).fault is Fault.CREDENTIALS
    async with opened(path) as adapter:
        assert (await failed(adapter, "gpt-image-2")).fault is Fault.CREDENTIALS
    assert vendor.billed_images == 0


@pytest.mark.parametrize("path", ["", "/openai/v1"])
async def test_a_check_that_costs_nothing(vendor: AzureEmulator, opened: Opened, path: str) -> None:
    """The list of models, on the surface in use; a wrong key is found."""
    async with opened(path) as adapter:
        assert "models answered: the address is right, and the key is taken" in await adapter.check(
            time.monotonic() + 5
        )
    async with opened(path, key="wrong") as adapter:
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.check(time.monotonic() + 5)
    assert caught.value.fault is Fault.CREDENTIALS
    assert [received.at for received in vendor.requests] == ["models", "models"]
    assert vendor.billed_images == 0
