"""Who is answered with whose pictures, who waits for whom, and every reason for which the cache has no part in a call. No database."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.cache.index import Claim as IndexClaim
from gateway.cache.index import Entry, Role
from gateway.domain.accounts import Principal
from gateway.domain.catalog import Model, Offer, PerImage, SizeRule
from gateway.domain.ids import AccountId, KeyId, TaskId
from gateway.domain.images import Contract, ImageInput, ImageRequest, ImageResult, InputSource, Pixels
from gateway.domain.sharing import NO_WISH, SHARED_MS_MIN, CacheResult, CacheScope, CacheWish, SingleFlight
from gateway.domain.tasks import Task, TaskState
from gateway.pipeline.admission import Admitted
from gateway.pipeline.sharing import BYPASS, Rules, Sharing
from tests.sharing import sharing_over

MODEL = Model(
    "m", Contract.IMAGE, 1000, SizeRule(("1024x1024",)), (1, 2), (Offer("u/m", "u", "m", PerImage(Decimal("0.01"))),)
)
REQUEST = ImageRequest("m", "a red fox", size="1024x1024", pixels=Pixels(1024, 1024))
CALL = Admitted(REQUEST, MODEL)
NUMBERS = iter(range(1, 10_000))


class HandClock:
    """In seconds, moved by hand."""

    time_s: float = 1_000_000.0

    def monotonic_s(self) -> float:
        return self.time_s

    def now_ms(self) -> int:
        return int(self.time_s * 1000)


class NoDatabase:
    """Whoever looks something up in a test that does not expect it fails; otherwise it is the answer."""

    answer: Any = None

    async def read(self, query: Callable[[Any], Awaitable[Any]]) -> Any:
        assert self.answer is not None, "the database was asked"
        return self.answer


def caller(key: str, team: str | None = "design", org: str = "acme") -> Principal:
    path = [f"key:{org}/{team or ''}/{key}", *([f"team:{org}/{team}"] if team else []), f"org:{org}"]
    return Principal(KeyId(f"key_{key}"), key, tuple(map(AccountId, path)), org, team)


ME, COLLEAGUE, OTHER_TEAM, STRANGER = (
    caller("me"), caller("colleague"), caller("other", "sales"), caller("me", "design", "strangers"),
)  # fmt: skip


class House:
    def __init__(self, **rules: Any) -> None:
        self.clock, self.database = HandClock(), NoDatabase()
        self.rules = Rules(**rules)
        self.sharing: Sharing = sharing_over(self.database, self.clock, self.rules)

    async def begin(self, principal: Principal, wish: CacheWish = NO_WISH, call: Admitted = CALL) -> Any:
        return await self.sharing.begin(principal, call, wish, TaskId(f"task-unified-1-{next(NUMBERS):08d}"))

    async def made(self, principal: Principal, wish: CacheWish = NO_WISH, *, n: int = 1, ttl_s: float = 86_400) -> Task:
        """A call of it makes its picture, and ends."""
        begun = await self.begin(principal, wish)
        assert begun.flight is not None
        task = self.task(begun.flight.task_id, principal, n=n, ttl_s=ttl_s)
        await begun.flight.accepted(60_000)
        await begun.flight.landed(task, 5_000)
        return task

    def task(self, task_id: TaskId, principal: Principal, *, n: int = 1, ttl_s: float = 86_400) -> Task:
        now_ms = self.clock.now_ms()
        return Task(
            id=task_id, account=principal.account, path=principal.path, state=TaskState.COMPLETED, contract=Contract.IMAGE, model="m", n=n,
            user_group="", created_at_ms=now_ms, deadline_at_ms=now_ms, reserved_microcredits=0, prompt="p", request_json="{}", plan_json="{}",
            owner="run", epoch=1, finished_at_ms=now_ms, results=(ImageResult("blob", "image/png", "png", 9, 2, 2, "0" * 64, None),),
            result_count=1, results_expire_at_ms=now_ms + round(ttl_s * 1000),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "principal", "call", "wish"),
    [
        ({"enabled": False}, ME, CALL, NO_WISH),
        ({}, replace(ME, cache=False), CALL, NO_WISH),
        ({}, ME, replace(CALL, model=replace(MODEL, cache=False)), NO_WISH),
        ({}, ME, CALL, CacheWish(looks=False, keeps=False)),
        (
            {},
            ME,
            replace(CALL, request=replace(REQUEST, images=(ImageInput(InputSource.URL, "https://a.example/a.png"),))),
            NO_WISH,
        ),
        (
            {},
            ME,
            replace(CALL, request=replace(REQUEST, mask=ImageInput(InputSource.URL, "https://a.example/a.png"))),
            NO_WISH,
        ),
    ],
    ids=["switched off", "key", "model", "no-store", "a stranger's link", "a stranger's mask"],
)
async def test_the_cache_has_no_part_in_it(
    rules: dict[str, Any], principal: Principal, call: Admitted, wish: CacheWish
) -> None:
    """And nobody else finds a trace of the call, though the pictures would be there."""
    house = House(**rules)
    begun = await house.begin(principal, wish, call)
    assert begun is BYPASS
    assert len(house.sharing.index) == 0  # type: ignore[arg-type]  # memory's


async def test_a_file_that_is_not_the_keys_own_tells_nothing() -> None:
    """What is not found under its key has no contents, and so no fingerprint."""
    house = House()
    house.database.answer = {}
    call = replace(CALL, request=replace(REQUEST, images=(ImageInput(InputSource.FILE, "file-1"),)))
    assert await house.begin(ME, call=call) is BYPASS


@pytest.mark.parametrize(
    ("scope", "shares"),
    [
        (CacheScope.KEY, [True, False, False, False]),
        (CacheScope.TEAM, [True, True, False, False]),
        (CacheScope.ORG, [True, True, True, False]),
    ],
)
async def test_who_shares_pictures(scope: CacheScope, shares: list[bool]) -> None:
    house = House(scope=scope)
    source = await house.made(ME)
    found = [await house.begin(principal) for principal in (ME, COLLEAGUE, OTHER_TEAM, STRANGER)]
    assert [begun.result is CacheResult.HIT for begun in found] == shares
    assert {begun.hit.task.id for begun in found if begun.hit} == {source.id}
    assert all(begun.hit.task.prompt is None for begun in found if begun.hit), "nobody else's words are kept"


async def test_a_key_of_no_team_shares_with_its_org_where_the_scope_is_a_team() -> None:
    house = House(scope=CacheScope.TEAM)
    await house.made(caller("a", None))
    assert (await house.begin(caller("b", None))).result is CacheResult.HIT
    assert (await house.begin(ME)).result is CacheResult.MISS


@pytest.mark.parametrize(
    ("flight", "wish", "own", "others"),
    [
        (SingleFlight.OTHER_KEYS, NO_WISH, "miss", "joined"),
        (SingleFlight.OTHER_KEYS, CacheWish(age_s_max=60), "joined", "joined"),
        (SingleFlight.ALWAYS, NO_WISH, "joined", "joined"),
        (SingleFlight.NEVER, NO_WISH, "miss", "miss"),
        (SingleFlight.NEVER, CacheWish(age_s_max=60), "miss", "miss"),
        (SingleFlight.ALWAYS, CacheWish(looks=False), "bypass", "bypass"),
    ],
)
async def test_who_waits_for_whom(flight: SingleFlight, wish: CacheWish, own: str, others: str) -> None:
    house = House(single_flight=flight)
    leader = await house.begin(ME)
    assert leader.flight.leads
    await leader.flight.accepted(60_000)
    for principal, expected in ((ME, own), (COLLEAGUE, others), (STRANGER, "bypass" if not wish.looks else "miss")):
        begun = await house.begin(principal, wish)
        assert begun.result.value == expected, principal
        assert begun.leader == (leader.flight.task_id if expected == "joined" else None)
        assert (begun.flight is None) is (expected == "joined"), "who waits leads nobody"


async def test_a_call_that_leaves_no_trace_in_the_end_leads_nobody() -> None:
    """It looks, finds nothing, and is not waited for."""
    house = House(single_flight=SingleFlight.ALWAYS)
    begun = await house.begin(ME, CacheWish(keeps=False))
    assert (begun.result, begun.flight) == (CacheResult.MISS, None)
    assert (await house.begin(COLLEAGUE)).flight.leads


async def test_a_refused_leader_leaves_the_lead_to_the_next() -> None:
    house = House(single_flight=SingleFlight.ALWAYS)
    await (await house.begin(ME)).dropped()
    assert (await house.begin(COLLEAGUE)).flight.leads


async def test_no_cache_makes_the_picture_of_the_next_calls() -> None:
    house = House()
    first = await house.made(ME)
    second = await house.made(COLLEAGUE, CacheWish(looks=False))
    assert (await house.begin(ME)).hit.task.id == second.id != first.id


async def test_what_is_too_old_incomplete_or_about_to_expire_is_nobodys() -> None:
    """`max-age` wants a young one; a part of an answer, or pictures whose promise ends, are no example."""
    house = House(ttl_s=600)
    source = await house.made(ME)
    house.clock.time_s += 61
    assert (await house.begin(ME, CacheWish(age_s_max=60))).result is CacheResult.MISS
    assert (await house.begin(ME, CacheWish(age_s_max=62))).hit.task.id == source.id
    house.clock.time_s += 540
    assert (await house.begin(COLLEAGUE)).result is not CacheResult.HIT, "the cache keeps nothing longer"
    for made in ({"n": 2}, {"ttl_s": SHARED_MS_MIN / 1000}):
        house = House()
        await house.made(ME, **made)
        assert (await house.begin(COLLEAGUE)).flight.leads


async def test_who_waited_in_vain_leads_or_waits_for_the_next() -> None:
    """Also for one of its own key: it had taken part already."""
    house = House()
    leader: Any = await house.begin(ME)
    await leader.flight.accepted(60_000)
    key = leader.key
    first: Any = await house.sharing.again(key, TaskId("task-unified-1-first"), ME.account, leader.flight.task_id)
    assert first.flight.leads
    await first.flight.accepted(60_000)
    second: Any = await house.sharing.again(key, TaskId("task-unified-1-second"), ME.account, leader.flight.task_id)
    assert (second.result, second.leader) == (CacheResult.JOINED, TaskId("task-unified-1-first"))


async def test_an_entry_whose_task_is_gone_is_forgotten() -> None:
    """The database has the last word: the call makes its own."""
    house = House()
    begun = await house.begin(ME)
    await begun.dropped()
    now_ms = house.clock.now_ms()
    await house.sharing.index.landed(begun.key, Entry(TaskId("task-unified-1-gone"), now_ms, now_ms + 60_000), 60_000)

    async def nothing(_: object) -> None:
        return None

    house.database.read = nothing  # type: ignore[assignment,method-assign]  # its answer: no such task
    assert (await house.begin(COLLEAGUE)).flight is not None
    again = await house.sharing.index.claim(
        begun.key, IndexClaim(TaskId("task-unified-1-x"), ME.account, joins=False, joins_own=False)
    )
    assert again is Role.ALONE, "the colleague leads, and the entry is gone"
