"""Upstreams with budgets of their own: closed in time, never overspent, and what callers and operators see of it."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.integration.conftest import Market
from tests.integration.gateway_app import Settings, list_of, serving, write_config

ADMIN = "iga_an_admin_token_of_the_config_0123456789"


def only_cheap() -> dict[str, Settings]:
    """One model that one upstream makes."""
    offer: Settings = {"upstream": "cheap", "model": "dall-e-2", "n_max": 1, "cost": {"per_image_usd": 0.02}}
    return {
        "poster": {
            "prompt_tokens_max": 1000,
            "sizes": ["1024x1024"],
            "n": {"max": 4},
            "estimated_time": 5,
            "offers": [offer],
        }
    }


async def test_calls_go_to_the_next_offer_when_the_cheapest_ones_budget_is_used_up(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """Of twelve calls at once exactly three are sent where three fit; the others are made elsewhere, and nobody hears of it."""
    upstreams = market.upstreams()
    upstreams["cheap"]["budget"] = "0.06usd/day"
    config = write_config(tmp_path, database_url, upstreams, models=market.models(), admin_token=ADMIN)
    async with serving(config, market.emulators) as house:
        answers = await asyncio.gather(*(house.generate("poster", size="1024x1024") for _ in range(12)))
        one_more = await house.generate("poster", size="1024x1024")
        listed = (await house.get("/admin/v1/upstreams", key=ADMIN)).json
        closed = await house.metric("gateway_upstream_budget_closed", upstream="cheap")
    assert Counter(answer.status for answer in (*answers, one_more)) == {200: 13}
    assert market.served == {"cheap": 3, "middle": 10, "dear": 0}
    assert house.settled.paid_microusd("cheap") == 60_000
    cheap = next(item for item in list_of(listed, "data") if item["name"] == "cheap")
    [budget] = list_of(cheap, "budgets")
    assert (budget["budget"], budget["used"], budget["left"], budget["closed"]) == (
        "0.06usd/day",
        {"usd": 0.06},
        {"usd": 0},
        True,
    )
    assert isinstance(budget["closed_until_ms"], int)
    assert closed == 1
    assert b"an upstream's own budget is used up" in house.log_lines()


async def test_a_call_that_no_budget_of_an_upstream_fits_is_refused_before_anything_is_held(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """The only upstream's budget is used up: the first calls end unbilled, the next are refused at once; only the log says why."""
    upstreams = market.upstreams()
    upstreams["cheap"]["budget"] = "0.05usd/month"
    config = write_config(tmp_path, database_url, {"cheap": upstreams["cheap"]}, models=only_cheap())
    async with serving(config, {"cheap": market["cheap"]}) as house:
        answers = await asyncio.gather(*(house.generate("poster") for _ in range(20)))
        refused = await house.generate("poster")
        ratio = 0.0
        async with asyncio.timeout(30):
            while ratio < 0.8:
                ratio = await house.metric("gateway_upstream_budget_used_ratio", upstream="cheap", window="month")
                await asyncio.sleep(0.2)
    counts = Counter(answer.status for answer in answers)
    assert counts == {200: 2, 503: 18}
    assert market.served["cheap"] == 2
    assert (refused.status, refused.error["code"]) == (503, "all_upstreams_unavailable")
    assert "budget" not in str(refused.error)
    assert b"the budget 0.05usd/month of the upstream cheap is used up" in house.log_lines()
    assert ratio == 0.8
    assert float(house.settled.charged()) > 0


async def test_parts_of_a_call_that_fit_are_made_and_the_others_elsewhere(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """Four pictures in four calls of which three fit: three at the cheap upstream, one at the next, and the caller gets four."""
    upstreams = market.upstreams()
    upstreams["cheap"]["budget"] = "0.06usd/total"
    config = write_config(tmp_path, database_url, upstreams, models=market.models())
    async with serving(config, market.emulators) as house:
        answer = await house.generate("poster", n=4, size="1024x1024")
    assert answer.status == 200
    assert len(list_of(answer.json, "data")) == 4
    assert market.served == {"cheap": 3, "middle": 1, "dear": 0}


async def test_a_raised_budget_opens_the_upstream_at_the_next_start(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """What was paid before still counts."""
    upstreams = {"cheap": market.upstreams()["cheap"]}
    for budget, wanted in (("0.02usd/month", 1), ("0.06usd/month", 3), (None, 5)):
        upstreams["cheap"] = {**upstreams["cheap"], "budget": budget} if budget else market.upstreams()["cheap"]
        config = write_config(tmp_path, database_url, upstreams, models=only_cheap())
        async with serving(config, {"cheap": market["cheap"]}) as house:
            for _ in range(2):
                await house.generate("poster")
        assert market.served["cheap"] == wanted
