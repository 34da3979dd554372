"""Callers' pictures inside a task: fetched once, checked, given to every attempt as they came, masks in the upstream's form; or refused unpaid."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from gateway.app_pictures import is_public
from gateway.blobs.links import LinkKey, LinkSigner
from gateway.domain.catalog import Capabilities, MaskPolarity, Offer, PerImage, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.files import MASK_BYTES_MAX, URL_BYTES_MAX, Purpose
from gateway.domain.images import Contract, ImageInput, ImageRequest, InputSource, Operation, Pixels
from gateway.domain.money import charge_amount
from gateway.domain.tasks import Billed, Fault, Task, TaskErrorCode, TaskState
from gateway.egress.guard import EgressPolicy
from gateway.imaging.decode import Decoder
from gateway.limits.slots import Slots
from gateway.pipeline.commands import Accept, Accepted, HoldOption
from gateway.pipeline.frozen import FrozenPlan, plan_text, read_plan, read_request, request_text
from gateway.pipeline.inputs import CallPictures, InputsFailed, TaskInputs
from gateway.pipeline.results import Results
from gateway.pipeline.runner import Runner
from gateway.pipeline.tools import Tools
from gateway.pipeline.work import Ending, Work
from gateway.routing.health import Circuits
from gateway.tasks import attempt_store
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    Picture,
    RawImage,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from tests.books import CREDIT, KEY, RATE, Gateway, add_upstreams, balance, clean, new_task, opened
from tests.sharing import sharing_over
from tests.uploads import OTHER, Desk, desk_on, picture

PNG, WEBP, JPEG = picture(mode="RGBA"), picture("WEBP"), picture("JPEG")
SIGNER = LinkSigner([LinkKey("1", b"0123456789abcdef")], "https://images.example.com")


def mask(size: tuple[int, int] = (40, 30), *, opaque: bool = False) -> bytes:
    """Transparent in a rectangle of its middle, red everywhere: colours must not matter."""
    image = Image.new("RGBA", size, (255, 0, 0, 255))
    if not opaque:
        image.paste((255, 0, 0, 0), (10, 8, 30, 20))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass
class Site:
    """Where callers' URLs lead."""

    files: dict[str, bytes] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, name: str, data: bytes = b"") -> ImageInput:
        if data:
            self.files[f"/{name}"] = data
        return ImageInput(InputSource.URL, f"http://127.0.0.1:{self.port}/{name}")

    async def answer(self, request: web.Request) -> web.Response:
        self.hits.append(request.path)
        data = self.files.get(request.path)
        return web.Response(status=404) if data is None else web.Response(body=data, content_type="text/html")


class Upstream(Adapter):
    """Reads what it is given, as an adapter would, then answers."""

    kind = "reading"

    def __init__(self, name: str, polarity: MaskPolarity | None = MaskPolarity.TRANSPARENT, *, fails: int = 0) -> None:
        super().__init__(UpstreamSettings(name, "reading"))
        self._capabilities = Capabilities(
            operations=frozenset({Operation.GENERATE, Operation.EDIT}), references_max=16, mask=polarity, recovery=Recovery.NONE
        )  # fmt: skip
        self.fails = fails
        self.images: list[list[bytes]] = []
        self.masks: list[bytes] = []
        self.given: list[Picture] = []

    def capabilities(self, upstream_model: str) -> Capabilities:
        return self._capabilities

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        self.given += [*call.inputs.images, *([call.inputs.mask] if call.inputs.mask else [])]
        self.images.append([await read(picture) for picture in call.inputs.images])
        if call.inputs.mask is not None:
            self.masks.append(await read(call.inputs.mask))
        self.fails -= 1
        if self.fails >= 0:
            raise UpstreamFailure(Fault.FAILED, Billed.NO, "out of order")
        return Generated((RawImage(PNG),))

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise AssertionError("nothing here is linked")


def of(studio: "Studio", task: Task, seconds: float = 5.0) -> CallPictures:
    """As a walk over its attempts has them."""
    request = read_request(task.request_json, task.prompt)
    return CallPictures(studio.inputs(), task, request, SystemClock().monotonic_s() + seconds)


async def read(given: Picture) -> bytes:
    data = b"".join([chunk async for chunk in given.chunks()])
    assert len(data) == given.size_bytes
    return data


