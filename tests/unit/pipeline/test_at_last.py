"""Whom a call asks when its plan is at an end, and for how many of a herd that is one question."""

import asyncio
from collections import Counter
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalog import Offer, PerImage
from gateway.domain.considered import Considered
from gateway.domain.tasks import Fault
from gateway.pipeline.at_last import SILENT_WAIT_S, choose
from gateway.pipeline.frozen import FrozenPlan
from gateway.routing.health import Circuits
from gateway.routing.last_resort import PACES, Resort, Ticket
from tests.unit.routing.test_health import SetClock

NAMES = ("a", "b", "c")
OFFERS = tuple(Offer(f"{name}/m", name, "m", PerImage(Decimal(1))) for name in NAMES)
PLAN = FrozenPlan(
    OFFERS[::-1], None, Decimal(1), Decimal(1), considered=tuple(Considered(offer.id) for offer in OFFERS)
)
"""By price a, b, c, whatever the order was in which they were to be tried."""
DEADLINE_S = 60.0


class Desk:
    """Offers whose circuits a test opens."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.circuits = Circuits(self.clock)

    def open(self, name: str, fault: Fault = Fault.FAILED, retry_after_s: float | None = None) -> None:
        for _ in range(5):
            self.circuits.failed(f"{name}/m", fault, retry_after_s)
        assert self.circuits.is_open(f"{name}/m")

    async def ask(self, names: str = "abc") -> tuple[str, Ticket | None] | None:
        left = [offer for offer in PLAN.offers if offer.upstream in names]
        found = await choose(self.circuits, self.clock, PLAN, left, self.clock.now_s + DEADLINE_S)
        return None if found is None else (found[0].upstream, found[1])

    def ends(self, name: str, ticket: Ticket, fault: Fault | None) -> None:
        """As a walk tells it."""
        if fault is None:
            self.circuits.succeeded(f"{name}/m", at_last=True)
        else:
            self.circuits.failed(f"{name}/m", fault, at_last=True)
        ticket.give_back(worked=fault is None)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_closed_circuit_goes_before_a_cheaper_one_that_fails(desk: Desk) -> None:
    """Without a ticket: it is no last resort."""
    desk.open("a")
    desk.open("b", Fault.NO_ANSWER)
    assert await desk.ask() == ("c", None)


async def test_the_cheapest_that_fails_goes_first_and_the_silent_ones_last(desk: Desk) -> None:
    """Also when it is the cheapest."""
    desk.open("a", Fault.NO_ANSWER)
    desk.open("b")
    desk.open("c")
    found = [await desk.ask(names) for names in ("abc", "ac", "a")]
    assert [name for name, _ in filter(None, found)] == ["b", "c", "a"]
    assert all(ticket for _, ticket in filter(None, found))


@pytest.mark.parametrize("fault", [Fault.CREDENTIALS, Fault.NO_MONEY, Fault.RATE_LIMITED])
async def test_what_is_firmly_closed_is_no_last_resort(desk: Desk, fault: Fault) -> None:
    """An operator must act, or the upstream named its own time."""
    desk.open("a", fault, 5.0)
    assert await desk.ask("a") is None


async def test_a_rate_limit_without_a_time_is_tried(desk: Desk) -> None:
    """Its ten seconds are our guess."""
    desk.circuits.failed("a/m", Fault.RATE_LIMITED)
    found = await desk.ask("a")
    assert found is not None
    assert found[1] is not None
    desk.ends("a", found[1], None)
    assert not desk.circuits.is_open("a/m")


async def test_the_herd_waits_for_the_verdict_of_a_few(desk: Desk) -> None:
    """Fifty callers and one upstream: two go, and where theirs works the others follow with its circuit closed."""
    desk.open("a")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asking = [group.create_task(desk.ask("a")) for _ in range(50)]
        await asyncio.sleep(0)
        gone = [task.result() for task in asking if task.done()]
        assert len(gone) == PACES[Resort.FAILING].at_once
        assert gone[0] is not None
        assert gone[0][1] is not None
        desk.ends("a", gone[0][1], None)
    assert Counter(task.result() for task in asking)[("a", None)] == 48


async def test_a_verdict_that_is_no_better_ends_the_wait(desk: Desk) -> None:
    """The first two went before the others came; the two after these speak for all of them."""
    desk.open("a")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asking = [group.create_task(desk.ask("a")) for _ in range(50)]
        tries = 0
        while not all(task.done() for task in asking):
            await asyncio.sleep(0)
            out = [task.result() for task in asking if task.done()]
            for _, ticket in filter(None, out[tries:]):
                assert ticket is not None
                tries += 1
                desk.ends("a", ticket, Fault.UNREACHABLE)
            desk.clock.now_s += 1.0
            desk.circuits.last_resorts.tell()
    assert tries <= 2 * PACES[Resort.FAILING].at_once
    assert sum(task.result() is None for task in asking) == 50 - tries


async def test_nobody_waits_long_for_a_silent_one(desk: Desk) -> None:
    """One is out, and hangs: the others are told no, as long as its circuit is open."""
    desk.open("a", Fault.NO_ANSWER)
    first = await desk.ask("a")
    assert first is not None
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asking = group.create_task(desk.ask("a"))
        await asyncio.sleep(0)
        assert not asking.done()
        desk.clock.now_s += SILENT_WAIT_S
        desk.circuits.last_resorts.tell()
    assert asking.result() is None


FAULTS = (Fault.FAILED, Fault.UNREACHABLE, Fault.OVERLOADED, Fault.NO_ANSWER)


@given(
    st.lists(st.sampled_from([None, *FAULTS]), min_size=3, max_size=3),
    st.sampled_from(NAMES),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_whoever_asks_finds_the_one_that_works(
    faults: list[Fault | None], works: str, callers: int, chance: Random
) -> None:
    """Whatever opened which circuits, and in any order of ends: while one upstream works, every caller gets there, each asks an offer once at most,
    at one offer no more are out than may be, and nobody touches a silent one that works not while others are left."""

    async def scenario() -> None:
        desk = Desk()
        for name, fault in zip(NAMES, faults, strict=True):
            if fault is not None:
                desk.open(name, fault)
        out: Counter[str] = Counter()
        served = 0

        async def caller() -> None:
            nonlocal served
            left = set(NAMES)
            while left:
                found = await desk.ask("".join(sorted(left)))
                assert found is not None, f"{left} of which {works} works"
                name, ticket = found
                left.discard(name)
                out[name] += ticket is not None
                assert out[name] <= PACES[Resort.FAILING].at_once
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                out[name] -= ticket is not None
                fault = None if name == works else Fault.FAILED
                if ticket is not None:
                    desk.ends(name, ticket, fault)
                elif fault is None:
                    desk.circuits.succeeded(f"{name}/m")
                else:
                    desk.circuits.failed(f"{name}/m", fault)
                if fault is None:
                    served += 1
                    return
            raise AssertionError("every offer failed it")

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            running = [group.create_task(caller()) for _ in range(callers)]
            while not all(task.done() for task in running):
                await asyncio.sleep(0)
                desk.clock.now_s += 0.3
                desk.circuits.last_resorts.tell()
        assert served == callers

    asyncio.run(scenario())
