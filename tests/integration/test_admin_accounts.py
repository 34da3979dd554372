"""`/admin/v1/accounts…`: what each route does, for whom, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.integration.gateway_app import CI_ACCOUNT, Answer, House, Settings, dict_of, list_of, serving, write_config
from tests.postgresql import PostgresqlServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN = "an admin token of the config"
ROOT = "/admin/v1/accounts"
MODEL = "gpt-image-2"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway whose tests each take orgs of their own; its books are checked at the end."""
    folder: Path = tmp_path_factory.mktemp("accounts")
    upstreams: dict[str, Settings] = {"sandbox": {"kind": "sandbox", "budget": "900usd/month"}}
    if request.param == "sqlite":
        config = write_config(folder, f"sqlite:///{folder}/gateway.db", upstreams, admin_token=ADMIN)
        async with serving(config, {}) as served:
            yield served
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    server.execute("CREATE DATABASE admin_accounts")
    config = write_config(folder, server.url("admin_accounts"), upstreams, admin_token=ADMIN)
    async with serving(config, {}) as served:
        yield served
    server.execute("DROP DATABASE admin_accounts WITH (FORCE)")


def at(account: str, more: str = "") -> str:
    return f"{ROOT}/{quote(account, safe='')}{more}"


async def ask(
    house: House, method: str, path: str, body: object = None, *, key: str = ADMIN, idempotency: str | None = None
) -> Answer:
    headers = {} if idempotency is None else {"Idempotency-Key": idempotency}
    return await house.call(method, path, key=key, body=body, headers=headers)


async def org_token(house: House, org: str) -> str:
    body = {"name": f"of {org}", "scopes": ["read", "keys", "money"], "org": org}
    made = await ask(house, "POST", "/admin/v1/tokens", body)
    assert made.status == 201
    return made.text("secret")


async def test_an_account_is_made_changed_and_shown(house: House) -> None:
    """With budgets, zone, limits and markup; null takes one away, what is not named stays, and ids stand encoded in paths."""
    body = {"org": "globex", "budgets": ["20usd/day", "9images/total"], "timezone": "Asia/Tokyo", "markup": "1.25"}
    made = await ask(house, "POST", ROOT, body)
    assert (made.status, made.json["id"], made.json["markup"], made.json["declared"]) == (
        201,
        "org:globex",
        "1.25",
        False,
    )
    limits = {"rpm": 60, "models": [MODEL], "sizes": ["1:1"], "n_max": 2}
    team = await ask(house, "POST", ROOT, {"org": "globex", "team": "web", "limits": limits})
    assert (team.status, team.json["timezone"], team.json["parent"]) == (201, "Asia/Tokyo", "org:globex")
    changed = await ask(
        house, "PATCH", at("team:globex/web"), {"limits": {"rpm": None, "concurrency": 4}, "disabled": True}
    )
    assert changed.status == 200
    wanted = {"rpm": None, "concurrency": 4, "models": [MODEL], "sizes": ["1:1"], "n_max": 2}
    assert (dict_of(changed.json, "limits"), changed.json["disabled"]) == (wanted, True)
    changed = await ask(
        house, "PATCH", at("team:globex/web"), {"limits": {"models": None, "sizes": ["*"]}, "disabled": False}
    )
    assert dict_of(changed.json, "limits") | {"rpm": None} == {**wanted, "models": ["*"], "sizes": ["*"]}
    await ask(house, "PATCH", at("org:globex"), {"markup": None, "budgets": ["5.5credits/week"]})
    shown = (await ask(house, "GET", at("org:globex"))).json
    [budget] = list_of(shown, "budgets")
    assert (budget["budget"], budget["limit"], budget["left"], budget["used"]) == ("5.5credits/week", 5.5, 5.5, 0)
    assert isinstance(budget["resets_at_ms"], int)
    assert (shown["markup"], shown["prepaid"]) == (None, None)
    again = await ask(house, "POST", ROOT, {"org": "globex"})
    assert (again.status, again.error["code"]) == (409, "conflict")
    lines = list_of((await ask(house, "GET", "/admin/v1/audit-log?limit=1000")).json, "data")
    mine = [(line["actor"], line["action"]) for line in lines if line["subject"] == "team:globex/web"]
    assert mine == [("token:config", f"account.{verb}") for verb in ("enable", "disable", "create")]


