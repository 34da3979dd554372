"""A vendor that nobody knows, described in a config alone: everything the description can say, against a server that works so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from gateway.domain.catalog import CostSource, MaskPolarity, Recovery
from gateway.domain.images import ImageRequest, Operation, OutputFormat, Pixels, Quality
from gateway.domain.sizes import PixelBounds
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Generated, Inputs, LinkedImage, Stop, UpstreamFailure
from tests.contract.task_bench import TaskBench, opened
from tests.emulators import behaviours as b
from tests.emulators.base import json_response
from tests.emulators.jobs import Body, Job, parsed_size, read_object
from tests.emulators.pictures import decoded
from tests.emulators.records import Received
from tests.emulators.tasks import Task, TaskEmulator
from tests.unit.config_files import read
from tests.unit.upstreams.calls import a_call, an_offer
from tests.unit.upstreams.given import Given

CONFIG = """
upstreams:
  pixelmill:
    kind: task_api
    base_url: "http://127.0.0.1:1/mill"
    api_key: mill-key
    poll_interval: 30ms
    task_api:
      auth: {header: x-mill-key, prefix: ""}
      headers: {x-mill-version: v3}
      submit:
        path: /jobs/{model}
        body:
          input: {text: "{prompt}", px: "{width}*{height}", count: "{n}", grade: "{quality}", tags: [gateway, "{user}"],
                  pictures: "{image_urls}", cut: "{mask_url}"}
          safe: true
          strength: 0.5
        extra_in: input.more
        task_id: [job.ref, ref]
      poll: {path: /status, query: {ref: "{task_id}", lang: en}, interval: 1s, first_after: 500ms}
      answer:
        status: job.phase
        statuses: {0: pending, 1: pending, 2: done, 3: failed}
        results: [job.out, job.outs.*.href]
        error_code: job.why.no
        error_message: job.why.text
        cost: {at: job.bill.cents, usd_per_unit: 0.01}
      body_code: {at: err, good: [0]}
      errors:
        - {codes: [77], fault: refused}
        - {codes: [1402], texts: [purse is empty], fault: no_money}
        - {codes: [1403], fault: no_money}
        - {codes: [9], fault: failed, in_doubt: true}
      n: [1, 2]
      sizes: {pixels: {multiple_of: 16, edge_min: 256, edge_max: 2048}}
      output_formats: [png]
      references_max: 2
      references_as: data_urls
      mask: white
      links_live: 1800
      cancel: /jobs/{task_id}/stop
      check: /purse
