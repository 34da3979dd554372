"""What an administrator may not reach, send or hand on, over HTTP on both databases: odd texts, other orgs' names, more than they have."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api.admin_routes import ADMIN_ROUTES
from tests.integration.gateway_app import Answer, Fields, House, list_of, serving, write_config

ADMIN = "an admin token of the config"


@pytest.fixture
async def house(tmp_path: Path, database_url: str) -> AsyncIterator[House]:
    """A gateway with an admin token of its config."""
    config = write_config(tmp_path, database_url, {"sandbox": {"kind": "sandbox"}}, admin_token=ADMIN)
    async with serving(config, {}) as served:
        yield served


async def test_no_route_is_broken_by_a_nul(house: House) -> None:
    """In an id it is 404, in a query 400 that names the parameter: nothing of it reaches the database, where it would fail a batch of writes."""
    for route in ADMIN_ROUTES:
        if "{" in route.path:
            answer = await house.call(route.method, re.sub(r"\{[a-z_]+\}", "a%00b", route.path), key=ADMIN, body={})
            assert (answer.status, answer.error["code"]) == (404, "not_found"), route.path
        for name, _, _ in route.query:
            answer = await house.get(f"{re.sub(r'{[a-z_]+}', 'ours', route.path)}?{name}=%00", key=ADMIN)
            assert (answer.status, answer.error["param"]) == (400, name), route.path


async def test_a_note_with_a_nul_is_refused(house: House) -> None:
    """Wherever words are kept."""
    made = await house.call("POST", "/admin/v1/accounts", key=ADMIN, body={"org": "globex"})
    assert made.status == 201
    for path, body in (
        ("/admin/v1/accounts/org%3Aglobex/grants", {"credits": 1, "why": "a\0b"}),
        ("/admin/v1/in-doubt/att_x/resolve", {"outcome": "unpaid", "why": "a\0b"}),
    ):
        answer = await house.call("POST", path, key=ADMIN, body=body)
        assert (answer.status, answer.error["param"]) == (400, "why"), path


async def test_a_token_hands_on_no_more_time_than_it_has(house: House) -> None:
    """What it makes ends with it where nothing is said, may end before, and never after."""
    ends_ms = 4_000_000_000_000
    body: Fields = {"name": "for a while", "scopes": ["keys", "read"], "expires_at_ms": ends_ms}
    maker = (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")
    for name, wanted_ms, status in (("none", None, 201), ("before", ends_ms - 1, 201), ("after", ends_ms + 1, 400)):
        body = {"name": name, "scopes": ["read"], **({} if wanted_ms is None else {"expires_at_ms": wanted_ms})}
        made = await house.call("POST", "/admin/v1/tokens", key=maker, body=body)
        assert made.status == status, name
        if status == 201:
            assert made.json["expires_at_ms"] == (wanted_ms or ends_ms)
        else:
            assert made.error["param"] == "expires_at_ms"


async def test_a_name_tells_nothing_about_another_orgs_tokens(house: House) -> None:
    """It is taken within its org alone; and in the audit log no token passes for another one, nor for the config's."""

    async def make(key: str, name: str, org: str | None = None) -> Answer:
        body = {"name": name, "scopes": ["keys", "read"], **({} if org is None else {"org": org})}
        return await house.call("POST", "/admin/v1/tokens", key=key, body=body)

    assert (await make(ADMIN, "finance")).status == 201
    assert (await make(ADMIN, "bot", "globex")).status == 201
    acme = (await make(ADMIN, "office", "acme")).text("secret")
    assert (await make(acme, "finance")).status == 201
    assert (await make(acme, "bot")).status == 201
    assert (await make(acme, "bot")).error["code"] == "conflict"
    assert (await make(ADMIN, "config")).error["param"] == "name"
    posing = (await make(acme, "config")).text("secret")
    assert (await make(posing, "more")).status == 201
    lines = list_of((await house.get("/admin/v1/audit-log?limit=2", key=ADMIN)).json, "data")
    assert [line["actor"] for line in lines] == ["token:acme/config", "token:acme/office"]


async def test_a_token_is_revoked_once(house: House) -> None:
    """Again it is answered the same, with the moment of the first time, and one line in the audit log."""
    made = await house.call("POST", "/admin/v1/tokens", key=ADMIN, body={"name": "gone", "scopes": ["read"]})
    path = f"/admin/v1/tokens/{made.text('id')}/revoke"
    first = await house.call("POST", path, key=ADMIN)
    assert (first.status, (await house.call("POST", path, key=ADMIN)).json) == (200, first.json)
    lines = list_of((await house.get("/admin/v1/audit-log", key=ADMIN)).json, "data")
    assert [line["subject"] for line in lines if line["action"] == "admin_token.revoke"] == [made.text("id")]
