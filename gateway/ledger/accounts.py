"""The rows of accounts: who pays, under whom, with which budgets. Runs in the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson
from sqlalchemy import Text, bindparam, func, or_, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import accounts, balances
from gateway.db.statements import Statement, any_of, insert_rows, update_rows
from gateway.domain.accounts import ANY, UNLIMITED, Account, AccountKind, Budget, Limits, Window, parse_budget
from gateway.domain.ids import AccountId
from gateway.domain.windows import ends_at_ms
from gateway.ledger import decide
from gateway.ledger.model import Balance, BalanceKey, Books, remaining_of
from gateway.ledger.store import budgets_text, read_books

_COLUMNS = (
    "id", "kind", "name", "parent_id", "budgets", "disabled", "created_at_ms", "limits", "zone", "prepaid", "markup", "declared",
)  # fmt: skip
_ADD = insert_rows(accounts, _COLUMNS, ignore_repeats=True)
_BALANCE_COLUMNS = (
    "account_id", "time_window", "window_start_ms", *(f"{part}_{unit}" for part in ("posted", "pending")
    for unit in ("microcredits", "microusd", "images")),
)  # fmt: skip
# With the account, not with its first call: a batch that makes rows while it holds others locked can meet another that does the same,
# and PostgreSQL ends such a deadlock by failing one of them.
_ADD_BALANCES = insert_rows(balances, _BALANCE_COLUMNS, ignore_repeats=True)
_CHANGE = update_rows(accounts, ("id",), ("budgets", "disabled", "limits", "zone", "markup", "declared"))
_SET_PREPAID = update_rows(accounts, ("id",), ("prepaid",))
_LIMITED = Statement(
    select(accounts.c.id)
    .where(
        accounts.c.id > bindparam("after"),
        accounts.c.disabled == 0,
        or_(accounts.c.budgets != "[]", accounts.c.prepaid == 1),
    )
    .order_by(accounts.c.id)
    .limit(bindparam("size"))
)
_SELECT = select(*(accounts.c[name] for name in _COLUMNS))
_ALL = Statement(_SELECT.order_by(accounts.c.id).limit(bindparam("size")))
_ONE = Statement(_SELECT.where(accounts.c.id == bindparam("account")))
# NO KEY UPDATE, as an UPDATE of these columns takes: it waits for other changes of the account, and no call waits for it.
_LOCK_ONE = Statement(_SELECT.where(accounts.c.id == bindparam("account")), postgresql_suffix="FOR NO KEY UPDATE")
_LOCK_SEVERAL = Statement(
    select(accounts.c.id).where(any_of(accounts.c.id, "ids")).order_by(accounts.c.id),
    postgresql_suffix="FOR NO KEY UPDATE",
)
_text = Text()
_PAGE = Statement(
    _SELECT.where(
        accounts.c.id > bindparam("after"),
        or_(bindparam("any_kind", type_=_text) == "yes", accounts.c.kind == bindparam("of_kind")),
        or_(
            bindparam("any_org", type_=_text) == "yes",
            accounts.c.id == bindparam("org_id"),
            *(
                func.substr(accounts.c.id, 1, func.length(bindparam(name, type_=_text))) == bindparam(name, type_=_text)
                for name in ("teams", "keys")
            ),
        ),
    )
    .order_by(accounts.c.id)
    .limit(bindparam("size"))
)

ACCOUNTS_MAX = 100_000
"""Accounts that one process keeps in memory for authentication: some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget at one moment. `used` is charged, `held` set aside; all in the budget's unit (micro, or images).

    `resets_at_ms` is when it begins anew; None where it never does.
    """

    budget: Budget
    used: int
    held: int
    left: int
    resets_at_ms: int | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account with what was ever charged and is held on it, and where it stands within each of its budgets."""

    account: Account
    balance: Balance
    budgets: tuple[BudgetState, ...] = ()
    granted_microcredits: int = 0
    """What a prepaid account was granted in sum."""

    @property
    def prepaid_left_microcredits(self) -> int:
        used = self.balance.posted.microcredits + self.balance.pending.microcredits
        return max(0, self.granted_microcredits - used)