async def test_used_held_and_left_are_shown(house: House) -> None:
    """Of a call that was made: on the key, and the upstream's own books for who sees all."""
    assert (await house.generate(MODEL, size="1024x1024", quality="low")).status == 200
    shown = (await ask(house, "GET", at(CI_ACCOUNT))).json
    used = dict_of(shown, "used")
    assert (used["images"], dict_of(shown, "held")) == (1, {"credits": 0, "usd": 0, "images": 0})
    assert isinstance(used["credits"], float | int)
    assert used["credits"] > 0
    upstream = (await ask(house, "GET", at("upstream:sandbox"))).json
    [budget] = list_of(upstream, "budgets")
    assert (budget["budget"], budget["window"]) == ("900usd/month", "month")
    assert budget["used"] == dict_of(upstream, "used")["usd"]
    refused = await ask(house, "PATCH", at("upstream:sandbox"), {"budgets": []})
    assert (refused.status, "upstreams.sandbox.budget" in str(refused.error["message"])) == (409, True)


async def test_declared_accounts_are_changed_in_the_config(house: House) -> None:
    """Their terms are a conflict that says so; credits may be granted, and being prepaid ended."""
    for account in ("org:acme", "team:acme/design", CI_ACCOUNT):
        refused = await ask(house, "PATCH", at(account), {"limits": {"rpm": 5}})
        assert (refused.status, "declared in the config" in str(refused.error["message"])) == (409, True)
    granted = await ask(house, "POST", at("team:acme/design", "/grants"), {"credits": "500"})
    assert (granted.status, granted.json["left_credits"], granted.json["repeated"]) == (201, 500, False)
    ended = await ask(house, "PATCH", at("team:acme/design"), {"prepaid": False})
    assert (ended.status, ended.json["prepaid"]) == (200, None)


