"""The sandbox: real files, the same ones every time, and failures on order."""

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from gateway.domain.clock import SystemClock
from gateway.domain.ids import AttemptId
from gateway.domain.images import Background, ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import RawImage, Stop, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.drawing import Drawing, draw
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(2) as threads:
        yield Resources(SystemClock(), threads)


async def made(resources: Resources, call: UpstreamCall, **options: str) -> list[bytes]:
    adapter = build(UpstreamSettings("sandbox", "sandbox", options=options), resources)
    found = await adapter.generate(call, nothing_submitted)
    assert found.usage is None
    assert found.cost_usd is None
    assert all(isinstance(image, RawImage) for image in found.images)
    return [image.data for image in found.images if isinstance(image, RawImage)]


@pytest.mark.parametrize("output_format", [None, *OutputFormat])
@pytest.mark.parametrize("pixels", [Pixels(1536, 1024), Pixels(256, 256), Pixels(64, 48)])
async def test_format_and_size(resources: Resources, output_format: OutputFormat | None, pixels: Pixels) -> None:
    """The file has the format and the exact size asked for; PNG without a wish."""
    request = ImageRequest("m", "a fox", size=str(pixels), pixels=pixels, output_format=output_format)
    [data] = await made(resources, a_call(request))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.size == (pixels.width, pixels.height)
        assert image.format == (output_format or OutputFormat.PNG).upper()


async def test_auto_is_square(resources: Resources) -> None:
    """Without a size the picture is 1024x1024."""
    [data] = await made(resources, a_call(ImageRequest("m", "a fox")))
    assert Image.open(io.BytesIO(data)).size == (1024, 1024)


async def test_same_input_same_picture(resources: Resources) -> None:
    """Prompt, index and size decide; another prompt, index or size is another picture."""
    pixels = Pixels(128, 128)
    request = ImageRequest("m", "a fox", n=10, size="128x128", pixels=pixels)
    first, second = await made(resources, a_call(request)), await made(resources, a_call(request))
    assert first == second
    assert len(set(first)) == 10
    [other] = await made(resources, a_call(ImageRequest("m", "a dog", size="128x128", pixels=pixels)))
    assert other not in first


@pytest.mark.parametrize("output_format", [OutputFormat.PNG, OutputFormat.WEBP])
async def test_transparent_background(resources: Resources, output_format: OutputFormat) -> None:
    """PNG and WebP can be transparent: the corner that nothing is drawn on is."""
    request = ImageRequest("m", "x", background=Background.TRANSPARENT, output_format=output_format)
    [data] = await made(resources, a_call(request))
    with Image.open(io.BytesIO(data)) as image:
        low, high = image.convert("RGBA").getchannel("A").getextrema()
        assert (low, high) == (0, 255)


async def test_offer_params_win(resources: Resources) -> None:
    """Fixed parameters of the offer replace the caller's."""
    offer = an_offer(params=(("output_format", "jpeg"), ("output_compression", "10")))
    request = ImageRequest("m", "x", output_format=OutputFormat.WEBP)
    [data] = await made(resources, a_call(request, offer=offer))
    assert Image.open(io.BytesIO(data)).format == "JPEG"


def test_compression_and_quality_matter() -> None:
    """Stronger compression gives a smaller file; a higher quality gives more detail."""
    pixels = Pixels(512, 512)
    small, large = (draw(Drawing("x", 0, pixels, OutputFormat.JPEG, compression=percent)) for percent in (5, 90))
    assert len(small) < len(large)
    low, high = (
        draw(Drawing("x", 0, pixels, OutputFormat.PNG, quality=quality)) for quality in (Quality.LOW, Quality.HIGH)
    )
    assert len(low) < len(high)


@pytest.mark.parametrize("prompt", ["", "\n\n", "你好，世界" * 300, "\u202e\u0000\U0001f98a", "x" * 5_000])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    """Empty, long, foreign and odd prompts draw without an error."""
    assert draw(Drawing(prompt, 0, Pixels(256, 64), OutputFormat.PNG)).startswith(b"\x89PNG")


async def test_failure_rate(resources: Resources) -> None:
    """The share fails that was asked for, unbilled; the same attempt fails again, so tests can rely on it."""
    request = ImageRequest("m", "x", size="16x16", pixels=Pixels(16, 16))
    failures = set()
    for round_ in range(2):
        for number in range(60):
            try:
                await made(resources, a_call(request, attempt_id=AttemptId(f"att_{number:026}")), failure_rate="0.3")
            except UpstreamFailure as exc:
                failures.add((round_, number, exc.fault, exc.billed))
    first = {(number, fault, billed) for round_, number, fault, billed in failures if round_ == 0}
    second = {(number, fault, billed) for round_, number, fault, billed in failures if round_ == 1}
    assert first == second
    assert 8 <= len(first) <= 28
    assert {(fault, billed) for _, fault, billed in first} == {(Fault.FAILED, Billed.NO)}


async def test_latency_beyond_the_deadline(resources: Resources) -> None:
    """A deadline that has passed fails at once and costs nothing."""
    with pytest.raises(UpstreamFailure) as caught:
        await made(resources, a_call(seconds=0.0), latency="30s")
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.NO)


async def test_too_large(resources: Resources) -> None:
    """More pixels than any model makes are a bad request, not a gigabyte of memory."""
    request = ImageRequest("m", "x", size="9000x9000", pixels=Pixels(9000, 9000))
    with pytest.raises(UpstreamFailure) as caught:
        await made(resources, a_call(request))
    assert (caught.value.fault, caught.value.billed, caught.value.param) == (Fault.BAD_REQUEST, Billed.NO, "size")


async def test_cancelled_while_it_waits(resources: Resources) -> None:
    """At once and unbilled, whenever it is told: before the call comes, while it waits, twice; another call goes on, and so does what is drawn."""
    adapter = build(UpstreamSettings("sandbox", "sandbox", options={"latency": "20s"}), resources)
    assert adapter.capabilities("m").can_cancel
    before, during, late = (a_call(attempt_id=AttemptId(f"att_{number}")) for number in range(3))
    assert await adapter.cancel(before) is Stop.ASKED

    async def cancelled(call: UpstreamCall) -> tuple[Fault, Billed]:
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.generate(call, nothing_submitted)
        return caught.value.fault, caught.value.billed

    async def cancel() -> None:
        assert [await adapter.cancel(during), await adapter.cancel(during)] == [Stop.ASKED, Stop.ASKED]

    assert await cancelled(before) == (Fault.CANCELLED, Billed.NO)
    async with asyncio.timeout(30):
        found, _ = await asyncio.gather(cancelled(during), cancel())
    assert found == (Fault.CANCELLED, Billed.NO)

    quick = build(UpstreamSettings("sandbox", "sandbox"), resources)
    drawn = asyncio.ensure_future(quick.generate(late, nothing_submitted))
    await asyncio.sleep(0)
    assert await quick.cancel(late) is Stop.TOO_LATE
    assert len((await drawn).images) == 1
