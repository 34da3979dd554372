"""What administrators read of the entries, and the callers' own ids of grants. Runs in the caller's transaction.

Entries have no index but the id's, so they are read backwards by ranges of ids, and whoever reads says where to go on.
"""

from dataclasses import dataclass

from sqlalchemy import Text, bindparam, func, or_, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import entries, grant_ids
from gateway.db.statements import Statement, insert_rows
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import Amount
from gateway.domain.windows import NO_WINDOWS
from gateway.ledger.model import Entry, EntryKind

RANGE_ROWS = 20_000
"""Entries looked at by one query: some milliseconds."""

_SUMS = tuple(f"{part}_{unit}" for part in ("posted", "pending") for unit in ("microcredits", "microusd", "images"))
_COLUMNS = ("id", "account_id", "kind", "at_ms", "task_id", "attempt_id", "note", *_SUMS)
_RANGE = Statement(
    select(*(entries.c[name] for name in _COLUMNS))
    .where(
        entries.c.id < bindparam("before"),
        entries.c.id >= bindparam("first"),
        entries.c.account_id == bindparam("account"),
        or_(bindparam("any_task", type_=Text()) == "yes", entries.c.task_id == bindparam("of_task")),
    )
    .order_by(entries.c.id.desc())
    .limit(bindparam("size"))
)
_LAST = Statement(select(func.max(entries.c.id)))
_ADD_GRANT_ID = insert_rows(grant_ids, ("account_id", "id", "microcredits", "at_ms"))
_GRANT_ID = Statement(
    select(grant_ids.c.microcredits).where(
        grant_ids.c.account_id == bindparam("account"), grant_ids.c.id == bindparam("given")
    )
)


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    """An entry with its id, by which entries are ordered. Its windows are not read."""

    id: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class EntryRange:
    """Entries found below an id, newest first. `before` is where to go on; None: there are no older entries."""

    entries: tuple[NumberedEntry, ...]
    before: int | None


async def read_range(
    connection: Connection, account: AccountId, *, task: str | None, before: int, size: int
) -> EntryRange:
    """The account's newest entries below an id, of at most RANGE_ROWS looked at."""
    last = (await connection.fetch(_LAST))[0][0]
    before = min(before, int(last or 0) + 1)
    first = max(1, before - RANGE_ROWS)
    rows = await connection.fetch(
        _RANGE, before=before, first=first, account=account, any_task="no" if task else "yes", of_task=task or "", size=size
    )  # fmt: skip
    found = tuple(map(_entry, rows))
    reached = found[-1].id if len(found) == size else first
    return EntryRange(found, reached if reached > 1 else None)


async def add_grant_id(connection: Connection, account: AccountId, given: str, microcredits: int, at_ms: int) -> None:
    """Fails the transaction where the account had a grant of this id before."""
    await connection.write(_ADD_GRANT_ID, [(account, given, microcredits, at_ms)])


async def read_grant_id(connection: Connection, account: AccountId, given: str) -> int | None:
    """How many microcredits were granted under this id; None: none was."""
    rows = await connection.fetch(_GRANT_ID, account=account, given=given)
    return int(rows[0][0] or 0) if rows else None


def _entry(row: Row) -> NumberedEntry:
    entry_id, account, kind, at_ms, task, attempt, note, *sums = row
    numbers = [int(value or 0) for value in sums]
    entry = Entry(
        AccountId(str(account)),
        EntryKind(str(kind)),
        Amount(*numbers[:3]),
        Amount(*numbers[3:]),
        int(at_ms or 0),
        NO_WINDOWS,
        None if task is None else TaskId(str(task)),
        None if attempt is None else AttemptId(str(attempt)),
        None if note is None else str(note),
    )
    return NumberedEntry(int(entry_id or 0), entry)