async def test_a_retried_grant_is_granted_once(house: House) -> None:
    """Under an Idempotency-Key, five at once and one later; another amount is a conflict, and without a key each counts."""
    await ask(house, "POST", ROOT, {"org": "prepaid"})
    path, body = at("org:prepaid", "/grants"), {"credits": 2.5, "why": "invoice 7"}
    answers = await asyncio.gather(*(ask(house, "POST", path, body, idempotency="i7") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
    later = await ask(house, "POST", path, body, idempotency="i7")
    assert (later.status, later.json["repeated"], later.json["left_credits"]) == (200, True, 2.5)
    other = await ask(house, "POST", path, {"credits": 3}, idempotency="i7")
    assert (other.status, other.error["code"]) == (409, "conflict")
    assert (await ask(house, "POST", path, body)).json["left_credits"] == 5
    taken = await ask(house, "POST", path, {"credits": "-1.5", "why": "a mistake"})
    assert (taken.status, taken.json["credits"], taken.json["left_credits"]) == (201, -1.5, 3.5)
    shown = (await ask(house, "GET", at("org:prepaid"))).json
    assert shown["prepaid"] == {"granted_credits": 3.5, "left_credits": 3.5}
    first = (await ask(house, "GET", at("org:prepaid", "/entries?limit=2"))).json
    assert [(item["kind"], item["note"]) for item in list_of(first, "data")] == [
        ("adjust", "a mistake"),
        ("grant", "invoice 7"),
    ]
    assert first["has_more"] is True
    rest = (await ask(house, "GET", at("org:prepaid", f"/entries?limit=2&before={first['before']}"))).json
    assert [dict_of(item, "posted")["credits"] for item in list_of(rest, "data")] == [2.5]
    assert (rest["has_more"], rest["before"]) == (False, None)


async def test_entries_of_a_task(house: House) -> None:
    """Its hold and its settlement on the key, newest first."""
    made = await house.generate(MODEL, size="1024x1024", quality="low", headers={"Prefer": "respond-async"})
    task_id = made.text("id")
    await house.ended(task_id)
    found = list_of((await ask(house, "GET", at(CI_ACCOUNT, f"/entries?task={task_id}"))).json, "data")
    assert [(item["kind"], item["task_id"]) for item in found] == [("settle", task_id), ("hold", task_id)]
    assert dict_of(found[1], "pending")["images"] == 1


async def test_accounts_are_listed_by_org_kind_and_page(house: House) -> None:
    """By id; an org's token has its own org alone, whatever it asks for."""
    for team in ("a", "b", "c"):
        await ask(house, "POST", ROOT, {"org": "listed", "team": team})
    first = (await ask(house, "GET", f"{ROOT}?org=listed&kind=team&limit=2")).json
    assert ([item["id"] for item in list_of(first, "data")], first["has_more"]) == (
        ["team:listed/a", "team:listed/b"],
        True,
    )
    rest = (await ask(house, "GET", f"{ROOT}?org=listed&kind=team&limit=2&after=team%3Alisted%2Fb")).json
    assert ([item["id"] for item in list_of(rest, "data")], rest["has_more"]) == (["team:listed/c"], False)
    token = await org_token(house, "listed")
    seen = {item["id"] for item in list_of((await ask(house, "GET", ROOT, key=token)).json, "data")}
    assert seen == {"org:listed", "team:listed/a", "team:listed/b", "team:listed/c"}
    assert list_of((await ask(house, "GET", f"{ROOT}?org=acme", key=token)).json, "data") == []


async def test_another_orgs_account_is_like_none(house: House) -> None:
    """Every route answers the token of another org with the status and body of an id that nothing has, and changes nothing."""
    await ask(house, "POST", ROOT, {"org": "secretive", "team": "web"})
    token = await org_token(house, "nosy")
    before = (await ask(house, "GET", at("org:secretive"))).json
    for method, more, body in (
        ("GET", "", None),
        ("PATCH", "", {"limits": {"rpm": 1}}),
        ("POST", "/grants", {"credits": 5}),
        ("GET", "/entries", None),
    ):
        answers = []
        for account in ("org:secretive", "team:secretive/web", "org:nobody", "upstream:sandbox", "ours", "nothing"):
            answer = await ask(house, method, at(account, more), body, key=token)
            error = {**answer.error, "request_id": "-"}
            answers.append((answer.status, error))
        assert answers == [answers[2]] * 6
        assert answers[2][0] == 404
    for org in ("secretive", "entirely-new"):
        refused = await ask(house, "POST", ROOT, {"org": org, "team": "mine"}, key=token)
        assert (refused.status, refused.error["message"]) == (404, "There is no such org.")
    assert (await ask(house, "POST", ROOT, {"org": "nosy", "team": "mine"}, key=token)).status == 201
    assert (await ask(house, "GET", at("org:secretive"))).json == before


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "", {"org": "a/b"}, "org"),
        ("POST", "", {"team": "web"}, "org"),
        ("POST", "", {"org": "new", "surprise": 1}, "surprise"),
        ("POST", "", {"org": "new", "team": "web", "markup": 2}, "markup"),
        ("POST", "", {"org": "new", "budgets": ["5usd/year"]}, "budgets[0]"),
        ("POST", "", {"org": "new", "budgets": [5]}, "budgets[0]"),
        ("PATCH", "/org%3Abad", {"limits": {"rpm": 0}}, "rpm"),
        ("PATCH", "/org%3Abad", {"limits": {"rpm": True}}, "limits.rpm"),
        ("PATCH", "/org%3Abad", {"limits": {"models": ["nosuch"]}}, "models"),
        ("PATCH", "/org%3Abad", {"limits": {"models": []}}, "limits.models"),
        ("PATCH", "/org%3Abad", {"limits": {"sizes": ["huge"]}}, "sizes"),
        ("PATCH", "/org%3Abad", {"limits": {"n_max": 1000}}, "n_max"),
        ("PATCH", "/org%3Abad", {"markup": "free"}, "markup"),
        ("PATCH", "/org%3Abad", {"markup": -1}, "markup"),
        ("PATCH", "/org%3Abad", {"timezone": "Mars"}, "timezone"),
        ("PATCH", "/org%3Abad", {"disabled": "no"}, "disabled"),
        ("PATCH", "/org%3Abad", {"prepaid": True}, "prepaid"),
        ("POST", "/org%3Abad/grants", {"credits": "much"}, "credits"),
        ("POST", "/org%3Abad/grants", {"credits": 0}, "credits"),
        ("POST", "/org%3Abad/grants", {"credits": "sNaN"}, "credits"),
        ("PATCH", "/org%3Abad", {"markup": "sNaN"}, "markup"),
        ("POST", "/org%3Abad/grants", {"credits": "0.0000001"}, "credits"),
        ("POST", "/org%3Abad/grants", {"credits": 1e300}, "credits"),
        ("POST", "/org%3Abad/grants", {"credits": True}, "credits"),
        ("POST", "/org%3Abad/grants", {"credits": -5}, "why"),
        ("POST", "/org%3Abad/grants", {"credits": -5, "why": "x"}, "credits"),
        ("GET", "?kind=robot", None, "kind"),
        ("GET", "?limit=0", None, "limit"),
        ("GET", "/org%3Abad/entries?before=x", None, "before"),
    ],
)  # fmt: skip
async def test_a_wrong_body_names_the_field(house: House, method: str, path: str, body: object, param: str) -> None:
    """400 with the field; nothing is made and nothing changes."""
    await ask(house, "POST", ROOT, {"org": "bad"})
    before = (await ask(house, "GET", ROOT)).json
    refused = await ask(house, method, ROOT + path, body)
    assert (refused.status, refused.error["param"]) == (400, param), refused.body
    assert (await ask(house, "GET", ROOT)).json == before
