"""The outbox on real databases, against a receiver on loopback: signed, once where all goes well, again and again where it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import aiohttp
import pytest

from gateway.administration.alerts import Alerts
from gateway.alerts import deliverer as module
from gateway.alerts import store
from gateway.alerts.deliverer import LEASE_MS, PAUSES_S, Deliverer, Receiver
from gateway.db.connection import Connection, StatementFailed
from gateway.db.engine import open_database
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Transact
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.clock import SystemClock
from gateway.domain.errors import Conflict
from gateway.domain.ids import new_alert_id
from gateway.egress.errors import RequestRefused
from gateway.egress.guard import EgressPolicy
from gateway.egress.session import open_guarded_session
from gateway.pipeline.apply import apply
from gateway.telemetry.metrics import Metrics
from gateway.webhooks.sending import TIMEOUT_S
from tests.books import TEAM, Gateway, opened
from tests.ports import free_port
from tests.webhook_receiver import SECRET, WebhookReceiver, receiving

BODY = (
    '{"type":"budget.threshold","timestamp":"2026-03-10T11:00:00.000Z","data":{"threshold_percent":%d,"account":"é"}}'
)


class SetClock(SystemClock):
    """The wall clock is the test's; time-outs run by the machine's."""

    def __init__(self) -> None:
        self.ms = 1_773_140_400_000

    def now_ms(self) -> int:
        return self.ms


@dataclass
class World:
    database: Gateway
    clock: SetClock
    receiver: WebhookReceiver
    metrics: Metrics
    stack: AsyncExitStack

    def deliverer(self, *, url: str = "", database: Gateway | None = None, timeout_s: float = 30.0) -> Deliverer:
        """Of one process; closed at the end."""
        made = Deliverer(
            database or self.database, lambda: Receiver(url or self.receiver.url, SECRET), EgressPolicy(allow_http=True), self.metrics, self.clock,
            timeout_s=timeout_s,
        )  # fmt: skip
        self.stack.push_async_callback(made.close)
        return made

    async def add(self, *thresholds: int, budget: str = "1usd/day") -> None:
        """Alerts that are due now."""
        now_ms = self.clock.ms
        rows = [
            BudgetAlert(
                new_alert_id(now_ms), TEAM, budget, 0, threshold, BODY % threshold, now_ms, AlertState.DUE, 0, now_ms
            )
            for threshold in thresholds
        ]
        await self.database.write(Transact(lambda connection, _: store.add_alerts(connection, rows)))

    async def alerts(self) -> list[BudgetAlert]:
        found = await self.database.read(partial(store.read_alerts, org=None, before_id="", size=100))
        return sorted(found, key=lambda a: (a.budget, a.threshold_percent))

    async def only(self) -> BudgetAlert:
        [found] = await self.alerts()
        return found

    def counted(self, outcome: str) -> bool:
        return f'gateway_alerts_total{{outcome="{outcome}"}}'.encode() in self.metrics.render()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    clock = SetClock()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        database = await opened(database_url)
        stack.push_async_callback(database.close)
        yield World(database, clock, receiver, Metrics(), stack)


async def test_an_alert_is_delivered_signed_and_once(world: World) -> None:
    """In rising order, byte for byte as stored, verified by code that is not ours; afterwards nothing is due."""
    await world.add(100, 50, 80)
    deliverer = world.deliverer()
    assert await deliverer.deliver_due() == 3
    assert [message.percent for message in world.receiver.received] == [50, 80, 100]
    for message, alert in zip(world.receiver.received, await world.alerts(), strict=True):
        message.verify()
        assert (message.id, message.body) == (alert.id, alert.body.encode())
        assert message.headers["Content-Type"] == "application/json"
        assert int(message.headers["webhook-timestamp"]) == world.clock.ms // 1000
        assert (alert.state, alert.tries, alert.answer) == (AlertState.SENT, 1, "HTTP 204")
    assert await deliverer.deliver_due() == 0
    assert world.counted("sent")


async def test_two_processes_do_not_both_send(world: World, database_url: str) -> None:
    """Forty alerts, two deliverers at once: each message arrives once."""
    for number in range(20):
        await world.add(50, 80, budget=f"{number}usd/day")
    second = world.database
    if second.dialect is Dialect.POSTGRESQL:
        second = await open_database(parse_database_url(database_url), apply, world.clock)
        world.stack.push_async_callback(second.close)

    async def all_of(deliverer: Deliverer) -> None:
        while await deliverer.deliver_due():
            pass

    await asyncio.gather(all_of(world.deliverer()), all_of(world.deliverer(database=second)))
    ids = [message.id for message in world.receiver.received]
    assert len(ids) == len(set(ids)) == 40


async def test_a_server_error_is_tried_again(world: World) -> None:
    """500, then 200: the same id and body, another time and signature; not before its pause is over."""
    world.receiver.answers = [500]
    await world.add(50)
    deliverer = world.deliverer()
    await deliverer.deliver_due()
    failed = await world.only()
    assert (failed.state, failed.answer, failed.next_at_ms) == (AlertState.DUE, "HTTP 500", world.clock.ms + 1_000)
    assert await deliverer.deliver_due() == 0
    world.clock.ms += 1_000
    assert await deliverer.deliver_due() == 1
    first, again = world.receiver.received
    again.verify()
    assert (first.id, first.body) == (again.id, again.body)
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]
    assert (await world.only()).state is AlertState.SENT


async def test_a_receiver_that_is_down_is_tried_for_a_day(world: World) -> None:
    """Every pause is kept and grows; after the last try the alert is dead, and nothing more is sent until somebody asks for it."""
    port = free_port()
    await world.add(50)
    deliverer, began_ms, tries = world.deliverer(url=f"http://127.0.0.1:{port}/"), world.clock.ms, 0
    while (alert := await world.only()).state is AlertState.DUE:
        world.clock.ms = alert.next_at_ms
        tries += await deliverer.deliver_due()
    assert tries == alert.tries == len(PAUSES_S) + 1 == 29
    assert 22 < (world.clock.ms - began_ms) / 3_600_000 < 24
    assert (alert.state, alert.answer) == (AlertState.DEAD, "not reached")
    assert world.counted("failed")
    assert world.counted("dead")
    world.clock.ms += 10**9
    assert await deliverer.deliver_due() == 0
    resent = await Alerts(world.database, world.clock, sending=lambda: True).resend(alert.id)
    assert (resent.state, resent.tries) == (AlertState.DUE, 0)
    assert await world.deliverer().deliver_due() == 1
    assert world.receiver.received[0].id == alert.id
    assert (await world.only()).state is AlertState.SENT


async def test_without_a_receiver_nothing_is_sent_again(world: World) -> None:
    """The answer says what is missing."""
    await world.add(50)
    with pytest.raises(Conflict, match=r"alerts\.url"):
        await Alerts(world.database, world.clock, sending=lambda: False).resend((await world.only()).id)


async def test_gone_is_final(world: World) -> None:
    """410: no further try of this alert."""
    world.receiver.answers = [410]
    await world.add(50)
    deliverer = world.deliverer()
    await deliverer.deliver_due()
    assert (await world.only()).state is AlertState.DEAD
    world.clock.ms += 10**9
    assert await deliverer.deliver_due() == 0
    assert len(world.receiver.received) == 1


async def test_a_slow_receiver_is_given_up(world: World) -> None:
    """After its time it counts as no answer; the next one in the same batch is still sent, and this one comes again."""
    world.receiver.answers = [-2]
    await world.add(50, 80)
    await world.deliverer(timeout_s=0.2).deliver_due()
    slow, quick = await world.alerts()
    assert (slow.state, slow.answer, quick.state) == (AlertState.DUE, "no answer in time", AlertState.SENT)


async def test_a_receiver_may_ask_for_a_pause(world: World) -> None:
    """`Retry-After` in seconds is kept, up to an hour; what is no number is not looked at."""
    deliverer = world.deliverer()
    for wait, pause_s in (("90", 90), ("999999", 3_600), ("Wed, 21 Oct 2026 07:28:00 GMT", 1)):
        world.receiver.answers, world.receiver.headers = [429], {"Retry-After": wait}
        await world.add(50, budget=f"{pause_s}usd/day")
        await deliverer.deliver_due()
        [alert] = [found for found in await world.alerts() if found.budget == f"{pause_s}usd/day"]
        assert alert.next_at_ms == world.clock.ms + pause_s * 1_000


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(world: World, status: int) -> None:
    """Neither to elsewhere on this machine nor to the receiver itself: it is a failed try."""
    async with receiving() as elsewhere:
        for target in (elsewhere.url, world.receiver.url):
            world.receiver.answers, world.receiver.headers = [status], {"Location": target}
            await world.add(50, budget=f"{len(world.receiver.received) + 1}usd/day")
            await world.deliverer().deliver_due()
        assert elsewhere.received == []
    assert len(world.receiver.received) == 2
    assert [(a.state, a.answer) for a in await world.alerts()] == [(AlertState.DUE, f"HTTP {status}")] * 2


async def test_nothing_but_the_receiver_is_reached(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another port of this machine, or another private address, is refused before anything is dialled; the answer names no address."""
    async with receiving() as elsewhere:
        other = EgressPolicy(allow_http=True).for_upstream("http://127.0.0.1:1/")
        monkeypatch.setattr(EgressPolicy, "for_upstream", lambda *_: other)
        deliverer = world.deliverer(url=elsewhere.url)
        await world.add(50)
        await deliverer.deliver_due()
        assert elsewhere.received == []
    monkeypatch.undo()
    assert (await world.only()).answer == "not reached"
    session = await open_guarded_session(EgressPolicy(allow_http=True).for_upstream(world.receiver.url))
    async with session:
        for url in ("http://10.0.0.1/", "http://127.0.0.1:1/", "http://169.254.169.254/", "http://localhost/"):
            with pytest.raises(RequestRefused):
                await session.post(url, allow_redirects=False)


