"""Backup while calls run, and restore, from and to both databases: the books are clean, nothing is run again, and what is no backup is refused."""

import asyncio
import os
import random
import signal
import sqlite3
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from gateway.administration.session_store import StoredSession, add_session, read_session
from gateway.app_restore import Restored, RestoreRefused, restore
from gateway.config import Config
from gateway.db.migrate import migrate, newest_revision
from gateway.db.schema import metadata
from gateway.db.snapshot import SnapshotFailed, write_snapshot
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from gateway.domain.ids import TaskId
from gateway.domain.money import Amount
from gateway.domain.tasks import AttemptState, TaskErrorCode, TaskState
from gateway.pipeline.commands import Accepted, Finished, RecordAttempts
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase, Erased
from tests.books import (
    CREDIT,
    KEY,
    ORG,
    PATH,
    UPSTREAM,
    Gateway,
    accept,
    balance,
    completed,
    new_attempt,
    new_task,
    opened,
    succeeded,
)
from tests.earlier_schemas import run_on, upgrade_to
from tests.integration.gateway_app import write_config
from tests.postgresql import PostgresqlServer

Row = tuple[object, ...]
MakeUrl = Callable[[], str]


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


@pytest.fixture
def new_postgresql(postgresql_server: PostgresqlServer) -> Iterator[MakeUrl]:
    """Fresh PostgreSQL databases, dropped at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(f"restored_{uuid.uuid4().hex}")
        postgresql_server.execute(f"CREATE DATABASE {made[-1]}")
        return postgresql_server.url(made[-1])

    yield make
    for name in made:
        postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def config_of(folder: Path, url: str) -> Config:
    folder.mkdir(exist_ok=True)
    return write_config(folder, url, {"sandbox": {"kind": "sandbox"}})


async def put_back(folder: Path, url: str, backup: Path, *, force: bool = False) -> Restored:
    """Into a database of this address, migrated before where that is the operator's work."""
    config = config_of(folder, url)
    if config.database.dialect is Dialect.POSTGRESQL:
        await migrate(config.database)
    return await restore(config, backup, force=force, clock=SystemClock())


async def backed_up(url: str, file: Path) -> Path:
    await write_snapshot(parse_database_url(url), file, replace=False)
    return file


async def contents(url: str) -> dict[str, list[Row]]:
    """Every row of every table but the audit log, to which a restore adds a line."""
    found: dict[str, list[Row]] = {}
    for table in metadata.sorted_tables:
        if table.name == "audit_log":
            continue
        asked = f"SELECT {', '.join(column.name for column in table.columns)} FROM {table.name}"
        if url.startswith("sqlite"):
            with sqlite3.connect(url.removeprefix("sqlite:///")) as reading:
                rows = reading.execute(asked).fetchall()
        else:
            connection = await asyncpg.connect(url)
            rows = [tuple(row) for row in await connection.fetch(asked)]
            await connection.close()
        found[table.name] = sorted(rows, key=repr)
    return found


async def one_call(database: Gateway) -> None:
    task = new_task()
    attempt = new_attempt(task)
    assert isinstance(await database.write(accept(task, 3, attempts=(attempt,))), Accepted)
    assert isinstance(await database.write(completed(task, 2, succeeded(attempt))), Finished)


async def read_one(database: Gateway, task_id: TaskId) -> tuple[object, ...]:
    [task] = await database.read(lambda connection: task_store.read_tasks(connection, [task_id]))
    attempts = await database.read(lambda connection: attempt_store.read_attempts(connection, [task_id]))
    return task.state, task.error.code if task.error else None, *(attempt.state for attempt in attempts)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
