"""The A1111 adapter's own wire: Basic auth, sides, counts, the checkpoint, grids, its errors, and a price of nothing."""

import base64
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from gateway.domain.catalog import PerImage, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Adapter, Generated, InlineImage, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.a1111 import CHECKPOINT, USER, A1111Emulator
from tests.emulators.pictures import decoded
from tests.unit.config_files import read
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted

REQUEST = ImageRequest("sdxl", "a fox", n=2, size="1024x1536", pixels=Pixels(1024, 1536))


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(1) as threads:
        yield Resources(SystemClock(), threads)


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[A1111Emulator]:
    async with A1111Emulator() as emulator:
        yield emulator


@pytest_asyncio.fixture
async def adapter(vendor: A1111Emulator, resources: Resources) -> AsyncIterator[Adapter]:
    adapter = build(UpstreamSettings("a", "a1111", base_url=vendor.base_url, api_key=USER), resources)
    yield adapter
    await adapter.close()


def a_job(request: ImageRequest = REQUEST, /, *, checkpoint: str = CHECKPOINT, **extra: str) -> UpstreamCall:
    return a_call(request, offer=replace(an_offer(checkpoint), extra=tuple(extra.items())))


async def made(adapter: Adapter, call: UpstreamCall) -> list[tuple[str, tuple[int, int]] | None]:
    """Format and size of each picture."""
    answer = await adapter.generate(call, nothing_submitted)
    return [decoded(base64.b64decode(image.base64)) for image in answer.images if isinstance(image, InlineImage)]


async def test_the_request(vendor: A1111Emulator, adapter: Adapter) -> None:
    """One synchronous call with the checkpoint and the operator's fields; the key goes as Basic."""
    call = a_job(steps="20", sampler_name='"Euler a"', seed="42", cfg_scale="5.5")
    assert await made(adapter, call) == [("png", (1024, 1536))] * 2
    assert vendor.requests[0].json == {
        "prompt": "a fox",
        "width": 1024,
        "height": 1536,
        "batch_size": 2,
        "send_images": True,
        "save_images": False,
        "steps": 20,
        "sampler_name": "Euler a",
        "seed": 42,
        "cfg_scale": 5.5,
        "override_settings": {"sd_model_checkpoint": CHECKPOINT},
    }
    assert vendor.requests[0].headers["authorization"] == f"Basic {base64.b64encode(USER.encode()).decode()}"
    assert (len(vendor.requests), vendor.billed_images, vendor.billed_usd) == (1, 2, Decimal(0))


@pytest.mark.parametrize(
    ("model", "own", "sent"),
    [
        ("default", None, None),
        ("default", {"CLIP_stop_at_last_layers": 2}, {"CLIP_stop_at_last_layers": 2}),
        ("x.safetensors", None, {"sd_model_checkpoint": "x.safetensors"}),
        ("x.safetensors", {"sd_vae": "v"}, {"sd_model_checkpoint": "x.safetensors", "sd_vae": "v"}),
    ],
)
async def test_the_checkpoint(
    vendor: A1111Emulator, adapter: Adapter, model: str, own: dict[str, object] | None, sent: object
) -> None:
    """`default` leaves the loaded one; other settings join it."""
    offer = an_offer(model)
    if own is not None:
        offer = replace(offer, extra=(("override_settings", orjson.dumps(own).decode()),))
    await made(adapter, a_call(REQUEST, offer=offer))
    assert (vendor.requests[0].json or {}).get("override_settings") == sent


@pytest.mark.parametrize(
    ("size", "pixels", "made_of_it"),
    [
        ("auto", None, (512, 512)),
        ("1024x1024", Pixels(1024, 1024), (1024, 1024)),
        ("1000x1500", Pixels(1000, 1500), (1000, 1504)),
        ("1:1", Pixels(1020, 1020), (1024, 1024)),
    ],
)
async def test_sizes(adapter: Adapter, size: str, pixels: Pixels | None, made_of_it: tuple[int, int]) -> None:
    """Sides are rounded to multiples of eight, as routing priced them."""
    request = replace(REQUEST, n=1, size=size, pixels=pixels)
    assert await made(adapter, a_job(request)) == [("png", made_of_it)]
    sizes = adapter.capabilities(CHECKPOINT).sizes
    assert sizes is not None
    fit = sizes.fit(size, pixels) if pixels else None
    assert fit is None or (fit.pixels.width, fit.pixels.height) == made_of_it


async def test_what_it_can_do(adapter: Adapter) -> None:
    """Up to eight pictures at once; a lost one cannot be found again; nothing above its page's largest side."""
    found = adapter.capabilities(CHECKPOINT)
    assert (found.n, found.recovery, found.params) == (tuple(range(1, 9)), Recovery.NONE, frozenset())
    assert found.sizes is not None
    assert found.sizes.fit("2056x1024", Pixels(2056, 1024)) is None


async def test_a_grid_is_no_picture(vendor: A1111Emulator, adapter: Adapter) -> None:
    """A server that saves pictures puts a grid of all before them."""
    assert await made(adapter, a_job(save_images="true")) == [("png", (1024, 1536))] * 2
    assert vendor.billed_images == 2