@dataclass
class Studio:
    """Everything between acceptance and upstream that has to do with pictures."""

    desk: Desk
    site: Site
    decoder: Decoder
    database: Gateway

    def inputs(self) -> TaskInputs:
        desk = self.desk
        return TaskInputs(
            desk.intake, desk.fetching, self.decoder, self.database, desk.blobs, SystemClock(), SIGNER.url
        )

    async def stored(self, data: bytes) -> ImageInput:
        """As the edge stores a part of a form."""
        return ImageInput(InputSource.FILE, (await self.desk.receive(data, Purpose.CALL)).id)

    async def accepted(
        self, adapters: tuple[Upstream, ...], *images: ImageInput, mask: ImageInput | None = None, contract: Contract = Contract.IMAGE
    ) -> Task:  # fmt: skip
        await add_upstreams(self.database, *(adapter.name for adapter in adapters))
        offers = tuple(
            Offer(f"{adapter.name}/m", adapter.name, "m", PerImage(Decimal("0.02") + index / Decimal(100)))
            for index, adapter in enumerate(adapters)
        )
        request = ImageRequest(
            "m", "a cat", n=1, size="1024x1024", pixels=Pixels(1024, 1024), operation=Operation.EDIT, images=images, mask=mask
        )  # fmt: skip
        now_ms = SystemClock().now_ms()
        task = replace(
            new_task(), request_json=request_text(request), created_at_ms=now_ms, deadline_at_ms=now_ms + 5000, contract=contract
        )  # fmt: skip
        plan = FrozenPlan(offers, CREDIT, Decimal(1), RATE)
        amount = charge_amount(CREDIT, 1, credits_per_usd=RATE)
        outcome = await self.database.write(Accept(task, (HoldOption(amount, plan_text(plan)),), RATE, ()))
        assert isinstance(outcome, Accepted)
        return outcome.task

    async def run(self, task: Task, *adapters: Upstream, deadline_s: float = 5.0) -> Ending:
        """To the end, and until what it fetched is gone."""
        clock = SystemClock()
        tools = Tools(
            self.database,
            {adapter.name: adapter for adapter in adapters},
            Slots({adapter.name: 4 for adapter in adapters}, clock),
            Circuits(clock),
            Results(self.desk.blobs, clock),
            self.desk.metrics,
            clock,
            lambda _: None,
            self.inputs(),
        )
        runner = Runner(tools, sharing_over(tools.database), results_ms=86_400_000)
        ended: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        await runner.start(
            Work(
                task, read_plan(task.plan_json), read_request(task.request_json, task.prompt), ended, clock.monotonic_s(),
                deadline_s=clock.monotonic_s() + deadline_s,
            )
        )  # fmt: skip
        ending = await asyncio.wait_for(ended, 30)
        assert await runner.drain(10) == 0
        assert isinstance(ending, Ending)
        return ending


@pytest.fixture
async def studio(sqlite_database: str, tmp_path: Path) -> AsyncIterator[Studio]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    database = await opened(sqlite_database)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        site.port = server.port
        policy = EgressPolicy(allow=("127.0.0.1",), allow_http=True, ports=(site.port,))
        desk = await desk_on(database, tmp_path, policy=policy)
        decoder = Decoder()
        yield Studio(desk, site, decoder, database)
        await decoder.aclose()
        await desk.close()
    await database.close()


async def test_pictures_reach_every_attempt_as_they_came(studio: Studio) -> None:
    """Two references of two sources and a mask, in order and byte for byte, at both tries; fetched once, and gone with the task's end."""
    first, second = Upstream("first", fails=1), Upstream("second")
    sent = mask()
    upload = await studio.desk.receive(JPEG)
    task = await studio.accepted(
        (first, second), studio.site.url("a.png", PNG), ImageInput(InputSource.FILE, upload.id), mask=await studio.stored(sent)
    )  # fmt: skip
    ending = await studio.run(task, first, second)
    assert ending.task.state is TaskState.COMPLETED
    assert first.images == second.images == [[PNG, JPEG]]
    assert first.masks == second.masks == [sent]
    assert [(given.content_type, given.pixels) for given in second.given] == [
        ("image/png", Pixels(40, 30)), ("image/jpeg", Pixels(40, 30)), ("image/png", Pixels(40, 30)),
    ]  # fmt: skip
    assert studio.site.hits == ["/a.png"]
    assert {name for name in await studio.desk.blobs.list() if not name.startswith("att_")} == {upload.id}
    assert await clean(studio.database)


async def test_a_mask_means_the_same_at_both_kinds_of_upstreams(studio: Studio) -> None:
    """Where the caller's is transparent, the one of a white upstream is white, pixel for pixel; made once for all its tries."""
    alpha, white = Upstream("alpha", fails=1), Upstream("white", MaskPolarity.WHITE, fails=1)
    again = Upstream("again", MaskPolarity.WHITE)
    sent = mask()
    task = await studio.accepted((alpha, white, again), await studio.stored(PNG), mask=studio.site.url("m.png", sent))
    ending = await studio.run(task, alpha, white, again)
    assert ending.task.state is TaskState.COMPLETED, ending.task.error
    assert alpha.masks == [sent]
    [made] = white.masks
    assert again.masks == [made]
    transparency = Image.open(io.BytesIO(sent)).getchannel("A")
    whiteness = Image.open(io.BytesIO(made)).convert("L")
    assert bytes(255 - value for value in transparency.tobytes()) == whiteness.tobytes()
    assert [given.link() for given in white.given] == [given.link() for given in again.given]


