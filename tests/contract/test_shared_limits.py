"""Limits in memory and on a real Valkey keep the same contract; on Valkey they hold over several processes, and a dead one's places come free."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.accounts import RateState
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId
from gateway.limits import leases as leases_module
from gateway.limits.concurrency import ConcurrencyLimiter, Full, Places, RunningTasks
from gateway.limits.leases import Leases
from gateway.limits.outage import LimitStoreDown, OnStoreFailure
from gateway.limits.rates import WINDOW_S, RateLimiter, RateVerdict, SlidingWindows
from gateway.limits.shared_rates import SharedWindows
from gateway.limits.shared_slots import SharedSlots
from gateway.limits.shared_tasks import SharedTasks
from gateway.limits.slots import Slot, Slots, SlotTimeout
from gateway.state import circuit as circuit_module
from gateway.state.address import parse_state
from gateway.state.valkey import Valkey, open_valkey
from gateway.telemetry.metrics import Metrics
from tests.limits import SetClock, limiting
from tests.valkey import ValkeyServer

KEY, TEAM, ORG, OTHER = (AccountId(name) for name in ("key:a/t/k", "team:a/t", "org:a", "key:a//o"))
PATH = (KEY, TEAM, ORG)
SET_TIME = "local now = tonumber(redis.call('GET', 'igw:now'))"


@asynccontextmanager
async def process(server: ValkeyServer) -> AsyncIterator[Valkey]:
    """A connection as each process has one."""
    address = parse_state(server.url)
    assert address is not None
    async with open_valkey(address, SystemClock(), Metrics()) as state:
        yield state


@asynccontextmanager
async def leasing(server: ValkeyServer, name: str) -> AsyncIterator[tuple[Valkey, Leases]]:
    """A process that keeps places."""
    async with process(server) as state:
        leases = Leases(state, name)
        running = asyncio.create_task(leases.run())
        try:
            yield state, leases
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(true: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = 60) -> None:
    end_s = time.monotonic() + within_s
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < end_s, "it never came true"
        await asyncio.sleep(0.01)


@dataclass
class Rates:
    """A limiter, and its time."""

    limiter: RateLimiter
    clock: SetClock
    valkey: ValkeyServer | None = None

    def at(self, second: float) -> None:
        self.clock.value_s = second
        if self.valkey is not None:
            self.valkey.ask("SET", "igw:now", str(round(second * 1_000_000)))

    async def takes(self, *limits: tuple[AccountId, int]) -> RateVerdict:
        return await self.limiter.take(limits)


@pytest.fixture(params=["memory", "valkey"])
async def rates(request: pytest.FixtureRequest) -> AsyncIterator[Rates]:
    clock = SetClock()
    if request.param == "memory":
        yield Rates(SlidingWindows(clock), clock)
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    async with process(server) as state:
        made = Rates(SharedWindows(state, "p", SlidingWindows(clock), time=SET_TIME), clock, server)
        made.at(1000)
        yield made


async def test_rates_are_exact(rates: Rates) -> None:
    """Exactly the limit, the wait to the moment, room exactly when a request is 60 s old, and all or nothing along the path."""
    verdicts = [await rates.takes((KEY, 3), (ORG, 9)) for _ in range(5)]
    assert [verdict.wait_s is None for verdict in verdicts] == [True] * 3 + [False] * 2
    assert [verdict.state for verdict in verdicts[:3]] == [RateState(KEY, 3, left, WINDOW_S) for left in (2, 1, 0)]
    assert verdicts[4] == RateVerdict(RateState(KEY, 3, 0, WINDOW_S), WINDOW_S)
    assert (await rates.limiter.look([(ORG, 9)])).state.remaining == 6, "what was refused counts nowhere"
    rates.at(1000 + WINDOW_S - 0.25)
    assert (await rates.takes((KEY, 3))).wait_s == 0.25
    assert (await rates.limiter.look([(KEY, 3)])).wait_s == 0.25
    rates.at(1000 + WINDOW_S)
    looked = await rates.limiter.look([(KEY, 3)])
    assert (looked.wait_s, looked.state) == (None, RateState(KEY, 3, 3, 0.0))
    assert (await rates.takes((KEY, 3))).state == RateState(KEY, 3, 2, WINDOW_S)


async def test_a_lowered_limit_waits_until_enough_is_old(rates: Rates) -> None:
    """And a raised one gives room at once; of two that refuse, the one that makes wait longest is named."""
    for second in range(5):
        rates.at(1000 + second)
        await rates.takes((KEY, 5))
    assert (await rates.takes((KEY, 2))).wait_s == 3 + WINDOW_S - 4
    refused = await rates.takes((ORG, 1), (KEY, 3))
    assert (refused.state.account, refused.wait_s) == (KEY, 2 + WINDOW_S - 4)
    assert (await rates.takes((KEY, 6))).wait_s is None


Step = tuple[int, int, Sequence[tuple[AccountId, int]], bool]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from((0, 0, 0, 1, 80, 240)),  # quarters of a second
        st.sampled_from(([(KEY, 3), (TEAM, 4), (ORG, 5)], [(OTHER, 2), (ORG, 5)], [(KEY, 1)], [(ORG, 4), (KEY, 2)])),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=steps)
def test_two_processes_count_as_one_memory(steps: list[Step], valkey: ValkeyServer) -> None:
    """Whatever comes in whatever order: every verdict is the one that a single limiter in memory gives."""

    async def play() -> None:
        valkey.ask("FLUSHALL")
        clock = SetClock()
        alone = SlidingWindows(clock)
        async with process(valkey) as one, process(valkey) as two:
            both = [
                SharedWindows(state, name, SlidingWindows(clock), time=SET_TIME)
                for state, name in ((one, "1"), (two, "2"))
            ]
            for who, later, limits, counting in steps:
                clock.value_s += later / 4
                valkey.ask("SET", "igw:now", str(round(clock.value_s * 1_000_000)))
                if counting:
                    assert await both[who].take(limits) == await alone.take(limits)
                else:
                    assert await both[who].look(limits) == await alone.look(limits)

    asyncio.run(play())


async def test_two_processes_never_exceed_a_rate(valkey: ValkeyServer) -> None:
    """A hundred at once from each, by the server's own clock: exactly sixty in all, and nothing is kept for longer than it counts."""
    async with process(valkey) as one, process(valkey) as two:
        both = [SharedWindows(state, name, SlidingWindows(SystemClock())) for state, name in ((one, "1"), (two, "2"))]
        limits = [(KEY, 80), (ORG, 60)]
        verdicts = await asyncio.gather(*(limiter.take(limits) for _ in range(100) for limiter in both))
        assert sum(verdict.wait_s is None for verdict in verdicts) == 60
        assert all(45 < verdict.wait_s <= 60 for verdict in verdicts if verdict.wait_s is not None)
        assert 45_000 < int(valkey.ask("PTTL", "igw:rate:{a}:org:a")[1:]) <= 61_000


