"""The kind `lookup` over a real wire: an adapter that only the tests have, and the emulated vendor that can be asked by our reference."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from gateway.domain.clock import SystemClock
from gateway.domain.tasks import Billed, Fault, Heard
from gateway.upstreams.base import Generated, UpstreamFailure, UpstreamSettings
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.lookup import PRICE_USD, LookupEmulator
from tests.lookup_adapter import LookupAdapter
from tests.unit.upstreams.calls import a_call, nothing_submitted


@dataclass
class Bench:
    vendor: LookupEmulator
    adapter: LookupAdapter


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with ThreadPoolExecutor(1) as threads:
        async with LookupEmulator(work_s=0.0) as vendor:
            settings = UpstreamSettings("u", "lookup", vendor.base_url, vendor.api_key, timeout_s=5.0)
            adapter = LookupAdapter(settings, Resources(SystemClock(), threads))
            yield Bench(vendor, adapter)
            await adapter.close()


async def test_the_same_pictures_whoever_asks(bench: Bench) -> None:
    """The answer, and what is found by its reference: the status lags, then both are the same, and one bill."""
    call = a_call()
    assert await bench.adapter.find(call) is Heard.NOTHING
    made = await bench.adapter.generate(call, nothing_submitted)
    assert await bench.adapter.find(call) is Heard.WORKING
    assert await bench.adapter.find(call) == made
    assert made.cost_usd == bench.vendor.billed_usd == PRICE_USD


async def test_work_goes_on_without_its_caller(bench: Bench) -> None:
    """A reset after the request was read: no answer, but the question finds it at work, and later done."""
    bench.vendor.work_s = 0.05
    bench.vendor.next(b.Reset(bills=True))
    call = a_call()
    with pytest.raises(UpstreamFailure) as caught:
        await bench.adapter.generate(call, nothing_submitted)
    assert caught.value.billed is Billed.UNKNOWN
    assert await bench.adapter.find(call) is Heard.WORKING
    await bench.vendor.until(lambda vendor: len(vendor.bills) == 1)
    assert isinstance(await bench.adapter.find(call), Generated)


async def test_a_delayed_request_is_unknown_until_it_arrives(bench: Bench) -> None:
    """One that dies on its way is not known, and not billed."""
    bench.vendor.next(b.Reset())
    call = a_call()
    with pytest.raises(UpstreamFailure):
        await bench.adapter.generate(call, nothing_submitted)
    assert await bench.adapter.find(call) is Heard.NOTHING
    assert bench.vendor.bills == []


@pytest.mark.parametrize(("bills", "billed"), [(False, Billed.NO), (True, Billed.YES)])
async def test_a_failure_is_found_with_its_bill(bench: Bench, bills: bool, billed: Billed) -> None:
    """Returned, not raised: it is the end of the attempt."""
    bench.vendor.next(b.FailTask(bills=bills))
    call = a_call()
    with pytest.raises(UpstreamFailure):
        await bench.adapter.generate(call, nothing_submitted)
    assert await bench.adapter.find(call) is Heard.WORKING
    found = await bench.adapter.find(call)
    assert isinstance(found, UpstreamFailure)
    assert (found.fault, found.billed) == (Fault.FAILED, billed)
    assert len(bench.vendor.bills) == int(bills)


@pytest.mark.parametrize(
    "behaviour", [b.Error(status=404, code="not_found"), b.HtmlError(), b.RateLimit(), b.Reset(), b.MalformedJson()]
)
async def test_a_question_that_fails_says_nothing(bench: Bench, behaviour: b.Behaviour) -> None:
    """It is raised, also where something answers 404 that is not the API's word for an unknown reference."""
    bench.vendor.always(behaviour, at="find")
    with pytest.raises(UpstreamFailure):
        await bench.adapter.find(a_call())


async def test_a_reference_that_is_sent_twice_is_paid_twice(bench: Bench) -> None:
    """What the gateway must not do here: this vendor does not protect it."""
    call = a_call()
    for _ in range(2):
        await bench.adapter.generate(call, nothing_submitted)
    assert len(bench.vendor.bills) == 2
