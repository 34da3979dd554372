"""The ledger's rows: loading the books of a batch under lock, and the bulk statements that write them back.

Everything runs in the caller's transaction. On PostgreSQL balance rows are locked FOR UPDATE in the order of BalanceKey.order, before anything
else is locked; BUDGETS and HOLDS are asked afterwards, by another statement and so with a newer snapshot (READ COMMITTED): a limit lowered before
the lock was granted is seen, and a hold, which changes only under the locks of its path, cannot change any more.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import accounts, balances, entries, holds
from gateway.db.statements import BulkStatement, Statement, any_of, insert_rows, update_rows
from gateway.domain.accounts import Budget, Window, parse_budget
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import Amount
from gateway.ledger.model import Balance, BalanceKey, Books, Entry, Hold, HoldState

_AMOUNTS = ("microcredits", "microusd", "images")
_BALANCE_SUMS = tuple(f"{part}_{unit}" for part in ("posted", "pending") for unit in _AMOUNTS)
_BALANCE_KEYS = ("account_id", "time_window", "window_start_ms")

_LOCK_BALANCES = Statement(
    select(*(balances.c[name] for name in (*_BALANCE_KEYS, *_BALANCE_SUMS)))
    .where(any_of(balances.c.account_id, "ids"))
    .order_by(balances.c.account_id, balances.c.time_window, balances.c.window_start_ms),
    postgresql_suffix="FOR UPDATE",
)
_READ_BALANCES = Statement(
    select(*(balances.c[name] for name in (*_BALANCE_KEYS, *_BALANCE_SUMS))).where(any_of(balances.c.account_id, "ids"))
)
_ADD_BALANCES = insert_rows(balances, (*_BALANCE_KEYS, *_BALANCE_SUMS), ignore_repeats=True)
_SAVE_BALANCES = update_rows(balances, _BALANCE_KEYS, _BALANCE_SUMS)
BUDGETS = select(accounts.c.id, accounts.c.budgets).where(any_of(accounts.c.id, "accounts"))
"""Of `accounts`, sorted or not."""
_BUDGETS = Statement(BUDGETS)

_HOLD_COLUMNS = (
    "task_id", "path", *(f"held_{u}" for u in _AMOUNTS), *(f"settled_{u}" for u in _AMOUNTS), "state", "created_at_ms", "ended_at_ms",
)  # fmt: skip
HOLDS = select(*(holds.c[name] for name in _HOLD_COLUMNS)).where(any_of(holds.c.task_id, "held"))
"""Of the tasks `held`."""
_READ_PATHS = Statement(select(holds.c.path).where(any_of(holds.c.task_id, "ids")))
_ADD_HOLDS = insert_rows(holds, _HOLD_COLUMNS)
_END_HOLDS = update_rows(holds, ("task_id",), (*(f"settled_{u}" for u in _AMOUNTS), "state", "ended_at_ms"))
_OLDEST_PENDING = Statement(
    select(holds.c.created_at_ms)
    .where(holds.c.state == HoldState.PENDING.value)
    .order_by(holds.c.created_at_ms)
    .limit(bindparam("count"))
)
_ADD_ENTRIES = insert_rows(
    entries, ("account_id", "task_id", "attempt_id", "kind", *_BALANCE_SUMS, "at_ms", "note")
)  # fmt: skip


async def lock_balances(connection: Connection, account_ids: Collection[AccountId]) -> dict[BalanceKey, Balance]:
    """The balances of these accounts, locked until the transaction ends. Missing rows are made."""
    if not account_ids:
        return {}
    ids = sorted(account_ids)
    rows = await connection.fetch(_LOCK_BALANCES, ids=ids)
    if len(rows) < len(ids):
        present = {row[0] for row in rows}
        missing = [(account, Window.TOTAL.value, 0, 0, 0, 0, 0, 0, 0) for account in ids if account not in present]
        await connection.write(_ADD_BALANCES, missing)
        rows = await connection.fetch(_LOCK_BALANCES, ids=ids)
    return dict(map(_balance, rows))


def load_books(balances: dict[BalanceKey, Balance], budget_rows: Sequence[Row], hold_rows: Sequence[Row]) -> Books:
    """The books from locked balances, and from the rows of BUDGETS and HOLDS that were asked for after locking them."""
    books = Books(balances, {AccountId(str(account)): _budgets(str(text)) for account, text in budget_rows})
    for row in hold_rows:
        hold = _hold(row)
        books.holds[hold.task_id] = hold
    return books


async def read_paths(connection: Connection, task_ids: Sequence[TaskId]) -> set[AccountId]:
    """The accounts that these tasks' holds are on. A path never changes, so it may be read before anything is locked."""
    return {
        AccountId(account)
        for (path,) in await connection.fetch(_READ_PATHS, ids=list(task_ids))
        for account in orjson.loads(str(path))
    }


