"""The EvoLink adapter's own wire: keys, replays, resumed polling, doubtful polls, and the cost that the vendor names."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Adapter, Generated, LinkedImage, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.unit.upstreams.calls import a_call, an_offer

REQUEST = ImageRequest("gpt-4o-image", "a fox", size="2:3", pixels=Pixels(1024, 1536))
Build = Callable[..., Adapter]


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[EvolinkEmulator]:
    async with EvolinkEmulator() as emulator:
        yield emulator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest_asyncio.fixture
async def adapter(vendor: EvolinkEmulator, threads: ThreadPoolExecutor) -> AsyncIterator[Adapter]:
    settings = UpstreamSettings(
        "evolink", "evolink", base_url=vendor.base_url, api_key=vendor.api_key, options={"poll_interval": "30ms"}
    )
    adapter = build(settings, Resources(SystemClock(), threads))
    yield adapter
    await adapter.close()


class Stored:
    """What the pipeline would have stored, and when."""

    def __init__(self, vendor: EvolinkEmulator) -> None:
        self.vendor = vendor
        self.refs: list[str] = []
        self.polls_before = -1

    async def __call__(self, upstream_ref: str) -> None:
        self.polls_before = polls(self.vendor)
        self.refs.append(upstream_ref)


def polls(vendor: EvolinkEmulator) -> int:
    return sum(received.at == "poll" for received in vendor.requests)


def submits(vendor: EvolinkEmulator) -> int:
    return sum(received.at == "create" for received in vendor.requests)


def a_task(request: ImageRequest = REQUEST, model: str = "gpt-4o-image", *, seconds: float = 20.0) -> UpstreamCall:
    return a_call(request, offer=an_offer(model), seconds=seconds)


async def failure(adapter: Adapter, call: UpstreamCall, stored: Stored) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(call, stored)
    return caught.value


async def test_the_task_id_is_stored_before_the_first_poll(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """A crash between submit and result can resume, because the id is stored first; the key is the attempt's id."""
    stored, call = Stored(vendor), a_task()
    found = await adapter.generate(call, stored)
    assert len(stored.refs) == 1
    assert stored.polls_before == 0
    assert vendor.requests[0].headers["idempotency-key"] == call.attempt_id
    assert vendor.requests[0].json == {"model": "gpt-4o-image", "prompt": "a fox", "size": "2:3", "n": 1}
    assert found.cost_usd is not None
    assert abs(found.cost_usd - vendor.billed_usd) < Decimal("0.000001")


