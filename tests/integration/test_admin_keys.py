"""`/admin/v1/keys…` over HTTP on both databases: made, changed, rotated, revoked, each in force with the very next call."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.api.schemas.admin_keys import KeyAnswer, KeyIssued, KeyListAnswer
from tests.integration.gateway_app import KEY, Answer, Fields, House, Settings, list_of, serving, write_config

ADMIN = "an admin token of the config"
SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox"}}


@pytest.fixture
async def house(tmp_path: Path, database_url: str) -> AsyncIterator[House]:
    """A gateway with an admin token of its config."""
    async with serving(write_config(tmp_path, database_url, SANDBOX, admin_token=ADMIN), {}) as served:
        yield served


async def post(house: House, path: str, key: str = ADMIN, **body: Any) -> Answer:
    return await house.call("POST", f"/admin/v1/keys{path}", key=key, body=body)


async def make(house: House, **more: Any) -> Fields:
    """A new key of the team web of acme: what is answered, secret included."""
    made = await post(house, "", org="acme", team="web", **{"name": "site", **more})
    assert made.status == 201, made.body
    return KeyIssued.model_validate(made.json).model_dump(mode="json")


async def status(house: House, secret: str) -> int:
    return (await house.get("/v1/models", key=secret)).status


async def of_org(house: House, org: str) -> str:
    """A token that sees this org alone."""
    body = {"name": f"for {org}", "scopes": ["read", "keys", "money"], "org": org}
    return (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")


async def test_a_key_from_its_making_to_its_end(house: House) -> None:
    """It works at once with all its terms; each change, the rotation's overlap and the revocation are in force with the next call."""
    terms = {
        "budgets": ["5usd/day", "9images/total"], "models": ["gpt-image-2"], "sizes": ["1024x1024"], "n_max": 2, "rpm": 600, "concurrency": 8,
        "response": "task", "expires_at_ms": 4_000_000_000_000, "choose_upstream": True,
        "cache": False,
    }  # fmt: skip
    made = await make(house, **terms)
    assert {name: made[name] for name in terms} == terms
    assert (made["org"], made["team"], made["account"], made["state"]) == ("acme", "web", "key:acme/web/site", "active")
    shown = await house.get(f"/admin/v1/keys/{made['id']}", key=ADMIN)
    assert KeyAnswer.model_validate(shown.json).model_dump(mode="json") == {**shown.json, "models": ["gpt-image-2"]}
    assert made["secret"] not in shown.body.decode()
    assert await status(house, made["secret"]) == 200

    path = f"/admin/v1/keys/{made['id']}"
    changed = await house.call(
        "PATCH",
        path,
        key=ADMIN,
        body={"budgets": None, "models": None, "n_max": 3, "rpm": 1, "choose_upstream": None, "cache": None},
    )
    assert (changed.json["choose_upstream"], changed.json["cache"]) == (False, True)
    assert [changed.json[name] for name in ("budgets", "models", "n_max", "rpm", "concurrency")] == [[], ["*"], 3, 1, 8]
    task = await house.generate("gpt-image-2", key=made["secret"], size="1024x1024")
    assert task.status == 200
    await house.ended(task.text("id"), key=made["secret"])
    assert (await house.generate("gpt-image-2", key=made["secret"], size="1024x1024")).status == 429

    rotated = await post(house, f"/{made['id']}/rotate", overlap_s=3600)
    assert rotated.headers["Cache-Control"] == "no-store"
    secret = rotated.text("secret")
    assert (await status(house, made["secret"]), await status(house, secret)) == (200, 200)
    at_once = (await post(house, f"/{made['id']}/rotate", overlap_s=0)).text("secret")
    assert [await status(house, each) for each in (made["secret"], secret, at_once)] == [401, 401, 200]

    revoked = await post(house, f"/{made['id']}/revoke")
    assert (revoked.json["state"], await status(house, at_once)) == ("revoked", 401)
    assert (await post(house, f"/{made['id']}/rotate")).error["code"] == "conflict"
    log = await house.get("/admin/v1/audit-log?limit=10", key=ADMIN)
    actions = [line["action"] for line in list_of(log.json, "data") if line["actor"] == "token:config"]
    assert actions.pop() == "account.create", "the team"
    assert actions == ["key.revoke", "key.rotate", "key.rotate", "key.change", "key.create"]


async def test_rotating_without_a_body_overlaps_for_a_day(house: House) -> None:
    """The command's default is the API's."""
    made = await make(house)
    answer = await house.call("POST", f"/admin/v1/keys/{made['id']}/rotate", key=ADMIN)
    until_ms = answer.json["old_until_ms"]
    assert isinstance(until_ms, int)
    created_ms = made["created_at_ms"]
    assert 86_400_000 <= until_ms - created_ms < 86_400_000 + 60_000


async def test_an_expired_key_is_refused_until_it_is_given_more_time(house: House) -> None:
    """By its end alone, without a restart."""
    made = await make(house)
    path = f"/admin/v1/keys/{made['id']}"
    ended = await house.call("PATCH", path, key=ADMIN, body={"expires_at_ms": 1})
    assert (ended.json["state"], await status(house, made["secret"])) == ("expired", 401)
    lives = await house.call("PATCH", path, key=ADMIN, body={"expires_at_ms": None})
    assert (lives.json["state"], await status(house, made["secret"])) == ("active", 200)


