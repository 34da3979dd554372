"""Bring a database to this version's schema.

SQLite: `serve` does it itself, under the file's lock: foreign keys off, one explicit transaction, after a copy of the file
(`<file>.before-<revision>`), then a foreign-key check. PostgreSQL: `gateway migrate`, beside running gateways of the version before, step by step
(gateway/db/online.py); `serve` only refuses a schema that it cannot work on. A version's last steps may be named `NNNN_contract_…`: they take away
what only versions before it used, and are a phase of their own, for when no process of those is left. How it fails: MigrationFailed. SQLite's file
is then as it was; PostgreSQL has the steps that were done, with which the version before works on, and the next try goes on from there.
"""

import asyncio
import sqlite3
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.url import DatabaseUrl, Dialect

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_FOLDER = Path(__file__).with_name("migrations")
_LOCK_ID = 0x1A6E_6A7E
"""Any constant: of two processes that migrate at once the second one waits for the first (an advisory lock of the session)."""
_TURN_PAUSE_S, _TURN_TRIES = 0.2, 9_000
"""Half an hour. It is asked for again and again: a statement that waits for the lock would be an old transaction, which an index waits for."""
_LEAVING_PAUSE_S, _LEAVING_TRIES = 1.0, 1_800
"""Half an hour for processes of the version before to go: a roll-out ends the last of them some minutes after the new ones are ready."""
APPLICATION = "image-gateway "
"""What a session of a gateway is called, with the revision that its version needs."""
_OLDER_SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND application_name LIKE 'image-gateway%' AND application_name COLLATE "C" < :needed
"""
_WORKS_FROM = "works from "
WORKS_FROM = "0011"
"""The newest revision of the oldest version whose code works on this version's schema. It stands in the database for older versions to read:
they go on working, and start, on a schema that is newer than theirs. To be raised with a step that takes away what versions before it use."""


class Phase(StrEnum):
    """Of a migration on PostgreSQL. SQLite has one process, and does both at once."""

    EXPAND = "expand"
    """What this version needs is added; the version before works on beside it."""
    CONTRACT = "contract"
    """What only the version before needed is taken away; the one before that could not be started again anyway."""


class MigrationFailed(Exception):
    """The schema could not be brought to this version. The text names the cause."""


async def migrate(url: DatabaseUrl, phase: Phase = Phase.EXPAND) -> tuple[str | None, str]:
    """The revision before and after. Raises MigrationFailed."""
    try:
        if url.dialect is Dialect.SQLITE:
            return _migrate_sqlite(url.path)
        return await (_expand_postgresql(url.text) if phase is Phase.EXPAND else _contract_postgresql(url.text))
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        raise MigrationFailed(f"the database could not be migrated: {exc}") from exc


async def fits_postgresql(url: DatabaseUrl) -> bool:
    """Whether this version's code works on the schema. Raises MigrationFailed where the database does not answer."""
    engine = _async_engine(url.text)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda c: _fits(c, _current(c)))
    except (SQLAlchemyError, OSError) as exc:
        raise MigrationFailed(f"the database does not answer: {exc}") from exc
    finally:
        await engine.dispose()


@cache
def newest_revision() -> str:
    """This version's last one: the number of the last migration's file. Asked without Alembic, which most starts do not need."""
    return _steps()[-1].partition("_")[0]


def needed_revision() -> str:
    """The one that this version's code needs: the newest but for steps of CONTRACT at the end."""
    ending = 0
    while _steps()[-1 - ending].partition("_")[2].startswith(Phase.CONTRACT.value + "_"):
        ending += 1
    return _steps()[-1 - ending].partition("_")[0] if ending else newest_revision()


def is_this_versions(revision: str | None) -> bool:
    """Before or after CONTRACT."""
    return revision is not None and needed_revision() <= revision <= newest_revision()


@cache
def _steps() -> tuple[str, ...]:
    """The names of all migrations' files, in order."""
    return tuple(sorted(path.name for path in (_FOLDER / "versions").glob("[0-9]*_*.py")))


