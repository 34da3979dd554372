"""Our own books over HTTP: doubts and their ends, upstreams and their tests, holds that nothing will end."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import Config
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.records import Bill
from tests.integration.gateway_app import (
    Answer,
    House,
    Settings,
    accounts,
    dict_of,
    evolink_upstream,
    list_of,
    openai_upstream,
    serving,
    write_config,
)

ADMIN = "an admin token of the config"
PRESUMED_USD = 0.00591
"""One square of gpt-image-2 at low quality: 196 tokens at 30 USD a million, and 6 at 5."""


@pytest.fixture
def config(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator, evolink_emulator: EvolinkEmulator
) -> Config:
    upstreams: dict[str, Settings] = {
        "openai": openai_upstream(openai_emulator, budget="5usd/month"),
        "evolink": evolink_upstream(evolink_emulator),
        "sandbox": {"kind": "sandbox"},
        "spare": {"kind": "openai", "api_key": ""},
    }
    offer = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
    models = {"gpt-image-2": {"offers": [offer]}}
    return write_config(
        tmp_path, database_url, upstreams, models=models, admin_token=ADMIN, accounts=accounts("9usd/total")
    )


@pytest.fixture
async def house(
    config: Config, openai_emulator: OpenAIEmulator, evolink_emulator: EvolinkEmulator
) -> AsyncIterator[House]:
    async with serving(config, {"openai": openai_emulator, "evolink": evolink_emulator}) as house:
        yield house


async def doubtful(house: House, emulator: OpenAIEmulator, *billed: bool) -> list[dict[str, object]]:
    """An attempt in doubt for each, billed or not, as the admin route lists them."""
    emulator.next(*(b.Reset(bills=bills) for bills in billed))
    for _ in billed:
        answer = await house.generate("gpt-image-2", size="1024x1024", quality="low")
        assert answer.error["code"] == "outcome_unknown", answer.body
    return list_of((await house.get("/admin/v1/in-doubt", key=ADMIN)).json, "data")


async def resolve(house: House, attempt: object, *, key: str = ADMIN, **body: object) -> Answer:
    return await house.call("POST", f"/admin/v1/in-doubt/{attempt}/resolve", key=key, body=body)


async def token_of(house: House, org: str | None = None) -> str:
    body: Mapping[str, object] = {"name": f"of {org}", "scopes": ["read", "money"], "org": org}
    return (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")


async def test_doubts_are_listed_with_all_that_is_known_and_end_once(
    house: House, openai_emulator: OpenAIEmulator
) -> None:
    """Paid is our loss at the presumed cost or the bill's, unpaid is free again; the audit log says which and why; the caller pays nothing."""
    found = await doubtful(house, openai_emulator, True, False, True)
    assert [item["org"] for item in found] == ["acme"] * 3
    assert found[0]["offer"] == "openai/gpt-image-2"
    assert found[0]["presumed_cost"] == {"usd": PRESUMED_USD}
    page = (await house.get("/admin/v1/in-doubt?limit=2", key=ADMIN)).json
    assert (list_of(page, "data"), page["has_more"]) == (found[:2], True)
    rest = (await house.get(f"/admin/v1/in-doubt?limit=2&after={found[1]['attempt_id']}", key=ADMIN)).json
    assert (list_of(rest, "data"), rest["has_more"]) == (found[2:], False)
    first, second, third = (item["attempt_id"] for item in found)
    paid = await resolve(house, first, outcome="paid", why="on the bill of November")
    assert (paid.status, paid.json["cost"]) == (200, {"usd": PRESUMED_USD})
    assert (await resolve(house, second, outcome="unpaid")).json["cost"] == {"usd": 0}
    assert (await resolve(house, third, outcome="paid", cost_usd="0.01")).json["cost"] == {"usd": 0.01}
    again = await resolve(house, first, outcome="unpaid")
    assert (again.status, again.error["code"]) == (409, "conflict")
    assert "cost 0.00591 USD" in str(again.error["message"])
    assert list_of((await house.get("/admin/v1/in-doubt", key=ADMIN)).json, "data") == []
    lines = list_of((await house.get("/admin/v1/audit-log", key=ADMIN)).json, "data")
    assert [(line["action"], line["subject"]) for line in lines[:3]] == [
        ("in_doubt.resolve", third),
        ("in_doubt.resolve", second),
        ("in_doubt.resolve", first),
    ]
    details = dict_of(lines[2], "details")
    assert (details["outcome"], details["why"], details["cost_usd"]) == ("paid", "on the bill of November", "0.00591")
    listed = list_of((await house.get("/admin/v1/upstreams", key=ADMIN)).json, "data")
    upstream = next(item for item in listed if item["name"] == "openai")
    assert (upstream["paid_this_month"], upstream["in_doubt"]) == ({"usd": 0.01591}, {"usd": 0})
    dearer = Bill(request_id="req", model="gpt-image-2", images=0, usd=Decimal("0.00409"), prompt="")
    openai_emulator.bill(dearer)  # the third came out at a cent


