"""Who may administer over HTTP: every admin route, for every kind of caller. What each route does is tested with its noun."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.api.admin_routes import ADMIN_ROUTES
from gateway.api.route import Route
from gateway.domain.administrators import Scope
from tests.integration.gateway_app import KEY, Answer, House, serving, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN = "an admin token of the config"
IDS = [f"{route.method} {route.path}" for route in ADMIN_ROUTES]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway with an admin token of its config, and one token a scope, by the scope's name."""
    folder: Path = tmp_path_factory.mktemp("gate")
    config = write_config(folder, f"sqlite:///{folder}/gateway.db", {"sandbox": {"kind": "sandbox"}}, admin_token=ADMIN)
    async with serving(config, {}) as served:
        yield served


async def token(house: House, scopes: list[Scope], name: str) -> str:
    body = {"name": name, "scopes": scopes}
    made = await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)
    assert made.status == 201
    return made.text("secret")


async def ask(house: House, route: Route, key: str | None) -> Answer:
    """The route with ids that nothing has, and an empty body where it wants one."""
    body: object = {} if route.method in ("POST", "PUT", "PATCH") else None
    return await house.call(route.method, re.sub(r"\{[a-z_]+\}", "nothing", route.path), key=key, body=body)


@pytest.mark.parametrize("route", ADMIN_ROUTES, ids=IDS)
async def test_each_route_is_for_its_scope_alone(house: House, route: Route) -> None:
    """No token, a wrong one, an API key: 401. A token with every other scope: 403. One with the scope alone is let in."""
    assert route.scope is not None
    for wrong in (None, "no such token", KEY, "iga_" + "0" * 38):
        refused = await ask(house, route, wrong)
        assert (refused.status, refused.error["type"]) == (401, "authentication_error"), wrong
    others = [scope for scope in Scope if scope is not route.scope]
    name = f"{route.method}{route.path.replace('/', '.')}"[:50]
    without = await ask(house, route, await token(house, others, f"{name} without"))
    assert (without.status, without.error["code"]) == (403, "scope_missing")
    assert route.scope.value in str(without.error["message"])
    let_in = await ask(house, route, await token(house, [route.scope], f"{name} with"))
    assert let_in.status not in (401, 403, 405, 500), let_in.body


async def test_an_admin_token_makes_no_pictures(house: House) -> None:
    """Not on a single route of callers."""
    for path in ("/v1/models", "/v1/tasks", "/v1/credits"):
        assert (await house.get(path, key=ADMIN)).status == 401
    assert (await house.generate("gpt-image-2", key=ADMIN)).status == 401