async def test_rates_go_on_locally_while_the_state_is_down(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process goes on from what it was granted itself, and is refused where that is used up; then it goes on as before."""
    monkeypatch.setattr(circuit_module, "PAUSE_S", 0.02)
    clock, metrics = SystemClock(), Metrics()
    async with process(own_valkey) as state:
        own = SlidingWindows(clock)
        shared = SharedWindows(state, "p", own)
        assert (await shared.take([(KEY, 3)])).state.remaining == 2
        own_valkey.stop()
        with pytest.raises(LimitStoreDown):
            await shared.take([(KEY, 3)])
        guarded = limiting(clock, rates=shared, metrics=metrics, meanwhile=(own, RunningTasks()))._rates
        verdicts = [await guarded.take([(KEY, 3)]) for _ in range(3)]
        assert [verdict and verdict.wait_s is None for verdict in verdicts] == [True, True, False]
        looked = await guarded.look([(KEY, 3)])
        assert looked is not None
        assert looked.state.remaining == 0
        assert b'gateway_limiter_failures_total{kind="rate"} 3.0' in metrics.render()
        own_valkey.start()
        await until(lambda: not state.is_down)
        assert (await shared.take([(KEY, 3)])).state.remaining == 2


@pytest.fixture(params=["memory", "valkey"])
async def tasks(request: pytest.FixtureRequest) -> AsyncIterator[ConcurrencyLimiter]:
    if request.param == "memory":
        yield RunningTasks()
        return
    async with leasing(request.getfixturevalue("valkey"), "p") as (_, leases):
        yield SharedTasks(leases)


async def taken(tasks: ConcurrencyLimiter, path: Sequence[AccountId], *limits: tuple[AccountId, int]) -> Places:
    places = await tasks.take(path, limits)
    assert not isinstance(places, Full)
    return places


async def test_a_full_account_refuses_for_the_whole_path(tasks: ConcurrencyLimiter) -> None:
    """The nearest full one is named; nobody's count has changed; a place that is given back is free at once."""
    first = await taken(tasks, PATH, (TEAM, 2))
    second = await taken(tasks, PATH, (TEAM, 2))
    assert await tasks.take(PATH, [(KEY, 9), (TEAM, 2), (ORG, 2)]) == Full(TEAM, 2, 2)
    assert await tasks.look([(KEY, 9), (ORG, 2)]) == Full(ORG, 2, 2)
    assert await tasks.look([(KEY, 3), (ORG, 3)]) is None
    for _ in range(3):
        first.release()
    third = await taken(tasks, PATH, (TEAM, 2))
    assert await tasks.take(PATH, [(ORG, 2)]) == Full(ORG, 2, 2), "a second release gives no second place"
    for places in (second, third):
        places.release()
    assert await tasks.look([(ORG, 1)]) is None


async def test_what_runs_counts_before_there_is_a_limit(tasks: ConcurrencyLimiter) -> None:
    """A limit set later sees what is under way, and recovered tasks count beyond it."""
    await taken(tasks, PATH)
    assert await tasks.take(PATH, [(ORG, 1)]) == Full(ORG, 1, 1)
    recovered = await tasks.count(PATH)
    assert await tasks.take(PATH, [(ORG, 2)]) == Full(ORG, 2, 2)
    recovered.release()
    await taken(tasks, (OTHER, ORG), (ORG, 2))


moves = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(("take", "take", "count", "give back")),
        st.sampled_from((PATH, (OTHER, ORG))),
        st.integers(1, 4),
    ),
    max_size=25,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(moves=moves)