"""
MODEL = "mill/large v2"
REQUEST = ImageRequest("a-model", "a {fox} in {size}", n=2, size="1024x1536", pixels=Pixels(1024, 1536))
USD = Decimal("0.04")


class PixelMill(TaskEmulator):
    """The vendor: its own header, numbers for states, links as one text or in objects, cents, and an error number in every answer."""

    path = "/mill"
    points = ("create", "poll", "stop", "download", "purse")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/mill/jobs/{id}/stop", self._stop),
            web.post("/mill/jobs/{model:.+}", self._create),
            web.get("/mill/status", self._poll),
            web.get("/mill/purse", self._purse),
            self.download_route(),
        ]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        return json_response({"err": int(code or 1), "message": message}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        return json_response({"err": 1402}) if isinstance(behaviour, b.OutOfMoney) else None

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._submit)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "stop", self._stopped)

    def _stopped(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self.tasks[unquote(urlsplit(received.path).path.split("/")[3])]
        return self._denied(received) or json_response({"err": 0 if self.cancel(task) else 422})

    async def _purse(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(
            request, "purse", lambda received, _: self._denied(received) or json_response({"err": 0})
        )

    def _submit(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        if denied := self._denied(received):
            return denied
        body = read_object(received.json).values["input"]
        assert isinstance(body, dict)
        size = parsed_size(str(body.get("px", "512*512")))
        assert size is not None
        model = unquote(urlsplit(received.path).path.removeprefix("/mill/jobs/"))
        count = Body(body).integer("count", 1, 2, 1)
        job = Job(model=model, prompt=str(body["text"]), n=count, size=size, usd_per_image=USD)
        task = self.accept(received, job, behaviour, lambda: f"job:{len(self.tasks)}")
        return json_response({"err": 0, "job": {"ref": task.id, "phase": 0}})

    def _show(self, received: Received, _: b.Behaviour) -> web.Response:
        if denied := self._denied(received):
            return denied
        task = self.tasks.get(parse_qs(urlsplit(received.path).query)["ref"][0])
        return json_response({"err": 0, "job": self._job(task)} if task else {"err": 404})

    def _job(self, task: Task) -> dict[str, object]:
        self.settle()
        match self.state(task):
            case "done":
                links = self.links(task)
                out = {"out": links[0]} if len(links) == 1 else {"outs": [{"href": link} for link in links]}
                return {"phase": 2, **out, "bill": {"cents": float(USD * 100 * len(links))}}
            case "failed":
                code = task.behaviour.code if isinstance(task.behaviour, b.FailTask) else "77"
                bill = {"bill": {"cents": 4}} if self.billed(task) else {}
                return {"phase": 3, "why": {"no": int(code), "text": "no"}, **bill}
            case "cancelled":
                return {"phase": 3, "why": {"no": 5, "text": "stopped"}}
            case state:
                return {"phase": 1 if state == "working" else 0}

    def _denied(self, received: Received) -> web.Response | None:
        if received.headers.get("x-mill-key") == self.api_key and received.headers.get("x-mill-version") == "v3":
            return None
        return json_response({"err": 401})


def described(folder: Path, text: str = CONFIG) -> dict[str, str]:
    """What the config hands on of the vendor."""
    (upstream,) = read(folder, text).upstreams
    assert (upstream.kind, upstream.base_url) == ("task_api", "http://127.0.0.1:1/mill")
    return dict(upstream.options)


def before(vendor: PixelMill, options: dict[str, str]) -> AbstractAsyncContextManager[TaskBench[PixelMill]]:
    return opened("task_api", vendor, **options)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[TaskBench[PixelMill]]:
    async with PixelMill(api_key="mill-key") as vendor, before(vendor, described(tmp_path)) as opened_bench:
        yield opened_bench


async def made(bench: TaskBench[PixelMill], request: ImageRequest = REQUEST) -> Generated:
    return await bench.generate(a_call(request, offer=an_offer(MODEL)))


async def test_pictures(bench: TaskBench[PixelMill]) -> None:
    """The template is filled in, absent values are left out, the model is quoted in the path; both pictures come, and their cost."""
    found = await made(bench)
    assert bench.sent == {
        "input": {"text": "a {fox} in {size}", "px": "1024*1536", "count": 2, "tags": ["gateway"]},
        "safe": True,
        "strength": 0.5,
    }
    assert bench.vendor.requests[0].path == "/mill/jobs/mill/large%20v2"
    assert bench.vendor.requests[1].path == "/mill/status?ref=job:0&lang=en"
    assert (bench.refs, bench.polls_before_stored) == (["job:0"], 0)
    files = [
        await bench.adapter.fetch(image, a_call().deadline_s)
        for image in found.images
        if isinstance(image, LinkedImage)
    ]
    assert [decoded(file) for file in files] == [("png", (1024, 1536))] * 2
    assert found.cost_usd == bench.vendor.billed_usd == Decimal("0.08")


async def test_one_picture_by_a_single_link(bench: TaskBench[PixelMill]) -> None:
    """The first path that has something counts; a single text is one link. Understood parameters are sent."""
    request = replace(
        REQUEST, n=1, quality=Quality.LOW, size="auto", pixels=None, options=(("user", '"u1"'), ("style", '"x"'))
    )
    found = await made(bench, request)
    assert len(found.images) == 1
    assert bench.sent["input"] == {"text": REQUEST.prompt, "count": 1, "grade": "low", "tags": ["gateway", "u1"]}


async def test_what_the_operator_adds(bench: TaskBench[PixelMill]) -> None:
    """An offer's fields go where the description says; a fixed parameter with a placeholder goes there instead."""
    offer = replace(an_offer(MODEL, params=(("quality", "high"), ("steps", "4"))), extra=(("seed", "7"),))
    await bench.generate(a_call(REQUEST, offer=offer))
    sent = bench.sent["input"]
    assert isinstance(sent, dict)
    assert (sent["grade"], sent["more"]) == ("high", {"steps": 4, "seed": 7})


