"""Why this upstream: what a task, its administrator, the log and the metrics tell of offers and attempts."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from gateway.api.schemas.admin_tasks import AdminTaskAnswer
from gateway.api.schemas.answers import TaskAnswer
from tests.emulators import behaviours as b
from tests.integration.conftest import Market
from tests.integration.gateway_app import PROMPT, House, accounts, dict_of, list_of, serving, write_config

ADMIN = "an admin token of the config"
OUT_OF_MONEY = "You exceeded your current quota"
"""Begins what the emulator says when our account there is empty."""


def offers_of(routing: Mapping[str, object], name: str = "offers") -> list[tuple[object, object]]:
    """Upstream and the word why it was not to be tried, in order."""
    skipped = [(offer["upstream"], offer["skipped"]) for offer in list_of(routing, name)]
    return [(upstream, why["reason"] if isinstance(why, dict) else None) for upstream, why in skipped]


def call_lines(house: House) -> list[dict[str, object]]:
    """The canonical lines of image calls."""
    lines = [orjson.loads(line) for line in house.log_lines().splitlines()]
    return [line for line in lines if line.get("route") == "/v1/images/generations"]


async def test_a_task_tells_its_plan_and_its_attempts(database_url: str, tmp_path: Path, market: Market) -> None:
    """The cheapest fails, the next serves, the dearest cannot: all tell it, upstreams' words only to operators."""
    market["cheap"].always(b.OutOfMoney())
    models = market.models()
    list_of(models["poster"], "offers")[0]["cost"] = {"table": [{"size": "1536x1024", "usd": 0.05}]}
    config = write_config(tmp_path, database_url, market.upstreams(), models=models, admin_token=ADMIN)
    async with serving(config, market.emulators) as house:
        call = await house.generate("poster")
        task_id = call.headers["X-Task-Id"]
        answer = await house.task(task_id)
        again = await house.generate("poster", headers={"Prefer": "respond-async"})
        later = dict_of(await house.ended(again.text("id")), "routing")
        shown = await house.get(f"/admin/v1/tasks/{task_id}", key=ADMIN)
        skips = await house.metric("gateway_offers_skipped_total", upstream="dear", reason="not_able")
        circuits = await house.metric("gateway_offers_skipped_total", upstream="cheap", reason="circuit_open")
        lines = call_lines(house)
        logged = house.log_lines()
    TaskAnswer.model_validate_json(answer.body)
    routing = dict_of(answer.json, "routing")
    assert offers_of(routing) == [("cheap", None), ("middle", None), ("dear", "not_able")]
    assert [offer["expected_usd"] for offer in list_of(routing, "offers")] == [0.02, 0.04, None]
    first, second = list_of(routing, "attempts")
    assert (first["upstream"], first["status"], first["fault"], first["billed"]) == (
        "cheap",
        "failed",
        "no_money",
        "no",
    )
    assert (second["upstream"], second["model"], second["status"], second["cost_usd"]) == (
        "middle",
        "dall-e-3",
        "succeeded",
        0.04,
    )
    assert first["sent_at_ms"] <= first["ended_at_ms"] <= second["ended_at_ms"]  # type: ignore[operator]  # both numbers
    assert OUT_OF_MONEY not in answer.body.decode()

    assert offers_of(later) == [("cheap", "circuit_open"), ("middle", None), ("dear", "not_able")]
    assert [attempt["upstream"] for attempt in list_of(later, "attempts")] == ["middle"]

    AdminTaskAnswer.model_validate_json(shown.body)
    plan = dict_of(shown.json, "plan")
    assert offers_of(plan, "considered") == offers_of(routing)
    assert [offer["offer"] for offer in list_of(plan, "considered")] == [
        "cheap/dall-e-2",
        "middle/dall-e-3",
        "dear/gpt-image-2",
    ]
    assert OUT_OF_MONEY in str(list_of(shown.json, "attempts")[0]["message"])

    assert (skips, circuits) == (2, 1)
    assert (lines[0]["skipped"], lines[0]["failed"]) == ("dear/gpt-image-2 not_able", "cheap/dall-e-2 no_money")
    assert (lines[0]["upstream"], lines[0]["attempts"]) == ("middle", 2)
    assert lines[1]["skipped"] == "cheap/dall-e-2 circuit_open, dear/gpt-image-2 not_able"
    assert PROMPT.encode() not in logged


