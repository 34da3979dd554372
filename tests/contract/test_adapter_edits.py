"""Edits at every adapter that has them: pictures arrive unchanged and in order, and the masked area is where the vendor makes it anew."""

import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from gateway.domain.catalog import MaskPolarity
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageInput, ImageRequest, InputSource, Operation, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.imaging.decode import Decoder
from gateway.imaging.masks import white_from_alpha
from gateway.upstreams.base import (
    Adapter,
    Generated,
    InlineImage,
    Inputs,
    LinkedImage,
    RawImage,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.a1111 import A1111Emulator
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.ark import ArkEmulator
from tests.emulators.azure import AzureEmulator
from tests.emulators.base import Emulator
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.fal import FalEmulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.inputs import Polarity, painted
from tests.emulators.kie import KieEmulator
from tests.emulators.masks import box_of, mask, red_box
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import decoded, picture
from tests.emulators.records import Received
from tests.emulators.recraft import RecraftEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.servers import ServerEmulator
from tests.emulators.together import TogetherEmulator
from tests.emulators.xai import XAIEmulator
from tests.unit.upstreams.calls import a_call, an_offer
from tests.unit.upstreams.given import given

SIZE = (64, 48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One way to edit."""

    make: Callable[[], Emulator]
    model: str
    kind: str = "openai"
    options: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    mask: Polarity | None = None
    """What the vendor makes anew, as its emulator sees it."""
    several: bool = True
    unreadable: tuple[Fault, Billed] = (Fault.BAD_REQUEST, Billed.NO)
    links: bool = False


FAST = {"poll_interval": "20ms"}


def profile(name: str, make: Callable[[], Emulator], model: str, /, **more: Any) -> Subject:
    return Subject(make=make, model=model, options={"profile": name}, **more)


def task(kind: str, make: Callable[..., Emulator], model: str, /, **more: Any) -> Subject:
    return Subject(kind=kind, make=lambda: make(work_s=0), model=model, options=FAST, **more)


SUBJECTS: Mapping[str, Subject] = {
    "openai": Subject(make=OpenAIEmulator, model="gpt-image-2", mask="alpha"),
    "azure": Subject(kind="azure", make=AzureEmulator, model="pictures", mask="alpha"),
    "azure-v1": Subject(kind="azure", make=AzureEmulator, model="pictures", path="/openai/v1", mask="alpha"),
    "gemini": Subject(kind="gemini", make=GeminiEmulator, model="gemini-3-pro-image"),
    "fal": task("fal", FalEmulator, "openai/gpt-image-2/edit", mask="white"),
    "fal-banana": task("fal", FalEmulator, "fal-ai/nano-banana/edit"),
    "replicate": task("replicate", ReplicateEmulator, "black-forest-labs/flux-kontext-pro", several=False),
    "replicate-fill": task("replicate", ReplicateEmulator, "black-forest-labs/flux-fill-pro", mask="white", several=False),
    "a1111": Subject(kind="a1111", make=A1111Emulator, model="default", mask="white", several=False, unreadable=(Fault.FAILED, Billed.NO)),
    "apimart": task("apimart", APIMartEmulator, "gpt-image-2"),
    "kie": task("kie", KieEmulator, "gpt-image-2", links=True),
    "evolink": task("evolink", EvolinkEmulator, "gpt-4o-image", mask="alpha"),
    "together": profile("together", TogetherEmulator, "black-forest-labs/FLUX.1-schnell", path="/v1", several=False),
    "xai": profile("xai", XAIEmulator, "grok-imagine-image", several=False),
    "ark": profile("ark", ArkEmulator, "seedream-4-0-250828"),
    "recraft": profile("recraft", RecraftEmulator, "recraftv3", mask="white", several=False),
    "deepinfra": profile("deepinfra", lambda: ServerEmulator("deepinfra"), "a-model", several=False),
    "vllm-omni": profile("vllm-omni", lambda: ServerEmulator("vllm", api_key=""), "Qwen/Qwen-Image", several=False),
    "sglang": profile("sglang", lambda: ServerEmulator("sglang", api_key=""), "Qwen/Qwen-Image", several=False),
    "litellm": profile("litellm", OpenAIEmulator, "gpt-image-2", mask="alpha"),
}  # fmt: skip
AN_INPUT = ImageInput(InputSource.FILE, "file-1")


class Links:
    """This gateway's signed links, as far as an upstream sees them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.origin = ""

    def to(self, content: bytes) -> str:
        name = f"{len(self.files)}.png"
        self.files[name] = content
        return f"{self.origin}/{name}"

    async def show(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["name"]])


@dataclass
class Bench:
    subject: Subject
    vendor: Emulator
    adapter: Adapter
    links: Links

    async def edit(self, *images: bytes, mask: bytes | None = None, size: Pixels | None = None) -> Generated:
        """One edit, with pictures as the pipeline hands them over."""
        asked = ImageRequest(
            "a-model",
            "a red fox",
            size=str(size or "auto"),
            pixels=size,
            operation=Operation.EDIT,
            images=(AN_INPUT,) * len(images),
            mask=None if mask is None else AN_INPUT,
        )
        pictures = [given(image, self.links.to(image)) for image in (*images, *([mask] if mask else ()))]
        inputs = Inputs(tuple(pictures[: len(images)]), pictures[-1] if mask else None)
        call = replace(a_call(asked, offer=an_offer(self.subject.model)), inputs=inputs)
        return await self.adapter.generate(call, self._submitted)

    async def _submitted(self, upstream_ref: str) -> None:
        assert upstream_ref

    @property
    def seen(self) -> Received:
        """What the vendor got with the paid call."""
        return next(one for one in reversed(self.vendor.requests) if one.at == "create")


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(2) as threads:
        yield Resources(SystemClock(), threads)


@pytest_asyncio.fixture
async def links() -> AsyncIterator[Links]:
    links = Links()
    app = web.Application()
    app.router.add_get("/{name}", links.show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    links.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield links
    await runner.cleanup()


@pytest_asyncio.fixture(params=list(SUBJECTS))
async def bench(request: pytest.FixtureRequest, resources: Resources, links: Links) -> AsyncIterator[Bench]:
    subject = SUBJECTS[request.param]
    async with subject.make() as vendor:
        settings = UpstreamSettings(
            "u", subject.kind, base_url=vendor.base_url + subject.path, api_key=vendor.api_key, options=subject.options
        )
        adapter = build(settings, resources)
        yield Bench(subject, vendor, adapter, links)
        await adapter.close()
        assert resources.budget.used_bytes == 0


async def files_of(bench: Bench, generated: Generated) -> list[bytes]:
    found = []
    for image in generated.images:
        match image:
            case InlineImage():
                found.append(base64.b64decode(image.base64, validate=True))
            case LinkedImage():
                found.append(await bench.adapter.fetch(image, time.monotonic() + 20))
            case RawImage():
                found.append(image.data)
    return found


async def as_white(callers: bytes) -> bytes:
    decoder = Decoder()
    try:
        return await white_from_alpha(decoder, callers, Pixels(*SIZE))
    finally:
        await decoder.aclose()


async def test_pictures_arrive_unchanged_and_in_order(bench: Bench) -> None:
    """One picture and, where the vendor takes several, three of different formats: to the last byte, and a picture comes back."""
    one = picture(SIZE, "png", "one", padding_bytes=300_000)
    [file] = await files_of(bench, await bench.edit(one))
    decoded(file)
    assert bench.seen.images == [one]
    assert bench.seen.mask is None
    assert bench.vendor.billed_images == 1
    if bench.subject.several:
        several = [one, picture((48, 64), "jpeg", "two"), picture(SIZE, "webp", "three")]
        await bench.edit(*several)
        assert bench.seen.images == several


async def test_the_masked_area_is_made_anew(bench: Bench) -> None:
    """A caller's mask, converted as the pipeline does: what the vendor paints is exactly the transparent area, whatever its own meaning."""
    found = bench.adapter.capabilities(bench.subject.model).mask
    assert found == {None: None, "alpha": MaskPolarity.TRANSPARENT, "white": MaskPolarity.WHITE}[bench.subject.mask]
    if bench.subject.mask is None:
        return  # it takes none, and says so
    image, callers = picture(SIZE, "png", "one"), mask("alpha", SIZE)
    sent = callers if found is MaskPolarity.TRANSPARENT else await as_white(callers)
    await bench.edit(image, mask=sent)
    assert bench.seen.images == [image]
    assert bench.seen.mask == sent
    assert red_box(painted(bench.seen, bench.subject.mask)) == box_of(SIZE)


async def test_declared_is_what_is_taken(bench: Bench) -> None:
    """Edits are declared with at least one picture; as many as are declared are taken."""
    found = bench.adapter.capabilities(bench.subject.model)
    assert Operation.EDIT in found.operations
    assert found.references_by_link is bench.subject.links
    most = found.references_max
    assert (most > 1) is bench.subject.several
    images = [picture(SIZE, "png", str(index)) for index in range(most)]
    await bench.edit(*images)
    assert bench.seen.images == images


async def test_a_picture_that_the_vendor_cannot_read(bench: Bench) -> None:
    """Its fault is the caller's, and nothing was billed."""
    content = picture(SIZE, "png", "one")
    at = content.index(b"IDAT") + 8
    broken = content[:at] + bytes(8) + content[at + 8 :]
    with pytest.raises(UpstreamFailure) as caught:
        await bench.edit(broken)
    assert (caught.value.fault, caught.value.billed) == bench.subject.unreadable
    assert bench.vendor.billed_images == 0


async def test_sizes_of_edits(bench: Bench) -> None:
    """A size that is asked for is the size that comes, where the vendor lets one choose."""
    found = bench.adapter.capabilities(bench.subject.model)
    if found.edits_keep_size:
        [file] = await files_of(bench, await bench.edit(picture(SIZE, "png", "one")))
        assert decoded(file)[1] == SIZE
        return
    [file] = await files_of(bench, await bench.edit(picture(SIZE, "png", "one"), size=Pixels(1024, 1024)))
    assert decoded(file)[1] == (1024, 1024)


async def test_without_a_public_address(resources: Resources) -> None:
    """An upstream that takes links alone is not even asked where there are none: ours, and unbilled."""
    async with KieEmulator() as vendor:
        settings = UpstreamSettings("u", "kie", base_url=vendor.base_url, api_key=vendor.api_key, options=FAST)
        adapter = build(settings, resources)
        call = a_call(replace(ImageRequest("m", "a fox"), operation=Operation.EDIT), offer=an_offer("gpt-image-2"))
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.generate(replace(call, inputs=Inputs((given(picture(SIZE, "png", "one")),))), print)  # type: ignore[arg-type]  # never called
        await adapter.close()
        assert (caught.value.fault, caught.value.billed) == (Fault.LOCAL, Billed.NO)
        assert vendor.requests == []


async def test_a_large_picture_goes_by_link_where_that_is_advised(resources: Resources, links: Links) -> None:
    """Replicate takes data URLs up to 256 kB; larger pictures go by a link where there is one, else as they are."""
    async with ReplicateEmulator(work_s=0) as vendor:
        settings = UpstreamSettings("u", "replicate", base_url=vendor.base_url, api_key=vendor.api_key, options=FAST)
        bench = Bench(SUBJECTS["replicate"], vendor, build(settings, resources), links)
        large = picture(SIZE, "png", "one", padding_bytes=300_000)
        await bench.edit(large)
        assert bench.seen.fetched
        assert bench.seen.images == [large]
        bench.links.origin = ""
        await bench.edit(picture(SIZE, "png", "two"))
        assert b"data:image/png" in bench.seen.body
        await bench.adapter.close()


@dataclass
class Uploads:
    """EvoLink, before a gateway that it cannot reach."""

    vendor: EvolinkEmulator
    adapter: Adapter
    call: UpstreamCall

    async def generate(self) -> Generated:
        async def submitted(upstream_ref: str) -> None:
            assert upstream_ref

        return await self.adapter.generate(self.call, submitted)


@pytest_asyncio.fixture
async def uploads(resources: Resources) -> AsyncIterator[Uploads]:
    async with EvolinkEmulator(work_s=0) as vendor:
        settings = UpstreamSettings("u", "evolink", base_url=vendor.base_url, api_key=vendor.api_key, options=FAST)
        adapter = build(settings, resources)
        inputs = Inputs((given(picture(SIZE, "png", "one")),), given(mask("alpha", SIZE)))
        request = ImageRequest("m", "a fox", operation=Operation.EDIT, images=(AN_INPUT,), mask=AN_INPUT)
        yield Uploads(vendor, adapter, replace(a_call(request, offer=an_offer("gpt-4o-image")), inputs=inputs))
        await adapter.close()


async def test_pictures_are_uploaded_where_there_are_no_links(uploads: Uploads) -> None:
    """To EvoLink's file service, once for an attempt: sent again, it is the same call, answered with the same task and billed once."""
    await uploads.generate()
    await uploads.generate()
    create = [one for one in uploads.vendor.requests if one.at == "create"]
    assert create[0].images == [picture(SIZE, "png", "one")]
    assert red_box(painted(create[0], "alpha")) == box_of(SIZE)
    assert create[0].body == create[1].body
    assert [one.at for one in uploads.vendor.requests].count("upload") == 2
    assert uploads.vendor.billed_images == 1


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.Reset(), Fault.NO_ANSWER),
        (b.Error(status=500), Fault.FAILED),
        (b.OutOfMoney(), Fault.NO_MONEY),
        (b.Error(status=404, code="not_found"), Fault.FAILED),
        (b.Error(status=200, body='{"success": true, "data": {"file_url": "ftp://x"}}'), Fault.FAILED),
        (b.Error(status=200, body="no JSON"), Fault.NO_ANSWER),
    ],
    ids=lambda value: getattr(value, "kind", str(value)),
)
async def test_uploads_cost_nothing(uploads: Uploads, behaviour: b.Behaviour, fault: Fault) -> None:
    """Whatever becomes of one: nothing was submitted, and the next upstream may be asked."""
    uploads.vendor.next(behaviour, at="upload")
    with pytest.raises(UpstreamFailure) as caught:
        await uploads.generate()
    assert (caught.value.fault, caught.value.billed) == (fault, Billed.NO)
    assert [one.at for one in uploads.vendor.requests] == ["upload"]
    await uploads.generate()
    assert uploads.vendor.billed_images == 1