async def put_accounts(connection: Connection, given: Sequence[Account], now_ms: int) -> None:
    """Make these accounts, parents first; where one exists, it takes the given terms. Names and parents never change."""
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
                _markup_text(account.markup),
                int(account.declared),
                account.id,
            )
            for account in sorted(given, key=lambda account: account.id)
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
    return [_account(row) for row in await connection.fetch(_ALL, size=ACCOUNTS_MAX)]


async def read_account(connection: Connection, account: AccountId) -> Account | None:
    rows = await connection.fetch(_ONE, account=account)
    return _account(rows[0]) if rows else None


async def lock_account(connection: Connection, account: AccountId) -> Account | None:
    """One account as it is now; nobody else changes its terms until the transaction ends. Calls go on meanwhile."""
    rows = await connection.fetch(_LOCK_ONE, account=account)
    return _account(rows[0]) if rows else None


async def lock_accounts(connection: Connection, account_ids: Collection[AccountId]) -> None:
    """As `lock_account`, several in the order of their ids; nothing where there are none."""
    if account_ids:
        await connection.fetch(_LOCK_SEVERAL, ids=sorted(account_ids))


async def read_page(
    connection: Connection, *, org: str | None, kind: AccountKind | None, after: str, size: int
) -> list[Account]:
    """Accounts behind an id, by id. `org`: on that org's paths alone."""
    rows = await connection.fetch(
        _PAGE,
        after=after,
        any_kind="yes" if kind is None else "no",
        of_kind=kind or "",
        any_org="yes" if org is None else "no",
        org_id=f"org:{org}",
        teams=f"team:{org}/",
        keys=f"key:{org}/",
        size=size,
    )
    return [_account(row) for row in rows]


async def read_states(connection: Connection, found: Sequence[Account], now_ms: int) -> list[AccountState]:
    """Where these accounts stand at a moment, in their order."""
    books = await read_books(connection, [account.id for account in found], now_ms)
    return [_state(books, account, now_ms) for account in found]


def _state(books: Books, account: Account, now_ms: int) -> AccountState:
    budgets = []
    for budget in account.budgets:
        within = decide.used(books, account.id, budget.window, now_ms)
        used, held = budget.unit.of(within.posted), budget.unit.of(within.pending)
        resets_at_ms = ends_at_ms(budget.window, now_ms, account.zone)
        budgets.append(BudgetState(budget, used, held, remaining_of(budget, within), resets_at_ms))
    granted = books.balances.get(BalanceKey(account.id, Window.GRANTED), Balance())
    return AccountState(account, books.balances[BalanceKey(account.id)], tuple(budgets), granted.posted.microcredits)


def _account(row: Row) -> Account:
    account, kind, name, parent, budgets, disabled, _, limits, zone, prepaid, markup, declared = row
    return Account(
        AccountId(str(account)),
        AccountKind(str(kind)),
        str(name),
        None if parent is None else AccountId(str(parent)),
        _budgets(str(budgets)),
        bool(disabled),
        read_limits(None if limits is None else str(limits)),
        str(zone),
        bool(prepaid),
        None if markup is None else Decimal(str(markup)),
        bool(declared),
    )


async def read_limited_ids(connection: Connection, *, after: str, size: int) -> list[AccountId]:
    """Ids beyond one, of accounts with a budget or prepaid credits, our own books' included; not of disabled ones."""
    return [AccountId(str(row[0])) for row in await connection.fetch(_LIMITED, after=after, size=size)]


def _row(account: Account, now_ms: int) -> tuple[str | int | None, ...]:
    return (
        account.id, account.kind.value, account.name, account.parent, budgets_text(account.budgets), int(account.disabled), now_ms,
        limits_text(account.limits), account.zone, int(account.prepaid), _markup_text(account.markup), int(account.declared),
    )  # fmt: skip


def _first_balances(given: Sequence[Account]) -> list[tuple[str | int, ...]]:
    return [(account, Window.TOTAL.value, 0, *(0,) * 6) for account in sorted(account.id for account in given)]


def _markup_text(markup: Decimal | None) -> str | None:
    return None if markup is None else f"{markup:f}"


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
