"""Migrations of a PostgreSQL on which gateways of an earlier version work on: none of their statements fails, and none waits for long.

Their statements are kept as that version sent them (tests/earlier/statements_0011.json): those of a call, a sign of life and callers' questions,
with the ids of one call, which are replaced by new ones.
"""

import ast
import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from gateway.db import migrate as migrations
from gateway.db import online
from gateway.db.postgresql import SERVER_SETTINGS
from gateway.db.url import parse_database_url
from gateway.domain.ids import new_attempt_id, new_task_id
from tests.earlier_schemas import run_on, upgrade_to

EARLIER = "0011"
RECORDED = json.loads((Path(__file__).parents[1] / "earlier/statements_0011.json").read_text(encoding="utf-8"))
VERSIONS = Path(migrations.__file__).with_name("migrations") / "versions"
OWNER = "run_test"
TASKS = 30_000
WORKERS = 6
BACKUP_S = 5.0
WAIT_S_MAX = 4.0
"""Of one statement: far more than online.LOCK_WAIT, for a loaded machine, and less than the backup that the migration has to wait for."""
_ACCOUNTS = """
INSERT INTO accounts (id, kind, name, parent_id, budgets, disabled, created_at_ms) VALUES
('org:acme', 'org', 'acme', NULL, '[]', 0, 1), ('team:acme/design', 'team', 'design', 'org:acme', '[]', 0, 1),
('key:acme/design/ci', 'key', 'ci', 'team:acme/design', '[]', 0, 1), ('upstream:openai', 'upstream', 'openai', NULL, '[]', 0, 1),
('ours', 'ours', 'ours', NULL, '[]', 0, 1)
"""
_BALANCES = """
INSERT INTO balances SELECT id, 'total', 0, 0, 0, 0, 0, 0, 0 FROM accounts
"""
"""Every call locks these first, in one order."""
_TASKS = f"""
INSERT INTO tasks (id, account_id, path, state, contract, model, n, user_group, created_at_ms, deadline_at_ms, finished_at_ms, reserved_microcredits,
used_microcredits, used_microusd, prompt, request, plan, owner, lease_until_ms, epoch, cancel_requested, result_count, results_expire_at_ms)
SELECT 'task-unified-1700000000-' || i, 'key:acme/design/ci', '[]', 'completed', 'task', 'gpt-image-2', 1, 'design', i, i, i, 1, 1, 1, 'a cat',
repeat('x', 300), repeat('y', 600), 'run_old', i, 1, 0, 1, i FROM generate_series(1, {TASKS}) AS i
"""
_RESULTS = """
INSERT INTO results (task_id, position, blob, content_type, extension, size_bytes, width, height, sha256)
SELECT id, 0, id || '/0', 'image/png', 'png', 1, 1, 1, '' FROM tasks
"""


def _fill(connection: sa.Connection) -> None:
    upgrade_to(connection, EARLIER)
    for statement in (_ACCOUNTS, _BALANCES, _TASKS, _RESULTS):
        connection.exec_driver_sql(statement)


@dataclass
class Earlier:
    """Processes of the earlier version, as the database sees them."""

    url: str
    over: bool = False
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    async def work(self, number: int) -> None:
        """One process, with tasks of its own."""
        connection = await asyncpg.connect(self.url, server_settings=SERVER_SETTINGS, statement_cache_size=256)
        try:
            while not self.over:
                ids = {RECORDED["task"]: new_task_id(1_757_165_031_000), RECORDED["attempt"]: new_attempt_id()}
                ids[OWNER] = f"run_{number}"
                for name, statements in RECORDED["calls"].items():
                    await self._transaction(connection, name, _with(statements, ids))
                self.calls += 1
        finally:
            await connection.close()

    async def _transaction(self, connection: Any, name: str, statements: list[tuple[str, list[object]]]) -> None:
        began_s = time.monotonic()
        try:
            async with connection.transaction():
                for text, arguments in statements:
                    await connection.fetch(text, *arguments)
                    now_s = time.monotonic()
                    self.longest_s, began_s = max(self.longest_s, now_s - began_s), now_s
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            self.failures.append(f"{name}: {exc!r}")


def _with(statements: list[tuple[str, list[object]]], ids: dict[str, str]) -> list[tuple[str, list[object]]]:
    def new(value: object) -> object:
        if isinstance(value, list):
            return [new(each) for each in value]
        if not isinstance(value, str):
            return value
        for old, fresh in ids.items():
            value = value.replace(old, fresh)
        return value

    return [(text, [new(argument) for argument in arguments]) for text, arguments in statements]


