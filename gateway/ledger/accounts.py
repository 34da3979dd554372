"""The rows of accounts: who pays, under whom, with which budgets. Runs in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import Connection
from gateway.db.schema import accounts, balances
from gateway.db.statements import Statement, insert_rows, update_rows
from gateway.domain.accounts import ANY, UNLIMITED, Account, AccountKind, Budget, Limits, Window, parse_budget
from gateway.domain.ids import AccountId
from gateway.ledger.model import Balance, BalanceKey
from gateway.ledger.store import budgets_text, read_books

_COLUMNS = ("id", "kind", "name", "parent_id", "budgets", "disabled", "created_at_ms", "limits", "zone", "prepaid")
_ADD = insert_rows(accounts, _COLUMNS, ignore_repeats=True)
_BALANCE_COLUMNS = (
    "account_id", "time_window", "window_start_ms", *(f"{part}_{unit}" for part in ("posted", "pending")
    for unit in ("microcredits", "microusd", "images")),
)  # fmt: skip
# With the account, not with its first call: a batch that makes rows while it holds others locked can meet another that does the same,
# and PostgreSQL ends such a deadlock by failing one of them.
_ADD_BALANCES = insert_rows(balances, _BALANCE_COLUMNS, ignore_repeats=True)
_CHANGE = update_rows(accounts, ("id",), ("budgets", "disabled", "limits", "zone"))
_SET_PREPAID = update_rows(accounts, ("id",), ("prepaid",))
_ALL = Statement(select(*(accounts.c[name] for name in _COLUMNS)).order_by(accounts.c.id).limit(bindparam("size")))

ACCOUNTS_MAX = 100_000
"""Accounts that one process keeps in memory for authentication: some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """An account with what is charged and held on it."""

    account: Account
    balance: Balance


async def put_accounts(connection: Connection, given: Sequence[Account], now_ms: int) -> None:
    """Make these accounts, parents first; where one exists, it takes the given budgets and limits. Names and parents never change."""
    await connection.write(_ADD, [_row(account, now_ms) for account in given])
    await connection.write(_ADD_BALANCES, _first_balances(given))
    await connection.write(
        _CHANGE,
        [
            (
                budgets_text(account.budgets),
                int(account.disabled),
                limits_text(account.limits),
                account.zone,
                account.id,
            )
            for account in given
        ],
    )


async def set_prepaid(connection: Connection, account: AccountId, *, prepaid: bool) -> None:
    """Whether it may spend only what was granted to it. `put_accounts` leaves this as it is: it goes with the money."""
    await connection.write(_SET_PREPAID, [(int(prepaid), account)])


async def add_accounts(connection: Connection, given: Sequence[Account], now_ms: int) -> None:
    """Make those of these accounts that do not exist; the others stay as they are."""
    await connection.write(_ADD, [_row(account, now_ms) for account in given])
    await connection.write(_ADD_BALANCES, _first_balances(given))


async def read_accounts(connection: Connection) -> list[Account]:
    """All accounts, by id."""
    return [
        Account(
            AccountId(str(row[0])),
            AccountKind(str(row[1])),
            str(row[2]),
            None if row[3] is None else AccountId(str(row[3])),
            _budgets(str(row[4])),
            bool(row[5]),
            read_limits(None if row[7] is None else str(row[7])),
            str(row[8]),
            bool(row[9]),
        )
        for row in await connection.fetch(_ALL, size=ACCOUNTS_MAX)
    ]


async def read_balances(connection: Connection) -> list[AccountBalance]:
    """All accounts with their balances, by id."""
    found = await read_accounts(connection)
    books = await read_books(connection, [account.id for account in found])
    return [AccountBalance(account, books.balances[BalanceKey(account.id)]) for account in found]


def _row(account: Account, now_ms: int) -> tuple[str | int | None, ...]:
    return (
        account.id, account.kind.value, account.name, account.parent, budgets_text(account.budgets), int(account.disabled), now_ms,
        limits_text(account.limits), account.zone, int(account.prepaid),
    )  # fmt: skip


def _first_balances(given: Sequence[Account]) -> list[tuple[str | int, ...]]:
    return [(account, Window.TOTAL.value, 0, *(0,) * 6) for account in sorted(account.id for account in given)]


def _budgets(text: str) -> tuple[Budget, ...]:
    return tuple(map(parse_budget, orjson.loads(text)))


def limits_text(limits: Limits) -> str | None:
    """As the column keeps it: a JSON object of what is limited, by the config's names; None where nothing is."""
    wanted = {
        "rpm": limits.requests_per_minute,
        "concurrency": limits.concurrent_tasks,
        "models": None if limits.models == ANY else list(limits.models),
        "sizes": None if limits.sizes == ANY else list(limits.sizes),
        "n_max": limits.n_max,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return orjson.dumps(given).decode() if given else None


def read_limits(text: str | None) -> Limits:
    """What `limits_text` wrote; what a later version added is left alone."""
    if text is None:
        return UNLIMITED
    given = orjson.loads(text)
    return Limits(
        given.get("rpm"),
        given.get("concurrency"),
        tuple(given.get("models", ANY)),
        tuple(given.get("sizes", ANY)),
        given.get("n_max"),
    )
