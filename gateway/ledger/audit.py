"""Recompute every balance from the entries, and every pending balance from the holds, and name each difference. Read-only.

Entries are summed in id ranges. On SQLite, where reading shares a thread with writing, each range is a read of its own, and only the last one
is taken together with the balances; on PostgreSQL everything comes from one snapshot, which blocks nobody (and where ids may commit out of order).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeVar

import orjson
from sqlalchemy import bindparam, func, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import accounts, balances, entries, holds
from gateway.db.statements import Dialect, Statement
from gateway.domain.accounts import AccountKind, Window
from gateway.ledger.model import HoldState

T = TypeVar("T")

RANGE_ROWS = 5_000
"""Entries summed by one query: some milliseconds."""
POSTED = ("posted_microcredits", "posted_microusd", "posted_images")
PENDING = ("pending_microcredits", "pending_microusd", "pending_images")
_ZEROES = (0, 0, 0, 0, 0, 0)

_LAST_ENTRY = Statement(select(func.max(entries.c.id)))
_SUM_RANGE = Statement(
    select(entries.c.account_id, func.count(), *(func.sum(entries.c[name]) for name in (*POSTED, *PENDING)))
    .where(entries.c.id > bindparam("after"), entries.c.id <= bindparam("upto"))
    .group_by(entries.c.account_id)
)
_BALANCES = Statement(
    select(balances.c.account_id, *(balances.c[name] for name in (*POSTED, *PENDING))).where(
        balances.c.time_window == Window.TOTAL.value
    )
)
_PENDING_HOLDS = Statement(
    select(holds.c.path, holds.c.held_microcredits, holds.c.held_microusd, holds.c.held_images).where(
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
    by_account: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, rows: list[Row], upto: int) -> None:
        for account, count, *values in rows:
            self.entries += _number(count)
            before = self.by_account.get(str(account), _ZEROES)
            self.by_account[str(account)] = tuple(a + _number(b) for a, b in zip(before, values, strict=True))
        self.after = upto


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
        str(account): tuple(_number(value) for value in values)
        for account, *values in await connection.fetch(_BALANCES)
    }
    pending = await connection.fetch(_PENDING_HOLDS)
    kinds = {str(account): str(kind) for account, kind in await connection.fetch(_KINDS)}
    differences = [*_entry_differences(stored, sums), *_hold_differences(stored, pending, kinds)]
    return AuditReport(len(stored), sums.entries, len(pending), tuple(differences))


def _entry_differences(stored: dict[str, tuple[int, ...]], sums: _Sums) -> list[Difference]:
    return [
        Difference(account, f"{name}, by its entries,", have, want)
        for account in sorted(stored.keys() | sums.by_account.keys())
        for name, have, want in zip(
            (*POSTED, *PENDING), stored.get(account, _ZEROES), sums.by_account.get(account, _ZEROES), strict=True
        )
        if have != want
    ]


def _hold_differences(
    stored: dict[str, tuple[int, ...]], pending: list[Row], kinds: dict[str, str]
) -> list[Difference]:
    """What is pending on a key, team or org must be the sum of its pending holds."""
    held: dict[str, tuple[int, ...]] = {}
    for path, *amounts in pending:
        for account in orjson.loads(str(path)):
            before = held.get(account, (0, 0, 0))
            held[account] = tuple(a + _number(b) for a, b in zip(before, amounts, strict=True))
    payers = (AccountKind.ORG.value, AccountKind.TEAM.value, AccountKind.KEY.value)
    return [
        Difference(account, f"{name}, by its holds,", have, want)
        for account in sorted(stored.keys() | held.keys())
        if kinds.get(account) in payers
        for name, have, want in zip(
            PENDING, stored.get(account, _ZEROES)[3:], held.get(account, (0, 0, 0)), strict=True
        )
        if have != want
    ]


def _number(value: object) -> int:
    """SUM is a NUMERIC on PostgreSQL and None over no rows."""
    return 0 if value is None else int(Decimal(str(value)))
