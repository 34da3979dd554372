"""What stores run their statements on: one interface over the two drivers, written once as coroutines.

SQLite's connection lives in a thread of its own and never waits for anything, so the very same coroutines are driven there to their end by
`run_to_end`, as one synchronous call. PostgreSQL's are awaited on the event loop.
"""

from collections.abc import Coroutine, Sequence
from typing import Protocol, TypeVar

from gateway.db.statements import BulkStatement, Statement, Together, Value
from gateway.db.url import Dialect

T = TypeVar("T")

Row = Sequence[str | int | None]
BulkValue = str | int | None
BulkRows = Sequence[Sequence[BulkValue]]


class Connection(Protocol):
    """Inside a transaction of the caller, or one statement at a time. Foreign errors leave as StorageUnavailable or StatementFailed."""

    dialect: Dialect

    async def fetch(self, statement: Statement, **values: Value) -> list[Row]:
        """All rows of a query, or of the RETURNING of a write."""
        ...

    async def fetch_together(self, queries: Together, **values: Value) -> list[list[Row]]:
        """All rows of each of several queries."""
        ...

    async def execute(self, statement: Statement, **values: Value) -> None:
        """A write without an answer."""
        ...

    async def write(self, statement: BulkStatement, rows: BulkRows) -> None:
        """One bulk statement; nothing where there are no rows."""
        ...

    async def write_together(self, writes: Sequence[tuple[BulkStatement, BulkRows]]) -> None:
        """Several bulk statements in no particular order, none of which sees what another writes: no two may write to one row."""
        ...


class StatementFailed(Exception):
    """The database refused a statement: a broken constraint or a bug of ours. Another try would fail in the same way."""


def run_to_end(coroutine: Coroutine[object, object, T]) -> T:
    """Drive a coroutine that never really waits. Where it does, it is not fit for SQLite's thread: RuntimeError is raised in it, at that place."""
    try:
        coroutine.send(None)
        while (
            True
        ):  # thrown inside, so that a batch can be rolled back and halved like after any other fault of a command
            coroutine.throw(RuntimeError("a database operation waited for something other than the database"))
    except StopIteration as stop:
        result: T = stop.value
        return result