def changes(books: Books) -> list[tuple[BulkStatement, BulkRows]]:
    """What writes down what was decided: balances, entries, holds. No row is written twice."""
    placed = set(books.placed)
    return [
        (
            _SAVE_BALANCES,
            [
                (*_sums(balance), key.account, key.window.value, key.window_start_ms)
                for key, balance in books.balances.items()
                if key.account in books.touched
            ],
        ),
        (_ADD_ENTRIES, [_entry_row(entry) for entry in books.entries]),
        (_ADD_HOLDS, [_hold_row(books.holds[task_id]) for task_id in books.placed]),
        (_END_HOLDS, [_hold_end(books.holds[task_id]) for task_id in books.ended if task_id not in placed]),
    ]


async def read_books(connection: Connection, account_ids: Collection[AccountId]) -> Books:
    """Balances and budgets as they are committed, without locks: for showing what is left, never for deciding."""
    ids = sorted(account_ids)
    books = Books(balances={BalanceKey(account): Balance() for account in ids})
    books.balances.update(map(_balance, await connection.fetch(_READ_BALANCES, ids=ids)))
    for account, budgets in await connection.fetch(_BUDGETS, accounts=ids):
        books.budgets[AccountId(str(account))] = _budgets(str(budgets))
    return books


async def oldest_pending_hold_ms(connection: Connection) -> int | None:
    """When the oldest hold that is still pending was placed."""
    rows = await connection.fetch(_OLDEST_PENDING, count=1)
    return _int(rows[0][0]) if rows else None


def budgets_text(budgets: Sequence[Budget]) -> str:
    """Budgets as they are stored: a JSON list of their texts."""
    return orjson.dumps([str(budget) for budget in budgets]).decode()


@lru_cache(maxsize=4096)  # parsed anew with every batch otherwise; the text itself is read under the lock every time
def _budgets(text: str) -> tuple[Budget, ...]:
    return tuple(map(parse_budget, orjson.loads(text))) if text != "[]" else ()


def _balance(row: Row) -> tuple[BalanceKey, Balance]:
    account, window, start, *sums = row
    numbers = [_int(value) for value in sums]
    return (
        BalanceKey(AccountId(str(account)), Window(str(window)), _int(start)),
        Balance(Amount(*numbers[:3]), Amount(*numbers[3:])),
    )


def _hold(row: Row) -> Hold:
    task_id, path, *numbers, state, created, ended = row
    values = [_int(value) for value in numbers]
    return Hold(
        TaskId(str(task_id)),
        tuple(AccountId(account) for account in orjson.loads(str(path))),
        Amount(*values[:3]),
        _int(created),
        HoldState(str(state)),
        Amount(*values[3:]),
        None if ended is None else _int(ended),
    )


def _hold_row(hold: Hold) -> tuple[str | int | None, ...]:
    path = orjson.dumps(hold.path).decode()
    return (
        hold.task_id, path, *_parts(hold.amount), *_parts(hold.settled), hold.state.value, hold.created_at_ms, hold.ended_at_ms,
    )  # fmt: skip


def _hold_end(hold: Hold) -> tuple[str | int | None, ...]:
    return *_parts(hold.settled), hold.state.value, hold.ended_at_ms, hold.task_id


def _entry_row(entry: Entry) -> tuple[str | int | None, ...]:
    return (
        entry.account, entry.task_id, entry.attempt_id, entry.kind.value, *_parts(entry.posted), *_parts(entry.pending), entry.at_ms, entry.note,
    )  # fmt: skip


def _parts(amount: Amount) -> tuple[int, int, int]:
    return amount.microcredits, amount.microusd, amount.images


def _sums(balance: Balance) -> tuple[int, ...]:
    return (*_parts(balance.posted), *_parts(balance.pending))


def _int(value: str | int | None) -> int:
    if not isinstance(value, int):
        raise AssertionError(f"a number was expected in the row, not {value!r}")
    return value