@pytest.mark.parametrize(
    ("n", "images", "info", "kept"),
    [
        (2, ["grid", "a1", "b2"], None, ["a1", "b2"]),
        (2, ["grid", "a1", "b2"], '{"index_of_first_image": 1}', ["a1", "b2"]),
        (2, ["a1", "b2", "map"], '{"index_of_first_image": 0}', ["a1", "b2"]),
        (2, ["a1", "b2"], "no JSON", ["a1", "b2"]),
        (2, ["a1", "b2"], '{"index_of_first_image": -1}', ["a1", "b2"]),
        (1, ["a1", "map"], None, ["a1"]),
        (1, ["data:image/png;base64,a1"], '{"index_of_first_image": 0}', ["a1"]),
    ],
)
async def test_which_items_are_the_pictures(
    vendor: A1111Emulator, adapter: Adapter, n: int, images: list[str], info: str | None, kept: list[str]
) -> None:
    """By the index that the answer names, else by one item too many; what scripts add at the end is dropped."""
    vendor.next(b.Error(status=200, body=orjson.dumps({"images": images, "info": info}).decode()))
    answer = await adapter.generate(a_job(replace(REQUEST, n=n)), nothing_submitted)
    assert answer == Generated(tuple(InlineImage(text.encode()) for text in kept))


@pytest.mark.parametrize(
    ("behaviour", "fault", "billed"),
    [
        (b.Overloaded(), Fault.OVERLOADED, Billed.NO),
        (b.Error(status=500, code="RuntimeError", message="mat1 and mat2"), Fault.FAILED, Billed.NO),
        (b.Error(status=404, message="Sampler not found"), Fault.BAD_REQUEST, Billed.NO),
        (b.Error(status=404, body='{"detail": "Not Found"}'), Fault.CREDENTIALS, Billed.NO),
        (
            b.Error(status=422, body='{"detail": [{"loc": ["body", "steps"], "msg": "too many"}]}'),
            Fault.BAD_REQUEST,
            Billed.NO,
        ),
        (b.Error(status=200, body='{"images": null, "info": "{}"}'), Fault.NO_IMAGE, Billed.NO),
        (b.Error(status=200, body='{"images": [""]}'), Fault.NO_IMAGE, Billed.NO),
        (b.Reset(bills=True), Fault.NO_ANSWER, Billed.UNKNOWN),
    ],
)
async def test_failures(
    vendor: A1111Emulator, adapter: Adapter, behaviour: b.Behaviour, fault: Fault, billed: Billed
) -> None:
    """Memory, parameters and addresses are told apart, and the server's words reach the operator."""
    vendor.next(behaviour)
    with pytest.raises(UpstreamFailure) as caught:
        await made(adapter, a_job())
    assert (caught.value.fault, caught.value.billed) == (fault, billed)
    if isinstance(behaviour, b.Error) and behaviour.status == 404:
        assert "ot found" in caught.value.message.lower()


async def test_a_real_unknown_sampler(adapter: Adapter) -> None:
    """The operator's mistake is named."""
    with pytest.raises(UpstreamFailure, match="Sampler not found") as caught:
        await made(adapter, a_job(sampler_name='"Heun++"'))
    assert caught.value.fault is Fault.BAD_REQUEST


async def test_the_check(vendor: A1111Emulator, adapter: Adapter, resources: Resources) -> None:
    """Asks for the options, draws nothing; a wrong password is told."""
    assert "/sdapi/v1/options answered" in await adapter.check(time.monotonic() + 5)
    wrong = build(UpstreamSettings("a", "a1111", base_url=vendor.base_url, api_key="sd:wrong"), resources)
    with pytest.raises(UpstreamFailure) as caught:
        await wrong.check(time.monotonic() + 5)
    await wrong.close()
    assert (caught.value.fault, vendor.bills) == (Fault.CREDENTIALS, [])


@pytest.mark.parametrize(("api_key", "sent"), [("", None), ("a-token", "Bearer a-token")])
async def test_other_keys(resources: Resources, api_key: str, sent: str | None) -> None:
    """A server without a password gets no header, a proxy's token goes as bearer."""
    async with A1111Emulator(api_key="") as vendor:
        adapter = build(UpstreamSettings("a", "a1111", base_url=vendor.base_url, api_key=api_key), resources)
        assert len(await made(adapter, a_job())) == 2
        assert vendor.requests[0].headers.get("authorization") == sent
        await adapter.close()


def test_on_without_a_key_and_for_nothing(tmp_path: Path) -> None:
    """The config needs neither key nor address, and an offer may cost nothing."""
    config = read(
        tmp_path,
        """
upstreams: {card: {kind: a1111, concurrency: 1, on_unknown: next}}
models:
  sdxl:
    prompt_tokens_max: 200
    sizes: [1024x1024]
    offers: [{upstream: card, model: default, extra: {steps: 20}, cost: {per_image_usd: 0}}]
""",
    )
    (upstream,) = config.upstreams
    assert (upstream.base_url, upstream.concurrency) == ("http://127.0.0.1:7860", 1)
    assert config.catalog.models["sdxl"].offers[0].price == PerImage(Decimal(0))
