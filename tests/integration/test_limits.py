"""Limits over the whole gateway: what the official client sees, and that no place among the tasks at once is ever exceeded or lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import orjson
import pytest
from aiohttp import web

from gateway.domain.accounts import Limits, Principal
from gateway.domain.clock import SystemClock
from gateway.domain.errors import TooManyTasks
from gateway.domain.ids import AccountId, KeyId
from gateway.limits.concurrency import Places, RunningTasks
from gateway.pipeline.recovery import Recovery
from tests.books import KEY as KEY_ACCOUNT
from tests.books import PATH, opened
from tests.emulators import behaviours as b
from tests.emulators.base import Answer as EmulatorAnswer
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    PROMPT,
    Answer,
    Fields,
    House,
    Settings,
    accounts,
    openai_upstream,
    serving,
    write_config,
)
from tests.integration.test_making import ScriptedAdapter, house_of
from tests.limits import limiting

SQUARE: Fields = {"size": "1024x1024", "quality": "low", "response_format": "url"}
MODEL = "gpt-image-2"
SERVED: Settings = {
    "gpt-image-2": {"offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}]}
}
CALLERS, AT_ONCE = 64, 5


class AdvancedClock(SystemClock):
    """The real time, and what a test adds to it."""

    ahead_s = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round(self.ahead_s * 1000)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class WatchedTasks(RunningTasks):
    """Remembers the most tasks at once of any account."""

    peak = 0

    async def count(self, path: Sequence[AccountId]) -> Places:
        places = await super().count(path)
        self.peak = max(self.peak, *map(self.running, path))
        return places


class CountingEmulator(OpenAIEmulator):
    """Counts for itself how many calls it has at once."""

    in_flight = peak = 0

    async def serve(self, request: web.Request, at: str, answer: EmulatorAnswer) -> web.StreamResponse:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await super().serve(request, at, answer)
        finally:
            self.in_flight -= 1


@pytest.fixture
def clock() -> AdvancedClock:
    return AdvancedClock()


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> WatchedTasks:
    """What the gateway of the test counts with."""
    watched = WatchedTasks()
    monkeypatch.setattr("gateway.app_state.RunningTasks", lambda: watched)
    return watched


@pytest.fixture
async def emulator() -> AsyncIterator[CountingEmulator]:
    async with CountingEmulator() as emulator:
        yield emulator


@pytest.fixture
def limited(sqlite_database: str, tmp_path: Path, emulator: CountingEmulator) -> "Limited":
    return Limited(sqlite_database, tmp_path, emulator)


class Limited:
    """Gateways whose org `acme`, team `design` and key `ci` have limits. The key `other` is in the org alone."""

    def __init__(self, database: str, folder: Path, emulator: CountingEmulator) -> None:
        self.database, self.folder, self.emulator = database, folder, emulator

    @asynccontextmanager
    async def serving(
        self,
        *budgets: str,
        org: Settings | None = None,
        team: Settings | None = None,
        key: Settings | None = None,
        slots: int = 64,
        clock: AdvancedClock | None = None,
    ) -> AsyncIterator[House]:
        [declared] = accounts(*budgets, **(key or {}))
        teams = declared["teams"]
        assert isinstance(teams, list)
        teams[0] |= team or {}
        upstreams = {"openai": openai_upstream(self.emulator, concurrency=slots, timeout="20s")}
        config = write_config(
            self.folder, self.database, upstreams, models=SERVED, accounts=[declared | (org or {})], deadline="30s"
        )
        async with serving(config, {"openai": self.emulator}, clock=clock) as house:
            yield house


@asynccontextmanager
async def client(house: House, retries: int = 0) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=house.base_url, api_key=KEY, max_retries=retries) as official:
        yield official


def rate_headers(answer: Answer) -> tuple[str | None, ...]:
    """Limit, remaining, reset."""
    return tuple(answer.headers.get(f"x-ratelimit-{name}-requests") for name in ("limit", "remaining", "reset"))


async def created(house: House) -> Answer:
    """A call of the task contract."""
    return await house.generate(MODEL, headers={"Prefer": "respond-async"}, **SQUARE)


async def at_upstream(limited: Limited, count: int) -> None:
    await limited.emulator.until(lambda emulator: emulator.in_flight == count)


async def test_the_official_client_meets_the_rate(limited: Limited, clock: AdvancedClock) -> None:
    """RateLimitError with OpenAI's headers; nothing was sent; the same call works after the wait; the SDK's own retry keeps to it."""
    ask = {"model": MODEL, "prompt": PROMPT, "size": "1024x1024", "quality": "low"}
    async with limited.serving(team={"rpm": 3}, clock=clock) as house, client(house) as official:
        for left in (2, 1, 0):
            raw = await official.images.with_raw_response.generate(**ask)  # type: ignore[call-overload]  # keywords of a dict
            assert raw.headers["x-ratelimit-remaining-requests"] == str(left)
            assert raw.headers["x-ratelimit-limit-requests"] == "3"
            clock.ahead_s += 10
        with pytest.raises(openai.RateLimitError) as caught:
            await official.images.generate(**ask)  # type: ignore[call-overload]  # the same
        error = caught.value
        assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
        assert "team 'design'" in str(error)
        headers = error.response.headers
        wait_s = int(headers["retry-after"])
        assert 25 <= wait_s <= 30
        assert headers["x-ratelimit-remaining-requests"] == "0"
        assert 40 < float(headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 50
        assert sum(1 for request in limited.emulator.requests if request.at == "create") == 3
        assert (await house.generate(MODEL, key=OTHER_KEY, **SQUARE)).status == 200, "another path"
        clock.ahead_s += wait_s
        await official.images.generate(**ask)  # type: ignore[call-overload]  # the same
        clock.ahead_s += int((await house.generate(MODEL, **SQUARE)).headers["Retry-After"]) - 2
        async with client(house, retries=2) as patient:
            # Other words: a retry of the same ones would take up the picture that is there.
            await patient.images.generate(**ask | {"prompt": "a blue fox"})  # type: ignore[call-overload]  # the same
        assert b'"retry":"1"' in house.log_lines(), "it was refused, waited one or two seconds, and came again"
        refused = await house.metric("gateway_limited_requests_total", kind="rate", level="team")
        total = (await house.get("/v1/tasks")).json["total"]
    assert refused == 3
    assert total == 5, "a refused call leaves no task"


async def test_exactly_so_many_of_a_burst_are_admitted(limited: Limited, clock: AdvancedClock) -> None:
    """Of 64 calls at once on a key of 20 a minute and a team of 12: twelve; each refusal names the team, and none counted on the key."""
    async with limited.serving(org={"rpm": 1000}, team={"rpm": 12}, key={"rpm": 20}, clock=clock) as house:
        answers = await asyncio.gather(*[house.generate(MODEL, **SQUARE) for _ in range(CALLERS)])
        clock.ahead_s += 60
        again = await house.generate(MODEL, **SQUARE)
    assert Counter(answer.status for answer in answers) == {200: 12, 429: CALLERS - 12}
    refusals = [answer for answer in answers if answer.status == 429]
    assert {answer.error["limit_scope"] for answer in refusals} == {"team"}
    assert {rate_headers(answer)[:2] for answer in refusals} == {("12", "0")}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 59 for answer in refusals)
    assert rate_headers(again) == ("12", "11", "1m0s")
    assert limited.emulator.billed_images == 13


async def test_what_counts_and_what_does_not(limited: Limited) -> None:
    """Polls and bodies that cannot be read are free; a call refused for its model or its budget is not; all image answers say where one stands."""
    async with limited.serving("0credits/total", key={"rpm": 4}) as house:
        for _ in range(5):
            assert (await house.get("/v1/models")).status == 200
        unread = await house.call("POST", "/v1/images/generations", body={"prompt": 7})
        edits = await house.call("POST", "/v1/images/edits", body={"prompt": "x"})
        unknown = await house.generate("nothing", **SQUARE)
        poor = [await house.generate(MODEL, **SQUARE) for _ in range(3)]
        limit = await house.generate(MODEL, **SQUARE)
    assert [(answer.status, rate_headers(answer)[1]) for answer in (unread, edits, unknown)] == [
        (400, "4"),
        (400, "4"),
        (404, "3"),
    ]
    assert [(answer.error["code"], rate_headers(answer)[1]) for answer in poor] == [
        ("insufficient_quota", left) for left in "210"
    ]
    assert limit.error["code"] == "rate_limit_exceeded", "the rate comes before the budget"


async def test_never_more_tasks_at_once_than_allowed(limited: Limited, tasks: WatchedTasks) -> None:
    """64 callers against five places, until each has its picture: never a sixth task, here or at the upstream, and all places free at the end."""
    limited.emulator.always(b.Succeed(delay_s=0.03))
    refused = 0

    async def caller(house: House) -> None:
        nonlocal refused
        while (answer := await house.generate(MODEL, **SQUARE)).status != 200:
            assert (answer.status, answer.error["code"]) == (429, "concurrency_limit_exceeded")
            assert answer.error["limit_scope"] == "team"
            assert 1 <= int(answer.headers["Retry-After"]) <= 59
            refused += 1
            await asyncio.sleep(0.05)

    async with limited.serving(org={"concurrency": 50}, team={"concurrency": AT_ONCE}) as house:
        await asyncio.gather(*[caller(house) for _ in range(CALLERS)])
        assert len(tasks) == 0
        counted = await house.metric("gateway_limited_requests_total", kind="concurrency", level="team")
        total = (await house.get("/v1/tasks")).json["total"]
    assert (tasks.peak, limited.emulator.peak) == (AT_ONCE, AT_ONCE)
    assert counted == refused > 0
    assert total == CALLERS, "a refused call leaves no task"
    assert limited.emulator.billed_images == CALLERS


async def test_every_end_frees_its_place(limited: Limited, tasks: WatchedTasks) -> None:
    """Pictures, failures, refusals of content, callers who hang up, cancelled tasks, calls without a budget or an upstream, all at once."""
    limited.emulator.when("fails", b.Error(status=400, code="invalid_value", delay_s=0.05))
    limited.emulator.when("refused", b.Refuse(delay_s=0.05))
    limited.emulator.always(b.Succeed(delay_s=0.05))
    seen: Counter[int | str] = Counter()

    async def caller(house: House, index: int) -> None:
        prompt = f"{('a fox', 'fails', 'refused', 'a cat')[index % 4]} {index}"
        body = {"model": MODEL, "prompt": prompt, **SQUARE}
        if index % 8 == 3:
            await hang_up(house, body)
            seen["gone"] += 1
            return
        headers = {"Prefer": "respond-async"} if index % 8 == 4 else {}
        answer = await house.call("POST", "/v1/images/generations", headers=headers, body=body)
        seen[answer.status] += 1
        if headers and answer.status == 202:
            cancelled = await house.call("POST", f"/v1/tasks/{answer.text('id')}/cancel")
            seen["cancelled" if cancelled.status == 200 else "uncancelled"] += 1

    async with limited.serving("100images/total", key={"concurrency": AT_ONCE}, slots=2) as house:
        for first in range(0, 240, 8):
            await asyncio.gather(*[caller(house, first + index) for index in range(8)])
        async with asyncio.timeout(30):
            while len(tasks):
                await house.get("/healthz", key=None)
    assert tasks.peak == AT_ONCE
    assert limited.emulator.peak <= 2
    assert min(seen[what] for what in (200, 400, 429, "gone", "cancelled")) > 0, seen


async def hang_up(house: House, body: Fields) -> None:
    """Send a call and close the connection while it runs."""
    _, writer = await asyncio.open_connection("127.0.0.1", house.config.server.port)
    data = orjson.dumps(body)
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.close()


async def test_a_cancelled_task_frees_its_place_at_once(limited: Limited, tasks: WatchedTasks) -> None:
    """Although its coroutine still waits for the upstream's only slot; what is at the upstream keeps its place, its caller gone or not."""
    limited.emulator.always(b.Hang(bills=True))
    async with limited.serving(key={"concurrency": 2}, slots=1) as house:
        gone = asyncio.create_task(house.generate(MODEL, **SQUARE))
        await at_upstream(limited, 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        waiting, refused = await created(house), await created(house)
        assert (waiting.status, refused.status) == (202, 429)
        cancelled = await house.call("POST", f"/v1/tasks/{waiting.text('id')}/cancel")
        assert cancelled.status == 200
        assert tasks.running(AccountId("org:acme")) == 1
        next_one, too_many = await created(house), await created(house)
        assert (next_one.status, too_many.status) == (202, 429)
        limited.emulator.always(b.Succeed())
        limited.emulator.release()
        assert (await house.ended(next_one.text("id")))["status"] == "completed"
        assert (await created(house)).status == 202
    assert len(tasks) == 0


async def test_a_refused_budget_gives_its_place_back(limited: Limited, tasks: WatchedTasks) -> None:
    """As often as it is refused."""
    async with limited.serving("0credits/total", key={"concurrency": 1}) as house:
        answers = [await house.generate(MODEL, **SQUARE) for _ in range(5)]
        assert len(tasks) == 0
    assert {answer.error["code"] for answer in answers} == {"insufficient_quota"}
    assert tasks.peak == 1


async def test_what_the_path_allows_is_what_is_listed(limited: Limited) -> None:
    """`GET /v1/models` shows what org, team and key all allow; other models, sizes and counts are refused by field."""
    team: Settings = {"models": ["gpt-image-2", "gpt-4o-image"], "sizes": ["1024x1024"], "n_max": 2}
    async with limited.serving(org={"models": ["gpt-image-2"]}, team=team) as house:
        listed = (await house.get("/v1/models")).json["data"]
        assert isinstance(listed, list)
        assert {model["id"] for model in listed} == {"gpt-image-2", "dall-e-3", "dall-e-2"}
        other = await house.generate("gpt-4o-image")
        large = await house.generate(MODEL, size="1536x1024")
        many = await house.generate(MODEL, size="1024x1024", n=3)
        plain = await house.generate(MODEL, n=2)
    told = [(answer.status, answer.error["code"], answer.error["param"]) for answer in (other, large, many)]
    assert told == [
        (403, "model_not_allowed", "model"),
        (400, "unsupported_size", "size"),
        (400, "invalid_parameter", "n"),
    ]
    assert plain.status == 200


async def test_recovered_tasks_count_again(sqlite_database: str, tmp_path: Path) -> None:
    """Three tasks of a dead process fill a limit of two at once; new ones wait until enough have ended; afterwards all places are free."""
    database = await opened(sqlite_database)
    only, tasks = ScriptedAdapter("only"), RunningTasks()
    only.release = asyncio.Event()
    house = await house_of(database, tmp_path, only)
    limits = limiting(concurrency=tasks)
    for _ in range(3):
        await house.accepted()
    caller = Principal(
        KeyId("key_ci"), "ci", PATH, "acme", "design", limits=((KEY_ACCOUNT, Limits(concurrent_tasks=2)),)
    )
    recovery = Recovery(database, house.runner, limits, SystemClock(), owner="run_new")
    assert await recovery.start() == 3
    assert [tasks.running(account) for account in PATH] == [3, 3, 3]
    with pytest.raises(TooManyTasks):
        await limits.take_places(caller, usual_s=1)
    only.release.set()
    await house.runner.drain(10)
    assert len(tasks) == 0
    (await limits.take_places(caller, usual_s=1)).release()
    await database.close()