async def test_a_task_tells_which_offers_were_too_dear(database_url: str, tmp_path: Path, market: Market) -> None:
    """A budget and a header cut different offers, and the kept plan says which of the two it was: as the quote did."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), accounts=accounts("0.045usd/total")
    )
    async with serving(config, market.emulators) as house:
        headers = {"X-Max-Credits": "3"}
        body = {"model": "poster", "prompt": PROMPT}
        quote = (await house.call("POST", "/v1/images/quote", headers=headers, body=body)).json
        by_header = await house.generate("poster", headers=headers)
        told = dict_of((await house.task(by_header.headers["X-Task-Id"])).json, "routing")
        left = await house.generate("poster")
        rest = dict_of((await house.task(left.headers["X-Task-Id"])).json, "routing")
    assert offers_of(told) == offers_of(quote) == [("cheap", None), ("middle", None), ("dear", "over_max_credits")]
    assert list_of(told, "offers") == list_of(quote, "offers")
    assert offers_of(rest) == [("cheap", None), ("middle", "over_budget"), ("dear", "over_budget")]


async def test_a_key_that_may_choose_says_which_upstreams(database_url: str, tmp_path: Path, market: Market) -> None:
    """Preferred ones first, or these alone, in quotes and calls alike; the hold covers the whole plan, and the task tells what was not chosen."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), accounts=accounts("9usd/total", choose_upstream=True)
    )  # fmt: skip
    body = {"model": "poster", "prompt": PROMPT}
    async with serving(config, market.emulators) as house:
        prefer, only = {"X-Upstream-Prefer": "dear, middle"}, {"X-Upstream-Only": "middle"}
        quote = (await house.call("POST", "/v1/images/quote", headers=prefer, body=body)).json
        preferred = await house.generate("poster", headers=prefer)
        chosen = await house.generate("poster", headers=only)
        told = dict_of((await house.task(chosen.headers["X-Task-Id"])).json, "routing")
        hold = dict_of(await house.ended(preferred.headers["X-Task-Id"]), "usage")["credits_reserved"]
        narrow = (await house.call("POST", "/v1/images/quote", headers=only, body=body)).json
        market["middle"].always(b.Overloaded())
        alone = await house.generate("poster", headers=only)
        first = await house.generate("poster", headers={"X-Upstream-Prefer": "middle"})
        unknown = await house.generate("poster", headers={"X-Upstream-Prefer": "cheap,elsewhere"})
        free = await house.generate("poster")
    assert offers_of(quote) == [("dear", None), ("middle", None), ("cheap", None)]
    assert dict_of(quote, "hold")["credits"] == hold
    assert (preferred.headers["X-Upstream"], chosen.headers["X-Upstream"]) == ("dear", "middle")
    assert offers_of(told) == [("middle", None), ("cheap", "not_chosen"), ("dear", "not_chosen")]
    assert list_of(told, "offers") == list_of(narrow, "offers")
    assert dict_of(narrow, "hold")["credits"] == 2.88
    assert alone.status in (502, 503), "no other upstream is asked"
    assert first.headers["X-Upstream"] == "cheap", "a preference is no promise"
    assert (unknown.status, unknown.error["param"]) == (400, "X-Upstream-Prefer")
    assert "'elsewhere'" in str(unknown.error["message"])
    assert free.headers["X-Upstream"] == "cheap"
    assert market.served == {"cheap": 2, "middle": 3, "dear": 1}


async def test_a_key_that_may_not_choose_is_told_so(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """403 that names the header, for calls of both contracts and for quotes; nothing is held or sent."""
    config = write_config(tmp_path, sqlite_database, market.upstreams(), models=market.models(), accounts=accounts())
    async with serving(config, market.emulators) as house:
        answers = [
            await house.call(
                "POST", path, headers={header: "cheap", **more}, body={"model": "poster", "prompt": PROMPT}
            )
            for path in ("/v1/images/generations", "/v1/images/quote")
            for header in ("X-Upstream-Prefer", "X-Upstream-Only")
            for more in ({}, {"Prefer": "respond-async"})
        ]
        tasks = (await house.get("/v1/tasks")).json
    assert {answer.status for answer in answers} == {403}
    assert [answer.error["param"] for answer in answers[:4]] == ["X-Upstream-Prefer"] * 2 + ["X-Upstream-Only"] * 2
    assert {(answer.error["type"], answer.error["code"]) for answer in answers} == {
        ("permission_error", "upstream_choice_not_allowed")
    }
    assert tasks["total"] == 0
    assert market.served == {"cheap": 0, "middle": 0, "dear": 0}
