"""Bring a database to this version's schema.

SQLite: `serve` does it itself, under the file's lock: foreign keys off, one explicit transaction, after a copy of the file
(`<file>.before-<revision>`), then a foreign-key check. PostgreSQL: `gateway migrate`, beside running gateways of the version before, step by step
(gateway/db/online.py); `serve` only refuses a schema that it cannot work on. How it fails: MigrationFailed. SQLite's file is then as it was;
PostgreSQL has the steps that were done, with which the version before works on, and the next try goes on from there.
"""

import asyncio
import sqlite3
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
_WORKS_FROM = "works from "
WORKS_FROM = "0011"
"""The newest revision of the oldest version whose code works on this version's schema. It stands in the database for older versions to read:
they go on working, and start, on a schema that is newer than theirs. To be raised with a step that takes away what versions before it use."""


class MigrationFailed(Exception):
    """The schema could not be brought to this version. The text names the cause."""


async def migrate(url: DatabaseUrl) -> tuple[str | None, str]:
    """The revision before and after. Raises MigrationFailed."""
    try:
        if url.dialect is Dialect.SQLITE:
            return _migrate_sqlite(url.path)
        return await _migrate_postgresql(url.text)
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
    """The revision that this version's code needs: the number of the last migration's file. Asked without Alembic, which most starts do not need."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


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
                _upgrade(connection)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise MigrationFailed(f"rows without their parent after the migration: {broken[:5]}")
    finally:
        engine.dispose()
    path.chmod(0o600)
    return before, newest_revision()


async def _migrate_postgresql(text_url: str) -> tuple[str | None, str]:
    engine = _async_engine(text_url)
    try:
        async with engine.connect() as connection:
            await _have_turn(connection)
            before = await connection.run_sync(_current)
            if before is not None and before > newest_revision():
                if await connection.run_sync(lambda c: _fits(c, before)):
                    return before, before
                raise MigrationFailed(
                    f"a newer version of the gateway made it {before}, on which this one does not work"
                )
            await connection.commit()
            if before != newest_revision():
                await connection.run_sync(_upgrade)
            await connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_WORKS_FROM}{WORKS_FROM}'"))
            await connection.commit()
    finally:
        await engine.dispose()
    return before, newest_revision()


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
        return revision == newest
    said = connection.execute(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")).scalar()
    return said is not None and said.startswith(_WORKS_FROM) and said.removeprefix(_WORKS_FROM) <= newest


def alembic_config() -> "AlembicConfig":
    """For Alembic's own commands."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command  # by far the longest to import of all that a start may need

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


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
