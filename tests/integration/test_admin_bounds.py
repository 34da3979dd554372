"""What an administrator may not reach, send or hand on, over HTTP on both databases: odd texts, other orgs' names, more than they have."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api.admin_routes import ADMIN_ROUTES
from tests.integration.gateway_app import House, serving, write_config

ADMIN = "an admin token of the config"
ORG = "/admin/v1/accounts/org%3Aacme"


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
