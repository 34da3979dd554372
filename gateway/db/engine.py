"""How the database of a URL is opened."""

from typing import TypeVar

from gateway.db.postgresql import PostgresqlDatabase
from gateway.db.sqlite import SqliteDatabase, SqliteLock
from gateway.db.url import DatabaseUrl, Dialect
from gateway.db.writer import Apply, Committed, Database
from gateway.domain.clock import Clock

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome


async def open_database(
    url: DatabaseUrl,
    apply: Apply[C, O],
    clock: Clock,
    lock: SqliteLock | None = None,
    committed: Committed | None = None,
) -> Database[C, O]:
    """Open a migrated database. SQLite needs its lock, already held (`SqliteLock.acquire`)."""
    if url.dialect is Dialect.SQLITE:
        if lock is None:
            raise AssertionError("SQLite is opened under its lock")
        sqlite_database = SqliteDatabase(url.path, lock, apply, clock, committed)
        await sqlite_database.start()
        return sqlite_database
    postgresql_database = PostgresqlDatabase(url.text, apply, clock, committed)
    await postgresql_database.start()
    return postgresql_database
