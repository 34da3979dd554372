"""What the console asks: models as a key may use them, how long a prompt is, a key's own account, and how the last hours went."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    House,
    accounts,
    dict_of,
    list_of,
    openai_upstream,
    serving,
    texts_of,
    write_config,
)

ADMIN = "an admin token of the config"
NARROW = "integration key that may do little"
STRANGER = "integration key of another org"


@pytest.fixture
async def house(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> AsyncIterator[House]:
    """One upstream that may fail, a key with limits of its own, and a second org."""
    narrow = {"name": "narrow", "secret": NARROW, "models": ["gpt-image-2"], "sizes": ["1024x1024"], "n_max": 2}
    others = [{"org": "narrow", "keys": [narrow]}, {"org": "globex", "keys": [{"name": "ci", "secret": STRANGER}]}]
    offer = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2", "source": "the page"}}
    config = write_config(
        tmp_path,
        database_url,
        {"openai": openai_upstream(openai_emulator)},
        models={"gpt-image-2": {"offers": [offer]}},
        admin_token=ADMIN,
        accounts=[*accounts("9usd/total"), *others],
    )
    async with serving(config, {"openai": openai_emulator}) as served:
        yield served


async def test_models_are_shown_with_what_a_key_may_ask_of_them(house: House) -> None:
    """Limits of the catalogue, narrowed by the key's own; what an upstream cannot do is not offered."""
    answer = (await house.get("/console/api/models")).json
    cards = {str(card["id"]): card for card in list_of(answer, "data")}
    card = cards["gpt-image-2"]
    assert answer["credits_per_usd"] == 72
    assert card["edits"]
    assert card["masks"]
    assert card["streams"]
    assert not card["variations"]
    assert card["pixel_range"] is not None
    assert "1536x1024" in texts_of(card, "sizes")
    assert card["n"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    narrow = {
        str(card["id"]): card for card in list_of((await house.get("/console/api/models", key=NARROW)).json, "data")
    }
    assert narrow["gpt-image-2"]["sizes"] == ["1024x1024"]
    assert (narrow["gpt-image-2"]["n"], narrow["gpt-image-2"]["pixel_range"]) == ([1, 2], None)
    assert "gpt-4o-image" not in narrow


async def test_a_prompt_is_measured_exactly_however_long_it_is(house: House) -> None:
    """Within, at and beyond the model's limit; a text beyond any is not counted; a model that a key may not use is refused."""

    async def measured(prompt: str, key: str = KEY, model: str = "gpt-image-2") -> dict[str, object]:
        answer = await house.call("POST", "/console/api/tokens", key=key, body={"model": model, "prompt": prompt})
        assert answer.status in (200, 400, 403, 404), answer.body
        return answer.json

    most = (await measured(""))["tokens_max"]
    assert isinstance(most, int)
    assert (await measured("hello world")) | {"tokens_max": 0} == {
        "object": "prompt.tokens", "model": "gpt-image-2", "tokens": 2, "tokens_max": 0, "fits": True,
    }  # fmt: skip
    assert (await measured(" hello" * most))["fits"] is True
    beyond = await measured(" hello" * (most + 1))
    assert (beyond["tokens"], beyond["fits"]) == (most + 1, False)
    endless = await measured("x" * 600_000)
    assert (endless["tokens"], endless["fits"]) == (None, False)
    assert dict_of(await measured("hello", NARROW, "gpt-4o-image"), "error")["param"] == "model"
    assert dict_of(await measured("x" * 1_000_001), "error")["param"] == "prompt"


async def test_a_key_sees_its_own_account_alone(house: House) -> None:
    """With its budget, and after a picture with what that cost; an admin token is no key."""
    before = (await house.get("/console/api/account")).json
    assert before["id"] == "key:acme/design/ci"
    assert [budget["budget"] for budget in list_of(before, "budgets")] == ["9usd/total"]
    assert (await house.generate("gpt-image-2", size="1024x1024", quality="low")).status == 200
    after = (await house.get("/console/api/account")).json
    assert list_of(after, "budgets")[0]["used"] == dict_of(after, "used")["usd"] == 0.00591
    assert (await house.get("/console/api/account", key=ADMIN)).status == 401


async def test_the_overview_counts_the_last_hours(house: House, openai_emulator: OpenAIEmulator) -> None:
    """Tasks by state and model, how long they took, and how upstreams answered; an org's administrator sees that org, and no upstreams."""
    assert (await house.get("/admin/v1/overview", key=ADMIN)).json["latency"] == {"p50_ms": None, "p95_ms": None}
    for key in (KEY, KEY, STRANGER):
        assert (await house.generate("gpt-image-2", size="1024x1024", quality="low", key=key)).status == 200
    openai_emulator.next(b.Refuse())
    assert (await house.generate("gpt-image-2", size="1024x1024", quality="low")).status == 400
    seen = (await house.get("/admin/v1/overview?hours=1", key=ADMIN)).json
    assert (seen["tasks"], seen["whole"], seen["hours"]) == (4, True, 1)
    assert seen["by_state"] == {"pending": 0, "processing": 0, "completed": 3, "failed": 1, "cancelled": 0}
    assert seen["by_cache"] == {"hit": 0, "joined": 0, "miss": 0, "bypass": 4}
    assert seen["by_model"] == [{"model": "gpt-image-2", "tasks": 4, "failed": 1}]
    latency = dict_of(seen, "latency")
    assert isinstance(latency["p50_ms"], int)
    assert isinstance(latency["p95_ms"], int)
    assert 0 < latency["p50_ms"] <= latency["p95_ms"]
    (record,) = list_of(seen, "upstreams")
    assert (record["upstream"], record["attempts"], record["succeeded"]) == ("openai", 4, 3)
    assert record["faults"] == [{"fault": "refused", "attempts": 1}]
    body = {"name": "globex", "scopes": ["read"], "org": "globex"}
    token = (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")
    theirs = (await house.get("/admin/v1/overview", key=token)).json
    assert (theirs["tasks"], theirs["upstreams"]) == (1, [])
    assert (await house.get("/admin/v1/overview?hours=169", key=ADMIN)).error["param"] == "hours"


async def test_upstreams_are_shown_with_their_prices(house: House) -> None:
    """What the catalogue says of each offer, and where that was read."""
    (upstream,) = [
        item
        for item in list_of((await house.get("/admin/v1/upstreams", key=ADMIN)).json, "data")
        if item["name"] == "openai"
    ]
    prices = {str(price["model"]): price for price in list_of(upstream, "prices")}
    assert prices["gpt-image-2"]["offer"] == "openai/gpt-image-2"
    assert dict_of(prices["gpt-image-2"], "price")["formula"] == "gpt-image-2"
    assert prices["gpt-image-2"]["source"] == "the page"
