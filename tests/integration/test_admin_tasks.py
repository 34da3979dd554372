"""`/admin/v1/tasks…` on the whole app: which tasks are shown to whom, what is known of one, and erasing by an administrator."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.administration import tasks as tasks_module
from gateway.ledger import history as history_module
from tests.integration.gateway_app import (
    CI_ACCOUNT,
    KEY,
    OTHER_ACCOUNT,
    OTHER_KEY,
    PROMPT,
    Answer,
    House,
    Json,
    Settings,
    accounts,
    dict_of,
    list_of,
    serving,
    texts_of,
    write_config,
)

ADMIN = "an admin token of the config"
STRANGER_KEY = "integration key of another org"
UNKNOWN_TASK = "task-unified-1757165031-uyujaw3d"


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Two orgs on one gateway."""
    globex = {"org": "globex", "keys": [{"name": "ci", "secret": STRANGER_KEY}]}
    config = write_config(
        tmp_path, database_url, {"sandbox": {"kind": "sandbox"}}, admin_token=ADMIN, accounts=[*accounts(), globex]
    )
    async with serving(config, {}) as served:
        yield served


async def made(house: House, key: str, model: str = "gpt-image-2", **more: object) -> str:
    answer = await house.generate(model, key=key, headers={"Prefer": "respond-async"}, **more)
    task_id = answer.text("id")
    assert (await house.ended(task_id, key=key))["status"] == "completed"
    return task_id


async def token_of(house: House, org: str, *scopes: str) -> str:
    body = {"name": f"{org} {' '.join(scopes)}", "scopes": list(scopes), "org": org}
    return (await house.call("POST", "/admin/v1/tokens", key=ADMIN, body=body)).text("secret")


async def listed(house: House, query: str = "", token: str = ADMIN) -> list[object]:
    answer = await house.get(f"/admin/v1/tasks?{query}", key=token)
    assert answer.status == 200, answer.body
    return [task["id"] for task in list_of(answer.json, "data")]


def same_refusal(one: Answer, other: Answer) -> bool:
    def of(answer: Answer) -> tuple[int, Json]:
        return answer.status, {name: value for name, value in answer.error.items() if name != "request_id"}

    return of(one) == of(other) and one.status == 404


async def test_tasks_are_listed_newest_first_by_whose_they_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By org, team, key, state and model; page by page, however few are looked through at once."""
    monkeypatch.setattr(tasks_module, "SCANNED", 2)
    ids = [await made(house, key) for key in (KEY, OTHER_KEY, STRANGER_KEY)]
    ids += [await made(house, KEY, "gpt-4o-image")]
    everything = await listed(house)
    assert sorted(map(str, everything)) == sorted(ids)
    assert everything == sorted(map(str, everything), reverse=True)
    assert set(await listed(house, "org=acme")) == {ids[0], ids[1], ids[3]}
    assert set(await listed(house, "org=acme&team=design")) == {ids[0], ids[3]}
    assert set(await listed(house, "org=acme&team=design&key=ci")) == {ids[0], ids[3]}
    assert await listed(house, "org=acme&key=other") == [ids[1]]
    assert await listed(house, "org=acm") == await listed(house, "org=acme&key=oth") == []
    assert await listed(house, "model=gpt-4o-image&state=completed") == [ids[3]]
    assert await listed(house, "state=failed") == []

    paged: list[object] = []
    query = "limit=1"
    while True:
        page = (await house.get(f"/admin/v1/tasks?{query}", key=ADMIN)).json
        paged += [task["id"] for task in list_of(page, "data")]
        if not page["has_more"]:
            break
        query = f"limit=1&before={page['next_before']}"
    assert paged == everything
    monkeypatch.setattr(tasks_module, "ROUNDS_MAX", 1)
    rest = (await house.get("/admin/v1/tasks?state=failed", key=ADMIN)).json
    assert (rest["data"], rest["has_more"], rest["next_before"]) == ([], True, everything[1])


async def test_a_task_is_shown_with_its_attempts_and_how_it_was_booked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan with prices, attempt with cost, hold and entries on every account; the prompt only where it is asked for."""
    monkeypatch.setattr(history_module, "RANGE_ROWS", 3)
    await made(house, STRANGER_KEY)
    task_id = await made(house, KEY, "gpt-4o-image")
    last = await made(house, OTHER_KEY)
    shown = (await house.get(f"/admin/v1/tasks/{task_id}", key=ADMIN)).json
    assert (shown["account"], shown["state"], shown["prompt"]) == (CI_ACCOUNT, "completed", None)
    assert dict_of(shown, "charged") == {"credits": 1.5, "usd": 0.020833, "images": 1}
    plan = dict_of(shown, "plan")
    assert plan["charge_credits"] == 1.5
    assert dict_of(list_of(plan, "offers")[0], "price") == {"per_image_usd": 0.02, "per_reference_usd": 0.0}
    [attempt] = list_of(shown, "attempts")
    assert (attempt["state"], attempt["upstream"], attempt["cost_usd"], attempt["fault"]) == (
        "succeeded",
        "sandbox",
        0.02,
        None,
    )
    assert isinstance(attempt["ms"], int)
    assert (dict_of(shown, "hold")["state"], shown["entries_whole"]) == ("settled", True)
    booked = sorted((str(entry["account"]), str(entry["kind"])) for entry in list_of(shown, "entries"))
    payers = ["key:acme/design/ci", "org:acme", "team:acme/design"]
    ours = [("upstream:sandbox", "paid"), ("upstream:sandbox", "send")]
    assert booked == sorted([*((payer, kind) for payer in payers for kind in ("hold", "settle")), *ours])
    assert (await house.get(f"/admin/v1/tasks/{task_id}?prompt=true", key=ADMIN)).json["prompt"] == PROMPT
    assert (await house.get(f"/admin/v1/tasks/{task_id}?prompt=maybe", key=ADMIN)).error["param"] == "prompt"
    other = (await house.get(f"/admin/v1/tasks/{last}", key=ADMIN)).json
    assert other["account"] == OTHER_ACCOUNT
    assert other["entries_whole"]


