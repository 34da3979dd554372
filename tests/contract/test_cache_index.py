"""The index of the cache, in memory and on the shared state: who leads, who waits for whom, who finds what, and what a silent server costs."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.cache.index import CLAIM_MS, CacheIndex, Claim, Entry, Flying, Found, MemoryIndex, Role
from gateway.cache.shared_index import SharedIndex
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, TaskId
from gateway.state.address import StateAddress, parse_state
from gateway.state.valkey import open_valkey
from gateway.telemetry.metrics import Metrics
from tests.valkey import ValkeyServer

FIRST, SECOND, THIRD = (TaskId(f"task-unified-1-{name}") for name in ("first", "second", "third"))
MINE, THEIRS = AccountId("key:acme//mine"), AccountId("key:acme//theirs")
KEY = "0f" * 32
DAY_MS = 86_400_000


@pytest.fixture(params=["memory", "valkey"])
async def index(request: pytest.FixtureRequest) -> AsyncIterator[CacheIndex]:
    if request.param == "memory":
        yield MemoryIndex(SystemClock(), entries_max=10)
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    async with open_valkey(server_address(server), SystemClock(), Metrics()) as state:
        yield SharedIndex(state, MemoryIndex(SystemClock(), entries_max=10), SystemClock())


def server_address(server: ValkeyServer) -> StateAddress:
    address = parse_state(server.url)
    assert address is not None
    return address


def claim(task: TaskId, account: AccountId, *, joins: bool = True, joins_own: bool = False, since_ms: int = 0) -> Claim:
    return Claim(task, account, joins, joins_own, since_ms)


async def test_the_first_leads_and_others_wait_for_it(index: CacheIndex) -> None:
    assert await index.claim(KEY, claim(FIRST, MINE)) is Role.LEADS
    assert await index.claim(KEY, claim(SECOND, THEIRS)) == Flying(FIRST, accepted=False)
    await index.accepted(KEY, FIRST, DAY_MS)
    assert await index.claim(KEY, claim(SECOND, THEIRS)) == Flying(FIRST, accepted=True)
    await index.landed(KEY, Entry(FIRST, 1_000, 2_000), DAY_MS)
    assert await index.claim(KEY, claim(THIRD, MINE)) == Found(Entry(FIRST, 1_000, 2_000))


async def test_a_key_waits_for_its_own_calls_only_where_it_wishes(index: CacheIndex) -> None:
    """And for another's once: its second call in flight is a wish for a picture of its own."""
    await index.claim(KEY, claim(FIRST, MINE))
    assert await index.claim(KEY, claim(SECOND, MINE)) is Role.ALONE
    await index.accepted(KEY, FIRST, DAY_MS)
    assert await index.claim(KEY, claim(SECOND, MINE, joins_own=True)) == Flying(FIRST, accepted=True)
    assert await index.claim(KEY, claim(SECOND, THEIRS)) == Flying(FIRST, accepted=True)
    assert await index.claim(KEY, claim(THIRD, THEIRS)) is Role.ALONE
    assert await index.claim(KEY, claim(THIRD, AccountId("key:acme//last"), joins=False)) is Role.ALONE


async def test_one_that_drops_out_leaves_the_lead(index: CacheIndex) -> None:
    """And nothing of another's."""
    await index.claim(KEY, claim(FIRST, MINE))
    await index.dropped(KEY, SECOND)
    assert await index.claim(KEY, claim(THIRD, THEIRS)) == Flying(FIRST, accepted=False)
    await index.dropped(KEY, FIRST)
    assert await index.claim(KEY, claim(SECOND, MINE)) is Role.LEADS
    await index.accepted(KEY, FIRST, DAY_MS)  # too late
    assert await index.claim(KEY, claim(THIRD, THEIRS)) == Flying(SECOND, accepted=False)


async def test_pictures_that_are_gone_are_forgotten(index: CacheIndex) -> None:
    await index.landed(KEY, Entry(FIRST, 1_000, 2_000), DAY_MS)
    await index.dropped(KEY, SECOND)
    assert isinstance(await index.claim(KEY, claim(THIRD, MINE)), Found)
    await index.dropped(KEY, FIRST)
    assert await index.claim(KEY, claim(THIRD, MINE)) is Role.LEADS


async def test_older_ones_than_wanted_do_not_do(index: CacheIndex) -> None:
    await index.landed(KEY, Entry(FIRST, 1_000, 2_000), DAY_MS)
    assert await index.claim(KEY, claim(SECOND, MINE, since_ms=1_001)) is Role.LEADS
    assert isinstance(await index.claim(KEY, claim(THIRD, MINE, since_ms=1_000)), Found)
    await index.landed(KEY, Entry(SECOND, 1_500, 2_500), DAY_MS)
    assert await index.claim(KEY, claim(THIRD, MINE)) == Found(Entry(SECOND, 1_500, 2_500))


