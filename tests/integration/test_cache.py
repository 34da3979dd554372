"""Identical calls over the whole gateway: pictures that are there answer at once, calls in flight are joined, and nothing of it is paid twice or told
to anybody else. Books, usage and secrets are checked after every test (gateway_app.py)."""

import asyncio
import base64
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.cache.index import CLAIM_MS
from gateway.config import Config
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    ORG,
    OTHER_ACCOUNT,
    OTHER_KEY,
    TEAM,
    Answer,
    House,
    Settings,
    openai_upstream,
    serving,
    write_config,
)
from tests.integration.test_idempotency import SettableClock
from tests.png_files import RGB, png

pytestmark = pytest.mark.usefixtures("whole_stack")

MODEL = "gpt-image-2"
FIELDS: Settings = {"size": "1024x1024", "quality": "low"}
OFFER: Settings = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
STRANGERS_KEY = "integration key of another org"
LONG_S = 60.0
"""Until the test says so."""


def config_of(
    folder: Path, database: str, emulator: OpenAIEmulator, cache: Settings | None = None, **more: object
) -> Config:
    """Two keys in one org, one of them in a team, and a key of another org."""
    teams = [{"team": TEAM, "keys": [{"name": "ci", "secret": KEY, "budgets": more.pop("budgets", [])}]}]
    orgs = [
        {"org": ORG, "teams": teams, "keys": [{"name": "other", "secret": OTHER_KEY}]},
        {"org": "strangers", "keys": [{"name": "theirs", "secret": STRANGERS_KEY}]},
    ]
    model: Settings = {"offers": [OFFER], **dict(more.pop("model", {}))}  # type: ignore[call-overload]  # a test's own
    return write_config(
        folder,
        database,
        {"openai": openai_upstream(emulator, concurrency=16, timeout="60s")},
        models={MODEL: model},
        accounts=orgs,
        cache={"enabled": True, **(cache or {})},
        **{"deadline": "60s", **more},
    )


async def called(house: House, key: str = KEY, cache_control: str | None = None, **more: object) -> Answer:
    headers = {} if cache_control is None else {"Cache-Control": cache_control}
    return await house.generate(MODEL, key=key, headers=headers, **{**FIELDS, **more})


def picture_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body[:500]
    [item] = orjson.loads(answer.body)["data"]
    return str(item["b64_json"])


def data_url(colour: tuple[int, int, int]) -> str:
    picture = png((64, 64), 8, RGB, [bytes(colour) * 64] * 64)
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def told(answers: Sequence[Answer]) -> list[str]:
    return sorted(answer.headers["X-Cache"] for answer in answers)


async def together(
    house: House, emulator: OpenAIEmulator, calls: Sequence[Awaitable[Answer]], leaders: int = 1
) -> list[Answer]:
    """The answers of calls of which none ends before all of them are accepted: the upstream's delays end then, however slow the machine is."""
    making = [asyncio.ensure_future(call) for call in calls]
    await in_hand(house, len(making))
    await emulator.until(lambda emulator: emulator.delayed == leaders)
    emulator.hurry()
    return await asyncio.gather(*making)


async def in_hand(house: House, count: int) -> None:
    async with asyncio.timeout(60):
        while await house.metric("gateway_tasks_in_flight") != count:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.02)