async def test_what_is_wrong_with_a_resolution_is_said(house: House, openai_emulator: OpenAIEmulator) -> None:
    """An unknown attempt 404, a bad field 400 with its name; another org's token gets what an unknown attempt gets, and sees no doubt."""
    [found] = await doubtful(house, openai_emulator, True)
    attempt = found["attempt_id"]
    house.doubt_billed["openai"] = openai_emulator.billed_usd * 1_000_000
    for body, param in (
        ({}, "outcome"),
        ({"outcome": "maybe"}, "outcome"),
        ({"outcome": "paid", "cost_usd": "-1"}, "cost_usd"),
        ({"outcome": "paid", "cost_usd": 0.0000001}, "cost_usd"),
        ({"outcome": "paid", "cost_usd": 100_000}, "cost_usd"),
        ({"outcome": "unpaid", "cost_usd": 0.01}, "cost_usd"),
        ({"outcome": "paid", "why": "x" * 501}, "why"),
        ({"outcome": "paid", "because": "x"}, "because"),
    ):
        refused = await resolve(house, attempt, **body)
        assert (refused.status, refused.error["param"]) == (400, param), refused.body
    missing = await resolve(house, "att_nothing", outcome="paid")
    org = await token_of(house, "acme")
    hidden = await resolve(house, attempt, key=org, outcome="paid")
    assert (missing.status, hidden.status) == (404, 404)
    assert missing.error["message"] == hidden.error["message"]
    assert (await house.get("/admin/v1/in-doubt?after=nothing", key=ADMIN)).error["param"] == "after"
    for path in ("in-doubt", "upstreams", "holds"):
        assert list_of((await house.get(f"/admin/v1/{path}", key=org)).json, "data") == []
    assert (await house.call("POST", "/admin/v1/upstreams/openai/test", key=org, body={})).status == 404
    assert len(list_of((await house.get("/admin/v1/in-doubt", key=ADMIN)).json, "data")) == 1


async def test_upstreams_say_how_they_are(house: House, openai_emulator: OpenAIEmulator) -> None:
    """On or off with the reason, open circuits with theirs, what is paid and in doubt, what a budget has left."""
    openai_emulator.next(b.Error(status=401, code="invalid_api_key"))
    assert (await house.generate("gpt-image-2", size="1024x1024", quality="low")).status == 503
    data = list_of((await house.get("/admin/v1/upstreams", key=ADMIN)).json, "data")
    found = {item["name"]: item for item in data}
    assert {name: (item["kind"], item["on"]) for name, item in found.items()} == {
        "openai": ("openai", True),
        "evolink": ("evolink", True),
        "sandbox": ("sandbox", True),
        "spare": ("openai", False),
    }
    assert "api_key" in str(found["spare"]["off_because"])
    offers = {item["offer"]: item for item in list_of(found["openai"], "offers")}
    assert offers["openai/gpt-image-2"]["left_alone_because"] == "credentials"
    assert offers["openai/gpt-image-2"]["needs_operator"] is True
    assert all(item["left_alone_because"] is None for item in list_of(found["evolink"], "offers"))
    assert list_of(found["openai"], "budgets") == [
        {"budget": "5usd/month", "used": {"usd": 0}, "left": {"usd": 5}, "closed": False, "closed_until_ms": None}
    ]


async def test_a_test_of_an_upstream_costs_nothing_and_says_what_was_checked(
    house: House, openai_emulator: OpenAIEmulator, evolink_emulator: EvolinkEmulator
) -> None:
    """Address and key of each kind; a refused key fails with the vendor's words, an upstream that is off with the reason, an unknown one is 404."""

    async def test(name: str) -> Answer:
        return await house.call("POST", f"/admin/v1/upstreams/{name}/test", key=ADMIN, body={})

    assert (await test("openai")).json == {
        "upstream": "openai",
        "kind": "openai",
        "passed": True,
        "text": "GET /models answered: the address is right, and the key is taken",
    }
    assert "GET /v1/credits" in (await test("evolink")).text("text")
    assert "was drawn" in (await test("sandbox")).text("text")
    openai_emulator.next(b.Error(status=401, code="invalid_api_key"), at="models")
    evolink_emulator.next(b.Error(status=503), at="credits")
    failed, busy, off = await test("openai"), await test("evolink"), await test("spare")
    assert (failed.json["passed"], busy.json["passed"], off.json["passed"]) == (False, False, False)
    assert failed.text("text").startswith("credentials: ")
    assert "api_key" in off.text("text")
    assert (await test("nobody")).status == 404
    assert {request.at for request in (*openai_emulator.requests, *evolink_emulator.requests)} == {"models", "credits"}


async def test_holds_that_nothing_will_end_are_none(house: House) -> None:
    """After a call that ended well and one that failed, as it should always be."""
    assert (await house.generate("gpt-image-2", size="1024x1024", quality="low")).status == 200
    found = await house.get("/admin/v1/holds?limit=5", key=ADMIN)
    assert found.json == {"object": "list", "data": [], "has_more": False}
    assert (await house.get("/admin/v1/holds?limit=0", key=ADMIN)).error["param"] == "limit"
