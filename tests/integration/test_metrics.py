"""What a whole gateway shows about itself: its database, pictures, places and tasks, and the zeros from which rates are seen to rise."""

from pathlib import Path

import pytest

from gateway import __version__
from tests.emulators import behaviours as b
from tests.integration.conftest import Market
from tests.integration.gateway_app import House, accounts, serving, write_config

pytestmark = pytest.mark.usefixtures("whole_stack")


async def shown(house: House) -> dict[str, float]:
    """Samples as `name{label="value"}`."""
    found: dict[str, float] = {}
    for sample in await house.metrics():
        labels = ",".join(f'{name}="{text}"' for name, text in sorted(sample.labels.items()))
        found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_a_call_is_seen_everywhere(database_url: str, tmp_path: Path, market: Market) -> None:
    """One failed try and one picture: both timed, the picture counted and stored, the transactions that it took measured; and its second caller."""
    market["cheap"].next(b.Error())
    cache = {"enabled": True}
    config = write_config(tmp_path, database_url, market.upstreams(concurrency=3), models=market.models(), cache=cache)
    async with serving(config, market.emulators) as house:
        before = await shown(house)
        answer = await house.generate("poster")
        assert answer.status == 200
        assert (await house.generate("poster")).headers["X-Cache"] == "hit"
        after = await shown(house)
    changed = {name: after[name] - before.get(name, 0.0) for name in after}
    assert changed['gateway_attempt_duration_seconds_count{outcome="failed",upstream="cheap"}'] == 1
    assert changed['gateway_attempt_duration_seconds_count{outcome="succeeded",upstream="middle"}'] == 1
    assert changed['gateway_images_total{model="poster",upstream="middle"}'] == 1
    assert changed['gateway_images_total{model="poster",upstream="none"}'] == 1
    assert changed["gateway_database_commit_seconds_count"] >= 3  # accepted, the next try, finished
    assert changed["gateway_database_batch_commands_sum"] >= changed["gateway_database_batch_commands_count"]
    assert sum(n for name, n in changed.items() if name.startswith("gateway_blob_operation_duration_seconds_count")) > 0
    assert before['gateway_upstream_cost_usd_total{model="poster",upstream="dear"}'] == 0
    assert before['gateway_attempts_in_doubt_total{upstream="cheap"}'] == 0
    assert after['gateway_upstream_slots{upstream="cheap"}'] == 3
    assert after['gateway_upstream_slots_taken{upstream="cheap"}'] == 0
    assert (after["gateway_database_up"], after["gateway_tasks_in_flight"]) == (1, 0)
    assert (after["gateway_config_last_reload_successful"], after["gateway_credits_per_usd"]) == (1, 72)
    assert [name for name in after if name.startswith("gateway_build_info") and f'"{__version__}"' in name]
    assert ('gateway_database_connections{state="idle"}' in after) is database_url.startswith("postgresql")


async def test_refusals_are_counted(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """A call that a key's budget has no room for."""
    config = write_config(
        tmp_path, sqlite_database, market.upstreams(), models=market.models(), accounts=accounts("1credits/day")
    )
    async with serving(config, market.emulators) as house:
        assert (await house.generate("poster")).status == 429
        assert await house.metric("gateway_budget_refusals_total", level="key", window="day") == 1