async def test_another_orgs_keys_do_not_exist(house: House) -> None:
    """Every wish about one is answered as for a key that nobody has; a key of another org is not made, one of its own is."""
    made = await make(house)
    token = await of_org(house, "globex")
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"rpm": 5}),
        ("POST", "/rotate", {"overlap_s": 0}),
        ("POST", "/revoke", {}),
    ):
        theirs = await house.call(method, f"/admin/v1/keys/{made['id']}{path}", key=token, body=body)
        nobodys = await house.call(method, f"/admin/v1/keys/key_nothing{path}", key=token, body=body)
        assert theirs.status == nobodys.status == 404
        assert {**theirs.error, "request_id": ""} == {**nobodys.error, "request_id": ""}
    assert (await house.get("/admin/v1/keys", key=token)).json["data"] == []
    assert (await house.get("/admin/v1/keys?org=acme", key=token)).json["data"] == []
    refused = await post(house, "", token, org="acme", name="theirs")
    unknown = await post(house, "", token, org="nowhere", name="theirs")
    assert refused.status == unknown.status == 404
    assert {**refused.error, "request_id": ""} == {**unknown.error, "request_id": ""}
    own = await post(house, "", token, org="globex", name="own")
    assert (own.status, await status(house, own.text("secret"))) == (201, 200)
    assert [key["id"] for key in list_of((await house.get("/admin/v1/keys", key=token)).json, "data")] == [
        own.json["id"]
    ]
    assert await status(house, made["secret"]) == 200


async def test_lists_come_in_pages(house: House) -> None:
    """Two at a time, filtered by state, without a secret in them."""
    made = [await make(house, name=f"key{number}") for number in range(3)]
    await post(house, f"/{made[1]['id']}/revoke")
    first = await house.get("/admin/v1/keys?team=web&limit=2", key=ADMIN)
    page = KeyListAnswer.model_validate(first.json)
    assert (len(page.data), page.has_more) == (2, True)
    rest = await house.get(f"/admin/v1/keys?team=web&limit=2&after={page.data[-1].id}", key=ADMIN)
    assert (len(list_of(rest.json, "data")), rest.json["has_more"]) == (1, False)
    revoked = await house.get("/admin/v1/keys?state=revoked", key=ADMIN)
    assert [key["id"] for key in list_of(revoked.json, "data")] == [made[1]["id"]]
    for query, param in (("state=gone", "state"), ("limit=0", "limit"), ("after=key_nothing", "after")):
        wrong = await house.get(f"/admin/v1/keys?{query}", key=ADMIN)
        assert (wrong.status, wrong.error["param"]) == (400, param)


async def test_declared_keys_are_seen_and_not_changed(house: House) -> None:
    """Their ids have slashes, which stand percent-encoded in the path; a change says where to make it."""
    key_id = quote("declared:key:acme/design/ci", safe="")
    shown = await house.get(f"/admin/v1/keys/{key_id}", key=ADMIN)
    assert (shown.json["declared"], shown.json["id"]) == (True, "declared:key:acme/design/ci")
    for answer in (
        await post(house, f"/{key_id}/rotate"),
        await post(house, f"/{key_id}/revoke"),
        await house.call("PATCH", f"/admin/v1/keys/{key_id}", key=ADMIN, body={"rpm": 1}),
    ):
        assert (answer.status, "config" in str(answer.error["message"])) == (409, True)
    assert await status(house, KEY) == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "org"),
        ({"org": "acme"}, "name"),
        ({"org": "a/b", "name": "x"}, "org"),
        ({"org": "acme", "name": "x", "budgets": ["5usd/year"]}, "budgets[0]"),
        ({"org": "acme", "name": "x", "budgets": ["5usd/day"] * 21}, "budgets"),
        ({"org": "acme", "name": "x", "models": ["nosuch"]}, "models"),
        ({"org": "acme", "name": "x", "models": []}, "models"),
        ({"org": "acme", "name": "x", "sizes": ["huge"]}, "sizes"),
        ({"org": "acme", "name": "x", "rpm": 0}, "rpm"),
        ({"org": "acme", "name": "x", "n_max": 101}, "n_max"),
        ({"org": "acme", "name": "x", "response": "video"}, "response"),
        ({"org": "acme", "name": "x", "expires_at_ms": -1}, "expires_at_ms"),
        ({"org": "acme", "name": "x", "secret": "mine"}, "secret"),
    ],
)
async def test_a_body_at_fault_names_its_field(house: House, body: Fields, param: str) -> None:
    """And makes nothing."""
    before = await house.get("/admin/v1/keys", key=ADMIN)
    refused = await post(house, "", **body)
    assert (refused.status, refused.error["param"]) == (400, param), refused.body
    assert (await house.get("/admin/v1/keys", key=ADMIN)).body == before.body


async def test_a_taken_name_is_a_conflict(house: House) -> None:
    """Until the key is revoked: then the name, and what is booked on its account, go on with another key."""
    made = await make(house)
    assert (await post(house, "", org="acme", team="web", name="site")).status == 409
    await post(house, f"/{made['id']}/revoke")
    assert (await make(house))["id"] != made["id"]


async def test_the_last_use_is_kept_at_the_end(tmp_path: Path, database_url: str) -> None:
    """What was noted in memory is written down when the gateway stops, of keys and of admin tokens."""
    config = write_config(tmp_path, database_url, SANDBOX, admin_token=ADMIN)
    async with serving(config, {}) as house:
        token = await of_org(house, "acme")
        assert await status(house, KEY) == 200
        assert (await house.get("/admin/v1/keys", key=token)).status == 200
    async with serving(config, {}) as house:
        keys = {key["name"]: key for key in list_of((await house.get("/admin/v1/keys", key=ADMIN)).json, "data")}
        assert keys["ci"]["used_at_ms"] is not None
        assert keys["other"]["used_at_ms"] is None
        [of_token] = list_of((await house.get("/admin/v1/tokens", key=ADMIN)).json, "data")
        assert of_token["used_at_ms"] is not None
