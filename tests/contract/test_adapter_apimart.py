"""The APIMart adapter's own wire: two shapes of answers, ratios with a resolution, the cost in the answer, failed and resumed tasks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain.catalog import CostSource, PriceRow, PriceTable
from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.routing.quote import cost_usd
from gateway.upstreams.base import Generated, LinkedImage
from tests.contract.task_bench import TaskBench, opened
from tests.emulators import behaviours as b
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.pictures import decoded
from tests.unit.upstreams.calls import a_call, an_offer

REQUEST = ImageRequest("gpt-image-2", "a fox", size="3:2", pixels=Pixels(1536, 1024))
OFFER = an_offer("gpt-image-2")
Bench = TaskBench[APIMartEmulator]


@pytest_asyncio.fixture(params=[False, True], ids=["plain", "other-shapes"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with APIMartEmulator(other_shapes=request.param) as vendor, opened("apimart", vendor) as bench:
        yield bench


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with APIMartEmulator() as vendor, opened("apimart", vendor) as opened_bench:
        yield opened_bench


async def test_a_picture_in_either_shape(either: Bench) -> None:
    """Both documented shapes lead to one stored id before the first poll, one picture, and the cost in USD."""
    made = await either.generate(a_call(REQUEST, offer=OFFER))
    assert either.sent == {"model": "gpt-image-2", "prompt": "a fox", "n": 1, "size": "3:2", "resolution": "1k"}
    assert (len(either.refs), either.polls_before_stored) == (1, 0)
    (image,) = made.images
    assert isinstance(image, LinkedImage)
    assert decoded(await either.adapter.fetch(image, a_call().deadline_s)) == ("png", (1248, 832))
    assert made.cost_usd == either.vendor.billed_usd == Decimal("0.006")
    assert either.vendor.requests[1].path.endswith(f"/v1/tasks/{either.refs[0]}?language=en")


@pytest.mark.parametrize(
    ("size", "pixels", "sent", "usd"),
    [
        ("auto", None, {}, "0.006"),
        ("1024x1024", Pixels(1024, 1024), {"size": "1:1", "resolution": "1k"}, "0.006"),
        ("2048x2048", Pixels(2048, 2048), {"size": "1:1", "resolution": "2k"}, "0.012"),
        ("3840x2160", Pixels(3840, 2160), {"size": "16:9", "resolution": "2k"}, "0.012"),
        ("4096x4096", Pixels(4096, 4096), {"size": "1:1", "resolution": "4k"}, "0.018"),
    ],
)
async def test_sizes_and_their_prices(
    bench: Bench, size: str, pixels: Pixels | None, sent: dict[str, str], usd: str
) -> None:
    """The nearest ratio and resolution; the price by step is what the vendor then bills."""
    request = replace(REQUEST, size=size, pixels=pixels)
    await bench.generate(a_call(request, offer=OFFER))
    assert {name: bench.sent[name] for name in ("size", "resolution") if name in bench.sent} == sent
    assert bench.vendor.billed_usd == Decimal(usd)
    price = PriceTable(
        tuple(PriceRow(Decimal(row), step=f"{step}k") for step, row in ((1, "0.006"), (2, "0.012"), (4, "0.018")))
    )
    capabilities = bench.adapter.capabilities("gpt-image-2")
    quote = cost_usd(price, request, pixels=pixels, n=1, calls=1, sizes=capabilities.sizes)
    assert quote is not None
    assert quote.expected_microusd == Decimal(usd) * 1_000_000
    assert (capabilities.n, capabilities.cost, capabilities.params) == ((1,), CostSource.ANSWER, frozenset())


async def test_what_the_operator_adds(bench: Bench) -> None:
    """Fixed parameters and fields of the vendor's own go over the body."""
    offer = replace(an_offer("gpt-image-2", params=(("size", "16:9"),)), extra=(("official_fallback", "true"),))
    await bench.generate(a_call(REQUEST, offer=offer))
    assert (bench.sent["size"], bench.sent["official_fallback"]) == ("16:9", True)


@pytest.mark.parametrize(
    ("behaviour", "fault", "billed"),
    [
        (b.Refuse(), Fault.REFUSED, Billed.NO),
        (b.Refuse(bills=True), Fault.REFUSED, Billed.YES),
        (b.FailTask(code="server_error"), Fault.FAILED, Billed.NO),
        (b.FailTask(code="server_error", bills=True), Fault.FAILED, Billed.YES),
        (b.FailTask(code="invalid_parameters"), Fault.BAD_REQUEST, Billed.NO),
        (b.FailTask(code="no_available_channel"), Fault.OVERLOADED, Billed.NO),
    ],
)
async def test_failed_tasks(bench: Bench, behaviour: b.Behaviour, fault: Fault, billed: Billed) -> None:
    """A failed task is refunded, unless it names a cost all the same."""
    bench.vendor.next(behaviour)
    found = await bench.failure()
    assert (found.fault, found.billed) == (fault, billed)
    assert (found.cost_usd == bench.vendor.billed_usd) if billed is Billed.YES else (found.cost_usd is None)
    assert bench.count("create") == 1


