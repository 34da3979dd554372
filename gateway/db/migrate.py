"""Bring a database to this version's schema.

SQLite: `serve` does it itself, under the file's lock: foreign keys off, one explicit transaction, after a copy of the file
(`<file>.before-<revision>`), then a foreign-key check. PostgreSQL: `gateway migrate`, one transaction; `serve` only refuses an old schema. How it
fails: MigrationFailed, and the database is as it was.
"""

import sqlite3
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.url import DatabaseUrl, Dialect

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig
    from sqlalchemy.ext.asyncio import AsyncEngine

_FOLDER = Path(__file__).with_name("migrations")
_LOCK_ID = 0x1A6E_6A7E
"""Any constant: two processes that migrate at once wait for each other (pg_advisory_xact_lock)."""


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


async def revision_of_postgresql(url: DatabaseUrl) -> str | None:
    """The schema's revision, None where there is none. Raises MigrationFailed where the database does not answer."""
    engine = _async_engine(url.text)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
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
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
            before = await connection.run_sync(_current)
            if before != newest_revision():
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    return before, newest_revision()


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
