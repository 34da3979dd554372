"""The kie.ai adapter's own wire: codes inside HTTP 200, results as JSON in JSON, failed and resumed jobs, its check."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain.catalog import CostSource
from gateway.domain.images import ImageRequest, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import LinkedImage, UpstreamFailure
from tests.contract.task_bench import TaskBench, opened
from tests.emulators import behaviours as b
from tests.emulators.kie import KieEmulator
from tests.emulators.pictures import decoded
from tests.unit.upstreams.calls import a_call, an_offer

REQUEST = ImageRequest("gpt-image-2", "a fox", size="2:3", pixels=Pixels(1024, 1536))
OFFER = an_offer("gpt-image-2")
Bench = TaskBench[KieEmulator]


@pytest_asyncio.fixture(params=[False, True], ids=["always-200", "http-statuses"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with KieEmulator(http_statuses=request.param) as vendor, opened("kie", vendor) as bench:
        yield bench


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with KieEmulator() as vendor, opened("kie", vendor) as opened_bench:
        yield opened_bench


async def test_a_picture(bench: Bench) -> None:
    """The body is the documented one, the id is stored before the first poll, and the links in `resultJson` are found."""
    made = await bench.generate(a_call(replace(REQUEST, quality=Quality.HIGH), offer=OFFER))
    assert bench.sent == {
        "model": "gpt-image-2",
        "input": {"prompt": "a fox", "aspect_ratio": "2:3", "resolution": "1K", "quality": "high"},
    }
    assert (len(bench.refs), bench.polls_before_stored, made.cost_usd) == (1, 0, None)
    (image,) = made.images
    assert isinstance(image, LinkedImage)
    assert decoded(await bench.adapter.fetch(image, a_call().deadline_s)) == ("png", (832, 1248))
    assert bench.vendor.billed_usd == Decimal("0.03")
    assert bench.vendor.requests[1].path == f"/api/v1/jobs/recordInfo?taskId={bench.refs[0]}"
    assert bench.adapter.capabilities("gpt-image-2").cost is CostSource.CATALOG


@pytest.mark.parametrize(
    ("size", "pixels", "sent"),
    [
        ("auto", None, {"prompt": "a fox"}),
        ("2048x2048", Pixels(2048, 2048), {"prompt": "a fox", "aspect_ratio": "1:1", "resolution": "2K"}),
        ("4096x4096", Pixels(4096, 4096), {"prompt": "a fox", "aspect_ratio": "1:1", "resolution": "4K"}),
    ],
)
async def test_sizes(bench: Bench, size: str, pixels: Pixels | None, sent: dict[str, object]) -> None:
    """A ratio and a step; nothing for auto."""
    await bench.generate(a_call(replace(REQUEST, size=size, pixels=pixels), offer=OFFER))
    assert bench.sent["input"] == sent


async def test_what_the_operator_adds_goes_into_input(bench: Bench) -> None:
    """Fixed parameters and fields of the vendor's own join the job's input; a fixed quality takes the caller's place."""
    offer = replace(
        an_offer("gpt-image-2", params=(("quality", "low"), ("seed", "7"))), extra=(("nsfw_checker", "false"),)
    )
    await bench.generate(a_call(replace(REQUEST, quality=Quality.HIGH), offer=offer))
    sent = bench.sent["input"]
    assert isinstance(sent, dict)
    assert (sent["quality"], sent["seed"], sent["nsfw_checker"]) == ("low", 7, False)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.OutOfMoney(), Fault.NO_MONEY),
        (b.RateLimit(retry_after="7"), Fault.RATE_LIMITED),
        (b.Overloaded(), Fault.OVERLOADED),
        (b.Overloaded(form="455"), Fault.OVERLOADED),
        (b.Overloaded(form="505"), Fault.OVERLOADED),
        (b.Overloaded(form="500"), Fault.FAILED),
        (b.Error(status=401), Fault.CREDENTIALS),
        (b.Error(status=404), Fault.CREDENTIALS),
        (b.Error(status=422, message="Unknown parameter: 'moderation'"), Fault.BAD_REQUEST),
        (b.Error(status=451), Fault.BAD_REQUEST),
        (b.Error(status=501), Fault.FAILED),
        (b.Error(status=400, message="Your prompt was flagged as violating content policies."), Fault.REFUSED),
    ],
    ids=lambda value: getattr(value, "kind", value) + str(getattr(value, "status", getattr(value, "form", ""))),
)
async def test_codes(either: Bench, behaviour: b.Behaviour, fault: Fault) -> None:
    """Every documented code means the same whether the HTTP status repeats it or is 200; none is billed, none is sent again."""
    either.vendor.next(behaviour)
    found = await either.failure()
    assert (found.fault, found.billed) == (fault, Billed.NO)
    assert found.retry_after_s == (7 if isinstance(behaviour, b.RateLimit) else None)
    assert (either.count("create"), either.count("poll"), either.refs) == (1, 0, [])


