"""Every offer is failing, and one of them works again: the call is made, told as what it was, and a herd of calls asks a few times only."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson

from tests.emulators import behaviours as b
from tests.integration.conftest import Market
from tests.integration.gateway_app import House, accounts, dict_of, list_of, serving, write_config

FAILURES, HERD = 5, 50
"""So many in a row open a circuit."""


async def all_fail(house: House, market: Market) -> None:
    """Until every circuit is open."""
    for emulator in market.emulators.values():
        emulator.always(b.Error())
    for _ in range(FAILURES):
        assert (await house.generate("poster")).status >= 500


async def test_an_upstream_that_works_again_is_found_behind_its_open_circuit(
    database_url: str, tmp_path: Path, market: Market
) -> None:
    """By the cheapest first, and its circuit is closed from then on; routing, the call's log line and the metric tell what was a last resort."""
    config = write_config(
        tmp_path, database_url, market.upstreams(), models=market.models(), accounts=accounts(choose_upstream=True)
    )
    async with serving(config, market.emulators) as house:
        await all_fail(house, market)
        market["dear"].always(b.Succeed())
        served = await house.generate("poster")
        routing = dict_of((await house.task(served.headers["X-Task-Id"])).json, "routing")
        after = await house.generate("poster")
        then = dict_of((await house.task(after.headers["X-Task-Id"])).json, "routing")
        market["dear"].always(b.Error())
        only = await house.generate("poster", headers={"X-Upstream-Only": "middle"})
        market["middle"].always(b.Succeed())
        again = await house.generate("poster", headers={"X-Upstream-Only": "middle"})
        counted = {
            (upstream, result): await house.metric("gateway_last_resorts_total", upstream=upstream, result=result)
            for upstream in ("cheap", "middle", "dear")
            for result in ("served", "failed")
        }
        lines = [orjson.loads(line) for line in house.log_lines().splitlines()]
    assert [dict_of(offer, "skipped")["reason"] for offer in list_of(routing, "offers")] == ["last_resort"] * 3
    assert [
        (attempt["upstream"], attempt["status"], attempt["last_resort"]) for attempt in list_of(routing, "attempts")
    ] == [("cheap", "failed", True), ("middle", "failed", True), ("dear", "succeeded", True)]
    assert [offer["skipped"] is None for offer in list_of(then, "offers")] == [False, False, True]
    [attempt] = list_of(then, "attempts")
    assert (attempt["upstream"], attempt["last_resort"]) == ("dear", False)
    assert (only.status, again.status, again.headers["X-Upstream"]) == (502, 200, "middle")
    assert counted == {
        ("cheap", "served"): 0, ("cheap", "failed"): 1, ("middle", "served"): 1, ("middle", "failed"): 2,
        ("dear", "served"): 1, ("dear", "failed"): 0,
    }  # fmt: skip
    told = [line["last_resort"] for line in lines if "last_resort" in line]
    assert told == ["cheap/dall-e-2, middle/dall-e-3, dear/gpt-image-2", "middle/dall-e-3", "middle/dall-e-3"]


async def test_a_herd_asks_a_dead_upstream_a_few_times(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """The others wait for those verdicts, and are refused with them; where it works again all are served."""
    upstreams, models = market.upstreams(), market.models()
    poster = models["poster"]
    poster["offers"] = list_of(poster, "offers")[2:]
    config = write_config(tmp_path, sqlite_database, {"cheap": upstreams["cheap"]}, models=models)
    async with serving(config, {"cheap": market["cheap"]}) as house:
        await all_fail(house, market)
        before = len(market["cheap"].requests)
        refused = await asyncio.gather(*(house.generate("poster") for _ in range(HERD)))
        asked = len(market["cheap"].requests) - before
        market["cheap"].always(b.Succeed())
        served = await asyncio.gather(*(house.generate("poster") for _ in range(HERD)))
    counts = Counter((answer.status, answer.error["code"]) for answer in refused)
    assert counts.total() == counts[502, "upstream_failed"] + counts[503, "all_upstreams_unavailable"]
    assert counts[503, "all_upstreams_unavailable"] > HERD / 2
    assert 2 <= asked < HERD / 2
    assert [answer.status for answer in served] == [200] * HERD
