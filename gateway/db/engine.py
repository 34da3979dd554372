"""Which database a URL means, and how it is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.db.postgresql import PostgresqlDatabase
from gateway.db.sqlite import SqliteDatabase, SqliteLock
from gateway.db.statements import Dialect
from gateway.db.writer import Apply, Committed, Database
from gateway.domain.clock import Clock

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome

_SQLITE_PREFIX = "sqlite:///"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A checked database URL: `sqlite:///path` (relative to the working folder unless it starts with another /) or `postgresql://…`."""

    text: str
    dialect: Dialect

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.text.removeprefix(_SQLITE_PREFIX))


def parse_database_url(text: str) -> DatabaseUrl:
    """Raises ValueError with what is allowed."""
    if text.startswith(_SQLITE_PREFIX) and len(text) > len(_SQLITE_PREFIX):
        return DatabaseUrl(text, Dialect.SQLITE)
    if text.startswith(("postgresql://", "postgres://")):
        return DatabaseUrl(text, Dialect.POSTGRESQL)
    raise ValueError("write sqlite:///var/gateway.db or postgresql://user:password@host/database")


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
