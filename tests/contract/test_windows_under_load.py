"""64 writers at once while a month ends, clocks change, or a budget falls below its use: every task settles in the windows that held it.

The clock is the test's own and goes on with every call, so that calls on both sides of a boundary meet in one batch. What must stand in the books is
summed up here, task by task, with the calendar of the ledger's model.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from sqlalchemy import select

from gateway.db.schema import balances
from gateway.db.statements import Statement
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import Accepted, Cancel, Finish, Finished
from tests.books import (
    CREDIT,
    KEY,
    ORG,
    PATH,
    RATE,
    TEAM,
    UPSTREAM,
    Gateway,
    accept,
    clean,
    completed,
    new_attempt,
    new_task,
    opened,
    set_budgets,
    set_zone,
    succeeded,
)
from tests.proofs import Proof
from tests.property.ledger_model import CALENDAR, ZERO, Row, Triple, began, ends, moment, plus

SOAK = os.environ.get("SOAK") == "1"
WRITERS = 64
CALLS = 16 if SOAK else 8
"""Of each writer: a thousand calls in all in `make soak`, half as many in `make test`, six times what a window admits."""
LIMIT = 170 if SOAK else 85
ENOUGH = 200 if SOAK else 100
"""After so many the budget is lowered."""
FILLED_MAX = 1_000
HOUR_MS = 3_600_000
COST = 15_000
_ROWS = Statement(
    select(
        balances.c.account_id, balances.c.time_window, balances.c.window_start_ms,
        *(balances.c[f"{part}_{unit}"] for part in ("posted", "pending") for unit in ("microcredits", "microusd", "images")),
    )
)  # fmt: skip


@dataclass
class SteppedClock:
    """From one moment to another in so many steps, one a call."""

    from_ms: int
    to_ms: int
    steps: int
    taken: int = 0

    def step(self) -> int:
        self.taken = min(self.taken + 1, self.steps)
        return self.now_ms()

    def now_ms(self) -> int:
        return self.from_ms + (self.to_ms - self.from_ms) * self.taken // self.steps

    def monotonic_s(self) -> float:
        return self.now_ms() / 1000


@dataclass
class Call:
    """A task that was accepted, and what it came to."""

    task: Task
    attempt: Attempt | None
    held: Triple
    charged: Triple = ZERO
    cost: int = 0
    delivered: bool = True
    ended_at_ms: int = 0


@dataclass
class Load:
    """Writers against one database."""

    database: Gateway
    clock: SteppedClock
    zone: str
    may_release: bool = True
    calls: list[Call] = field(default_factory=list)
    refusals: list[tuple[int, BudgetRefusal]] = field(default_factory=list)
    out: list[Call] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        await asyncio.gather(*(self._writer(Random(number)) for number in range(WRITERS)))

    async def _writer(self, random: Random) -> None:
        for _ in range(CALLS):
            await self.call(self.clock.step(), random.random() < 0.5)
            if self.out and random.random() < 0.15:
                await self._end(self.out.pop(random.randrange(len(self.out))), random)

    async def call(self, at_ms: int, sent: bool = False) -> bool:
        """Whether it was accepted."""
        task = replace(new_task(), created_at_ms=at_ms)
        attempt = new_attempt(task) if sent else None
        outcome = await self.database.write(accept(task, 1, attempts=(attempt,) if attempt else ()))
        if isinstance(outcome, BudgetRefusal):
            self.refusals.append((at_ms, outcome))
            return False
        assert isinstance(outcome, Accepted)
        call = Call(task, attempt, (CREDIT, CREDIT // 72, 1))
        self.calls.append(call)
        self.out.append(call)
        if len(self.calls) == ENOUGH:
            self.enough.set()
        return True

    async def _end(self, call: Call, random: Random) -> None:
        """Charged in full or in part; or, where something may be given back, not at all."""
        call.ended_at_ms = self.clock.now_ms()
        how = random.choice(("full", "half", "none") if self.may_release else ("full", "half"))
        if how == "none":
            call.delivered = False
            if call.attempt is None:
                outcome = await self.database.write(Cancel(call.task.id, KEY, RATE))
            else:
                failed = replace(
                    call.attempt, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.FAILED, billed=Billed.NO
                )
                outcome = await self.database.write(
                    Finish(call.task.id, 1, TaskState.FAILED, RATE, Amount(), ended=(failed,))
                )
        else:
            part = 1 if how == "full" else 2
            call.charged, call.cost = (CREDIT // part, CREDIT // 72 // part, 1), COST if call.attempt else 0
            end = completed(call.task, 1, *([succeeded(call.attempt, COST)] if call.attempt else []))
            outcome = await self.database.write(replace(end, charge=Amount(*call.charged), results=()))
        assert isinstance(outcome, Finished)

    async def end_all(self) -> None:
        out, self.out = self.out, []
        await asyncio.gather(*(self._end(call, Random(number)) for number, call in enumerate(out)))

    async def fill(self, at_ms: int) -> None:
        """As many calls at one moment as still fit."""
        for _ in range(FILLED_MAX):
            if not await self.call(at_ms):
                return
        raise AssertionError("nothing is refused")

    def used(self, window: str) -> Counter[int]:
        """Images delivered or still held, by the window in which they were accepted."""
        return Counter(began(call.task.created_at_ms, self.zone, window) for call in self.calls if call.delivered)

    async def check(self) -> None:
        """Every row is the sum of what was accepted in its window, and the audit finds nothing."""
        wanted: dict[Row, tuple[Triple, Triple]] = {}
        for call in self.calls:
            open_now = call in self.out
            for account in PATH:
                _book(
                    wanted, account, self.zone, call.task.created_at_ms, call.charged, call.held if open_now else ZERO
                )
            if call.attempt is not None:
                pending = call.attempt.presumed_cost_microusd if open_now else 0
                _book(wanted, UPSTREAM, "UTC", call.attempt.sent_at_ms, (0, call.cost, 0), (0, pending, 0))
        found: dict[Row, tuple[Triple, Triple]] = {}
        for row in await self.database.read(lambda connection: connection.fetch(_ROWS)):
            a, b, c, d, e, f = (int(str(value)) for value in row[3:])
            found[str(row[0]), str(row[1]), int(str(row[2]))] = (a, b, c), (d, e, f)
        nothing = (ZERO, ZERO)
        assert {k: v for k, v in found.items() if v != nothing} == {k: v for k, v in wanted.items() if v != nothing}
        assert await clean(self.database)


def _book(
    rows: dict[Row, tuple[Triple, Triple]], account: str, zone: str, at_ms: int, posted: Triple, pending: Triple
) -> None:
    for window in ("total", *CALENDAR):
        key = account, window, began(at_ms, zone, window)
        before = rows.get(key, (ZERO, ZERO))
        rows[key] = plus(before[0], posted), plus(before[1], pending)


SPANS = {
    "a month ends": ("month", "Europe/Berlin", "2026-11-01T00:00", HOUR_MS),
    "a day of 25 hours": ("day", "Europe/Berlin", "2026-10-26T00:00", 3 * HOUR_MS),
    "a day of 23 hours": ("day", "America/New_York", "2026-03-09T00:00", 3 * HOUR_MS),
    "a week ends": ("week", "America/New_York", "2026-11-02T00:00", 3 * HOUR_MS),
}
"""The window of the budget, where, its end there; and how long before it the load begins: before a day of 24 hours would have ended."""


@pytest.fixture
async def load(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Load]:
    _, zone, end, before_ms = SPANS[request.param]
    # Two thirds of the calls come before the end.
    end_ms = moment(end, zone)
    clock = SteppedClock(end_ms - before_ms, end_ms + before_ms // 2, WRITERS * CALLS)
    database = await opened(database_url, clock)
    await set_zone(database, zone, *PATH)
    yield Load(database, clock, zone)
    await database.close()


@pytest.mark.parametrize("gives_back", [True, False])
@pytest.mark.parametrize(("load", "name"), [(name, name) for name in SPANS], indirect=["load"])
@pytest.mark.timeout(300)
async def test_every_task_settles_in_the_window_that_held_it(
    load: Load, name: str, gives_back: bool, proof: Proof
) -> None:
    """Before and after the end exactly the limit is admitted, whatever is given back meanwhile, and a refusal says when it ends."""
    load.may_release = gives_back
    window, zone, end, _ = SPANS[name]
    end_ms = moment(end, zone)
    await set_budgets(load.database, ORG, f"{LIMIT}images/{window}")
    await set_budgets(load.database, KEY, "5000credits/day", "90usd/week", "10000images/total")
    await load.run()
    assert load.clock.now_ms() > end_ms
    await load.check()
    if not gives_back:
        assert set(load.used(window).values()) == {LIMIT}, "the load alone fills both"
    await load.end_all()
    crossed = sum(call.task.created_at_ms < end_ms <= call.ended_at_ms for call in load.calls)
    assert crossed > LIMIT // 4
    for at_ms in (end_ms - 1, end_ms):
        await load.fill(at_ms)
    last, first = began(end_ms - 1, zone, window), began(end_ms, zone, window)
    assert first == end_ms
    assert load.used(window) == {last: LIMIT, first: LIMIT}
    assert {
        (refusal.account, refusal.left, refusal.resets_at_ms == ends(at_ms, zone, window))
        for at_ms, refusal in load.refusals
    } == {(ORG, 0, True)}
    await load.check()
    load.may_release = False
    await load.end_all()
    await load.check()
    proof(
        "windows under load",
        f"{load.database.dialect}, {name}, {'some' if gives_back else 'nothing'} given back: {len(load.calls)} held, {len(load.refusals)} refused,"
        f" {crossed} ended later, {LIMIT} used before it and {LIMIT} after it, differences 0",
    )


@pytest.mark.parametrize("load", ["a month ends"], indirect=True)
@pytest.mark.timeout(300)
async def test_a_budget_lowered_below_its_use(load: Load, proof: Proof) -> None:
    """From then on not one call is admitted that day, what is held settles, and the next day admits exactly the lower limit."""
    before, after = moment("2026-10-31T12:00", load.zone), moment("2026-11-01T12:00", load.zone)
    load.may_release = False
    await set_budgets(load.database, TEAM, "400images/day")
    await set_budgets(load.database, ORG, "900images/month", "100000credits/total")
    lowered = asyncio.Event()

    async def lower() -> int:
        await load.enough.wait()
        await set_budgets(load.database, TEAM, "150images/day")
        lowered.set()
        return len(load.calls)

    async def late() -> int:
        await lowered.wait()
        return sum(await asyncio.gather(*(load.call(before) for _ in range(100))))

    _, most, admitted_late = await asyncio.gather(load.run(), lower(), late())
    assert admitted_late == 0
    first, second = began(before, load.zone, "day"), began(after, load.zone, "day")
    used = load.used("day")
    assert ENOUGH <= used[first] <= most + WRITERS, "only what was on its way"
    await load.fill(after)
    assert load.used("day") == {first: used[first], second: 150}
    await load.check()
    await set_budgets(load.database, TEAM, "450images/day")
    for at_ms in (before, after):
        await load.fill(at_ms)
    assert load.used("day") == {first: 450, second: 450}
    await load.end_all()
    await load.check()
    proof(
        "windows under load",
        f"{load.database.dialect}, 400 a day lowered to 150 at {used[first]}: {admitted_late} more that day, 150 the next, and 450 each when raised",
    )