async def test_links_lead_to_the_picture_until_the_task_is_over(studio: Studio) -> None:
    """Signed, of the right type, valid beyond the deadline."""
    upstream = Upstream("first")
    task = await studio.accepted((upstream,), studio.site.url("a", WEBP))
    pictures = of(studio, task)
    [given] = (await pictures.inputs(None)).images
    link = given.link()
    assert link is not None
    assert link.endswith(".webp")
    now_s = SystemClock().now_ms() // 1000
    target = SIGNER.verify_url(link, now_s + 600)
    assert target is not None
    assert await studio.desk.blobs.read(target.blob_name) == WEBP
    assert SIGNER.verify_url(link, now_s + 2 * 3600) is None
    await studio.run(task, upstream)
    assert await studio.desk.blobs.read(target.blob_name) is None


async def test_a_process_that_resumes_finds_what_was_fetched(studio: Studio) -> None:
    """What an earlier one fetched and converted is used: nothing is fetched or decoded again, although the URL is dead by now."""
    upstream = Upstream("white", MaskPolarity.WHITE)
    task = await studio.accepted((upstream,), studio.site.url("a.png", PNG), mask=studio.site.url("m.png", mask()))
    earlier = await of(studio, task).inputs(MaskPolarity.WHITE)
    assert earlier.mask is not None
    studio.site.files.clear()
    await studio.decoder.aclose()
    ending = await studio.run(task, upstream)
    assert ending.task.state is TaskState.COMPLETED, ending.task.error
    assert sorted(studio.site.hits) == ["/a.png", "/m.png"]
    assert [given.link() for given in upstream.given] == [earlier.images[0].link(), earlier.mask.link()]


async def test_a_crash_in_the_middle_of_fetching_is_made_good(studio: Studio) -> None:
    """A row whose bytes did not become a blob counts as not fetched; what is left of it goes with the task."""
    upstream = Upstream("first")
    task = await studio.accepted((upstream,), studio.site.url("a.png", PNG))
    await of(studio, task).inputs(None)
    [name] = await studio.desk.blobs.list()
    assert name.startswith(f"{task.id}/")
    await studio.desk.blobs.delete(name)
    ending = await studio.run(task, upstream)
    assert ending.task.state is TaskState.COMPLETED
    assert upstream.images == [[PNG]]
    assert all(name.startswith("att_") for name in await studio.desk.blobs.list())


REFUSALS: dict[str, tuple[bytes | str, bytes | None, TaskErrorCode, str]] = {
    "a dead link": ("missing", None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "reference picture 1: The URL could not be fetched"),
    "an internal address": ("http://10.0.0.1/a.png", None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "could not be fetched"),
    "metadata": ("http://169.254.169.254/latest", None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "could not be fetched"),
    "too large": (b"\xff\xd8\xff" + bytes(URL_BYTES_MAX), None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "10000000 bytes"),
    "a page": (b"<html>not here</html>", None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "not PNG, JPEG, WebP or GIF"),
    "a GIF": (picture("GIF", "L"), None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "image/gif is not accepted"),
    "a file of another key": ("other", None, TaskErrorCode.IMAGE_PROCESSING_ERROR, "no longer stored"),
    "a mask of another size": (PNG, mask((30, 40)), TaskErrorCode.IMAGE_DIMENSION_MISMATCH, "30x40 and the reference picture 40x30"),
    "a mask without alpha": (PNG, picture(), TaskErrorCode.IMAGE_PROCESSING_ERROR, "no alpha channel"),
    "a mask that is no PNG": (PNG, JPEG, TaskErrorCode.IMAGE_PROCESSING_ERROR, "The mask is image/jpeg"),
    "a large mask": (PNG, mask(), TaskErrorCode.IMAGE_PROCESSING_ERROR, "smaller than 4 MB"),
    "a mask that asks for nothing": (PNG, mask(opaque=True), TaskErrorCode.IMAGE_PROCESSING_ERROR, "no transparent pixel"),
    "a mask for a JPEG": (JPEG, mask(), TaskErrorCode.IMAGE_PROCESSING_ERROR, "must be a PNG as well"),
}  # fmt: skip
"""The reference, or where it is; a mask; what is said of them."""


