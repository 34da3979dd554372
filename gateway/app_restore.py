"""`gateway restore`: a database from a backup, with what was under way ended and the books audited before it takes its place.

Everything happens on a working copy first. How it fails: RestoreRefused with one sentence, and the database is as it was.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.administration import store as trail
from gateway.administration.session_store import delete_all as delete_all_sessions
from gateway.config import Config
from gateway.db.connection import Connection, StatementFailed
from gateway.db.engine import open_database
from gateway.db.migrate import MigrationFailed, migrate
from gateway.db.snapshot import SnapshotFailed, check_snapshot, copy_of_snapshot, fill_postgresql, sync_folder
from gateway.db.sqlite import DatabaseLocked, SqliteLock
from gateway.db.url import DatabaseUrl, Dialect
from gateway.db.writer import Transact
from gateway.domain.administrators import COMMAND
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.ledger.audit import AuditReport, audit
from gateway.pipeline.apply import apply
from gateway.pipeline.restoring import EndedTasks, end_what_was_under_way

_LOGS = ("", "-wal", "-shm")
"""The files of a SQLite database, by what follows its name."""


class RestoreRefused(Exception):
    """The text names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place. `aside`: where the database that stood there is now."""

    ended: EndedTasks
    audit: AuditReport
    aside: Path | None = None


async def restore(config: Config, backup: Path, *, force: bool, clock: Clock) -> Restored:
    """Put a backup in the place of the config's database. Raises RestoreRefused."""
    try:
        if config.database.dialect is Dialect.SQLITE:
            return await _restore_sqlite(config.database.path, backup, force=force, clock=clock)
        return await _restore_postgresql(config.database, backup, clock)
    except DatabaseLocked as exc:
        raise RestoreRefused(f"{exc}: stop the gateway first") from exc
    except (SnapshotFailed, MigrationFailed) as exc:
        raise RestoreRefused(str(exc)) from exc
    except (OSError, GatewayError, StatementFailed) as exc:
        raise RestoreRefused(f"{backup} cannot be restored: {exc}") from exc


async def _restore_sqlite(path: Path, backup: Path, *, force: bool, clock: Clock) -> Restored:
    with _locked(path):
        there = _files_of(path)
        if there and not force:
            raise RestoreRefused(f"{path}{there[0]} exists; say --force to have it moved aside")
        working = path.with_name(path.name + ".restoring")
        try:
            ended, report = await _worked_up(backup, working, clock)
            aside = _move_aside(path, there, clock.now_ms()) if there else None
            working.replace(path)
            sync_folder(path.parent)
        finally:
            _remove(working)
        return Restored(ended, report, aside)


async def _restore_postgresql(url: DatabaseUrl, backup: Path, clock: Clock) -> Restored:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="gateway-restore-"))
    try:
        working = folder / "gateway.db"
        ended, _ = await _worked_up(backup, working, clock)
        await fill_postgresql(working, url)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    database = await open_database(url, apply, clock)
    try:
        return Restored(ended, await audit(database))
    finally:
        await database.close()


async def _worked_up(backup: Path, working: Path, clock: Clock) -> tuple[EndedTasks, AuditReport]:
    """A checked copy of the backup, of this version's schema, with nothing under way."""
    await asyncio.to_thread(check_snapshot, backup)
    _remove(working)
    await asyncio.to_thread(copy_of_snapshot, backup, working)
    url = DatabaseUrl(f"sqlite:///{working}", Dialect.SQLITE)
    await migrate(url)
    with _locked(working) as lock:
        database = await open_database(url, apply, clock, lock)
        try:
            ended = await end_what_was_under_way(database, clock)

            async def record(connection: Connection, at_ms: int) -> None:
                details: dict[str, trail.Detail] = {"unsent": ended.unsent, "in_doubt": ended.sent}
                await trail.record(connection, at_ms, COMMAND, "backup.restore", str(backup), details)
                await delete_all_sessions(connection)  # who signed out since then stays signed out

            await database.write(Transact(record))
            report = await audit(database)
        finally:
            await database.close()  # it brings its log into the file
    if "-wal" in _files_of(working):
        raise RestoreRefused(f"{working} was not closed in time; try again")
    return ended, report


def _files_of(path: Path) -> list[str]:
    return [suffix for suffix in _LOGS if Path(f"{path}{suffix}").exists()]


def _move_aside(path: Path, there: list[str], now_ms: int) -> Path:
    """Its log with it: what only that holds is not lost."""
    aside = path.with_name(f"{path.name}.before-restore-{now_ms}")
    for suffix in there:
        Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


def _remove(working: Path) -> None:
    """With what belongs to it: log, lock, and the copy from before its migration."""
    for path in working.parent.glob(f"{working.name}*"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[SqliteLock]:
    lock = SqliteLock(path)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()
