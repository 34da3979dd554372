"""The watch on real databases: each threshold once a window, whoever watches, at the ends of windows, too."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.administration.alerts import Alerts
from gateway.administration.budget_watch import BudgetWatch
from gateway.administration.refused_budgets import RefusedBudgets
from gateway.alerts import store
from gateway.db.connection import Connection
from gateway.db.engine import open_database
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Transact
from gateway.domain.accounts import Account, AccountKind
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.errors import SubjectNotFound
from gateway.domain.ids import AccountId
from gateway.ledger import accounts as account_store
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import Accepted, Finished, RecordAttempts
from gateway.telemetry.metrics import Metrics
from tests.books import (
    KEY,
    ORG,
    TEAM,
    UPSTREAM,
    Gateway,
    accept,
    completed,
    grant,
    new_attempt,
    new_task,
    opened,
    set_budgets,
    set_zone,
    succeeded,
)

BERLIN = ZoneInfo("Europe/Berlin")
DEADLINE_S = 240.0


@dataclass
class SetClock:
    ms: int

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


def berlin(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1000)


@dataclass
class World:
    database: Gateway
    clock: SetClock
    metrics: Metrics
    refusals: RefusedBudgets
    watch: BudgetWatch

    def another(self, database: Gateway | None = None) -> BudgetWatch:
        """As of another process: it knows nothing of what the first one told."""
        return watching(database or self.database, self.clock, RefusedBudgets())

    async def charge(self, credits: int, *, at_ms: int | None = None) -> None:
        """One call, accepted at a moment, that is delivered and costs so much."""
        task = replace(new_task(), created_at_ms=self.clock.ms if at_ms is None else at_ms)
        accepted = await self.database.write(accept(task, credits))
        assert isinstance(accepted, Accepted), accepted
        ended = replace(completed(accepted.task, credits), results=())
        finished = await self.database.write(ended)
        assert isinstance(finished, Finished), finished

    async def alerts(self) -> list[BudgetAlert]:
        """In the order in which they are told."""
        found = await self.database.read(partial(store.read_alerts, org=None, before_id="", size=1000))
        return sorted(found, key=lambda a: (a.created_at_ms, a.account, a.budget, a.threshold_percent))

    async def told(self) -> list[tuple[str, str, int]]:
        return [(alert.account, alert.budget, alert.threshold_percent) for alert in await self.alerts()]

    def series(self) -> dict[tuple[str, ...], float]:
        """Of the metrics of budgets, by account, window and unit."""
        return {
            tuple(sample.labels[name] for name in ("account", "window", "unit") if name in sample.labels): sample.value
            for family in text_string_to_metric_families(self.metrics.render().decode())
            if family.name in ("gateway_budget_used_ratio", "gateway_budget_left")
            for sample in family.samples
        }


def watching(
    database: Gateway, clock: SetClock, refusals: RefusedBudgets, metrics: Metrics | None = None
) -> BudgetWatch:
    return BudgetWatch(
        database, metrics or Metrics(), clock, refusals, thresholds=lambda: (50, 80, 100), deadline_s=lambda: DEADLINE_S
    )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A path of accounts in Berlin, at noon of a day in March."""
    clock, metrics, refusals = SetClock(berlin(2026, 3, 10, 12)), Metrics(), RefusedBudgets()
    database = await opened(database_url, clock)
    await set_zone(database, "Europe/Berlin", KEY, TEAM, ORG)
    yield World(database, clock, metrics, refusals, watching(database, clock, refusals, metrics))
    await database.close()


async def test_each_threshold_is_told_once_by_two_watches(world: World, database_url: str) -> None:
    """Two processes look at the same moment, at every step of a rising use: 50, 80 and 100 come once each, in rising order."""
    await set_budgets(world.database, TEAM, "10credits/day")
    second = world.database
    if world.database.dialect is Dialect.POSTGRESQL:
        second = await open_database(parse_database_url(database_url), apply, world.clock)
    other = world.another(second)
    steps = []
    for _ in range(10):
        await world.charge(1)
        await asyncio.gather(world.watch.look(), other.look())
        steps.append([percent for *_, percent in await world.told()])
        world.clock.ms += 5_000
    assert steps == [[]] * 4 + [[50]] * 3 + [[50, 80]] * 2 + [[50, 80, 100]]
    await world.another().look()
    assert len(await world.told()) == 3
    if second is not world.database:
        await second.close()


