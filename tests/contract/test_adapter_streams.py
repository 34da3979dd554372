"""Upstreams that stream: partial pictures are told as they come, the last event is the answer, and whatever ends a stream early has a verdict."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import openai
import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Operation, PartialImage, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Adapter, Generated, InlineImage, Inputs, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.azure import AzureEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import decoded, picture
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted
from tests.unit.upstreams.given import given

SUBJECTS: dict[str, tuple[str, Callable[[], OpenAIEmulator], str]] = {
    "openai": ("openai", OpenAIEmulator, "gpt-image-2"),
    "azure": ("azure", AzureEmulator, "pictures"),
}
REQUEST = ImageRequest("m", "a fox", size="1024x1024", pixels=Pixels(1024, 1024), quality=Quality.LOW, partial_images=2)


@dataclass
class Bench:
    vendor: OpenAIEmulator
    adapter: Adapter
    model: str
    heard: list[PartialImage] = field(default_factory=list)

    async def generate(
        self,
        request: ImageRequest = REQUEST,
        inputs: Inputs | None = None,
        *,
        seconds: float = 20.0,
        listens: bool = True,
    ) -> Generated:
        call = a_call(request, offer=an_offer(self.model), seconds=seconds)
        call = replace(call, inputs=inputs or call.inputs, on_partial=self.heard.append if listens else None)
        return await self.adapter.generate(call, nothing_submitted)

    async def failure(self, *, seconds: float = 20.0) -> tuple[Fault, Billed]:
        with pytest.raises(UpstreamFailure) as caught:
            await self.generate(seconds=seconds)
        return caught.value.fault, caught.value.billed


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(2) as threads:
        yield Resources(SystemClock(), threads)


@pytest_asyncio.fixture(params=list(SUBJECTS))
async def bench(request: pytest.FixtureRequest, resources: Resources) -> AsyncIterator[Bench]:
    kind, make, model = SUBJECTS[request.param]
    async with make() as vendor:
        adapter = build(UpstreamSettings("u", kind, base_url=vendor.base_url, api_key=vendor.api_key), resources)
        yield Bench(vendor, adapter, model)
        await adapter.close()
        assert resources.budget.used_bytes == 0


def picture_of(generated: Generated) -> bytes:
    [image] = generated.images
    assert isinstance(image, InlineImage)
    return base64.b64decode(image.base64, validate=True)


@pytest.mark.parametrize("picture_bytes", [0, 3_000_000])
async def test_partial_pictures_and_the_answer(bench: Bench, picture_bytes: int) -> None:
    """All partial pictures in order, then the picture with its usage: partial ones are 100 tokens each, and billed as quoted."""
    bench.vendor.picture_bytes = picture_bytes
    found = await bench.generate()
    assert decoded(picture_of(found)) == ("png", (1024, 1024))
    assert [partial.index for partial in bench.heard] == [0, 1]
    assert all(decoded(base64.b64decode(partial.base64))[1] == (1024, 1024) for partial in bench.heard)
    assert found.usage is not None
    assert found.usage.output_tokens == 196 + 200
    assert bench.vendor.billed_images == 1


async def test_edits_stream(bench: Bench) -> None:
    """The same of a form."""
    one = picture((64, 48), "png", "one")
    request = replace(REQUEST, operation=Operation.EDIT)
    found = await bench.generate(request, Inputs((given(one),)))
    assert decoded(picture_of(found)) == ("png", (1024, 1024))
    assert [partial.index for partial in bench.heard] == [0, 1]
    assert bench.vendor.requests[0].images == [one]


async def test_partial_pictures_come_before_the_end(bench: Bench) -> None:
    """They are told while the answer is still on its way."""
    bench.vendor.picture_bytes = 200_000
    bench.vendor.next(b.Drip(chunk_bytes=100_000, pause_s=0.05))
    running = asyncio.ensure_future(bench.generate())
    while not bench.heard:
        await asyncio.sleep(0.005)
        assert not running.done()
    await running


@pytest.mark.parametrize(
    ("behaviour", "verdict", "heard"),
    [
        (b.Truncated(), (Fault.NO_ANSWER, Billed.UNKNOWN), 1),
        (b.Refuse(form="stream"), (Fault.REFUSED, Billed.NO), 1),
        (b.Overloaded(form="stream"), (Fault.OVERLOADED, Billed.UNKNOWN), 1),
        (b.Refuse(), (Fault.REFUSED, Billed.NO), 0),
        (b.Overloaded(), (Fault.OVERLOADED, Billed.NO), 0),
        (b.RateLimit(), (Fault.RATE_LIMITED, Billed.NO), 0),
        (b.Reset(bills=True), (Fault.NO_ANSWER, Billed.UNKNOWN), 0),
        (b.MalformedJson(), (Fault.NO_ANSWER, Billed.UNKNOWN), 2),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
async def test_streams_that_end_early(
    bench: Bench, behaviour: b.Behaviour, verdict: tuple[Fault, Billed], heard: int
) -> None:
    """Broken off after a partial picture nobody knows what it cost; an error event is classified like any other; before it, as ever."""
    bench.vendor.next(behaviour)
    assert await bench.failure() == verdict
    assert len(bench.heard) == heard


async def test_a_stream_that_stalls(bench: Bench) -> None:
    """The deadline ends it, too."""
    bench.vendor.picture_bytes = 500_000
    bench.vendor.next(b.Drip(chunk_bytes=50_000, pause_s=0.2))
    assert await bench.failure(seconds=0.5) == (Fault.NO_ANSWER, Billed.UNKNOWN)


async def test_who_is_asked_for_whole_answers(bench: Bench) -> None:
    """Where nobody listens, and for several pictures at once: no event says which of them it is of."""
    await bench.generate(listens=False)
    await bench.generate(replace(REQUEST, n=2))
    assert bench.heard == []
    assert [("stream" in (one.json or {})) for one in bench.vendor.requests] == [False, False]


async def test_a_gateway_that_ignores_the_wish(resources: Resources) -> None:
    """A whole answer is fine."""
    async with OpenAIEmulator(streams=False) as vendor:
        settings = UpstreamSettings(
            "u", "openai", base_url=vendor.base_url, api_key=vendor.api_key, options={"profile": "litellm"}
        )
        bench = Bench(vendor, build(settings, resources), "gpt-image-2")
        assert decoded(picture_of(await bench.generate())) == ("png", (1024, 1024))
        assert bench.heard == []
        await bench.adapter.close()


async def test_openais_own_client_streams_here() -> None:
    """The emulator's events are to the SDK what OpenAI's are, errors in the middle included."""
    async with (
        OpenAIEmulator() as vendor,
        openai.AsyncOpenAI(
            base_url=vendor.base_url, api_key=vendor.api_key, max_retries=0, _strict_response_validation=True
        ) as client,
    ):

        async def kinds() -> list[str]:
            stream = await client.images.generate(
                model="gpt-image-2", prompt="tea", stream=True, partial_images=2, size="1024x1024"
            )
            return [event.type async for event in stream]

        assert await kinds() == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
        edited = await client.images.edit(
            model="gpt-image-2", prompt="tea", image=picture((64, 48), "png", "one"), stream=True
        )
        assert [event.type async for event in edited] == ["image_edit.completed"]
        vendor.next(b.Refuse(form="stream"))
        with pytest.raises(openai.APIError) as caught:
            await kinds()
        assert caught.value.code == "moderation_blocked"
