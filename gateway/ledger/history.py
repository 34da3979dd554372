"""What was booked for one task: its hold, and its entries in their order. Read-only.

Entries have no index but their id's, which grows with time: where the task's time begins is found by halving, then ranges are read until its end was
seen. On SQLite each range is a read of its own, so that writing never waits long. How it fails: StorageUnavailable; a task whose end is too
far from its beginning shows what was found, and says so.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import bindparam, func, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import entries
from gateway.db.statements import Statement
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import Amount
from gateway.ledger import store as ledger_store
from gateway.ledger.model import EntryKind, Hold

T = TypeVar("T")

RANGE_ROWS = 5_000
"""Some milliseconds."""
RANGES_MAX = 200
SKEW_MS = 5_000
"""Clocks of processes, and transactions that took their time before they were committed."""
ENDS = (EntryKind.SETTLE, EntryKind.RELEASE)

_HOLD = Statement(ledger_store.HOLDS)
_LAST = Statement(select(func.max(entries.c.id)))
_NEXT = Statement(
    select(entries.c.id, entries.c.at_ms)
    .where(entries.c.id >= bindparam("first"))
    .order_by(entries.c.id)
    .limit(bindparam("count"))
)
_COLUMNS = (
    "id", "account_id", "attempt_id", "kind", "posted_microcredits", "posted_microusd", "posted_images", "pending_microcredits",
    "pending_microusd", "pending_images", "at_ms", "note",
)  # fmt: skip
_OF_TASK = Statement(
    select(*(entries.c[name] for name in _COLUMNS))
    .where(entries.c.id >= bindparam("first"), entries.c.id < bindparam("upto"), entries.c.task_id == bindparam("task"))
    .order_by(entries.c.id)
)


class Reader(Protocol):
    """What this needs of a database."""

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """One line of the books."""

    id: int
    account: AccountId
    attempt_id: str | None
    kind: str
    posted: Amount
    pending: Amount
    at_ms: int
    note: str | None


@dataclass(frozen=True, slots=True)
class History:
    """`whole` is False where the search was given up before the task's end was found."""

    hold: Hold | None
    entries: tuple[BookedEntry, ...]
    whole: bool


async def history(database: Reader, task_id: TaskId, created_at_ms: int, until_ms: int) -> History:
    """Of a task that was accepted and ended at about these times. What was corrected later is not looked for."""
    hold = await database.read(lambda connection: _read_hold(connection, task_id))
    first = await database.read(lambda connection: _first_since(connection, created_at_ms - SKEW_MS))
    found: list[BookedEntry] = []
    ends_due = len(hold.path) if hold is not None else 0
    for _ in range(RANGES_MAX):
        rows, at_ms = await database.read(lambda connection, first=first: _range(connection, task_id, first))  # type: ignore[misc]  # mypy takes no default in a lambda for the value it is
        found += map(_entry, rows)
        if sum(entry.kind in ENDS for entry in found) >= ends_due > 0 or at_ms is None or at_ms > until_ms + SKEW_MS:
            return History(hold, tuple(found), True)
        first += RANGE_ROWS
    return History(hold, tuple(found), False)


async def _read_hold(connection: Connection, task_id: TaskId) -> Hold | None:
    rows = await connection.fetch(_HOLD, held=[task_id])
    return ledger_store.load_books({}, (), (), rows).holds.get(task_id)


async def _first_since(connection: Connection, at_ms: int) -> int:
    """The id from which on entries are not older."""
    low, high = 0, _number((await connection.fetch(_LAST))[0][0]) + 1
    while low < high:
        middle = (low + high) // 2
        rows = await connection.fetch(_NEXT, first=middle, count=1)
        if not rows or _number(rows[0][1]) >= at_ms:
            high = middle
        else:
            low = _number(rows[0][0]) + 1
    return low


async def _range(connection: Connection, task_id: TaskId, first: int) -> tuple[list[Row], int | None]:
    """The task's entries of one range, and when the entry after it was made; None: there is none."""
    rows = await connection.fetch(_OF_TASK, first=first, upto=first + RANGE_ROWS, task=task_id)
    after = await connection.fetch(_NEXT, first=first + RANGE_ROWS, count=1)
    return rows, _number(after[0][1]) if after else None


def _entry(row: Row) -> BookedEntry:
    entry_id, account, attempt, kind, *amounts, at_ms, note = row
    numbers = [_number(value) for value in amounts]
    return BookedEntry(
        _number(entry_id),
        AccountId(str(account)),
        None if attempt is None else str(attempt),
        str(kind),
        Amount(*numbers[:3]),
        Amount(*numbers[3:]),
        _number(at_ms),
        None if note is None else str(note),
    )


def _number(value: str | int | None) -> int:
    return int(value or 0)