async def test_edits(bench: TaskBench[PixelMill]) -> None:
    """Pictures and mask go where the description says, unchanged and in order."""
    inputs = Inputs((Given(b"first"), Given(b"second", "image/webp")), Given(b"mask"))
    request = replace(REQUEST, operation=Operation.EDIT, n=1)
    await bench.generate(replace(a_call(request, offer=an_offer(MODEL)), inputs=inputs))
    sent = bench.sent["input"]
    assert isinstance(sent, dict)
    assert sent["pictures"] == ["data:image/png;base64,Zmlyc3Q=", "data:image/webp;base64,c2Vjb25k"]
    assert sent["cut"] == "data:image/png;base64,bWFzaw=="


async def test_what_it_can_do(bench: TaskBench[PixelMill]) -> None:
    """All of it from the description."""
    found = bench.adapter.capabilities(MODEL)
    assert (found.n, found.recovery, found.can_cancel, found.references_max) == ((1, 2), Recovery.ASYNC_JOB, True, 2)
    assert found.sizes == PixelBounds(multiple_of=16, edge_min=256, edge_max=2048)
    assert found.params == {"quality", "user"}
    assert found.operations == {Operation.GENERATE, Operation.EDIT}
    assert (found.mask, found.references_by_link) == (MaskPolarity.WHITE, False)
    assert found.output_formats == {OutputFormat.PNG}
    assert (found.links_live_s, found.cost) == (1800, CostSource.ANSWER)


@pytest.mark.parametrize(
    ("behaviour", "fault", "billed"),
    [
        (b.OutOfMoney(), Fault.NO_MONEY, Billed.NO),
        (b.Error(status=200, body='{"err": 1499, "message": "the purse is empty"}'), Fault.NO_MONEY, Billed.NO),
        (b.Error(status=200, body='{"err": 1499, "message": "odd"}'), Fault.FAILED, Billed.NO),
        (b.Error(status=200, body='{"err": 1402, "message": "the purse is empty"}'), Fault.NO_MONEY, Billed.NO),
        (b.Error(status=400, code="1403"), Fault.NO_MONEY, Billed.NO),
        (b.Error(status=500, body='{"job": {"why": {"text": "bad gateway"}}}'), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Error(status=500, body='{"job": {"why": {"no": 3}}}'), Fault.FAILED, Billed.NO),
        (b.Error(status=200, body='{"err": 429}'), Fault.RATE_LIMITED, Billed.NO),
        (b.Error(status=200, body='{"err": 9}'), Fault.FAILED, Billed.UNKNOWN),
        (b.Error(status=200, body='{"err": 0}'), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Error(status=200, body="[]"), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Reset(bills=True), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Refuse(), Fault.REFUSED, Billed.UNKNOWN),
        (b.Refuse(bills=True), Fault.REFUSED, Billed.YES),
        (b.FailTask(code="5"), Fault.FAILED, Billed.UNKNOWN),
        (b.FailTask(code="5", bills=True), Fault.FAILED, Billed.YES),
    ],
)
async def test_failures(bench: TaskBench[PixelMill], behaviour: b.Behaviour, fault: Fault, billed: Billed) -> None:
    """The described rows are read first. Of failed tasks nothing is known where neither a cost nor the operator says that they are free."""
    bench.vendor.next(behaviour)
    found = await bench.failure(a_call(REQUEST, offer=an_offer(MODEL)))
    assert (found.fault, found.billed) == (fault, billed)
    assert bench.count("create") == 1