async def test_again_is_the_same_picture_for_nothing(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    clock = SettableClock()
    config = config_of(tmp_path, database_url, openai_emulator)
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        first = await called(house)
        assert (first.headers["X-Cache"], first.headers["Age"], first.headers["X-Upstream"]) == ("miss", "0", "openai")
        clock.ahead_ms += 90_000
        again = [await called(house), await called(house, OTHER_KEY)]
        for answer in again:
            assert picture_of(answer) == picture_of(first)
            assert answer.headers["X-Cache"] == "hit"
            assert 90 <= int(answer.headers["Age"]) < 100
            assert answer.headers["X-Credits-Used"] == "0"
            assert "X-Upstream" not in answer.headers
            assert answer.headers["X-Task-Id"] != first.headers["X-Task-Id"]
        # A hit is a task like any other, with links of its own.
        task = await house.ended(again[0].headers["X-Task-Id"])
        assert (task["status"], task["attempts"]) == ("completed", [])
        links = task["results"]
        assert isinstance(links, list)
        assert (await house.get(str(links[0]), key=None)).status == 200
        assert await house.metric("gateway_cache_requests_total", result="hit") == 2
        assert await house.metric("gateway_cache_requests_total", result="miss") == 1
        saved = float(openai_emulator.bills[0].usd) * 2
        assert await house.metric("gateway_credits_total", kind="saved") == pytest.approx(saved * 72, abs=1e-5)
        assert await house.metric("gateway_savings_usd_total", by="cache") == pytest.approx(saved, abs=1e-5)
    assert len(openai_emulator.bills) == 1
    assert house.settled.charged() == openai_emulator.bills[0].usd * 72
    assert house.settled.charged(OTHER_ACCOUNT) == 0


async def test_what_differs_is_made_anew(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """Another word, size, quality, count, format; never what only shapes the answer, or says whom it is for."""
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        await called(house)
        for change in (
            {"prompt": "a red fox in fresh snow "},
            {"size": "1536x1024"},
            {"quality": "medium"},
            {"n": 2},
            {"output_format": "webp"},
            {"background": "opaque"},
            {"moderation": "low"},
        ):
            assert (await called(house, **change)).headers["X-Cache"] == "miss", change
        for same in ({"response_format": "url"}, {"user": "somebody"}, {"stream": True}):
            assert (await called(house, **same)).headers["X-Cache"] == "hit", same
        task = await house.generate(MODEL, headers={"Prefer": "respond-async"}, **dict[str, Any](FIELDS))
        assert (task.headers["X-Cache"], task.json["status"]) == ("hit", "completed")
    assert len(openai_emulator.bills) == 8


async def test_nobody_gets_another_orgs_pictures(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        await called(house)
        assert (await called(house, STRANGERS_KEY)).headers["X-Cache"] == "miss"
        assert (await called(house, STRANGERS_KEY)).headers["X-Cache"] == "hit"
    assert len(openai_emulator.bills) == 2


@pytest.mark.parametrize("scope", ["key", "team"])
async def test_a_narrower_scope_keeps_colleagues_apart(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator, scope: str
) -> None:
    config = config_of(tmp_path, sqlite_database, openai_emulator, {"scope": scope})
    async with serving(config, {"openai": openai_emulator}) as house:
        found = [(await called(house, key)).headers["X-Cache"] for key in (KEY, OTHER_KEY, KEY, OTHER_KEY)]
        assert found == ["miss", "miss", "hit", "hit"]


async def test_a_caller_declines(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """no-cache makes a new picture, which is the one of the next calls; no-store leaves no trace; max-age wants a young one."""
    clock = SettableClock()
    config = config_of(tmp_path, sqlite_database, openai_emulator)
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        first = await called(house)
        second = await called(house, cache_control="no-cache")
        assert second.headers["X-Cache"] == "bypass"
        third = await called(house, cache_control="no-store")
        assert third.headers["X-Cache"] == "bypass"
        assert len({picture_of(first), picture_of(second), picture_of(third)}) == 3
        assert picture_of(await called(house)) == picture_of(second)
        clock.ahead_ms += 61_000
        assert (await called(house, cache_control="max-age=600")).headers["X-Cache"] == "hit"
        young = await called(house, cache_control="max-age=60")
        assert young.headers["X-Cache"] == "miss"
        assert picture_of(await called(house)) == picture_of(young)
    assert len(openai_emulator.bills) == 4


async def test_a_hit_may_cost_a_share(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    config = config_of(tmp_path, sqlite_database, openai_emulator, {"charge": 0.25}, model={"charge": {"credits": 1.5}})
    async with serving(config, {"openai": openai_emulator}) as house:
        assert (await called(house)).headers["X-Credits-Used"] == "1.5"
        assert (await called(house)).headers["X-Credits-Used"] == "0.375"
        refused = await house.generate(MODEL, headers={"X-Max-Credits": "0.374"}, **dict[str, Any](FIELDS))
        assert (refused.status, refused.error["param"]) == (400, "X-Max-Credits")
    assert str(house.settled.charged()) == "1.875"


async def test_an_empty_budget_still_gets_what_is_free(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    config = config_of(tmp_path, sqlite_database, openai_emulator, budgets=["1images/day"])
    async with serving(config, {"openai": openai_emulator}) as house:
        first = await called(house)
        assert (await called(house, prompt="another fox")).status == 429
        assert picture_of(await called(house)) == picture_of(first)


async def test_calls_of_other_keys_join_one_in_flight(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """By default a key's own calls in flight are a wish for several pictures; another key's waits for the first of them."""
    openai_emulator.always(b.Succeed(delay_s=LONG_S))
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        mine = [asyncio.create_task(called(house)) for _ in range(4)]
        await openai_emulator.until(lambda emulator: emulator.delayed == 4)
        theirs = asyncio.create_task(called(house, OTHER_KEY))
        await in_hand(house, 5)
        openai_emulator.hurry()
        made = [await one for one in mine]
        joined = await theirs
        assert len({picture_of(one) for one in made}) == 4
        assert told(made) == ["miss"] * 4
        assert joined.headers["X-Cache"] == "joined"
        assert picture_of(joined) in {picture_of(one) for one in made}
        assert joined.headers["X-Credits-Used"] == "0"
        task = await house.ended(joined.headers["X-Task-Id"], key=OTHER_KEY)
        assert task["status"] == "completed"
    assert len(openai_emulator.bills) == 4


async def test_always_is_one_bill_an_org(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    openai_emulator.always(b.Succeed(delay_s=LONG_S))
    config = config_of(tmp_path, database_url, openai_emulator, {"single_flight": "always"})
    async with serving(config, {"openai": openai_emulator}) as house:
        calls = [called(house, (KEY, OTHER_KEY, STRANGERS_KEY)[i % 3]) for i in range(60)]
        answers = await together(house, openai_emulator, calls, leaders=2)
        assert told(answers) == ["joined"] * 58 + ["miss"] * 2
        assert len({picture_of(answer) for answer in answers}) == 2
        assert len({answer.headers["X-Task-Id"] for answer in answers}) == 60
    assert len(openai_emulator.bills) == 2


async def test_max_age_joins_a_call_of_the_same_key(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    openai_emulator.always(b.Succeed(delay_s=LONG_S))
    async with serving(config_of(tmp_path, sqlite_database, openai_emulator), {"openai": openai_emulator}) as house:
        calls = [called(house, cache_control="max-age=300") for _ in range(5)]
        answers = await together(house, openai_emulator, calls)
        assert told(answers) == ["joined"] * 4 + ["miss"]
    assert len(openai_emulator.bills) == 1


async def test_a_failure_that_cost_nothing_leaves_one_of_those_who_waited_to_lead(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The others get the picture of that one."""
    openai_emulator.next(b.Overloaded(delay_s=LONG_S))
    openai_emulator.always(b.Succeed(delay_s=1.0))
    config = config_of(tmp_path, database_url, openai_emulator, {"single_flight": "always"})
    async with serving(config, {"openai": openai_emulator}) as house:
        calls = [called(house, (KEY, OTHER_KEY)[i % 2]) for i in range(8)]
        answers = await together(house, openai_emulator, calls)
        assert sorted(answer.status for answer in answers) == [200] * 7 + [503]
        made = [answer for answer in answers if answer.status == 200]
        assert told(made) == ["joined"] * 6 + ["miss"]
        assert len({picture_of(answer) for answer in made}) == 1
    assert len(openai_emulator.bills) == 1


@pytest.mark.parametrize(
    "behaviour", [b.Refuse(delay_s=LONG_S), b.Reset(delay_s=LONG_S, bills=True)], ids=["refused", "in doubt"]
)
async def test_a_failure_that_is_the_requests_own_or_in_doubt_is_everybodys(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator, behaviour: b.Behaviour
) -> None:
    """Nobody sends the same again unasked: it would be refused again, or paid for a second time."""
    openai_emulator.always(behaviour)
    config = config_of(tmp_path, database_url, openai_emulator, {"single_flight": "always"})
    async with serving(config, {"openai": openai_emulator}) as house:
        calls = [called(house, (KEY, OTHER_KEY)[i % 2]) for i in range(6)]
        answers = await together(house, openai_emulator, calls)
        assert len({(answer.status, str(answer.error["code"])) for answer in answers}) == 1
        assert answers[0].status != 200
        if isinstance(behaviour, b.Reset):
            house.doubt_billed["openai"] = openai_emulator.billed_usd * 1_000_000
    assert sum(request.at == "create" for request in openai_emulator.requests) == 1


async def test_one_who_waited_and_cannot_pay_leaves_the_lead_to_the_next(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    openai_emulator.next(b.Overloaded(delay_s=LONG_S))
    config = config_of(tmp_path, database_url, openai_emulator, {"single_flight": "always"}, budgets=["0.0001usd/day"])
    async with serving(config, {"openai": openai_emulator}) as house:
        leader = asyncio.create_task(called(house, OTHER_KEY))
        await openai_emulator.until(lambda emulator: emulator.delayed == 1)  # else another one might lead
        poor = asyncio.create_task(called(house, KEY))
        await in_hand(house, 2)
        third = asyncio.create_task(called(house, OTHER_KEY))
        await in_hand(house, 3)
        openai_emulator.hurry()
        assert (await leader).status == 503
        assert (await poor).status in (200, 429, 503)  # it gets the third one's picture where that was faster
        assert (await third).status == 200
    assert len(openai_emulator.bills) == 1


async def test_a_leader_that_is_refused_leads_nobody(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Its budget has no room: the next one makes the picture, and waits for nobody."""
    config = config_of(tmp_path, database_url, openai_emulator, {"single_flight": "always"}, budgets=["0.0001usd/day"])
    async with serving(config, {"openai": openai_emulator}) as house:
        assert (await called(house, KEY)).status == 429
        async with asyncio.timeout(CLAIM_MS / 1000 - 1):  # a lead that was not given back would be waited for
            made = await called(house, OTHER_KEY)
        assert (made.status, made.headers["X-Cache"]) == (200, "miss")
        assert (await called(house, KEY)).headers["X-Cache"] == "hit"
    assert len(openai_emulator.bills) == 1


async def test_erased_pictures_are_shared_with_nobody_more(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Who has a link keeps it; the next identical call makes a new picture."""
    async with serving(config_of(tmp_path, database_url, openai_emulator), {"openai": openai_emulator}) as house:
        first = await called(house)
        hit = await called(house, OTHER_KEY)
        erased = await house.call("DELETE", f"/v1/tasks/{first.headers['X-Task-Id']}")
        assert erased.status == 200, erased.body
        task = await house.ended(hit.headers["X-Task-Id"], key=OTHER_KEY)
        links = task["results"]
        assert isinstance(links, list)
        assert (await house.get(str(links[0]), key=None)).status == 200
        anew = await called(house, OTHER_KEY)
        assert anew.headers["X-Cache"] == "miss"
        assert picture_of(anew) != picture_of(first)
    assert len(openai_emulator.bills) == 2


async def test_pictures_that_expire_soon_are_not_shared(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    clock = SettableClock()
    config = config_of(tmp_path, sqlite_database, openai_emulator, retention={"results": "10m"})
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        await called(house)
        clock.ahead_ms += 290_000
        assert (await called(house)).headers["X-Cache"] == "hit"
        clock.ahead_ms += 20_000
        assert (await called(house)).headers["X-Cache"] == "miss"


async def test_an_edit_is_told_by_the_contents_of_its_pictures(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    config = config_of(tmp_path, database_url, openai_emulator, model={"image_urls_max": 4})
    async with serving(config, {"openai": openai_emulator}) as house:

        async def edited(colour: tuple[int, int, int]) -> str:
            body = {
                "model": MODEL,
                "prompt": "the same in winter",
                **FIELDS,
                "images": [{"image_url": data_url(colour)}],
            }
            answer = await house.call("POST", "/v1/images/edits", body=body)
            assert answer.status == 200, answer.body
            return answer.headers["X-Cache"]

        red, blue = (200, 10, 10), (10, 10, 200)
        assert [await edited(colour) for colour in (red, blue, red)] == ["miss", "miss", "hit"]
    assert len(openai_emulator.bills) == 2
