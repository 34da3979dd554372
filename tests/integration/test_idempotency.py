"""Calls that are made again, over the whole gateway: one task, one bill, and the answer of the first call."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import Config
from gateway.domain.clock import SystemClock
from gateway.domain.repeats import KEPT_MS, TAKEN_WITHIN_MS
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    CI_ACCOUNT,
    KEY,
    OTHER_KEY,
    PROMPT,
    Answer,
    House,
    Settings,
    accounts,
    openai_upstream,
    serving,
    write_config,
)

pytestmark = pytest.mark.usefixtures("whole_stack")

MODEL = "gpt-image-2"
FIELDS: Settings = {"size": "1024x1024", "quality": "low"}
OFFER: Settings = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
SDK = {"X-Stainless-Lang": "python", "X-Stainless-Retry-Count": "0"}
RETRY = {**SDK, "X-Stainless-Retry-Count": "1"}
REPLAYED = "Idempotency-Replayed"


class SettableClock(SystemClock):
    """The machine's clock, and how far ahead of it a test has set this one."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


def config_of(folder: Path, database: str, emulator: OpenAIEmulator, **more: object) -> Config:
    upstream = openai_upstream(emulator, concurrency=4)
    return write_config(folder, database, {"openai": upstream}, models={MODEL: {"offers": [OFFER]}}, **more)


async def called(house: House, key: str | None, /, **more: object) -> Answer:
    """A create call with an Idempotency-Key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    extra = more.pop("headers", {})
    assert isinstance(extra, dict)
    account = str(more.pop("account", KEY))
    return await house.generate(MODEL, key=account, headers={**headers, **extra}, **{**FIELDS, **more})


def same(answers: Sequence[Answer]) -> Answer:
    """All of them 200 and alike."""
    assert {answer.status for answer in answers} == {200}, [
        answer.body[:300] for answer in answers if answer.status != 200
    ]
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["X-Task-Id"] for answer in answers}) == 1
    return answers[0]


async def test_a_hundred_equal_calls_at_once_make_one_task(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """One task, one bill, a hundred equal answers, of which one is the first; whoever comes later gets it as well."""
    openai_emulator.always(b.Succeed(delay_s=0.3))
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        answers = await asyncio.gather(*(called(house, "order 7") for _ in range(100)))
        first = same(answers)
        assert sum(REPLAYED not in answer.headers for answer in answers) == 1
        later = await called(house, "order 7")
        assert later.headers[REPLAYED] == "true"
        assert later.body == first.body
        assert await house.metric("gateway_repeated_calls_total", result="joined") > 0
        assert await house.metric("gateway_repeated_calls_total") == 100
        tasks = (await house.get("/v1/tasks")).json
        assert tasks["total"] == 1
    assert len(openai_emulator.bills) == 1
    assert house.settled.charged() == openai_emulator.bills[0].usd * 72


async def test_a_hundred_equal_calls_at_two_gateways(
    postgresql_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Both on one database: one task, one bill, a hundred equal answers."""
    openai_emulator.always(b.Succeed(delay_s=0.5))
    address = {"host": "127.0.0.1", "port": 0, "drain": "5s", "public_url": "http://pictures.example"}
    config = config_of(tmp_path, postgresql_database, openai_emulator, server=address)
    async with AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(serving(config, {"openai": openai_emulator})),
            await stack.enter_async_context(serving(config, {"openai": openai_emulator})),
        ]
        answers = await asyncio.gather(*(called(houses[number % 2], "order 7") for number in range(100)))
        same(answers)
        assert sum(REPLAYED not in answer.headers for answer in answers) == 1
        assert (await houses[0].get("/v1/tasks")).json["total"] == 1
    assert len(openai_emulator.bills) == 1


async def test_another_body_is_a_conflict_and_another_key_a_call_of_its_own(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """409, told to SDKs as final; the order of fields is no other body; another API key's same word is another call."""
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        first = await called(house, "a")
        other = await called(house, "a", quality="high")
        assert (other.status, other.error["code"], other.error["param"]) == (
            409,
            "idempotency_conflict",
            "Idempotency-Key",
        )
        assert other.headers["x-should-retry"] == "false"
        turned = {"quality": "low", "prompt": PROMPT, "size": "1024x1024", "model": MODEL}
        again = await house.call("POST", "/v1/images/generations", headers={"Idempotency-Key": "a"}, body=turned)
        assert same([first, again]) is first
        stranger = await called(house, "a", account=OTHER_KEY)
        assert REPLAYED not in stranger.headers
        assert stranger.headers["X-Task-Id"] != first.headers["X-Task-Id"]
        plain = await called(house, None)
        assert plain.headers["X-Task-Id"] != first.headers["X-Task-Id"]
        assert await house.metric("gateway_repeated_calls_total", result="conflict") == 1
    assert len(openai_emulator.bills) == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "grüße", "tab\there"])