@pytest.mark.parametrize(
    ("answer", "fault", "billed"),
    [
        ({"code": 402, "message": "Insufficient balance"}, Fault.NO_MONEY, Billed.NO),
        ({"code": 429, "message": "slow down"}, Fault.RATE_LIMITED, Billed.NO),
        ({"code": 503, "message": "busy", "data": None}, Fault.OVERLOADED, Billed.NO),
        ({"error": {"code": "model_not_found", "message": "x"}}, Fault.CREDENTIALS, Billed.NO),
        ({"code": 504, "message": "timed out"}, Fault.NO_ANSWER, Billed.UNKNOWN),
        ({"code": 200, "data": [{"status": "submitted"}]}, Fault.NO_ANSWER, Billed.UNKNOWN),
        ({"code": 200, "data": [{"task_id": "../../credits"}]}, Fault.NO_ANSWER, Billed.UNKNOWN),
        ({}, Fault.NO_ANSWER, Billed.UNKNOWN),
    ],
)
async def test_errors_inside_a_200(bench: Bench, answer: dict[str, object], fault: Fault, billed: Billed) -> None:
    """A code in the body is read as the status it looks like; accepted without an id that can be asked for is an unknown outcome."""
    bench.vendor.next(b.Error(status=200, body=orjson.dumps(answer).decode()))
    found = await bench.failure()
    assert (found.fault, found.billed, bench.refs) == (fault, billed, [])


async def test_resuming_does_not_submit(bench: Bench) -> None:
    """A stored id is polled; nothing is sent that could be billed."""
    call = a_call(REQUEST, offer=OFFER)
    first = await bench.generate(call)
    assert await bench.generate(replace(call, upstream_ref=bench.refs[0])) == first
    assert (bench.count("create"), bench.vendor.billed_images, len(bench.refs)) == (1, 1, 1)


@pytest.mark.parametrize("ref", ["../x", "", "a/b", "a?b", "x" * 200])
async def test_an_odd_stored_id_is_not_asked_for(bench: Bench, ref: str) -> None:
    """An id becomes part of an address."""
    found = await bench.failure(a_call(REQUEST, offer=OFFER, upstream_ref=ref))
    assert (found.fault, found.billed, bench.vendor.requests) == (Fault.NO_ANSWER, Billed.UNKNOWN, [])


async def test_a_stalled_task(bench: Bench) -> None:
    """Unknown at the deadline, with its id stored for later."""
    bench.vendor.next(b.StallTask())
    found = await bench.failure(a_call(REQUEST, offer=OFFER, seconds=0.4))
    assert (found.fault, found.billed, len(bench.refs)) == (Fault.NO_ANSWER, Billed.UNKNOWN, 1)
    assert bench.count("poll") >= 1


@pytest.mark.parametrize(
    "behaviour",
    [b.Error(status=500), b.HtmlError(), b.RateLimit(), b.Reset(), b.MalformedJson(), b.Error(status=404)],
    ids=lambda behaviour: f"{behaviour.kind}-{getattr(behaviour, 'status', '')}",
)
async def test_bad_polls_are_repeated(bench: Bench, behaviour: b.Behaviour) -> None:
    """A poll that fails says nothing about the task."""
    bench.vendor.next(behaviour, behaviour, at="poll")
    assert len((await bench.generate()).images) == 1
    assert (bench.count("create"), bench.vendor.billed_images) == (1, 1)


async def test_rejected_polls_leave_the_outcome_open(bench: Bench) -> None:
    """A key revoked meanwhile: told after three answers, and nobody claims that it was not billed."""
    bench.vendor.always(b.Error(status=401), at="poll")
    found = await bench.failure()
    assert (found.fault, found.billed, bench.count("poll")) == (Fault.CREDENTIALS, Billed.UNKNOWN, 3)


async def test_base_url_with_v1() -> None:
    """An address pasted with /v1 works the same."""
    async with APIMartEmulator() as vendor, opened("apimart", vendor, vendor.base_url + "/v1/") as bench:
        made: Generated = await bench.generate()
        assert len(made.images) == 1


async def test_nothing_to_check(bench: Bench) -> None:
    """No call is documented that costs nothing, and the test says so instead of sending one."""
    assert "nothing was sent" in await bench.adapter.check(a_call().deadline_s)
    assert bench.vendor.requests == []