async def test_what_runs_out_is_gone(index: CacheIndex) -> None:
    await index.landed(KEY, Entry(FIRST, 1_000, 2_000), 30)
    other = KEY.replace("f", "e")
    await index.claim(other, claim(FIRST, MINE))
    await index.accepted(other, FIRST, 30)
    await asyncio.sleep(0.06)
    assert await index.claim(KEY, claim(SECOND, MINE)) is Role.LEADS
    assert await index.claim(other, claim(SECOND, MINE)) is Role.LEADS


async def test_of_a_hundred_at_once_one_leads(index: CacheIndex) -> None:
    asked = [claim(TaskId(f"task-unified-1-{i}"), AccountId(f"key:acme//{i}")) for i in range(100)]
    found = await asyncio.gather(*(index.claim(KEY, one) for one in asked))
    assert found.count(Role.LEADS) == 1
    leader = asked[found.index(Role.LEADS)].task_id
    assert [one for one in found if one is not Role.LEADS] == [Flying(leader, accepted=False)] * 99


async def test_who_waits_hears_of_an_acceptance(index: CacheIndex) -> None:
    await index.claim(KEY, claim(FIRST, MINE))

    async def heard() -> Found | Flying | Role:
        while True:
            await index.changed(KEY, 60.0)
            found = await index.claim(KEY, claim(SECOND, THEIRS))
            if found != Flying(FIRST, accepted=False):
                return found

    waiting = asyncio.create_task(heard())
    await asyncio.sleep(0.01)
    await index.accepted(KEY, FIRST, DAY_MS)
    assert await asyncio.wait_for(waiting, 30) == Flying(FIRST, accepted=True)


async def test_a_claim_that_nobody_accepts_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLAIM_MS >= 1_000
    monkeypatch.setattr("gateway.cache.index.CLAIM_MS", 20)
    index = MemoryIndex(SystemClock(), entries_max=10)
    assert await index.claim(KEY, claim(FIRST, MINE)) is Role.LEADS
    await asyncio.sleep(0.04)
    assert await index.claim(KEY, claim(SECOND, MINE)) is Role.LEADS


async def test_the_memory_is_bounded() -> None:
    index = MemoryIndex(SystemClock(), entries_max=10, flights_max=2)
    for number in range(20):
        await index.landed(f"{number}", Entry(FIRST, 1, 2), DAY_MS)
    assert len(index) == 10
    assert await index.claim("a", claim(FIRST, MINE)) is Role.LEADS
    assert await index.claim("b", claim(FIRST, MINE)) is Role.LEADS
    assert await index.claim("c", claim(FIRST, MINE)) is Role.ALONE


async def test_without_its_state_a_process_goes_by_what_it_was_told(own_valkey: ValkeyServer) -> None:
    """And by itself: nobody waits for what it cannot know."""
    async with open_valkey(server_address(own_valkey), SystemClock(), Metrics()) as state:
        index, other = (SharedIndex(state, MemoryIndex(SystemClock(), entries_max=10), SystemClock()) for _ in range(2))
        flying, made, strange = KEY, KEY.replace("f", "e"), KEY.replace("f", "d")
        await index.claim(flying, claim(FIRST, MINE))
        await index.accepted(flying, FIRST, DAY_MS)
        await other.claim(flying, claim(SECOND, THEIRS))
        now_ms = SystemClock().now_ms()
        asked = KEY.replace("f", "c")
        await index.claim(asked, claim(FIRST, MINE))
        await other.claim(asked, claim(SECOND, THEIRS))  # it has no part in it before that is accepted
        await index.landed(made, Entry(FIRST, now_ms, now_ms + DAY_MS), DAY_MS)
        await other.claim(made, claim(SECOND, THEIRS))
        own_valkey.stop()
        last = AccountId("key:acme//last")
        assert await other.claim(asked, claim(SECOND, THEIRS)) == Flying(FIRST, accepted=False)
        for each in (index, other):
            assert await asyncio.wait_for(each.claim(flying, claim(THIRD, last)), CLAIM_MS / 1000 - 1) == Flying(
                FIRST, accepted=True
            )
            assert await each.claim(made, claim(THIRD, last)) == Found(Entry(FIRST, now_ms, now_ms + DAY_MS))
            assert await each.claim(strange, claim(THIRD, last)) is Role.LEADS
            assert await each.claim(strange, claim(FIRST, MINE)) == Flying(THIRD, accepted=False)
            await each.landed(strange, Entry(THIRD, now_ms, now_ms + DAY_MS), DAY_MS)
            assert isinstance(await each.claim(strange, claim(FIRST, MINE)), Found)
