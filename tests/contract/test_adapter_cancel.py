"""Upstreams that can be told to stop a call, each before its emulator: what has not begun is unbilled, what has begun goes on, and a question that
fails says nothing of the call."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import pytest
import pytest_asyncio

from gateway.domain.catalog import Offer, PerImage
from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Stop, UpstreamCall, UpstreamFailure
from tests.contract.task_bench import TaskBench, opened
from tests.emulators import behaviours as b
from tests.emulators.fal import FalEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.tasks import TaskEmulator
from tests.unit.upstreams.calls import a_call

REQUEST = ImageRequest("m", "a fox", size="1024x1024", pixels=Pixels(1024, 1024))
V = TypeVar("V", bound=TaskEmulator)
LONG_S = 60.0
"""Half of it a call waits in the queue."""


@dataclass(frozen=True)
class Vendor:
    """One kind, and a model of it."""

    emulator: Callable[[], TaskEmulator]
    model: str


VENDORS = {
    "fal": Vendor(FalEmulator, "fal-ai/flux/dev"),
    "replicate": Vendor(ReplicateEmulator, "black-forest-labs/flux-schnell"),
}


@pytest_asyncio.fixture(params=VENDORS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[TaskBench[TaskEmulator]]:
    async with VENDORS[request.param].emulator() as vendor, opened(request.param, vendor) as bench:
        yield bench


@pytest_asyncio.fixture
async def fal() -> AsyncIterator[TaskBench[FalEmulator]]:
    async with FalEmulator() as vendor, opened("fal", vendor) as bench:
        yield bench


def a_job(kind: str, seconds: float = 20.0) -> UpstreamCall:
    model = VENDORS[kind].model
    offer = Offer(f"{kind}/{model}", kind, model, PerImage(Decimal("0.02")))
    return a_call(REQUEST, offer=offer, seconds=seconds)


async def known(bench: TaskBench[V], call: UpstreamCall) -> UpstreamCall:
    """The same once its job's id is stored."""
    async with asyncio.timeout(30):
        while not bench.refs:  # noqa: ASYNC110 - what stores it is no emulator
            await asyncio.sleep(0.005)
    return replace(call, upstream_ref=bench.refs[-1])


async def test_cancelled_before_it_began(bench: TaskBench[TaskEmulator]) -> None:
    """It never runs, and is unbilled for certain; told again, it is over."""
    bench.vendor.work_s = LONG_S
    call = a_job(bench.adapter.kind)
    assert bench.adapter.capabilities(call.offer.upstream_model).can_cancel
    task = asyncio.ensure_future(bench.failure(call))
    asked = await known(bench, call)
    assert [await bench.adapter.cancel(asked), await bench.adapter.cancel(asked)] == [Stop.ASKED, Stop.TOO_LATE]
    found = await task
    assert (found.fault, found.billed, bench.vendor.bills) == (Fault.FAILED, Billed.NO, [])
    assert (bench.count("cancel"), bench.count("create")) == (1, 1)


async def test_what_has_begun_is_left_to_finish(bench: TaskBench[TaskEmulator]) -> None:
    """At work or over: the vendor is not told, and the picture comes and is paid for."""
    bench.vendor.work_s = 0.5
    call = a_job(bench.adapter.kind)
    task = asyncio.ensure_future(bench.generate(call))
    asked = await known(bench, call)
    await bench.vendor.until(lambda vendor: vendor.state(*vendor.tasks.values()) == "working")
    assert await bench.adapter.cancel(asked) is Stop.TOO_LATE
    assert len((await task).images) == 1
    assert await bench.adapter.cancel(asked) is Stop.TOO_LATE
    assert (bench.count("cancel"), bench.vendor.billed_images) == (0, 1)


@pytest.mark.parametrize("at", ["poll", "cancel"])
@pytest.mark.parametrize(
    "behaviour", [b.Hang(), b.Error(status=500), b.Error(status=404), b.RateLimit()], ids=lambda one: one.kind
)
async def test_a_question_that_fails(bench: TaskBench[TaskEmulator], at: str, behaviour: b.Behaviour) -> None:
    """Within its time; the call is as it was, and can be told again."""
    bench.vendor.work_s = LONG_S
    call = a_job(bench.adapter.kind)
    task = asyncio.ensure_future(bench.generate(call))
    asked = await known(bench, call)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bench.vendor.always(behaviour, at=at)
    begun_s = time.monotonic()
    with pytest.raises(UpstreamFailure):
        await bench.adapter.cancel(replace(asked, deadline_s=begun_s + 0.3))
    assert time.monotonic() - begun_s < 15
    bench.vendor.always(b.Succeed(), at=at)
    assert await bench.adapter.cancel(asked) is Stop.ASKED
    found = await bench.failure(asked)
    assert (found.billed, bench.vendor.bills, bench.count("create")) == (Billed.NO, [], 1)


@pytest.mark.parametrize("ref", ["../x", "a/b", "", "a?b", None])
async def test_an_odd_id_is_not_asked_for(bench: TaskBench[TaskEmulator], ref: str | None) -> None:
    """It would lead elsewhere."""
    with pytest.raises(UpstreamFailure):
        await bench.adapter.cancel(replace(a_job(bench.adapter.kind), upstream_ref=ref))
    assert bench.vendor.requests == []


async def test_replicate_began_in_the_moment_of_the_cancel() -> None:
    """The prediction says that it ran, and is charged."""
    async with ReplicateEmulator(work_s=1.5) as vendor, opened("replicate", vendor) as bench:
        call = a_job("replicate")
        task = asyncio.ensure_future(bench.failure(call))
        vendor.next(b.Succeed(delay_s=1.0), at="cancel")
        assert await bench.adapter.cancel(await known(bench, call)) is Stop.ASKED
        found = await task
        assert (found.fault, found.billed, len(vendor.bills)) == (Fault.FAILED, Billed.YES, 1)


async def test_fal_began_in_the_moment_of_the_cancel(fal: TaskBench[FalEmulator]) -> None:
    """The queue shows it at work before it shows its end: what that cost, nobody knows."""
    fal.vendor.work_s = LONG_S
    call = a_job("fal")
    task = asyncio.ensure_future(fal.failure(call))
    asked = await known(fal, call)
    fal.vendor.next(b.Error(status=202, body='{"status": "CANCELLATION_REQUESTED"}'), at="cancel")
    assert await fal.adapter.cancel(asked) is Stop.ASKED
    fal.vendor.next(b.Error(status=202, body='{"status": "IN_PROGRESS"}'), at="poll")
    seen = fal.count("poll")
    await fal.vendor.until(lambda _: fal.count("poll") > seen + 1)
    fal.vendor.cancel(fal.vendor.tasks[fal.refs[0]])
    found = await task
    assert (found.fault, found.billed) == (Fault.FAILED, Billed.UNKNOWN)


async def test_fal_was_over_in_the_moment_of_the_cancel(fal: TaskBench[FalEmulator]) -> None:
    """The queue says so, and is believed."""
    fal.vendor.work_s = 0.5
    call = a_job("fal")
    task = asyncio.ensure_future(fal.generate(call))
    fal.vendor.next(b.Error(status=400, body='{"status": "ALREADY_COMPLETED"}'), at="cancel")
    assert await fal.adapter.cancel(await known(fal, call)) is Stop.TOO_LATE
    assert len((await task).images) == 1
