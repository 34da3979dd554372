"""Links in upstream answers: fetched from the upstream's own host, from nowhere else inside, and counted as lost when they are dead."""

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import orjson
import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.domain.tasks import Billed, Fault
from gateway.egress.guard import EgressPolicy
from gateway.upstreams import wire
from gateway.upstreams.base import Adapter, LinkedImage, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import decoded
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[OpenAIEmulator]:
    async with OpenAIEmulator(as_url=True) as emulator:
        yield emulator


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[OpenAIEmulator]:
    async with OpenAIEmulator(as_url=True) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FETCH_PAUSES_S", (0.0, 0.0))


async def generated_link(adapter: Adapter) -> LinkedImage:
    found = await adapter.generate(a_call(offer=an_offer("gpt-image-2")), nothing_submitted)
    [image] = found.images
    assert isinstance(image, LinkedImage)
    return image


def an_adapter(vendor: OpenAIEmulator, threads: ThreadPoolExecutor, egress: EgressPolicy | None = None) -> Adapter:
    settings = UpstreamSettings("openai", "openai", base_url=vendor.base_url, api_key=vendor.api_key)
    return build(settings, Resources(SystemClock(), threads, egress=egress or EgressPolicy()))


async def lost(adapter: Adapter, image: LinkedImage) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.fetch(image, time.monotonic() + 5)
    assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)
    return caught.value


async def test_another_host_is_refused(
    vendor: OpenAIEmulator, elsewhere: OpenAIEmulator, threads: ThreadPoolExecutor
) -> None:
    """An answer that points to another internal address does not make the gateway go there."""
    url = f"{elsewhere.origin}/files/secret.png"
    vendor.next(b.Error(status=200, body=orjson.dumps({"data": [{"url": url}]}).decode()))
    adapter = an_adapter(vendor, threads)
    failure = await lost(adapter, await generated_link(adapter))
    assert "secret" not in str(failure)
    assert elsewhere.requests == []
    await adapter.close()


async def test_an_allowed_host_is_fetched(
    vendor: OpenAIEmulator, elsewhere: OpenAIEmulator, threads: ThreadPoolExecutor
) -> None:
    """What the operator allows is reachable."""
    other = an_adapter(elsewhere, threads)
    image = await generated_link(other)
    port = urlsplit(elsewhere.origin).port or 0
    adapter = an_adapter(vendor, threads, EgressPolicy(allow=("127.0.0.1/32",), allow_http=True, ports=(port,)))
    assert decoded(await adapter.fetch(image, time.monotonic() + 5)) == ("png", (1024, 1536))
    await other.close()
    await adapter.close()


async def test_a_late_object_is_fetched_again(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """A download that fails twice and then works delivers; the picture is not generated again."""
    adapter = an_adapter(vendor, threads)
    image = await generated_link(adapter)
    vendor.next(b.Error(status=404), b.Reset(), at="download")
    assert decoded(await adapter.fetch(image, time.monotonic() + 5)) == ("png", (1024, 1536))
    assert vendor.billed_images == 1
    await adapter.close()


async def test_a_dead_link_is_lost(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """After three tries the result counts as lost, and as paid."""
    adapter = an_adapter(vendor, threads)
    image = await generated_link(adapter)
    vendor.always(b.Error(status=403), at="download")
    await lost(adapter, image)
    assert sum(received.at == "download" for received in vendor.requests) == 3
    await adapter.close()


async def test_waiting_for_the_budget_ends_at_the_deadline(vendor: OpenAIEmulator, threads: ThreadPoolExecutor) -> None:
    """A download that finds no room in the byte budget gives up in time and leaves the budget as it was."""
    resources = Resources(SystemClock(), threads)
    settings = UpstreamSettings("openai", "openai", base_url=vendor.base_url, api_key=vendor.api_key)
    adapter = build(settings, resources)
    image = await generated_link(adapter)
    async with resources.budget.lease(resources.budget.bytes_max):
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.fetch(image, time.monotonic() + 0.1)
        assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)
    assert resources.budget.used_bytes == 0
    await adapter.close()


async def test_too_large_a_file_is_not_read_twice(
    vendor: OpenAIEmulator, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file over the limit is given up at once."""
    monkeypatch.setattr(wire, "BODY_BYTES_MAX", 10_000)
    adapter = an_adapter(vendor, threads)
    image = await generated_link(adapter)
    vendor.picture_bytes = 50_000
    await lost(adapter, image)
    assert sum(received.at == "download" for received in vendor.requests) == 1
    await adapter.close()


async def test_too_large_an_answer_is_lost(
    vendor: OpenAIEmulator, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A success over the limit was paid for, but is not read into memory."""
    monkeypatch.setattr(wire, "BODY_BYTES_MAX", 100)
    adapter = an_adapter(vendor, threads)
    with pytest.raises(UpstreamFailure) as caught:
        await generated_link(adapter)
    assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)
    await adapter.close()
