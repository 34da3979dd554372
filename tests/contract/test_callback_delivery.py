"""The outbox of callbacks on real databases, against receivers on loopback: when each is tried, what is kept, and who is left alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from gateway.administration.callbacks import Callbacks
from gateway.callbacks.circuits import FAILURES, OPEN_MS, POSTPONED_MS_MAX
from gateway.callbacks.deliverer import LEASE_MS, Moment
from gateway.callbacks.lanes import PER_HOST
from gateway.domain.callbacks import CallbackState
from gateway.egress.guard import EgressPolicy
from gateway.webhooks.sending import ANSWER_BYTES_MAX, KEPT_BYTES
from tests.contract.callback_world import OTHER_PORTS, SECRETS, START_MS, World, callback_world
from tests.ports import free_port
from tests.webhook_receiver import Answer, WebhookReceiver, endless, huge, receiving, reset


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with callback_world(database_url) as made:
        yield made


async def test_it_is_delivered_signed_and_once(world: World) -> None:
    """By both secrets that are valid, the body as it was stored; afterwards nothing is due, and the figures say so."""
    [callback] = await world.add()
    deliverer = world.deliverer()
    world.clock.ms += 700
    assert await deliverer.deliver_due() == 1
    [message] = world.receiver.received
    message.verify(*SECRETS)
    assert message.id == callback.id
    assert message.headers["Content-Type"] == "application/json"
    assert int(message.headers["webhook-timestamp"]) == world.clock.ms // 1000
    record = await world.record(callback)
    assert record.callback.body is not None
    assert record.callback.body.encode() == message.body
    assert (record.callback.state, record.callback.tries, record.callback.answer) == (CallbackState.SENT, 1, "HTTP 204")
    [made] = record.tries
    assert (made.at_ms, made.status, made.answer) == (world.clock.ms, 204, None)
    assert await deliverer.deliver_due() == 0
    assert world.metric('gateway_callbacks_total{outcome="sent"} 1.0')
    assert world.metric('gateway_callback_attempts_total{answer="2xx"} 1.0')
    assert world.metric("gateway_callback_lag_seconds_sum 0.7")


async def always(receiver: WebhookReceiver, answer: int | Answer) -> None:
    receiver.answers = [answer] * 10


@pytest.mark.parametrize(
    ("answer", "said", "begins"),
    [
        (500, "HTTP 500", None),
        (404, "HTTP 404", None),
        (302, "HTTP 302", None),
        (429, "HTTP 429", None),
        (reset, "not reached", "not reached"),
        (-1, "no answer in time", "no answer in time"),
        (huge, "HTTP 500", "x" * KEPT_BYTES),
    ],
    ids=["500", "404", "redirecting", "429", "resetting", "slow", "huge"],
)
async def test_a_failing_receiver_is_tried_four_times(
    world: World, answer: int | Answer, said: str, begins: str | None
) -> None:
    """At 0, 1, 3 and 7 seconds, with the same id and the same bytes under signatures of their own; then it is a dead letter."""
    await always(world.receiver, answer)
    async with receiving() as canary:
        world.receiver.headers = {"Location": canary.url}
        [callback] = await world.add()
        deliverer = world.deliverer(timeout_s=0.7 if said == "no answer in time" else 30.0)
        assert await world.to_its_end(callback, deliverer) == [0, 1_000, 3_000, 7_000]
        assert canary.received == []
    record = await world.record(callback)
    assert (record.callback.state, record.callback.tries, record.callback.answer) == (CallbackState.DEAD, 4, said)
    assert [made.answer for made in record.tries] == [begins] * 4
    assert [made.at_ms - START_MS for made in record.tries] == [0, 1_000, 3_000, 7_000]
    for message in world.receiver.received:
        message.verify(*SECRETS)
    assert {(message.id, message.body) for message in world.receiver.received} == {
        (callback.id, world.receiver.received[0].body)
    }
    assert len({message.headers["webhook-signature"] for message in world.receiver.received}) == 4
    assert world.rendered == [callback.task], "rendered once"
    assert world.metric('gateway_callbacks_total{outcome="dead"} 1.0')


async def test_a_receiver_that_is_down_is_tried_four_times(world: World) -> None:
    """And sent again by hand it is the same message, with its four tries before it."""
    port = free_port()
    OTHER_PORTS.append(port)
    [callback] = await world.add(url=f"http://127.0.0.1:{port}/hook?token=1")
    assert await world.to_its_end(callback, world.deliverer()) == [0, 1_000, 3_000, 7_000]
    assert (await world.record(callback)).callback.answer == "not reached"
    world.clock.ms += 10**9
    assert await world.deliverer().deliver_due() == 0
    async with receiving(port) as receiver:
        resent = await Callbacks(world.database, world.clock).resend(callback.id)
        assert (resent.callback.state, resent.callback.tries) == (CallbackState.DUE, 0)
        assert await world.deliverer().deliver_due() == 1
        assert receiver.received[0].id == callback.id
    record = await world.record(callback)
    assert (record.callback.state, len(record.tries)) == (CallbackState.SENT, 5)
    assert world.rendered == [callback.task]


async def test_what_is_on_its_way_at_the_end_is_answered_and_noted(world: World) -> None:
    """A process that is stopped gives receivers a moment: nothing is left claimed, and nothing comes twice."""
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await answer.wait()
        return web.Response(status=204)

    world.receiver.answers = [slow]
    [callback] = await world.add()
    running = asyncio.ensure_future(world.deliverer().run())
    await asyncio.wait_for(arrived.wait(), 30)
    running.cancel()
    asyncio.get_running_loop().call_later(0.05, answer.set)
    await asyncio.wait({running}, timeout=30)
    assert running.cancelled()
    assert (await world.record(callback)).callback.state is CallbackState.SENT


async def test_a_claim_that_ran_out_is_not_used(world: World) -> None:
    """A process that stood still between its claim and its send sends nothing; the next one does, and it was tried once."""
    [callback] = await world.add()
    paused = world.deliverer()

    def stand_still(moment: Moment) -> None:
        if moment is Moment.CLAIMED:
            world.clock.ms += LEASE_MS

    paused._reached = stand_still
    assert await paused.deliver_due() == 1
    assert world.receiver.received == []
    assert await world.deliverer().deliver_due() == 1
    assert [message.id for message in world.receiver.received] == [callback.id]
    record = await world.record(callback)
    assert (record.callback.state, len(record.tries)) == (CallbackState.SENT, 1)


async def test_gone_is_final(world: World) -> None:
    """410: no further try."""
    world.receiver.answers = [410]
    [callback] = await world.add()
    assert await world.to_its_end(callback, world.deliverer()) == [0]
    assert (await world.record(callback)).callback.state is CallbackState.DEAD


async def test_a_receiver_may_ask_for_a_pause(world: World) -> None:
    """`Retry-After` counts where it is the longer one, up to a minute; what is no number of seconds is not looked at."""
    for wait, times in (
        ("30", [0, 30_000, 60_000, 90_000]),
        ("2", [0, 2_000, 4_000, 8_000]),
        ("9999", [0, 60_000, 120_000, 180_000]),
        ("Wed, 21 Oct 2026 07:28:00 GMT", [0, 1_000, 3_000, 7_000]),
    ):
        world.clock.ms = START_MS
        await always(world.receiver, 429)
        world.receiver.headers = {"Retry-After": wait}
        [callback] = await world.add()
        assert await world.to_its_end(callback, world.deliverer()) == times


async def test_a_success_stands_however_its_body_goes_on(world: World) -> None:
    """200, and then an endless body: delivered; of an answer no more than its beginning is read and kept."""
    world.receiver.answers = [endless]
    [callback] = await world.add()
    assert await world.to_its_end(callback, world.deliverer(timeout_s=1.5)) == [0]
    record = await world.record(callback)
    assert record.callback.state is CallbackState.SENT
    assert str(record.tries[0].answer).startswith("wait ")

    async def long(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\0" + "é".encode() * ANSWER_BYTES_MAX)

    world.receiver.answers = [long]
    [other] = await world.add()
    await world.deliverer().deliver_due()
    kept = (await world.record(other)).tries[0].answer
    assert kept == "�" + "é" * 127 + "�", "256 bytes, without the NUL and the half of a letter"


async def test_a_name_that_turns_private_reaches_nobody(world: World) -> None:
    """Public when the task was accepted, internal at the tries: each is a failed one, the canary has no hit, and no answer names an address."""
    async with receiving() as canary:
        url = f"http://hooks.acme.com:{canary.port}/"
        policy = EgressPolicy(allow_http=True, ports=(canary.port,))
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
            world.clock.ms = START_MS
            world.names.leads_to = address
            [callback] = await world.add(url=url)
            assert await world.to_its_end(callback, world.deliverer(policy=policy)) == [0, 1_000, 3_000, 7_000]
            record = await world.record(callback)
            assert {made.answer for made in record.tries} == {record.callback.answer} == {"not reached"}
        assert canary.received == []
        assert set(world.names.asked) == {"hooks.acme.com"}
        world.names.leads_to = "127.0.0.1"
        [callback] = await world.add(url=url)
        allowed = replace(policy, allow=("127.0.0.1/32",))
        await world.deliverer(policy=allowed).deliver_due()
        assert len(canary.received) == 1, "the canary can be hit"


async def test_an_open_circuit_postpones_without_a_try(world: World) -> None:
    """After five failures at an endpoint the others wait, no try used up; then one probes, and its success lets them all through."""
    await always(world.receiver, 503)
    deliverer = world.deliverer()
    first = await world.add(FAILURES)
    while (await world.record(first[-1])).callback.tries == 0:
        await deliverer.deliver_due()
    waiting = await world.add(3)
    opened_ms = world.clock.ms
    await deliverer.deliver_due()
    for callback in waiting:
        found = (await world.record(callback)).callback
        assert (found.state, found.tries, found.next_at_ms) == (CallbackState.DUE, 0, opened_ms + OPEN_MS)
    assert world.metric('gateway_callbacks_total{outcome="postponed"} 3.0')
    world.receiver.answers, before = [], len(world.receiver.received)
    world.clock.ms = opened_ms + OPEN_MS
    assert await deliverer.deliver_due() == 1, "the probe"
    assert len(world.receiver.received) == before + 1
    for _ in range(20):
        world.clock.ms += 15_000
        await deliverer.deliver_due()
    for callback in (*first, *waiting):
        assert (await world.record(callback)).callback.state is CallbackState.SENT


async def test_nobody_is_postponed_for_more_than_ten_minutes(world: World) -> None:
    """However open the circuit is: then it has its four tries."""
    await always(world.receiver, 503)
    world.receiver.answers *= 1_000
    deliverer = world.deliverer()
    await world.add(FAILURES)
    await deliverer.deliver_due()
    await deliverer.deliver_due()
    [callback] = await world.add()
    began_ms = world.clock.ms
    while (found := (await world.record(callback)).callback).state is CallbackState.DUE:
        world.clock.ms = max(world.clock.ms + 1, found.next_at_ms)
        await deliverer.deliver_due()
    assert found.tries == 4
    assert world.clock.ms - began_ms <= POSTPONED_MS_MAX + 7_000


async def test_one_slow_receiver_delays_no_other(world: World) -> None:
    """Fifty to a receiver that does not answer yet, and one to another: that one arrives all the same; the slow one has four at once."""
    at_once, most, told = [0], [0], asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        await told.wait()
        await asyncio.sleep(0.02)
        at_once[0] -= 1
        return web.Response()

    async with receiving() as other:
        OTHER_PORTS.append(other.port)
        world.receiver.answers = [slow] * 50
        await world.add(50)
        running = asyncio.create_task(world.deliverer(timeout_s=100).run())
        await world.receiver.until(PER_HOST)
        await world.add(url=other.url)
        await other.until(1, timeout_s=30)
        before = len(world.receiver.received)
        told.set()
        await world.receiver.until(50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert before == PER_HOST, "the slow one's others were still waiting"
    assert most[0] == PER_HOST