async def test_a_backup_under_load_restores_to_a_moment(
    database_url: str, target: str, tmp_path: Path, new_postgresql: MakeUrl
) -> None:
    """From each database to each: the audit is clean, what is charged agrees with the tasks in it, and it lies between before and after."""
    database = await opened(database_url)
    ended = asyncio.Event()

    async def call_on() -> None:
        while not ended.is_set():
            await one_call(database)

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(call_on()) for _ in range(8)]
        await asyncio.sleep(0.3)
        before, _ = await balance(database, ORG)
        file = await backed_up(database_url, tmp_path / "backup.db")
        after, _ = await balance(database, ORG)
        ended.set()
    assert all(caller.done() for caller in callers)
    await database.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path, "backup.db.*") == []

    url = f"sqlite:///{tmp_path}/new/gateway.db" if target == "sqlite" else new_postgresql()
    restored = await put_back(tmp_path / "new", url, file)
    assert restored.audit.differences == ()
    assert restored.audit.holds_pending == 0
    again = await opened(url)
    posted, pending = await balance(again, ORG)
    assert before.images <= posted.images <= after.images
    assert before.images > 0
    assert pending == Amount()
    found = await contents(url)
    completed_tasks = [row for row in found["tasks"] if "completed" in row]
    assert posted == Amount(
        len(completed_tasks) * 2 * CREDIT, len(completed_tasks) * (2 * CREDIT // 72), len(completed_tasks)
    )
    await one_call(again)  # ids go on where they were
    assert (await balance(again, ORG))[0].images == posted.images + 1
    await again.close()


async def test_there_and_back_everything_is_the_same(
    sqlite_database: str, tmp_path: Path, new_postgresql: MakeUrl
) -> None:
    """An embedded gateway moves to PostgreSQL and back: every row of every table, odd texts too, is as it was."""
    database = await opened(sqlite_database)
    for _ in range(5):
        await one_call(database)
    task = replace(new_task(), prompt="snow ❄, 'quotes', \\N and\ttabs\nlines")
    await database.write(accept(task, 1))
    await database.write(completed(task, 1))
    await database.close()
    first = await contents(sqlite_database)
    there = new_postgresql()
    moved = await put_back(tmp_path / "there", there, await backed_up(sqlite_database, tmp_path / "one.db"))
    assert moved.audit.differences == ()
    assert await contents(there) == first
    back = f"sqlite:///{tmp_path}/back/gateway.db"
    moved = await put_back(tmp_path / "back", back, await backed_up(there, tmp_path / "two.db"))
    assert moved.audit.differences == ()
    assert await contents(back) == first


async def test_what_was_under_way_is_ended_and_not_run_again(database_url: str, tmp_path: Path) -> None:
    """Not sent: failed and unbilled. At an upstream: in doubt. Ended: as it was. Nobody is charged, the holds are free, and nobody is signed in."""
    database = await opened(database_url)
    signed_in = StoredSession("s", "d", None, 1, 1, 2**60)
    await database.write(Transact(lambda connection, _: add_session(connection, signed_in)))
    unsent, sent, refused, done = (new_task() for _ in range(4))
    await database.write(accept(unsent, 3))
    lost = new_attempt(sent)
    await database.write(accept(sent, 3, attempts=(lost,)))
    billed = new_attempt(refused)
    await database.write(accept(refused, 3, attempts=(billed,)))
    failed = replace(billed, state=AttemptState.FAILED, ended_at_ms=billed.sent_at_ms + 5, cost_microusd=7)
    await database.write(RecordAttempts(refused.id, refused.epoch, ended=(failed,)))
    made = new_attempt(done)
    await database.write(accept(done, 3, attempts=(made,)))
    await database.write(completed(done, 2, succeeded(made)))
    file = await backed_up(database_url, tmp_path / "backup.db")
    await database.close()

    url = f"sqlite:///{tmp_path}/new/gateway.db"
    restored = await put_back(tmp_path / "new", url, file)
    assert (restored.ended.unsent, restored.ended.sent) == (2, 1)
    assert (restored.audit.differences, restored.audit.holds_pending) == ((), 0)
    again = await opened(url)
    assert await again.read(lambda connection: read_session(connection, "s")) is None
    assert await read_one(again, unsent.id) == (TaskState.FAILED, TaskErrorCode.SERVICE_UNAVAILABLE)
    assert await read_one(again, sent.id) == (TaskState.FAILED, TaskErrorCode.OUTCOME_UNKNOWN, AttemptState.UNKNOWN)
    assert await read_one(again, refused.id) == (
        TaskState.FAILED,
        TaskErrorCode.SERVICE_UNAVAILABLE,
        AttemptState.FAILED,
    )
    assert await read_one(again, done.id) == (TaskState.COMPLETED, None, AttemptState.SUCCEEDED)
    for account in PATH:
        posted, pending = await balance(again, account)
        assert (posted.microcredits, pending) == (2 * CREDIT, Amount())
    assert (await balance(again, UPSTREAM))[1].microusd == lost.presumed_cost_microusd
    await again.close()


async def test_a_damaged_file_is_refused(sqlite_database: str, tmp_path: Path) -> None:
    """Any byte changed, an end cut off, another kind of file, a newer schema: said so, and no database appears."""
    database = await opened(sqlite_database)
    for _ in range(20):
        await one_call(database)
    file = await backed_up(sqlite_database, tmp_path / "backup.db")
    await database.close()
    whole = file.read_bytes()
    dice = random.Random(7)
    bad: list[bytes] = [whole[: len(whole) // 2], whole[:-1], b"", b"no database at all" * 100]
    for at in (0, 20, 60, 68, 5000, *(dice.randrange(len(whole)) for _ in range(20))):
        bad.append(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    for content in bad:
        (tmp_path / "bad.db").write_bytes(content)
        with pytest.raises(RestoreRefused, match=r"bad\.db"):
            await put_back(tmp_path / "new", f"sqlite:///{tmp_path}/new/gateway.db", tmp_path / "bad.db")
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("CREATE TABLE alembic_version (version_num TEXT)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
    with pytest.raises(RestoreRefused, match="made by a newer version"):
        await put_back(tmp_path / "new", f"sqlite:///{tmp_path}/new/gateway.db", tmp_path / "newer.db")
    with pytest.raises(RestoreRefused, match="cannot be read"):
        await put_back(tmp_path / "new", f"sqlite:///{tmp_path}/new/gateway.db", tmp_path / "absent.db")
    assert names(tmp_path / "new", "gateway.db*") == ["gateway.db.lock"]
    file.write_bytes(whole)
    assert (await put_back(tmp_path / "new", f"sqlite:///{tmp_path}/new/gateway.db", file)).audit.differences == ()


async def test_nothing_is_written_over_unasked(sqlite_database: str, tmp_path: Path, new_postgresql: MakeUrl) -> None:
    """A file, a database that is there, a running gateway's, and one that is not empty are refused; --force moves a SQLite file aside, whole."""
    database = await opened(sqlite_database)
    await one_call(database)
    file = await backed_up(sqlite_database, tmp_path / "backup.db")
    with pytest.raises(SnapshotFailed, match="--force"):
        await backed_up(sqlite_database, file)
    await write_snapshot(parse_database_url(sqlite_database), file, replace=True)
    with pytest.raises(RestoreRefused, match="stop the gateway first"):
        await put_back(tmp_path, sqlite_database, file, force=True)
    await one_call(database)
    await database.close()
    with pytest.raises(RestoreRefused, match="--force"):
        await put_back(tmp_path, sqlite_database, file)
    later = await contents(sqlite_database)
    restored = await put_back(tmp_path, sqlite_database, file, force=True)
    assert restored.aside is not None
    assert await contents(f"sqlite:///{restored.aside}") == later
    assert len((await contents(sqlite_database))["tasks"]) == 1

    url = new_postgresql()
    with pytest.raises(RestoreRefused, match="gateway migrate"):
        await restore(config_of(tmp_path / "pg", url), file, force=True, clock=SystemClock())
    await put_back(tmp_path / "pg", url, file)
    with pytest.raises(RestoreRefused, match="not empty"):
        await put_back(tmp_path / "pg", url, file, force=True)


async def test_an_older_backup_is_migrated(tmp_path: Path, empty_sqlite_database: str) -> None:
    """A copy that SQLite's own means made of an earlier version's database will do."""
    older = tmp_path / "older.db"
    await run_on(parse_database_url(f"sqlite:///{older}"), lambda connection: upgrade_to(connection, "0004"))
    restored = await put_back(tmp_path, empty_sqlite_database, older)
    assert restored.audit.differences == ()
    with sqlite3.connect(empty_sqlite_database.removeprefix("sqlite:///")) as reading:
        assert reading.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_revision(),)
    assert names(tmp_path, "*.before-*") == []


async def test_what_was_erased_is_in_no_backup(sqlite_database: str, tmp_path: Path) -> None:
    """Not even in unused parts of the file."""
    database = await opened(sqlite_database)
    task = replace(new_task(), prompt="xylophone-quartz " * 400)
    await database.write(accept(task, 1))
    await database.write(completed(task, 1))
    assert b"xylophone" in (await backed_up(sqlite_database, tmp_path / "before.db")).read_bytes()
    assert isinstance(await database.write(Erase(task.id, KEY)), Erased)
    assert b"xylophone" not in (await backed_up(sqlite_database, tmp_path / "after.db")).read_bytes()
    await database.close()


BACKING_UP = """
import asyncio, sys
from pathlib import Path
from gateway.db.url import parse_database_url
from gateway.db.snapshot import write_snapshot
print("begun", flush=True)
asyncio.run(write_snapshot(parse_database_url(sys.argv[1]), Path(sys.argv[2]), replace=True))
print("done", flush=True)
"""


async def test_killed_in_the_middle_no_half_file_has_the_name(database_url: str, tmp_path: Path) -> None:
    """kill -9 at any moment leaves the file that stood there before, or the whole new one; the next backup works."""
    database = await opened(database_url)
    await asyncio.gather(*(one_call(database) for _ in range(300)))
    file = await backed_up(database_url, tmp_path / "backup.db")
    await one_call(database)
    for delay_s in (0.0, 0.01, 0.03, 0.06, 0.1, 0.2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BACKING_UP, database_url, str(file), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(delay_s)
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        restored = await put_back(tmp_path / f"after{delay_s}", f"sqlite:///{tmp_path}/after{delay_s}/gateway.db", file)
        assert restored.audit.differences == ()
    assert await write_snapshot(parse_database_url(database_url), file, replace=True) > 0
    assert names(tmp_path, "backup.db*") == ["backup.db"]
    await database.close()
