"""Changes of tables while gateways of the version before work on them: what migrations use from 0012 on, instead of Alembic's own operations.

On PostgreSQL each change is a transaction of its own, so that no two tables are ever locked together; it waits LOCK_WAIT for its lock, since
all others queue behind whoever waits for a table, and then steps back and tries again. An index is built beside the writers (CONCURRENTLY).
Each may be run again: a migration that broke off goes on where it ended. On SQLite nobody else works, and all is one transaction. How it fails:
OperationalError where a table was never free in LOCK_TRIES, or transactions that are older than an index did not end in INDEX_WAIT.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

LOCK_WAIT = "500ms"
"""A call's transaction that comes meanwhile waits as long at most. Less than PostgreSQL's deadlock_timeout: in doubt the migration yields."""
LOCK_TRIES = 300
PAUSE_S = 1.0
INDEX_WAIT = "15min"
"""Building an index ends when every transaction that is older has ended, e.g. a backup; nobody waits for it."""
_LOCK_NOT_AVAILABLE = "55P03"


def add_column(table: str, column: "sa.Column[int] | sa.Column[str]") -> None:
    """One that may be null or has a constant default: then no row is written."""
    if not column.nullable and column.server_default is None:
        raise AssertionError(f"{table}.{column.name}: rows from before, and the version before, have no value for it")
    if not _is_postgresql():
        op.add_column(table, column)
        return
    _patiently(lambda: op.add_column(table, column, if_not_exists=True))


def drop_unique(table: str, name: str) -> None:
    """A UNIQUE constraint, with its index."""
    if not _is_postgresql():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="unique")
        return
    _patiently(lambda: op.drop_constraint(name, table, type_="unique", if_exists=True))


def create_index(name: str, table: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """An index of a table that has been there before."""
    condition = None if where is None else sa.text(where)
    if not _is_postgresql():
        op.create_index(name, table, columns, sqlite_where=condition)
        return
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{INDEX_WAIT}'")
        # One that was broken off is there, invalid.
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_where=condition, postgresql_concurrently=True)


def drop_index(name: str, table: str) -> None:
    """One that no version in use asks any more."""
    if not _is_postgresql():
        op.drop_index(name, table_name=table)
        return
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{INDEX_WAIT}'")
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _patiently(change: Callable[[], None]) -> None:
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        for left in reversed(range(LOCK_TRIES)):
            try:
                change()
            except DBAPIError as exc:
                if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or not left:
                    raise
                op.execute(f"SELECT pg_sleep({PAUSE_S})")
            else:
                return