async def test_another_orgs_tasks_do_not_exist(house: House) -> None:
    """An org's token lists, shows and erases its own; others' are 404 with the body of unknown ones, and our own books are not its business."""
    theirs, own = await made(house, STRANGER_KEY), await made(house, KEY)
    token = await token_of(house, "acme", "read", "money")
    assert await listed(house, token=token) == await listed(house, "org=acme", token=token) == [own]
    assert await listed(house, "org=globex", token=token) == []
    for method, path in (("GET", "/admin/v1/tasks/{}"), ("POST", "/admin/v1/tasks/{}/erase")):
        foreign = await house.call(method, path.format(theirs), key=token)
        assert same_refusal(foreign, await house.call(method, path.format(UNKNOWN_TASK), key=token))
        assert same_refusal(foreign, await house.call(method, path.format("nonsense"), key=token))
        assert same_refusal(foreign, await house.call(method, path.format(UNKNOWN_TASK), key=ADMIN))
    shown = (await house.get(f"/admin/v1/tasks/{own}", key=token)).json
    assert all(str(entry["account"]).startswith(("key:", "team:", "org:")) for entry in list_of(shown, "entries"))
    assert (await house.get(f"/admin/v1/tasks/{theirs}", key=ADMIN)).json["erased_at_ms"] is None


async def test_an_administrator_erases(house: House) -> None:
    """Once and again the same; the owner sees it erased, the money stays, and the audit log says by whom, once."""
    task_id = await made(house, KEY)
    [link] = texts_of((await house.task(task_id)).json, "results")
    token = await token_of(house, "acme", "money")
    erased = await house.call("POST", f"/admin/v1/tasks/{task_id}/erase", key=token)
    assert erased.status == 200
    assert isinstance(erased.json["erased_at_ms"], int)
    assert (await house.call("POST", f"/admin/v1/tasks/{task_id}/erase", key=token)).json == erased.json
    assert (await house.get(link)).status == 404
    assert (await house.get(f"/admin/v1/tasks/{task_id}?prompt=true", key=ADMIN)).json["prompt"] is None
    owners = (await house.task(task_id)).json
    assert (owners["results"], dict_of(owners, "usage")["credits_used"]) == (
        [],
        dict_of(erased.json, "charged")["credits"],
    )
    log = list_of((await house.get("/admin/v1/audit-log", key=ADMIN)).json, "data")
    lines = [
        (line["actor"], line["org"]) for line in log if (line["action"], line["subject"]) == ("task.erase", task_id)
    ]
    assert lines == [("token:acme/acme money", "acme")]


async def test_what_is_under_way_is_not_erased(database_url: str, tmp_path: Path) -> None:
    """409, and the task goes on to its end."""
    sandbox: Settings = {"kind": "sandbox", "latency": "500ms"}
    config = write_config(tmp_path, database_url, {"sandbox": sandbox}, admin_token=ADMIN)
    async with serving(config, {}) as house:
        task_id = (await house.generate("gpt-image-2", headers={"Prefer": "respond-async"})).text("id")
        refused = await house.call("POST", f"/admin/v1/tasks/{task_id}/erase", key=ADMIN)
        assert (refused.status, refused.error["code"]) == (409, "conflict")
        shown = (await house.get(f"/admin/v1/tasks/{task_id}", key=ADMIN)).json
        assert dict_of(shown, "hold")["state"] == "pending"
        assert (await house.ended(task_id))["status"] == "completed"
        await asyncio.sleep(0)
        assert (await house.call("POST", f"/admin/v1/tasks/{task_id}/erase", key=ADMIN)).status == 200


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("state=done", "state"),
        ("before=nonsense", "before"),
        ("team=design", "org"),
        ("key=ci", "org"),
    ],
)
async def test_what_cannot_be_listed_is_named(house: House, query: str, param: str) -> None:
    """400 with the parameter and what may be written."""
    refused = await house.get(f"/admin/v1/tasks?{query}", key=ADMIN)
    assert (refused.status, refused.error["param"]) == (400, param)