def test_two_processes_have_the_places_of_one_memory(
    moves: list[tuple[int, str, Sequence[AccountId], int]], valkey: ValkeyServer
) -> None:
    """Whatever is taken and given back by whom: every answer is the one of a single counter in memory."""

    async def play() -> None:
        valkey.ask("FLUSHALL")
        alone, held = RunningTasks(), list[tuple[Places, Places]]()
        async with process(valkey) as one, process(valkey) as two:
            leases = [Leases(one, "1"), Leases(two, "2")]
            both = [SharedTasks(each) for each in leases]
            for who, what, path, limit in moves:
                if what == "give back" and held:
                    for places in held.pop(limit % len(held)):
                        places.release()
                elif what == "count":
                    held.append((await both[who].count(path), await alone.count(path)))
                elif what == "take":
                    shared, expected = (
                        await both[who].take(path, [(ORG, limit)]),
                        await alone.take(path, [(ORG, limit)]),
                    )
                    if isinstance(shared, Full) or isinstance(expected, Full):
                        assert shared == expected
                    else:
                        held.append((shared, expected))
                for each in leases:
                    await each.flush()

    asyncio.run(play())


async def test_a_dead_process_holds_places_for_a_lease_only(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lives renews its own; one that ends in order gives them back at once."""
    monkeypatch.setattr(leases_module, "LEASE_S", 2.0)
    monkeypatch.setattr(leases_module, "RENEW_S", 0.1)
    async with process(valkey) as state, leasing(valkey, "alive") as (_, alive):
        dead, leaving = Leases(state, "dead"), Leases(state, "leaving")
        for leases in (dead, leaving, alive):
            await taken(SharedTasks(leases), PATH, (ORG, 3))
        asking = SharedTasks(alive)
        assert await asking.look([(ORG, 3)]) == Full(ORG, 3, 3)
        await leaving.leave()
        assert await asking.look([(ORG, 2)]) == Full(ORG, 2, 2)

        async def one_is_free() -> bool:
            return await asking.look([(ORG, 2)]) is None

        await until(one_is_free)
        await asyncio.sleep(0.5)
        assert await asking.look([(ORG, 1)]) == Full(ORG, 1, 1), "who lives keeps his"


async def test_places_while_the_state_is_down(own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process counts its own, and says so; back again, the state learns of every task under way, also of those begun meanwhile."""
    monkeypatch.setattr(circuit_module, "PAUSE_S", 0.02)
    metrics = Metrics()
    async with leasing(own_valkey, "1") as (state, leases), process(own_valkey) as other:
        shared = SharedTasks(leases)
        await taken(shared, PATH, (ORG, 3))
        own_valkey.stop()
        with pytest.raises(LimitStoreDown):
            await shared.take(PATH, [(ORG, 3)])
        meanwhile = (SlidingWindows(SystemClock()), shared.meanwhile())
        guarded = limiting(concurrency=shared, metrics=metrics, meanwhile=meanwhile)._concurrency
        assert not isinstance(await guarded.take(PATH, [(ORG, 2)]), Full)
        assert await guarded.take(PATH, [(ORG, 2)]) == Full(ORG, 2, 2)
        assert await guarded.look([(ORG, 2)]) == Full(ORG, 2, 2)
        assert b'gateway_limiter_failures_total{kind="concurrency"} 3.0' in metrics.render()
        refusing = limiting(concurrency=shared, on_failure=OnStoreFailure.REFUSE, meanwhile=meanwhile)
        with pytest.raises(Exception, match="cannot count"):
            await refusing._concurrency.take(PATH, [(ORG, 9)])
        own_valkey.start()
        await until(lambda: not other.is_down and not state.is_down)
        elsewhere = SharedTasks(Leases(other, "2"))

        async def both_are_known() -> bool:
            return await elsewhere.look([(ORG, 2)]) == Full(ORG, 2, 2)

        await until(both_are_known)


async def test_what_is_given_back_is_told_once(valkey: ValkeyServer) -> None:
    """Many at once, each with a place for a moment: nobody tells again what is on its way already, or each call would carry all the others."""

    def received_bytes() -> int:
        return int(valkey.ask("INFO", "stats").partition(b"total_net_input_bytes:")[2].split()[0])

    async with leasing(valkey, "p") as (_, leases):
        tasks = SharedTasks(leases)

        async def call() -> None:
            for _ in range(10):
                (await taken(tasks, PATH, (ORG, 99))).release()

        await call()
        before = received_bytes()
        await asyncio.gather(*(call() for _ in range(32)))
        await until(lambda: valkey.ask("ZCARD", "igw:tasks:{a}:org:a") == b":0\r\n")
        assert received_bytes() - before < 320 * 1500


async def test_a_place_that_was_taken_after_all_is_given_back(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped server that goes on carries out what was asked of it, when nobody waits for the answer any more."""
    monkeypatch.setattr(circuit_module, "PAUSE_S", 0.02)
    monkeypatch.setattr(circuit_module, "PAUSE_S_MAX", 0.05)
    async with leasing(own_valkey, "1") as (state, leases), process(own_valkey) as other:
        held = await taken(SharedTasks(leases), PATH, (ORG, 9))
        own_valkey.pause()
        with pytest.raises(LimitStoreDown):
            await SharedTasks(leases).take(PATH, [(ORG, 9)])
        own_valkey.resume()
        await until(lambda: not state.is_down and not other.is_down)
        await until(lambda: own_valkey.ask("ZCARD", "igw:tasks:{a}:org:a") == b":1\r\n")
        held.release()
        await until(lambda: own_valkey.ask("ZCARD", "igw:tasks:{a}:org:a") == b":0\r\n")


@pytest.fixture(params=["memory", "valkey"])
async def slots(request: pytest.FixtureRequest) -> AsyncIterator[Slots]:
    places = {"u": 2, "other": 1}
    if request.param == "memory":
        yield Slots(places, SystemClock())
        return
    async with leasing(request.getfixturevalue("valkey"), "p") as (state, leases):
        made = SharedSlots(places, SystemClock(), {}, leases, lambda: None)
        await made.listen(state)
        yield made


def soon() -> float:
    return SystemClock().monotonic_s() + 20


async def test_slots(slots: Slots) -> None:
    """All or none at once; each upstream by itself; a second release gives no second place; in order; a deadline only ends waiting."""
    assert await slots.try_acquire("u", 3) == []
    two = await slots.try_acquire("u", 2)
    assert (len(two), slots.taken("u"), slots.taken("other")) == (2, 2, 0)
    assert await slots.try_acquire("u", 1) == []
    (await slots.acquire("other", 0.0)).release()
    with pytest.raises(SlotTimeout):
        await slots.acquire("u", SystemClock().monotonic_s() + 0.05)
    order: list[int] = []

    async def wait(number: int) -> None:
        slot = await slots.acquire("u", soon())
        order.append(number)
        slot.release()

    waiting = [asyncio.ensure_future(wait(number)) for number in range(5)]
    await asyncio.sleep(0.01)
    for _ in range(3):
        two[0].release()
    assert await slots.try_acquire("u", 1) == [], "nobody overtakes"
    await asyncio.gather(*waiting)
    assert order == list(range(5))
    two[1].release()
    assert len(await slots.try_acquire("u", 2)) == 2


async def test_who_gives_up_takes_no_slot_along(slots: Slots) -> None:
    """At whatever moment."""
    for turns in range(12):
        waiting = [asyncio.ensure_future(slots.acquire("u", soon())) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        got = await asyncio.gather(*waiting, return_exceptions=True)
        for slot in got:
            if isinstance(slot, Slot):
                slot.release()
    assert len(await slots.try_acquire("u", 2)) == 2
    assert slots.taken("u") == 2


async def test_processes_share_the_slots_of_an_upstream(valkey: ValkeyServer) -> None:
    """Three with 40 attempts each: never more than four out at once, all get their turn, and a place that comes free goes on at once."""
    out, most, done = 0, 0, 0
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(leasing(valkey, f"p{number}")) for number in range(3)]
        made = [SharedSlots({"u": 4}, SystemClock(), {}, leases, lambda: None) for _, leases in processes]
        for (state, _), slots in zip(processes, made, strict=True):
            await slots.listen(state)
        await until(lambda: valkey.ask("PUBSUB", "NUMSUB", "igw:0:places").endswith(b":3\r\n"))

        async def attempt(slots: Slots) -> None:
            nonlocal out, most, done
            slot = await slots.acquire("u", soon())
            out += 1
            most = max(most, out)
            await asyncio.sleep(0.002)
            out -= 1
            done += 1
            slot.release()

        began_s = time.monotonic()
        await asyncio.gather(*(attempt(slots) for slots in made for _ in range(40)))
        assert (most, done) == (4, 120)
        assert time.monotonic() - began_s < 5, "nobody waits for the next look where a place is free"
        await until(lambda: valkey.ask("ZCARD", "igw:slots:{upstream u}") == b":0\r\n")


async def test_slots_while_the_state_is_down(own_valkey: ValkeyServer) -> None:
    """A slot of this process is enough, and is counted as not counted."""
    failed: list[bool] = []
    async with leasing(own_valkey, "p") as (_, leases):
        slots = SharedSlots({"u": 2}, SystemClock(), {}, leases, lambda: failed.append(True))
        own_valkey.stop()
        assert len(await slots.try_acquire("u", 2)) == 2
        with pytest.raises(SlotTimeout):
            await slots.acquire("u", SystemClock().monotonic_s() + 0.02)
        assert failed