async def test_what_was_jumped_over_is_told_in_rising_order(world: World) -> None:
    """From nothing to everything in one call: three messages, each with the same figures; key and org, too."""
    for account in (KEY, TEAM, ORG):
        await set_budgets(world.database, account, "4credits/month")
    await world.charge(4)
    await world.watch.look()
    assert await world.told() == [
        (account, "4credits/month", percent) for account in sorted((KEY, TEAM, ORG)) for percent in (50, 80, 100)
    ]
    first = (await world.alerts())[0]
    assert first.window_start_ms == berlin(2026, 3, 1)
    assert first.state is AlertState.DUE
    data = orjson.loads(first.body)["data"]
    assert (data["used"], data["limit"], data["refusing"]) == (4, 4, True)


async def test_a_new_window_is_told_anew(world: World) -> None:
    """The last evening of March, with its 23 hours on the 29th behind it, and the first of April: each day and month for itself."""
    await set_budgets(world.database, TEAM, "2credits/day", "4credits/month")
    for moment in ((2026, 3, 29, 1), (2026, 3, 29, 23, 59), (2026, 3, 30, 0), (2026, 3, 31, 23, 59), (2026, 4, 1, 0)):
        world.clock.ms = berlin(*moment)
        await world.charge(1)
        await world.watch.look()
    found = [(a.budget, a.window_start_ms, a.threshold_percent) for a in await world.alerts()]
    assert found == [
        ("2credits/day", berlin(2026, 3, 29), 50),
        ("2credits/day", berlin(2026, 3, 29), 80),
        ("2credits/day", berlin(2026, 3, 29), 100),
        ("4credits/month", berlin(2026, 3, 1), 50),
        ("2credits/day", berlin(2026, 3, 30), 50),
        ("2credits/day", berlin(2026, 3, 31), 50),
        ("4credits/month", berlin(2026, 3, 1), 80),
        ("4credits/month", berlin(2026, 3, 1), 100),
        ("2credits/day", berlin(2026, 4, 1), 50),
    ]
    resets = orjson.loads((await world.alerts())[0].body)["data"]
    assert (resets["window_start"], resets["resets_at"]) == ("2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z")


async def test_what_settles_after_the_end_of_its_window_is_told(world: World) -> None:
    """Accepted a second before midnight and settled minutes after it: told for the day that ended; an hour later nobody looks any more."""
    await set_budgets(world.database, TEAM, "2credits/day")
    midnight = berlin(2026, 10, 26)
    world.clock.ms = midnight + 200_000
    await world.charge(1, at_ms=midnight - 1_000)
    await world.watch.look()
    [alert] = await world.alerts()
    assert (alert.window_start_ms, alert.threshold_percent) == (berlin(2026, 10, 25), 50)
    assert midnight - alert.window_start_ms == 25 * 3_600_000
    assert orjson.loads(alert.body)["data"]["resets_at"] == "2026-10-25T23:00:00.000Z"
    await world.charge(1, at_ms=midnight - 1_000)
    world.clock.ms = midnight + 3_600_000
    await world.watch.look()
    assert len(await world.alerts()) == 1


async def test_a_refused_call_is_a_hundred_percent(world: World) -> None:
    """A budget that three quarters of a call are missing for never comes to 100 % by itself; the watch of another window does not tell it."""
    await set_budgets(world.database, TEAM, "5credits/day")
    await world.charge(3)
    refused = await world.database.write(accept(replace(new_task(), created_at_ms=world.clock.ms), 3))
    assert isinstance(refused, BudgetRefusal)
    world.refusals.note(refused)
    for _ in range(2):
        await world.watch.look()
    assert [percent for *_, percent in await world.told()] == [50, 100]
    data = orjson.loads((await world.alerts())[1].body)["data"]
    assert (data["used"], data["left"], data["refusing"]) == (3, 2, True)
    world.clock.ms = berlin(2026, 3, 12, 12)
    await world.charge(1)
    await world.watch.look()
    assert len(await world.told()) == 2