async def test_what_a_dead_process_had_claimed_is_sent_after_its_lease(world: World) -> None:
    """Killed between the claim and the send, or between the send and its note: another process sends it, under the same id."""
    await world.add(50)
    claimed: list[BudgetAlert] = []

    async def claim(connection: Connection, _: int) -> None:
        now_ms = world.clock.ms
        claimed.extend(await store.claim_due(connection, now_ms=now_ms, until_ms=now_ms + LEASE_MS, size=5))

    await world.database.write(Transact(claim))
    assert [alert.tries for alert in claimed] == [1]
    deliverer = world.deliverer()
    assert await deliverer.deliver_due() == 0
    world.clock.ms += LEASE_MS
    assert await deliverer.deliver_due() == 1
    late = partial(store.mark_tried, alert=claimed[0], state=AlertState.DEAD, next_at_ms=0, answer="late")
    await world.database.write(Transact(lambda connection, _: late(connection)))
    assert (await world.only()).state is AlertState.SENT, "who lost the lease overwrites nothing"


async def test_a_batch_fits_its_lease() -> None:
    """Even where every receiver's answer takes all the time that it may."""
    assert module.BATCH * TIMEOUT_S * 1000 < LEASE_MS


async def test_the_run_survives_a_database_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look fails; the next one sends. Cancelled, it closes its session."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    deliverer, fails = world.deliverer(), [StatementFailed("no")]
    look = deliverer.deliver_due

    async def sometimes() -> int:
        if fails:
            raise fails.pop()
        return await look()

    monkeypatch.setattr(deliverer, "deliver_due", sometimes)
    await world.add(50)
    running = asyncio.create_task(deliverer.run())
    await world.receiver.until(1)
    assert deliverer._sender is not None
    session = deliverer._sender._session
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(session, aiohttp.ClientSession)
    assert session.closed
