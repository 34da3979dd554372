"""A database as the version before left it, killed at work: this version brings up its schema, answers for all in it, and ends what was begun.

Its rows and pictures are kept as that version wrote them (tests/earlier/rows_0011.json). Only the times of tasks, files and repeats are moved to
now, or the deadlines would have passed and retention would have come.
"""

import asyncio
import base64
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.config import load
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.invariants import all_final, assert_settled
from tests.acceptance.settings import BY_OPENAI, KEY, SQLITE, config
from tests.earlier_schemas import run_on, upgrade_to
from tests.emulators.fixtures import StartProcess

EARLIER = "0011"
LEFT = json.loads((Path(__file__).parents[1] / "earlier/rows_0011.json").read_text(encoding="utf-8"))
MOVED = {
    "tasks": ("created_at_ms", "deadline_at_ms", "finished_at_ms", "results_expire_at_ms"),
    "files": ("created_at_ms", "expires_at_ms"),
    "idempotency": ("created_at_ms",),
}
TABLES = (
    "accounts", "keys", "balances", "entries", "holds", "tasks", "attempts", "results", "files", "idempotency", "usage_daily", "audit_log",
)  # fmt: skip
"""Parents first."""
NUMBERED = ("entries", "audit_log")
"""The database gives them their ids, in the same order."""
TEAM = {"team": "design", "budgets": ["50usd/month"], "keys": [{"name": "ci", "secret": KEY}]}
ACCOUNTS = [{"org": "acme", "budgets": ["100usd/total"], "teams": [TEAM]}]


def rows_of(table: str) -> list[dict[str, Any]]:
    latest_ms = max(task["created_at_ms"] for task in LEFT["tables"]["tasks"])
    moved_ms = int(time.time() * 1000) - latest_ms - 1000
    columns = MOVED.get(table, ())
    return [
        {name: value + moved_ms if name in columns and value is not None else value for name, value in row.items()}
        for row in LEFT["tables"][table]
    ]


def fill(connection: sa.Connection) -> None:
    upgrade_to(connection, EARLIER)
    tables = sa.MetaData()
    tables.reflect(connection)
    assert set(TABLES) == LEFT["tables"].keys()
    for name in TABLES:
        rows = rows_of(name)
        if name in NUMBERED:
            for row in rows:
                del row["id"]
        connection.execute(tables.tables[name].insert(), rows)


def left_behind(gateway: GatewayProcess) -> None:
    """The database and the pictures."""
    (gateway.folder / "var").mkdir()
    with contextlib.chdir(gateway.folder):
        asyncio.run(run_on(load(gateway.config_path).database, fill))
    for name, text in LEFT["pictures"].items():
        path = gateway.folder / "var/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(text))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_the_version_before_left_is_read_and_ended(
    new_gateway: NewGateway, emulator_process: StartProcess, request: pytest.FixtureRequest, database: str
) -> None:
    """Ended tasks with their pictures, keys, files, repeats and doubts are there; what was under way or waiting ends; the books are clean."""
    url = SQLITE if database == "sqlite" else request.getfixturevalue("empty_postgresql_database")
    openai = emulator_process("openai")
    settings = config(url, openai=openai, of_openai={"timeout": "5s"}, accounts=ACCOUNTS)
    gateway = new_gateway(settings, key=KEY)
    left_behind(gateway)
    if database == "postgresql":
        gateway.migrate()
    gateway.start()
    before = {task["id"]: task for task in rows_of("tasks")}
    now = {task["id"]: task for task in all_final(gateway, 60)}
    assert now.keys() == before.keys()
    for task_id, old in before.items():
        if old["finished_at_ms"] is not None:
            assert now[task_id]["status"] == old["state"], old
    ended = sorted(now[task_id]["status"] for task_id, old in before.items() if old["finished_at_ms"] is None)
    assert ended == ["completed", "completed", "failed"], "drawn again, drawn at last, and in doubt"
    pictures = [link for task in gateway.tasks_in_full() for link in task.get("results") or ()]
    assert len([gateway.download(link) for link in pictures]) == 4
    assert_known(gateway)
    books = assert_settled(gateway, completed=4)
    assert len(books.in_doubt) == 2
    assert openai.bills == []


def assert_known(gateway: GatewayProcess) -> None:
    """Keys, files, and calls made again."""
    assert gateway.request("GET", "/v1/models", key=LEFT["key_made"]).status == 200
    [file] = LEFT["tables"]["files"]
    content = gateway.request("GET", f"/v1/files/{file['id']}/content")
    assert (content.status, len(content.body)) == (200, file["size_bytes"])
    [repeat] = LEFT["tables"]["idempotency"]
    again = gateway.generate(BY_OPENAI, "a wild dolphin 101", idempotency_key=repeat["key"])
    assert (again.status, again.headers["x-task-id"]) == (200, repeat["task_id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert len(gateway.ask("keys list")["rows"]) == len(LEFT["tables"]["keys"])