def grown(png: bytes, size: int) -> bytes:
    """With a text chunk that makes it as large."""
    filling = size - len(png) - 12
    chunk = filling.to_bytes(4, "big") + b"teXt" + bytes(filling) + bytes(4)
    return png[:33] + chunk + png[33:]


async def test_pictures_that_cannot_be_used_cost_nothing(studio: Studio) -> None:
    """Each ends its task with its own code and a text that helps; no attempt has a row, nothing is sent, nothing charged, nothing kept."""
    upstream = Upstream("white", MaskPolarity.WHITE)
    foreign = await studio.desk.receive(PNG, principal=OTHER)
    for name, (given, masked, code, text) in REFUSALS.items():
        match given:
            case bytes():
                reference = studio.site.url("reference", given)
            case "other":
                reference = ImageInput(InputSource.FILE, foreign.id)
            case "missing":
                reference = studio.site.url("missing")
            case _:
                reference = ImageInput(InputSource.URL, given)
        mask_input: ImageInput | None
        if name == "a large mask":
            mask_input = studio.site.url("mask", grown(mask(), MASK_BYTES_MAX + 1))
        else:
            mask_input = None if masked is None else studio.site.url("mask", masked)
        task = await studio.accepted((upstream,), reference, mask=mask_input, contract=Contract.TASK)
        ending = await studio.run(task, upstream)
        assert ending.task.error is not None, name
        assert (ending.task.error.code, text in ending.task.error.message) == (code, True), (name, ending.task.error)
        assert "Nothing is charged" in ending.task.error.message
        assert ending.attempts == ()
        assert await studio.database.read(partial(attempt_store.read_attempts, ids=[task.id])) == []
    assert upstream.images == []
    assert await studio.desk.blobs.list() == (foreign.id,)
    posted, pending = await balance(studio.database, KEY)
    assert (posted.microcredits, pending.microcredits) == (0, 0)
    assert await clean(studio.database)


async def test_a_deadline_that_passed_is_no_fault_of_the_picture(studio: Studio) -> None:
    """A task that lay too long ends by its time, not by a picture that nobody tried to fetch."""
    task = await studio.accepted((Upstream("first"),), studio.site.url("a.png", PNG))
    with pytest.raises(InputsFailed) as failed:
        await of(studio, task, 0.0).inputs(None)
    assert failed.value.error.code is TaskErrorCode.GENERATION_TIMEOUT
    assert studio.site.hits == []


async def test_a_gateway_that_cannot_decode_now_says_so(studio: Studio) -> None:
    """Not the picture's fault: another error, and the same call may be sent again."""
    upstream = Upstream("white", MaskPolarity.WHITE)
    await studio.decoder.aclose()
    task = await studio.accepted((upstream,), await studio.stored(PNG), mask=await studio.stored(mask()))
    ending = await studio.run(task, upstream)
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.SERVICE_UNAVAILABLE
    assert ending.attempts == ()


async def test_a_store_that_fails_is_waited_for_until_the_deadline(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the task fails, unpaid, and says that it was the gateway."""
    task = await studio.accepted((Upstream("first"),), studio.site.url("a.png", PNG))
    (studio.desk.folder / ".tmp").rename(studio.desk.folder / ".gone")
    (studio.desk.folder / ".tmp").write_text("in the way")
    with pytest.raises(InputsFailed) as failed:
        await of(studio, task, 0.6).inputs(None)
    assert failed.value.error.code is TaskErrorCode.SERVICE_UNAVAILABLE
    (studio.desk.folder / ".tmp").unlink()
    (studio.desk.folder / ".gone").rename(studio.desk.folder / ".tmp")
    assert (await of(studio, task).inputs(None)).images


async def test_a_picture_that_vanished_is_a_failure_of_ours(studio: Studio) -> None:
    """Half a picture must not pass for one: whoever reads it hears of it."""
    file = await studio.desk.receive(PNG)
    task = await studio.accepted((Upstream("first"),), ImageInput(InputSource.FILE, file.id))
    pictures = of(studio, task)
    [given] = (await pictures.inputs(None)).images
    await studio.desk.blobs.delete(file.id)
    with pytest.raises(UpstreamFailure) as failed:
        await read(given)
    assert (failed.value.fault, failed.value.billed) == (Fault.LOCAL, Billed.NO)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://images.acme.com", True), ("https://images.acme.com:8443/gw", True), ("https://93.184.216.34", True),
        ("http://images.acme.com", False), ("http://127.0.0.1:8080", False), ("https://127.0.0.1", False), ("https://10.0.0.8", False),
        ("https://gateway.internal", False), ("https://localhost:8080", False), ("https://gateway", False),
    ],
)  # fmt: skip
def test_links_are_given_where_they_can_be_followed(url: str, public: bool) -> None:
    """By the gateway's own public address."""
    assert is_public(url) is public
