"""What every vendor's emulator does alike: success, every trouble of the connection, the script, the bills, strangers, and the process form."""

import argparse
import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator
from tests.emulators.fixtures import StartProcess
from tests.emulators.kinds import KINDS, Kind

ASK_TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class Bench:
    """One vendor and a client that knows its plainest request."""

    kind: Kind
    vendor: Emulator
    session: aiohttp.ClientSession

    async def ask(self, prompt: str = "tea", key: str | None = None) -> tuple[int, bytes]:
        """Status and body of one call."""
        headers = self.kind.headers(self.vendor.api_key if key is None else key)
        url = self.vendor.origin + self.kind.path
        async with self.session.post(url, json=self.kind.body(prompt), headers=headers) as response:
            return response.status, await response.read()


@pytest_asyncio.fixture(params=list(KINDS))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Each vendor in turn."""
    kind = KINDS[request.param]
    async with kind.make() as vendor, aiohttp.ClientSession(timeout=ASK_TIMEOUT) as session:
        yield Bench(kind, vendor, session)


async def test_a_plain_call_is_one_picture_and_one_bill(bench: Bench) -> None:
    """The bill has the prompt and the call's own id; every second call is another bill."""
    for prompt in ("tea", "coffee"):
        assert (await bench.ask(prompt))[0] in (200, 201)
    assert [(bill.images, bill.prompt) for bill in bench.vendor.bills] == [(1, "tea"), (1, "coffee")]
    assert [bill.request_id for bill in bench.vendor.bills] == [one.id for one in bench.vendor.requests]
    assert bench.vendor.billed_usd >= 0


@pytest.mark.parametrize(
    ("behaviour", "billed"),
    [(b.Reset(before_reading=True), 0), (b.Reset(), 0), (b.Reset(bills=True), 1), (b.Truncated(), 1)],
    ids=lambda value: str(getattr(value, "kind", value)),
)
async def test_a_lost_answer_may_have_been_billed(bench: Bench, behaviour: b.Behaviour, billed: int) -> None:
    """The caller sees a broken connection, the bills tell whether the work was done, and the next call is well."""
    bench.vendor.next(behaviour)
    with pytest.raises(aiohttp.ClientError):
        await bench.ask()
    assert bench.vendor.billed_images == billed
    assert (await bench.ask())[0] in (200, 201)


async def test_pages_errors_and_broken_json(bench: Bench) -> None:
    """What a proxy says, what the script says in the vendor's own envelope, and a body that is no JSON."""
    bench.vendor.next(
        b.HtmlError(status=504, bills=True),
        b.Error(status=500, message="It broke."),
        b.MalformedJson(),
        b.Drip(chunk_bytes=64_000),
    )
    status, page = await bench.ask()
    assert (status, page[:6], bench.vendor.billed_images) == (504, b"<html>", 1)
    _, error = await bench.ask()
    assert b"It broke." in error
    _, broken = await bench.ask()
    assert broken.endswith(b",")
    status, whole = await bench.ask()
    assert status in (200, 201)
    assert whole.endswith(b"}")
    assert bench.vendor.billed_images == 3


async def test_silence_lasts_until_released(bench: Bench) -> None:
    """A hanging call is billed or not as told, and answered when it is let go."""
    bench.vendor.next(b.Hang(bills=True))
    call = asyncio.create_task(bench.ask())
    await bench.vendor.until(lambda vendor: vendor.hanging == 1)
    assert bench.vendor.billed_images == 1
    assert not call.done()
    bench.vendor.release()
    assert (await call)[0] in (200, 201)


async def test_rules_look_at_the_prompt_wherever_it_stands(bench: Bench) -> None:
    """A rule finds the prompt in this vendor's body; a behaviour that its wire cannot show is refused."""
    bench.vendor.when("storm", b.HtmlError())
    assert [(await bench.ask(prompt))[0] == 502 for prompt in ("a storm", "calm")] == [True, False]
    if not bench.kind.has_tasks:
        with pytest.raises(ValueError):
            bench.vendor.next(b.StallTask())


async def test_every_shortage_is_an_error_and_free(bench: Bench) -> None:
    """Each form of limit, load, empty account and refusal that the vendor has can be shown, and costs nothing unless told."""
    vendor = bench.vendor
    wanted: list[b.Behaviour] = [b.RateLimit(retry_after="7", retry_in="7")]
    wanted += [b.Overloaded(form=form) for form in vendor.overloads]
    wanted += [b.OutOfMoney(code=code) for code in vendor.shortages or ("",)]
    shown = [behaviour for behaviour in wanted if not isinstance(behaviour, vendor.unsupported)]
    plain = (await bench.ask())[1]
    for behaviour in shown:
        vendor.next(behaviour)
        assert (await bench.ask())[1] != plain
    refusals = [b.Refuse(form=form) for form in vendor.refusals if b.Refuse not in vendor.unsupported]
    for refusal in refusals:
        vendor.next(refusal)
        await bench.ask()
    free = sum(refusal.form != "has_nsfw_concepts" for refusal in refusals)  # fal's black picture is paid for
    assert vendor.billed_images == 1 + len(refusals) - free
    assert [one.status for one in vendor.requests if one.status is None] == []


async def test_a_stranger_gets_nothing(bench: Bench) -> None:
    """A wrong key is answered as the vendor does, and never billed."""
    plain = (await bench.ask())[1]
    _, denied = await bench.ask(key="sk-stranger")
    assert len(denied) < len(plain) or b"rror" in denied or b"code" in denied
    assert bench.vendor.billed_images == 1


async def test_a_restart_forgets_on_demand_only(bench: Bench) -> None:
    """Bills outlive a restart on the same port, and a reset drops them."""
    await bench.ask()
    port = bench.vendor.origin
    await bench.vendor.stop()
    await bench.vendor.start()
    assert (bench.vendor.origin, bench.vendor.billed_images) == (port, 1)
    bench.vendor.reset()
    assert (bench.vendor.bills, bench.vendor.requests) == ([], [])


@pytest.mark.parametrize("name", list(KINDS))
async def test_every_module_can_be_a_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command line makes this vendor's emulator, with the key, the padding and the state file that were asked for."""
    built: list[Emulator] = []
    arguments = ["--api-key", "some:other", "--picture-bytes", "9"]

    def run(parser: argparse.ArgumentParser, build: Callable[[argparse.Namespace], Emulator]) -> None:
        built.append(build(process.parsed(parser, arguments)))

    monkeypatch.setattr(process, "run", run)
    importlib.import_module(f"tests.emulators.{name}").main()
    assert [(type(one), one.api_key, one.picture_bytes) for one in built] == [
        (type(KINDS[name].make()), "some:other", 9)
    ]


@pytest.mark.parametrize("name", ["a1111", "fal"])
async def test_the_process_form_serves(name: str, emulator_process: StartProcess) -> None:
    """It runs as a process of its own, and is told what to do over its control port."""
    child, kind = emulator_process(name), KINDS[name]
    child.next(b.HtmlError())
    async with aiohttp.ClientSession(headers=kind.headers(child.api_key), timeout=ASK_TIMEOUT) as session:
        statuses = []
        for _ in range(2):
            async with session.post(child.origin + kind.path, json=kind.body("tea")) as response:
                statuses.append(response.status)
    assert statuses[0] == 502
    assert statuses[1] in (200, 201)
    assert [received.status for received in child.requests] == statuses