async def test_failures_that_are_free(tmp_path: Path) -> None:
    """The operator has read that failed tasks cost nothing."""
    options = described(
        tmp_path, CONFIG.replace("      n: [1, 2]\n", "      n: [1, 2]\n      failures_are_free: true\n")
    )
    async with PixelMill(api_key="mill-key") as vendor, before(vendor, options) as bench:
        vendor.next(b.FailTask(code="5"))
        found = await bench.failure(a_call(REQUEST, offer=an_offer(MODEL)))
        assert (found.fault, found.billed) == (Fault.FAILED, Billed.NO)


@pytest.mark.parametrize("are_free", [True, False])
async def test_cancelled(tmp_path: Path, are_free: bool) -> None:
    """By the described path, at work or not; what it cost is what the vendor says of failures. Once it is over it is too late."""
    promise = f"      n: [1, 2]\n      failures_are_free: {str(are_free).lower()}\n"
    options = described(tmp_path, CONFIG.replace("      n: [1, 2]\n", promise))
    async with PixelMill(api_key="mill-key", work_s=60.0) as vendor, before(vendor, options) as bench:
        call = a_call(REQUEST, offer=an_offer(MODEL))
        task = asyncio.ensure_future(bench.failure(call))
        await vendor.until(lambda vendor: bool(bench.refs))
        known = replace(call, upstream_ref=bench.refs[0])
        assert await bench.adapter.cancel(known) is Stop.ASKED
        found = await task
        assert (found.fault, found.billed) == (Fault.FAILED, Billed.NO if are_free else Billed.UNKNOWN)
        vendor.next(b.Error(status=200, body='{"err": 422}'), at="stop")
        assert await bench.adapter.cancel(known) is Stop.TOO_LATE
        vendor.next(b.Error(status=200, body='{"err": 503}'), at="stop")
        with pytest.raises(UpstreamFailure):
            await bench.adapter.cancel(known)
        assert (vendor.bills, bench.count("create"), bench.count("stop")) == ([], 1, 3)


async def test_over_in_the_answer_to_the_submit(bench: TaskBench[PixelMill]) -> None:
    """A task that is over at once is not asked for."""
    job = {"ref": "job:9", "phase": 2, "out": "https://x.test/a.png"}
    bench.vendor.next(b.Error(status=200, body=orjson.dumps({"err": 0, "job": job}).decode()))
    assert await made(bench) == Generated((LinkedImage("https://x.test/a.png"),))
    assert (bench.refs, bench.count("poll")) == (["job:9"], 0)


async def test_resuming_does_not_submit(bench: TaskBench[PixelMill]) -> None:
    """A stored id is polled."""
    first = await made(bench)
    call = a_call(REQUEST, offer=an_offer(MODEL), upstream_ref=bench.refs[0])
    assert await bench.generate(call) == first
    assert (bench.count("create"), bench.vendor.billed_images) == (1, 2)


async def test_a_status_nobody_described(bench: TaskBench[PixelMill]) -> None:
    """It is neither done nor failed: asked on until the deadline, then unknown."""
    bench.vendor.always(b.Error(status=200, body='{"err": 0, "job": {"phase": 8}}'), at="poll")
    found = await bench.failure(a_call(REQUEST, offer=an_offer(MODEL), seconds=0.4))
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert bench.count("poll") > 1


async def test_the_check(bench: TaskBench[PixelMill]) -> None:
    """The described path; an error number under 200 fails it."""
    assert "GET /purse answered" in await bench.adapter.check(a_call().deadline_s)
    bench.vendor.next(b.Error(status=200, body='{"err": 401}'), at="purse")
    with pytest.raises(UpstreamFailure) as caught:
        await bench.adapter.check(a_call().deadline_s)
    assert caught.value.fault is Fault.CREDENTIALS
