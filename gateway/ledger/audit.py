"""Recompute every balance from the entries, and every pending balance from the holds, and name each difference. Read-only.

Entries are summed in id ranges. On SQLite, where reading shares a thread with writing, each range is a read of its own, and only the last one
is taken together with the balances; on PostgreSQL everything comes from one snapshot, which blocks nobody (and where ids may commit out of order).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeVar

import orjson
from sqlalchemy import bindparam, func, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import accounts, balances, entries, holds
from gateway.db.statements import Statement
from gateway.db.url import Dialect
from gateway.domain.accounts import AccountKind, Window
from gateway.domain.ids import AccountId
from gateway.domain.windows import NO_WINDOWS, WindowStarts
from gateway.ledger.model import BalanceKey, EntryKind, HoldState

T = TypeVar("T")

RANGE_ROWS = 5_000
"""Entries summed by one query: some milliseconds."""
POSTED = ("posted_microcredits", "posted_microusd", "posted_images")
PENDING = ("pending_microcredits", "pending_microusd", "pending_images")
_ZEROES = (0, 0, 0, 0, 0, 0)

_LAST_ENTRY = Statement(select(func.max(entries.c.id)))
_ENTRY_GROUP = [entries.c[name] for name in ("account_id", "kind", "day_ms", "week_ms", "month_ms")]
_SUM_RANGE = Statement(
    select(*_ENTRY_GROUP, func.count(), *(func.sum(entries.c[name]) for name in (*POSTED, *PENDING)))
    .where(entries.c.id > bindparam("after"), entries.c.id <= bindparam("upto"))
    .group_by(*_ENTRY_GROUP)
)
_BALANCES = Statement(
    select(
        balances.c.account_id, balances.c.time_window, balances.c.window_start_ms,
        *(balances.c[name] for name in (*POSTED, *PENDING)),
    )
)  # fmt: skip
_PENDING_HOLDS = Statement(
    select(holds.c.path, holds.c.windows, holds.c.held_microcredits, holds.c.held_microusd, holds.c.held_images).where(
        holds.c.state == HoldState.PENDING.value
    )
)
_KINDS = Statement(select(accounts.c.id, accounts.c.kind))


class Reader(Protocol):
    """What an audit needs of a database."""

    dialect: Dialect

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that does not agree with what it is made of."""

    account: str
    what: str
    stored: int
    expected: int

    def __str__(self) -> str:
        return f"{self.account}: {self.what} is {self.stored}, should be {self.expected}"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit looked at and what it found."""

    accounts: int
    entries: int
    holds_pending: int
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class _Sums:
    """Sums of entries up to an id."""

    after: int = 0
    entries: int = 0
    by_row: dict[BalanceKey, tuple[int, ...]] = field(default_factory=dict)

    def add(self, rows: list[Row], upto: int) -> None:
        for account, kind, day, week, month, count, *values in rows:
            self.entries += _number(count)
            starts = WindowStarts(_number(day), _number(week), _number(month))
            granted = EntryKind(str(kind)) in (EntryKind.GRANT, EntryKind.ADJUST)
            for key in _granted_row(str(account)) if granted else _rows_of(str(account), starts):
                before = self.by_row.get(key, _ZEROES)
                self.by_row[key] = tuple(a + _number(b) for a, b in zip(before, values, strict=True))
        self.after = upto


def _granted_row(account: str) -> list[BalanceKey]:
    return [BalanceKey(AccountId(account), Window.GRANTED)]


def _rows_of(account: str, starts: WindowStarts) -> list[BalanceKey]:
    """Its total, and where the windows are known their rows."""
    windows = (Window.TOTAL, Window.DAY, Window.WEEK, Window.MONTH) if starts != NO_WINDOWS else (Window.TOTAL,)
    return [BalanceKey(AccountId(account), window, starts.of(window)) for window in windows]


async def audit(database: Reader) -> AuditReport:
    """Audit the whole ledger. Raises StorageUnavailable where the database does not answer."""
    sums = _Sums()
    if database.dialect is Dialect.SQLITE:
        while await database.read(lambda connection: _sum_one_range(connection, sums)):
            pass
    return await database.read(lambda connection: _finish(connection, sums))


async def _sum_one_range(connection: Connection, sums: _Sums) -> bool:
    """Sum the next range; False when fewer than a range's rows are left, for the last read to take."""
    last = _number((await connection.fetch(_LAST_ENTRY))[0][0])
    upto = sums.after + RANGE_ROWS
    if last < upto:
        return False
    sums.add(await connection.fetch(_SUM_RANGE, after=sums.after, upto=upto), upto)
    return True


async def _finish(connection: Connection, sums: _Sums) -> AuditReport:
    """The rest of the entries, the balances and the holds, all as of one moment."""
    last = _number((await connection.fetch(_LAST_ENTRY))[0][0])
    while sums.after < last:
        upto = min(sums.after + RANGE_ROWS, last)
        sums.add(await connection.fetch(_SUM_RANGE, after=sums.after, upto=upto), upto)
    stored = {
        BalanceKey(AccountId(str(account)), Window(str(window)), _number(start)): tuple(map(_number, values))
        for account, window, start, *values in await connection.fetch(_BALANCES)
    }
    pending = await connection.fetch(_PENDING_HOLDS)
    kinds = {str(account): str(kind) for account, kind in await connection.fetch(_KINDS)}
    differences = [*_entry_differences(stored, sums), *_hold_differences(stored, pending, kinds)]
    accounts_seen = {key.account for key in stored}
    return AuditReport(len(accounts_seen), sums.entries, len(pending), tuple(differences))


def _entry_differences(stored: Mapping[BalanceKey, tuple[int, ...]], sums: _Sums) -> list[Difference]:
    return [
        Difference(_name(key), f"{name}, by its entries,", have, want)
        for key in sorted(stored.keys() | sums.by_row.keys(), key=lambda key: key.order)
        for name, have, want in zip(
            (*POSTED, *PENDING), stored.get(key, _ZEROES), sums.by_row.get(key, _ZEROES), strict=True
        )
        if have != want
    ]


def _hold_differences(
    stored: Mapping[BalanceKey, tuple[int, ...]], pending: list[Row], kinds: dict[str, str]
) -> list[Difference]:
    """What is pending on a key, team or org, in any window, must be the sum of its pending holds."""
    held: dict[BalanceKey, tuple[int, ...]] = {}
    for path, windows, *amounts in pending:
        payers = orjson.loads(str(path))
        # A hold that was placed before windows were kept has none.
        for account, starts in zip(payers, orjson.loads(str(windows)) or [(0, 0, 0)] * len(payers), strict=True):
            for key in _rows_of(account, WindowStarts(*starts)):
                before = held.get(key, (0, 0, 0))
                held[key] = tuple(a + _number(b) for a, b in zip(before, amounts, strict=True))
    kinds_of_payers = (AccountKind.ORG.value, AccountKind.TEAM.value, AccountKind.KEY.value)
    return [
        Difference(_name(key), f"{name}, by its holds,", have, want)
        for key in sorted(stored.keys() | held.keys(), key=lambda key: key.order)
        if kinds.get(key.account) in kinds_of_payers
        for name, have, want in zip(PENDING, stored.get(key, _ZEROES)[3:], held.get(key, (0, 0, 0)), strict=True)
        if have != want
    ]


def _name(key: BalanceKey) -> str:
    return key.account if key.window is Window.TOTAL else f"{key.account} {key.window} {key.window_start_ms}"


def _number(value: object) -> int:
    """SUM is a NUMERIC on PostgreSQL and None over no rows."""
    return 0 if value is None else int(Decimal(str(value)))