async def test_a_refusal_outlives_a_look_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the database could not be told now is told with the next look."""
    await set_budgets(world.database, TEAM, "5credits/day")
    refused = await world.database.write(accept(replace(new_task(), created_at_ms=world.clock.ms), 5 + 1))
    assert isinstance(refused, BudgetRefusal)
    world.refusals.note(replace(refused, needed=5))

    async def fails(connection: Connection, alerts: object) -> None:
        raise OSError("no database")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_alerts", fails)
        with pytest.raises(OSError):
            await world.watch.look()
    await world.watch.look()
    assert [percent for *_, percent in await world.told()] == [100]


async def test_a_changed_budget_is_another_one(world: World) -> None:
    """Raised within its window, it is told at its own thresholds; the same text again is the same budget."""
    await set_budgets(world.database, TEAM, "4credits/day")
    await world.charge(2)
    await world.watch.look()
    for text in ("8credits/day", "4credits/day", "3credits/day"):
        await set_budgets(world.database, TEAM, text)
        await world.watch.look()
    assert await world.told() == [(TEAM, "3credits/day", 50), (TEAM, "4credits/day", 50)]


async def test_prepaid_credits_are_watched(world: World) -> None:
    """By what was granted; more credits are another measure."""
    await grant(world.database, TEAM, 4)
    await world.charge(2)
    await world.watch.look()
    await grant(world.database, TEAM, 6)
    await world.watch.look()
    await world.charge(3)
    await world.watch.look()
    assert await world.told() == [(TEAM, "10credits/granted", 50), (TEAM, "4credits/granted", 50)]
    assert world.series()[TEAM, "granted"] == 0.5
    assert world.series()[TEAM, "granted", "credits"] == 5


async def test_an_upstreams_budget_is_watched(world: World) -> None:
    """By what was paid; it is in no metric of teams."""
    await set_budgets(world.database, UPSTREAM, "0.03usd/month")
    task = replace(new_task(), created_at_ms=world.clock.ms)
    attempt = replace(new_attempt(task), sent_at_ms=world.clock.ms)
    await world.database.write(accept(task, 2))
    await world.database.write(RecordAttempts(task.id, 1, started=(attempt,)))
    await world.watch.look()
    assert await world.told() == []
    await world.database.write(completed(task, 2, succeeded(attempt, 15_000)))
    await world.watch.look()
    assert await world.told() == [(UPSTREAM, "0.03usd/month", 50)]
    data = orjson.loads((await world.alerts())[0].body)["data"]
    assert (data["org"], data["team"], data["used"]) == (None, None, 0.015)
    assert world.series() == {}


async def test_figures_follow_the_budgets(world: World) -> None:
    """Of org and team, used and left; a key's are not shown, and what is changed or taken away has no series any more."""
    await set_budgets(world.database, ORG, "10credits/month", "20images/day")
    await set_budgets(world.database, TEAM, "4credits/day")
    await set_budgets(world.database, KEY, "8credits/day")
    await world.charge(1)
    await world.watch.look()
    assert world.series() == {
        (ORG, "month"): 0.1,
        (ORG, "day"): 0.05,
        (TEAM, "day"): 0.25,
        (ORG, "month", "credits"): 9,
        (ORG, "day", "images"): 19,
        (TEAM, "day", "credits"): 3,
    }
    await set_budgets(world.database, ORG)
    await set_budgets(world.database, TEAM, "2credits/total")
    await world.watch.look()
    assert world.series() == {(TEAM, "total"): 0.5, (TEAM, "total", "credits"): 1}


async def test_many_accounts_are_read_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them once, whatever the size of a page."""
    monkeypatch.setattr("gateway.administration.budget_watch.PAGE", 2)
    for account in (KEY, TEAM, ORG, UPSTREAM):
        await set_budgets(world.database, account, "2credits/day")
    await world.charge(1)
    await world.watch.look()
    assert await world.told() == [(account, "2credits/day", 50) for account in sorted((KEY, TEAM, ORG))]


async def test_disabled_accounts_are_left_alone(world: World) -> None:
    """They spend nothing any more."""
    await set_budgets(world.database, TEAM, "2credits/day")
    await world.charge(1)
    [team] = [a for a in await world.database.read(account_store.read_accounts) if a.id == TEAM]
    disabled = replace(team, disabled=True)
    await world.database.write(Transact(lambda c, at: account_store.put_accounts(c, [disabled], at)))
    await world.watch.look()
    assert (await world.told(), world.series()) == ([], {})


async def test_an_org_sees_its_own_alerts(world: World) -> None:
    """By account, whatever the names: neither an org whose name begins alike nor an upstream's."""
    like = AccountId("org:acme2")
    ours = [AccountId("org:acme"), AccountId("team:acme/design"), AccountId("key:acme/design/ci")]

    async def add(connection: Connection, at_ms: int) -> None:
        await account_store.add_accounts(connection, [Account(like, AccountKind.ORG, "acme2")], at_ms)
        rows = [
            BudgetAlert(f"alr_{n}", account, "1usd/day", 0, 50, "{}", n, AlertState.DUE, 0, 0)
            for n, account in enumerate((*ours, like, UPSTREAM))
        ]
        await store.add_alerts(connection, rows)

    await world.database.write(Transact(add))
    read = partial(store.read_alerts, before_id="", size=10)
    assert [a.account for a in await world.database.read(partial(read, org="acme"))] == ours[::-1]
    assert [a.account for a in await world.database.read(partial(read, org="acme2"))] == [like]
    assert len(await world.database.read(partial(read, org=None))) == 5
    page = await world.database.read(partial(store.read_alerts, org="acme", before_id="alr_2", size=1))
    assert [a.id for a in page] == ["alr_1"]
    with pytest.raises(SubjectNotFound, match="no such alert"):
        await Alerts(world.database, world.clock, sending=lambda: True).resend("alr_9")