def _migrate_sqlite(path: Path) -> tuple[str | None, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    # The driver begins transactions by itself only before some statements; DDL needs an explicit one.
    event.listen(engine, "connect", _no_driver_transactions)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            before = _current(connection)
            connection.rollback()
            if before == newest_revision():
                return before, before
            if before is not None:
                _copy(path, before)
            with connection.begin():
                _upgrade(connection, newest_revision())
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise MigrationFailed(f"rows without their parent after the migration: {broken[:5]}")
    finally:
        engine.dispose()
    path.chmod(0o600)
    return before, newest_revision()


async def _expand_postgresql(text_url: str) -> tuple[str | None, str]:
    engine = _async_engine(text_url)
    try:
        async with engine.connect() as connection:
            await _have_turn(connection)
            before = await connection.run_sync(_current)
            if before is not None and before > needed_revision():
                if await connection.run_sync(lambda c: _fits(c, before)):
                    return before, before
                raise MigrationFailed(
                    f"a newer version of the gateway made it {before}, on which this one does not work"
                )
            await connection.commit()
            if before != needed_revision():
                await connection.run_sync(_upgrade, needed_revision())
            await _say_works_from(connection, WORKS_FROM)
    finally:
        await engine.dispose()
    return before, needed_revision()


async def _contract_postgresql(text_url: str) -> tuple[str | None, str]:
    """Nothing where this version has no such step. Waits for sessions of versions before; a schema of a newer version is left alone."""
    engine = _async_engine(text_url)
    try:
        async with engine.connect() as connection:
            await _have_turn(connection)
            before = await connection.run_sync(_current)
            await connection.commit()
            if before is None or before < needed_revision():
                raise MigrationFailed(f"the schema is at {before or 'nothing'}: run `gateway migrate` first")
            if before >= newest_revision():
                return before, before
            await _older_have_gone(connection)
            # Before the first step: from here on versions that need what goes must not start.
            await _say_works_from(connection, needed_revision())
            await connection.run_sync(_upgrade, newest_revision())
    finally:
        await engine.dispose()
    return before, newest_revision()


async def _say_works_from(connection: "AsyncConnection", revision: str) -> None:
    await connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_WORKS_FROM}{revision}'"))
    await connection.commit()


async def _older_have_gone(connection: "AsyncConnection") -> None:
    """Until no gateway of a version before is connected."""
    older = 0
    for _ in range(_LEAVING_TRIES):
        needed = APPLICATION + needed_revision()
        older = (await connection.execute(text(_OLDER_SESSIONS), {"needed": needed})).scalar_one()
        await connection.commit()
        if not older:
            return
        await asyncio.sleep(_LEAVING_PAUSE_S)
    raise MigrationFailed(
        f"gateways of the version before are still connected ({older} sessions): end the roll-out, then run it again"
    )


async def _have_turn(connection: "AsyncConnection") -> None:
    """Until this session has the lock, which it keeps to its end."""
    for _ in range(_TURN_TRIES):
        has_it = (await connection.execute(text("SELECT pg_try_advisory_lock(:id)"), {"id": _LOCK_ID})).scalar_one()
        await connection.commit()
        if has_it:
            return
        await asyncio.sleep(_TURN_PAUSE_S)
    raise MigrationFailed(
        "another process has been migrating this database for half an hour: see whether it still does"
    )


def _fits(connection: Connection, revision: str | None) -> bool:
    """This version's schema, or a newer one on which it may work."""
    newest = newest_revision()
    if revision is None or revision <= newest:
        return is_this_versions(revision)
    said = connection.execute(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")).scalar()
    return said is not None and said.startswith(_WORKS_FROM) and said.removeprefix(_WORKS_FROM) <= newest


def alembic_config() -> "AlembicConfig":
    """For Alembic's own commands."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # by far the longest to import of all that a start may need

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _copy(path: Path, revision: str) -> None:
    source, target = sqlite3.connect(path), sqlite3.connect(path.with_name(f"{path.name}.before-{revision}"))
    with source, target:
        source.backup(target)
    source.close()
    target.close()


def _no_driver_transactions(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None


def _async_engine(text_url: str) -> "AsyncEngine":
    from sqlalchemy.ext.asyncio import create_async_engine  # with the whole ORM, which SQLite's commands do without

    return create_async_engine(_async_url(text_url))


def _async_url(text_url: str) -> str:
    return "postgresql+asyncpg://" + text_url.split("://", 1)[1]