async def _backup(url: str) -> None:
    """A long reading transaction, as a backup is: no table of it can be altered."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("SELECT count(*) FROM tasks JOIN results ON task_id = id")
            await asyncio.sleep(BACKUP_S)
    finally:
        await connection.close()


async def test_the_version_before_works_on_through_a_migration(empty_postgresql_database: str) -> None:
    """Thousands of tasks, a backup that runs, and calls all the time: no call fails, none waits longer than a migration may for a table."""
    url = parse_database_url(empty_postgresql_database)
    await run_on(url, _fill)
    earlier = Earlier(empty_postgresql_database)
    workers = [asyncio.ensure_future(earlier.work(number)) for number in range(WORKERS)]
    await asyncio.sleep(0.5)
    backup = asyncio.ensure_future(_backup(empty_postgresql_database))
    await asyncio.sleep(0.3)
    before = earlier.calls
    assert await migrations.migrate(url) == (EARLIER, migrations.newest_revision())
    during = earlier.calls - before
    await backup
    await asyncio.sleep(0.5)
    earlier.over = True
    await asyncio.gather(*workers)
    assert earlier.failures == []
    assert earlier.longest_s < WAIT_S_MAX
    assert during > WORKERS
    assert await run_on(url, _invalid_indexes) == []


def _invalid_indexes(connection: sa.Connection) -> list[str]:
    found = connection.exec_driver_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    return [row[0] for row in found]


async def test_a_table_that_is_never_free_ends_the_migration_and_the_next_one_goes_on(
    empty_postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why; what was done stays done, the version before works on, and another try ends it. Two at once: the second finds it done."""
    url = parse_database_url(empty_postgresql_database)
    await run_on(url, lambda connection: upgrade_to(connection, EARLIER))
    monkeypatch.setattr(online, "LOCK_TRIES", 2)
    monkeypatch.setattr(online, "PAUSE_S", 0.01)
    connection = await asyncpg.connect(empty_postgresql_database)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE results IN ROW EXCLUSIVE MODE")
            with pytest.raises(migrations.MigrationFailed, match="lock timeout"):
                await migrations.migrate(url)
    finally:
        await connection.close()
    assert not await migrations.fits_postgresql(url)
    newest = migrations.newest_revision()
    done = await asyncio.gather(migrations.migrate(url), migrations.migrate(url))
    assert sorted(done) == [(EARLIER, newest), (newest, newest)]
    assert await migrations.fits_postgresql(url)


async def test_an_earlier_version_starts_on_a_schema_that_says_it_may(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the migration and the roll-out comes back, and a roll-out can be taken back; older ones are refused."""
    url = parse_database_url(postgresql_database)
    newest = migrations.newest_revision()
    for revision, fits in ((newest, True), (migrations.WORKS_FROM, True), ("0001", False), ("9999", False)):
        monkeypatch.setattr(migrations, "newest_revision", lambda revision=revision: revision)
        assert await migrations.fits_postgresql(url) == fits, revision
    monkeypatch.setattr(migrations, "newest_revision", lambda: migrations.WORKS_FROM)
    assert await migrations.migrate(url) == (newest, newest)


def test_migrations_change_what_is_there_beside_running_gateways() -> None:
    """From 0012 on: Alembic's own operations only on tables that the same step makes; all else through gateway/db/online.py."""
    for path in sorted(VERSIONS.glob("[0-9]*.py")):
        if path.name <= "0012":
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        made = {_first(call) for call in calls if _name(call) == "create_table"}
        for call in calls:
            if (
                isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Name)
                and call.func.value.id == "op"
            ):
                on_new = _name(call) == "create_index" and _first(call, 1) in made
                assert _name(call) == "create_table" or on_new, f"{path.name}: op.{_name(call)}: use gateway.db.online"


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _first(call: ast.Call, position: int = 0) -> object:
    argument = call.args[position]
    return argument.value if isinstance(argument, ast.Constant) else None


def test_a_column_that_the_version_before_cannot_fill_is_refused() -> None:
    """Its INSERTs do not name it."""
    with pytest.raises(AssertionError, match="the version before"):
        online.add_column("tasks", sa.Column("colour", sa.Text(), nullable=False))