async def test_a_gateway_time_out_in_the_body_is_doubtful(either: Bench) -> None:
    """408 and 504 leave it open whether a job was made."""
    either.vendor.next(b.Error(status=504))
    found = await either.failure()
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.Refuse(), Fault.REFUSED),
        (b.FailTask(code="501"), Fault.FAILED),
        (b.FailTask(code="500"), Fault.FAILED),
        (b.FailTask(code="504", message="generation timed out"), Fault.FAILED),
        (b.FailTask(code="404", message="the picture is gone"), Fault.FAILED),
        (b.FailTask(code="422", message="The size is not supported"), Fault.BAD_REQUEST),
        (b.FailTask(code="455"), Fault.OVERLOADED),
        (b.FailTask(code="400", message="Prompt failed the safety check"), Fault.REFUSED),
    ],
)
async def test_failed_jobs(bench: Bench, behaviour: b.Behaviour, fault: Fault) -> None:
    """`failCode` and `failMsg` are classified; a job's code says nothing of our key or address."""
    bench.vendor.next(behaviour)
    found = await bench.failure()
    assert (found.fault, found.billed, len(bench.refs)) == (fault, Billed.NO, 1)
    assert bench.vendor.billed_images == 0


async def test_a_failed_poll_is_no_failed_job(bench: Bench) -> None:
    """Codes that come for a question, out of money included, are asked past; at the third refusal in a row the outcome is unknown."""
    bench.vendor.next(b.RateLimit(), b.Error(status=500), b.Error(status=501), b.Error(status=404), at="poll")
    assert len((await bench.generate()).images) == 1
    bench.vendor.always(b.Error(status=422), at="poll")
    found = await bench.failure()
    assert (found.fault, found.billed) == (Fault.BAD_REQUEST, Billed.UNKNOWN)
    assert bench.count("create") == 2


async def test_how_a_job_ended_counts_before_a_code(bench: Bench) -> None:
    """A poll may repeat the job's failure as its own code: the job is over all the same."""
    record = {"state": "fail", "failCode": "501", "failMsg": "Generation failed."}
    bench.vendor.next(
        b.Error(status=200, body=orjson.dumps({"code": 501, "msg": "x", "data": record}).decode()), at="poll"
    )
    found = await bench.failure()
    assert (found.fault, found.billed, bench.count("poll")) == (Fault.FAILED, Billed.NO, 1)


@pytest.mark.parametrize(
    "result", ["", "{", "[]", "null", '{"resultUrls": "x"', '{"resultUrls": []}', '{"resultUrls": [7]}']
)
async def test_a_success_without_links(bench: Bench, result: str) -> None:
    """A result that cannot be read is NO_IMAGE."""
    record = {"state": "success", "resultJson": result}
    bench.vendor.next(b.Error(status=200, body=orjson.dumps({"code": 200, "data": record}).decode()), at="poll")
    found = await bench.failure()
    assert (found.fault, found.billed) == (Fault.NO_IMAGE, Billed.NO)


async def test_resuming_does_not_submit(bench: Bench) -> None:
    """A stored id is polled; nothing is sent that could be billed."""
    call = a_call(REQUEST, offer=OFFER)
    first = await bench.generate(call)
    assert await bench.generate(replace(call, upstream_ref=bench.refs[0])) == first
    assert (bench.count("create"), bench.vendor.billed_images) == (1, 1)


async def test_a_stalled_job(bench: Bench) -> None:
    """Unknown at the deadline, with its id stored for later."""
    bench.vendor.next(b.StallTask())
    found = await bench.failure(a_call(REQUEST, offer=OFFER, seconds=0.4))
    assert (found.fault, found.billed, len(bench.refs)) == (Fault.NO_ANSWER, Billed.UNKNOWN, 1)


async def test_the_check(bench: Bench) -> None:
    """A question for the credits; a wrong key is told although the status is 200."""
    assert "GET /api/v1/chat/credit answered" in await bench.adapter.check(a_call().deadline_s)
    bench.vendor.next(b.Error(status=401), at="credits")
    with pytest.raises(UpstreamFailure) as caught:
        await bench.adapter.check(a_call().deadline_s)
    assert caught.value.fault is Fault.CREDENTIALS
    assert bench.vendor.bills == []