async def test_a_key_that_is_none(
    key: str, sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """400 that names the header; 255 characters are one."""
    async with serving(config_of(tmp_path, sqlite_database, openai_emulator), {"openai": openai_emulator}) as house:
        answer = await called(house, key)
        assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
        assert (await called(house, "x" * 255)).status == 200


async def test_the_task_contract_shows_the_task_as_it_stands(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The same task: under way, then completed with its pictures; the form of the answer follows each call's own headers."""
    openai_emulator.next(b.Hang(bills=True))
    asynchronous = {"Prefer": "respond-async"}
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        first = await called(house, "a", headers=asynchronous)
        again = await called(house, "a", headers=asynchronous)
        assert (again.status, again.headers[REPLAYED]) == (202, "true")
        assert again.json["id"] == first.json["id"]
        assert again.json["status"] in ("pending", "processing")
        waiting = asyncio.ensure_future(called(house, "a"))  # OpenAI's contract: joins
        await asyncio.sleep(0.1)
        openai_emulator.release()
        picture = await waiting
        assert (picture.status, picture.headers[REPLAYED]) == (200, "true")
        assert picture.json["data"]
        ended = await called(house, "a", headers=asynchronous)
        assert ended.json["status"] == "completed"
        assert ended.json["results"] == (await house.task(str(first.json["id"]))).json["results"]
    assert len(openai_emulator.bills) == 1


async def test_a_failure_is_replayed_as_it_was(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The same error, and SDKs are told that their retry with this key cannot help; another key may."""
    openai_emulator.next(b.Refuse())
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        first = await called(house, "a")
        again = await called(house, "a")
        assert (first.status, first.error["code"]) == (400, "content_policy_violation")
        assert (again.status, again.error["code"], again.error["message"]) == (
            400,
            first.error["code"],
            first.error["message"],
        )
        assert again.headers[REPLAYED] == "true"
        openai_emulator.next(b.Overloaded())
        for expected in (None, "true"):
            failed = await called(house, "b")
            assert (failed.status, failed.headers["x-should-retry"]) == (503, "false")
            assert failed.headers.get(REPLAYED) == expected
        assert (await called(house, "c")).status in (200, 503)


async def test_what_is_refused_leaves_nothing_behind(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """400, 402 and 429: the key is free for a call that is accepted, whatever its body."""
    config = config_of(tmp_path, sqlite_database, openai_emulator, accounts=accounts("0credits/total", rpm=3))
    async with serving(config, {"openai": openai_emulator}) as house:
        assert (await called(house, "a", n=0)).status == 400
        assert (await called(house, "a")).error["code"] == "insufficient_quota"
        assert (await called(house, "a", headers={"X-Max-Credits": "0.000001"})).status == 400
        assert (await called(house, "a", quality="high")).error["code"] == "insufficient_quota"
        assert (await called(house, "a", quality="high")).error["code"] == "rate_limit_exceeded"
        assert (await called(house, "a", n=2)).error["code"] == "rate_limit_exceeded"
    assert openai_emulator.bills == []


async def test_repeats_count_beside_the_calls(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """A key that has made its calls of the minute still gets the answers of those again, as often as it may call, and not more."""
    config = config_of(tmp_path, sqlite_database, openai_emulator, accounts=accounts(rpm=2, concurrency=1))
    async with serving(config, {"openai": openai_emulator}) as house:
        assert [(await called(house, key)).status for key in ("a", "b", "c")] == [200, 200, 429]
        assert [(await called(house, key)).status for key in ("a", "b", "a")] == [200, 200, 429]
    assert len(openai_emulator.bills) == 2


async def test_a_key_is_kept_for_a_day(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """To the millisecond by the clock; then the same key is a new call, with whatever body, and counts a day anew."""
    clock = SettableClock()
    config = config_of(tmp_path, sqlite_database, openai_emulator, retention={"results": "48h"})
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        first = await called(house, "a")
        clock.ahead_ms = KEPT_MS - 5_000
        assert (await called(house, "a")).headers["X-Task-Id"] == first.headers["X-Task-Id"]
        clock.ahead_ms = KEPT_MS + 1
        second = await called(house, "a", quality="high")
        assert second.status == 200
        assert REPLAYED not in second.headers
        assert (await called(house, "a", quality="high")).headers["X-Task-Id"] == second.headers["X-Task-Id"]
        assert (await called(house, "a")).status == 409
    assert len(openai_emulator.bills) == 2


async def test_pictures_that_are_gone(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """Expired or erased: a conflict that asks for another key, and no second bill. The task contract still shows the expired one."""
    clock = SettableClock()
    config = config_of(tmp_path, sqlite_database, openai_emulator, retention={"results": "1h"})
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        first, second = await called(house, "a"), await called(house, "b")
        erased = await house.call("DELETE", f"/v1/tasks/{second.headers['X-Task-Id']}")
        assert erased.status == 200
        assert (await called(house, "b")).error["code"] == "idempotency_conflict"
        clock.ahead_ms = 3_700_000
        assert (await called(house, "a")).error["code"] == "idempotency_conflict"
        shown = await called(house, "a", headers={"Prefer": "respond-async"})
        assert shown.json["id"] == first.headers["X-Task-Id"]
    assert len(openai_emulator.bills) == 2


async def test_an_sdks_retry_takes_up_what_its_first_call_left(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Each task once, the newest first; another body, another API key, a first try, and a caller who declines are new calls."""
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        tasks = [(await called(house, None, headers=SDK)).headers["X-Task-Id"] for _ in range(2)]
        assert len(set(tasks)) == 2, "two first tries are two calls"
        for declined in (
            await called(house, None, headers={**RETRY, "X-Gateway-Retry": "new"}),
            await called(house, None, headers=RETRY, quality="high"),
            await called(house, None, headers=RETRY, account=OTHER_KEY),
        ):
            assert REPLAYED not in declined.headers
            assert declined.headers["X-Task-Id"] not in tasks
        taken = [await called(house, None, headers=RETRY) for _ in range(2)]
        assert [answer.headers["X-Task-Id"] for answer in taken] == tasks[::-1]
        assert all(answer.headers[REPLAYED] == "true" and answer.status == 200 for answer in taken)
        third = await called(house, None, headers=RETRY)
        assert REPLAYED not in third.headers
        assert await house.metric("gateway_repeated_calls_total", result="taken_up") == 2
        assert (await called(house, None, headers={**SDK, "X-Gateway-Retry": "perhaps"})).error[
            "param"
        ] == "X-Gateway-Retry"
    assert len(openai_emulator.bills) == 6


async def test_a_retry_of_a_refused_call_is_a_new_call(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Refused for a limit, or failed without a bill: the retry makes a picture, although there is an older one of the same words; once a refusal."""
    config = config_of(tmp_path, sqlite_database, openai_emulator, accounts=accounts(concurrency=1))
    async with serving(config, {"openai": openai_emulator}) as house:
        older = await called(house, None, headers=SDK)
        openai_emulator.next(b.Hang(bills=True))
        busy = await called(house, None, headers={"Prefer": "respond-async"}, prompt="a blue fox")
        await openai_emulator.until(lambda emulator: emulator.hanging == 1)
        refused = [await called(house, None, headers=headers) for headers in (SDK, RETRY)]
        openai_emulator.release()
        await house.ended(busy.text("id"))
        made = await called(house, None, headers={**RETRY, "X-Stainless-Retry-Count": "2"})
        openai_emulator.next(b.Error(status=500))
        failed = await called(house, None, headers=SDK)
        again = await called(house, None, headers=RETRY)
        taken = await called(house, None, headers=RETRY)
    assert [answer.error["code"] for answer in refused] == ["concurrency_limit_exceeded"] * 2
    assert (made.status, failed.status, again.status) == (200, 502, 200)
    assert not any(REPLAYED in answer.headers for answer in (made, again))
    assert taken.headers["X-Task-Id"] == again.headers["X-Task-Id"]
    assert len({answer.headers["X-Task-Id"] for answer in (older, made, again)}) == 3


async def test_many_retries_at_once_take_up_one_task_each(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Twenty calls of one body under way, twenty retries: twenty tasks, and each retry waits for its own."""
    openai_emulator.always(b.Succeed(delay_s=0.3))
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        firsts = [asyncio.ensure_future(called(house, None, headers=SDK)) for _ in range(20)]
        async with asyncio.timeout(30):
            while (await house.get("/v1/tasks")).json["total"] != 20:  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.02)
        retries = await asyncio.gather(*(called(house, None, headers=RETRY) for _ in range(20)))
        made = {answer.headers["X-Task-Id"] for answer in await asyncio.gather(*firsts)}
        assert {answer.headers["X-Task-Id"] for answer in retries} == made
        assert {answer.status for answer in retries} == {200}
    assert len(openai_emulator.bills) == 20


async def test_what_a_retry_does_not_take_up(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """A task that failed without a bill, and one that is too old: the retry is a new call. An unknown outcome is told again, and is final."""
    clock = SettableClock()
    config = config_of(tmp_path, sqlite_database, openai_emulator)
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        openai_emulator.next(b.Error(status=500))
        failed = await called(house, None, headers=SDK)
        assert failed.status == 502
        assert REPLAYED not in (made := await called(house, None, headers=RETRY)).headers
        assert made.status == 200
        assert (await called(house, None, headers=RETRY)).headers["X-Task-Id"] == made.headers["X-Task-Id"]
        openai_emulator.next(b.Reset(bills=True))
        unknown = await called(house, None, headers=SDK)
        told = await called(house, None, headers=RETRY)
        assert (told.status, told.error["code"], told.headers["x-should-retry"]) == (502, "outcome_unknown", "false")
        assert told.headers["X-Task-Id"] == unknown.headers["X-Task-Id"]
        old = await called(house, None, headers=SDK)
        clock.ahead_ms = TAKEN_WITHIN_MS + 1_000
        late = await called(house, None, headers=RETRY)
        assert late.headers["X-Task-Id"] != old.headers["X-Task-Id"]
        house.doubt_billed["openai"] = Decimal(5910)
    assert house.settled.balances[CI_ACCOUNT].posted.images == 3