async def test_newer_models_get_the_quality(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """gpt-image-2 understands quality; a size without a listed text is sent as its ratio's pixels."""
    request = replace(REQUEST, quality=Quality.LOW, size="1024x1536")
    await adapter.generate(a_task(request, "gpt-image-2"), Stored(vendor))
    assert (vendor.requests[0].json or {})["quality"] == "low"
    assert (vendor.requests[0].json or {})["size"] == "1024x1536"


async def test_resending_the_same_attempt_is_billed_once(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """The first answer was lost; the same attempt sent again gets the first call's task, and one bill."""
    vendor.next(b.Reset(bills=True))
    stored, call = Stored(vendor), a_task()
    lost = await failure(adapter, call, stored)
    assert (lost.fault, lost.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    found = await adapter.generate(call, stored)
    assert len(found.images) == 1
    assert submits(vendor) == 2
    assert vendor.billed_images == 1


async def test_resuming_does_not_submit(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """With a stored task id the adapter polls that task and sends nothing that could be billed."""
    stored, call = Stored(vendor), a_task()
    first = await adapter.generate(call, stored)
    again = await adapter.generate(replace(call, upstream_ref=stored.refs[0]), stored)
    assert again == first
    assert submits(vendor) == 1
    assert stored.refs == stored.refs[:1]


@pytest.mark.parametrize("ref", ["../credits", "a/b", "", "x" * 200, "a?b", "a b"])
async def test_an_odd_task_id_is_not_asked_for(vendor: EvolinkEmulator, adapter: Adapter, ref: str) -> None:
    """A task id becomes part of a URL, so only plain ones are used; what became of the task stays unknown."""
    found = await failure(adapter, replace(a_task(), upstream_ref=ref), Stored(vendor))
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert vendor.requests == []


async def test_an_odd_task_id_in_the_answer(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """Accepted under an id that cannot be used: unknown, and not stored."""
    vendor.next(b.Error(status=200, body=orjson.dumps({"id": "../x", "status": "pending"}).decode()))
    stored = Stored(vendor)
    found = await failure(adapter, a_task(), stored)
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert stored.refs == []


@pytest.mark.parametrize(
    "behaviour",
    [
        b.Error(status=500),
        b.HtmlError(),
        b.RateLimit(),
        b.Reset(),
        b.MalformedJson(),
        b.Overloaded(),
        b.Error(status=404),
    ],
    ids=lambda behaviour: f"{behaviour.kind}-{getattr(behaviour, 'status', '')}",
)
async def test_bad_polls_are_repeated(vendor: EvolinkEmulator, adapter: Adapter, behaviour: b.Behaviour) -> None:
    """A poll that fails says nothing about the task, and the next one may not; nothing is submitted again."""
    vendor.next(behaviour, behaviour, at="poll")
    found = await adapter.generate(a_task(), Stored(vendor))
    assert len(found.images) == 1
    assert (submits(vendor), vendor.billed_images) == (1, 1)


async def test_a_poll_that_hangs_does_not_outlive_the_deadline(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """The deadline ends the waiting, with an unknown outcome."""
    vendor.always(b.Hang(), at="poll")
    found = await failure(adapter, a_task(seconds=0.4), Stored(vendor))
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)


async def test_rejected_polls_leave_the_outcome_open(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """A key revoked after the submit: the operator is told, and nobody claims that the task was not billed."""
    vendor.always(b.Error(status=401, code="invalid_api_key"), at="poll")
    found = await failure(adapter, a_task(), Stored(vendor))
    assert (found.fault, found.billed) == (Fault.CREDENTIALS, Billed.UNKNOWN)
    assert polls(vendor) == 3


async def test_a_stalled_task(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """A task that never ends is unknown at the deadline; its id is stored for later."""
    vendor.next(b.StallTask())
    stored = Stored(vendor)
    found = await failure(adapter, a_task(seconds=0.3), stored)
    assert (found.fault, found.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert len(stored.refs) == 1


@pytest.mark.parametrize(
    ("behaviour", "fault", "billed"),
    [
        (b.FailTask(code="service_error"), Fault.FAILED, Billed.NO),
        (b.FailTask(code="generation_failed_no_content"), Fault.NO_IMAGE, Billed.NO),
        (b.FailTask(code="resource_exhausted"), Fault.OVERLOADED, Billed.NO),
        (b.FailTask(code="invalid_parameters"), Fault.BAD_REQUEST, Billed.NO),
        (b.FailTask(code="service_error", bills=True), Fault.FAILED, Billed.YES),
        (b.Refuse(bills=True), Fault.REFUSED, Billed.YES),
        (b.Error(status=409, code="idempotency_conflict"), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Error(status=409, code="paid_outcome_unknown"), Fault.NO_ANSWER, Billed.UNKNOWN),
        (b.Error(status=400, code="no_available_channel"), Fault.OVERLOADED, Billed.NO),
    ],
)
async def test_failed_tasks(
    vendor: EvolinkEmulator, adapter: Adapter, behaviour: b.Behaviour, fault: Fault, billed: Billed
) -> None:
    """Task errors are classified; a failed task that was charged all the same says what it cost."""
    vendor.next(behaviour)
    found = await failure(adapter, a_task(), Stored(vendor))
    assert (found.fault, found.billed) == (fault, billed)
    assert (found.cost_usd is not None) == (billed is Billed.YES)
    assert vendor.billed_images == (1 if billed is Billed.YES else 0)


async def test_rate_limit_without_a_hint(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """EvoLink's documentation says a minute."""
    vendor.next(b.RateLimit())
    assert (await failure(adapter, a_task(), Stored(vendor))).retry_after_s == 60


async def test_base_url_with_v1(vendor: EvolinkEmulator, threads: ThreadPoolExecutor) -> None:
    """An address pasted with /v1 works the same."""
    settings = UpstreamSettings(
        "e", "evolink", base_url=vendor.base_url + "/v1/", api_key=vendor.api_key, options={"poll_interval": "30ms"}
    )
    adapter = build(settings, Resources(SystemClock(), threads))
    found: Generated = await adapter.generate(a_task(), Stored(vendor))
    assert len(found.images) == 1
    await adapter.close()


async def test_cancelled_while_polling(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """A stopping process leaves the task where it is: stored, to be resumed."""
    vendor.next(b.StallTask())
    stored = Stored(vendor)
    task = asyncio.ensure_future(adapter.generate(a_task(), stored))
    await vendor.until(lambda _: polls(vendor) >= 1)
    task.cancel()
    started_s = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started_s < 10, "it waited for the task"
    assert len(stored.refs) == 1


@pytest.mark.parametrize(
    ("usage", "cost_usd"),
    [
        ({"credits_used": 1.5, "cost": {"usd": 0.0208, "credits": 1.5}}, Decimal("0.0208")),
        ({"credits_used": 1.44}, Decimal("0.02")),
        ({"credits_used": "much", "cost": None}, None),
        ({"credits_used": -1}, None),
        (None, None),
    ],
)
async def test_other_forms_of_a_finished_task(
    vendor: EvolinkEmulator, adapter: Adapter, usage: object, cost_usd: Decimal | None
) -> None:
    """Finished in the answer to the submit (a replay), results in `result_data`, the cost in USD or in credits: exact decimals, or none."""
    url = "https://files.example.com/a.png"
    task = {"id": "t-1", "status": "completed", "result_data": [{"image_url": url}, {}], "usage": usage}
    vendor.next(b.Error(status=200, body=orjson.dumps(task).decode()))
    stored = Stored(vendor)
    assert await adapter.generate(a_task(), stored) == Generated((LinkedImage(url),), cost_usd=cost_usd)
    assert (stored.refs, polls(vendor)) == (["t-1"], 0)


async def test_an_error_in_a_successful_answer(vendor: EvolinkEmulator, adapter: Adapter) -> None:
    """No task but an error, under 200: classified, and nothing is stored."""
    vendor.next(b.Error(status=200, body=orjson.dumps({"error": {"code": "insufficient_quota"}}).decode()))
    stored = Stored(vendor)
    found = await failure(adapter, a_task(), stored)
    assert (found.fault, found.billed, stored.refs) == (Fault.NO_MONEY, Billed.NO, [])


@pytest.mark.parametrize(
    ("size", "pixels", "sent"),
    [
        ("auto", None, None),
        ("1024x1024", Pixels(1024, 1024), "1024x1024"),
        ("1:1", Pixels(1024, 1024), "1:1"),
        ("square", Pixels(1024, 1024), "1024x1024"),
        ("2048x3072", Pixels(2048, 3072), "2:3"),
    ],
)
async def test_sizes(
    vendor: EvolinkEmulator, adapter: Adapter, size: str, pixels: Pixels | None, sent: str | None
) -> None:
    """The caller's text or its pixels where EvoLink lists them, else the ratio; nothing for auto."""
    await adapter.generate(a_task(replace(REQUEST, size=size, pixels=pixels)), Stored(vendor))
    assert (vendor.requests[0].json or {}).get("size") == sent
