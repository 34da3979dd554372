"""The ledger's rows: loading the books of a batch under lock, and the bulk statements that write them back.

Everything runs in the caller's transaction. On PostgreSQL the total rows of accounts are locked FOR UPDATE in the order of their ids, before anything
else is locked; each is the lock of all its account's rows. TERMS, WINDOWS and HOLDS are asked afterwards, by another statement and so with a newer
snapshot (READ COMMITTED): a limit lowered before the lock was granted is seen, and windows and holds, which change only under these locks, cannot
change any more. Rows of calendar windows are made when something is first added to them.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import accounts, balances, entries, holds
from gateway.db.statements import BulkStatement, Statement, add_to_rows, any_of, insert_rows, update_rows
from gateway.db.values import number
from gateway.domain.accounts import Budget, Window, parse_budget
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import Amount
from gateway.domain.windows import NO_WINDOWS, WindowStarts, starts_at
from gateway.ledger.model import Balance, BalanceKey, Books, Entry, EntryKind, Hold, HoldState, Terms

_AMOUNTS = ("microcredits", "microusd", "images")
_BALANCE_SUMS = tuple(f"{part}_{unit}" for part in ("posted", "pending") for unit in _AMOUNTS)
_BALANCE_KEYS = ("account_id", "time_window", "window_start_ms")

CALENDAR = (Window.DAY, Window.WEEK, Window.MONTH)
_BESIDES_TOTAL = tuple(window.value for window in (*CALENDAR, Window.GRANTED))

_balance_columns = [balances.c[name] for name in (*_BALANCE_KEYS, *_BALANCE_SUMS)]
_totals = (
    select(*_balance_columns)
    .where(any_of(balances.c.account_id, "ids"), balances.c.time_window == Window.TOTAL.value)
    .order_by(balances.c.account_id)
)
_LOCK_BALANCES = Statement(_totals, postgresql_suffix="FOR UPDATE")
_READ_BALANCES = Statement(_totals)
WINDOWS = select(*_balance_columns).where(
    any_of(balances.c.account_id, "accounts"),
    any_of(balances.c.time_window, "windows"),
    any_of(balances.c.window_start_ms, "starts"),
)
"""Of `accounts`, the rows of `windows` (BESIDES_TOTAL) that begin at one of `starts`."""
_WINDOWS = Statement(WINDOWS)
BESIDES_TOTAL = list(_BESIDES_TOTAL)
EVERY_WINDOW = [*_BESIDES_TOTAL, Window.TOTAL.value]
"""For accounts that are not locked; a locked one's total is the same as it was locked."""
_ADD_BALANCES = insert_rows(balances, (*_BALANCE_KEYS, *_BALANCE_SUMS), ignore_repeats=True)
_SAVE_BALANCES = update_rows(balances, _BALANCE_KEYS, _BALANCE_SUMS)
_MOVE_UP = add_to_rows(balances, _BALANCE_KEYS, _BALANCE_SUMS, making=True)
_MOVE_DOWN = add_to_rows(balances, _BALANCE_KEYS, _BALANCE_SUMS, making=False)
TERMS = select(accounts.c.id, accounts.c.budgets, accounts.c.zone, accounts.c.prepaid).where(
    any_of(accounts.c.id, "accounts")
)
"""Of `accounts`, sorted or not."""
_TERMS = Statement(TERMS)

_HOLD_COLUMNS = (
    "task_id", "path", *(f"held_{u}" for u in _AMOUNTS), *(f"settled_{u}" for u in _AMOUNTS), "state", "created_at_ms", "ended_at_ms",
    "windows",
)  # fmt: skip
HOLDS = select(*(holds.c[name] for name in _HOLD_COLUMNS)).where(any_of(holds.c.task_id, "held"))
"""Of the tasks `held`."""
_READ_PATHS = Statement(select(holds.c.path).where(any_of(holds.c.task_id, "ids")))
_ADD_HOLDS = insert_rows(holds, _HOLD_COLUMNS)
_END_HOLDS = update_rows(holds, ("task_id",), (*(f"settled_{u}" for u in _AMOUNTS), "state", "ended_at_ms"))
_RAISE_HOLDS = update_rows(holds, ("task_id",), tuple(f"held_{u}" for u in _AMOUNTS))
_OLDEST_PENDING = Statement(
    select(holds.c.created_at_ms)
    .where(holds.c.state == HoldState.PENDING.value)
    .order_by(holds.c.created_at_ms)
    .limit(bindparam("count"))
)
_ADD_ENTRIES = insert_rows(
    entries, ("account_id", "task_id", "attempt_id", "kind", *_BALANCE_SUMS, "at_ms", "note", "day_ms", "week_ms", "month_ms")
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


def load_books(
    balances: dict[BalanceKey, Balance],
    term_rows: Sequence[Row],
    window_rows: Sequence[Row],
    hold_rows: Sequence[Row],
    shown: Collection[AccountId] = (),
) -> Books:
    """The books from locked balances, and from the rows of TERMS, WINDOWS and HOLDS that were asked for after locking them.

    `shown`: accounts that are not locked, of which nothing may be changed; what nobody has ever held on has no row.
    """
    balances.update(map(_balance, window_rows))
    for account in shown:
        balances.setdefault(BalanceKey(account), Balance())
    books = Books(balances, dict(map(_terms_of, term_rows)))
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


async def load_windows(
    connection: Connection, books: Books, account_ids: Collection[AccountId], starts: Collection[int]
) -> None:
    """More rows of calendar windows, of accounts whose totals are locked."""
    rows = await connection.fetch(_WINDOWS, accounts=sorted(account_ids), windows=BESIDES_TOTAL, starts=sorted(starts))
    books.balances.update(map(_balance, rows))


async def show_balances(
    connection: Connection, books: Books, account_ids: Collection[AccountId], moments_ms: Collection[int]
) -> None:
    """Totals and the windows of these moments, of accounts whose terms are in the books and whose totals are not locked: to show, not to change."""
    starts = starts_of({books.terms[account].zone for account in account_ids}, moments_ms)
    rows = await connection.fetch(_WINDOWS, accounts=sorted(account_ids), windows=EVERY_WINDOW, starts=sorted(starts))
    books.balances.update((BalanceKey(account), Balance()) for account in account_ids)
    books.balances.update(map(_balance, rows))


def changes(books: Books) -> list[tuple[BulkStatement, BulkRows]]:
    """What writes down what was decided: balances, entries, holds. No row is written twice."""
    placed = set(books.placed)
    moves = _moves(books)
    return [
        (
            _SAVE_BALANCES,
            [
                (*_sums(balance), key.account, key.window.value, key.window_start_ms)
                for key, balance in books.balances.items()
                if key.window is Window.TOTAL and key.account in books.touched
            ],
        ),
        (_MOVE_UP, [row for row in moves if min(row[3:]) >= 0]),
        (_MOVE_DOWN, [row for row in moves if min(row[3:]) < 0]),
        (_ADD_ENTRIES, [_entry_row(entry) for entry in books.entries]),
        (_ADD_HOLDS, [_hold_row(books.holds[task_id]) for task_id in books.placed]),
        (
            _RAISE_HOLDS,
            [(*_parts(books.holds[id].amount), id) for id in dict.fromkeys(books.raised) if id not in placed],
        ),
        (_END_HOLDS, [_hold_end(books.holds[task_id]) for task_id in books.ended if task_id not in placed]),
    ]


def _moves(books: Books) -> "list[tuple[str, str, int, int, int, int, int, int, int]]":
    """What is added to each row besides the totals. A week's row gathers what was moved in several days."""
    sums: dict[BalanceKey, Balance] = {}
    for account, moved in books.moved.items():
        for starts, change in moved.items():
            for window in CALENDAR:
                _add(sums, BalanceKey(account, window, starts.of(window)), change)
    for entry in books.entries:
        if entry.kind in (EntryKind.GRANT, EntryKind.ADJUST):
            _add(sums, BalanceKey(entry.account, Window.GRANTED), Balance(entry.posted, entry.pending))
    return [
        (key.account, key.window.value, key.window_start_ms, *_parts(change.posted), *_parts(change.pending))
        for key, change in sorted(sums.items(), key=lambda item: item[0].order)
    ]


def _add(sums: dict[BalanceKey, Balance], key: BalanceKey, change: Balance) -> None:
    before = sums.get(key)
    sums[key] = (
        Balance(change.posted, change.pending)
        if before is None
        else Balance(before.posted + change.posted, before.pending + change.pending)
    )


async def read_books(connection: Connection, account_ids: Collection[AccountId], now_ms: int = 0) -> Books:
    """As they are committed, with the windows that a moment lies in. Without locks: for showing what is left, never for deciding."""
    ids = sorted(account_ids)
    books = Books(balances={BalanceKey(account): Balance() for account in ids})
    books.balances.update(map(_balance, await connection.fetch(_READ_BALANCES, ids=ids)))
    books.terms.update(map(_terms_of, await connection.fetch(_TERMS, accounts=ids)))
    await load_windows(connection, books, ids, starts_of({terms.zone for terms in books.terms.values()}, (now_ms,)))
    return books


def starts_of(zones: Iterable[str], moments_ms: Iterable[int]) -> set[int]:
    """When the windows of these moments begin, in any of these zones; and 0, where granted credits stand."""
    moments = list(moments_ms)
    found = {0}
    for zone in zones:
        for moment_ms in moments:
            starts = starts_at(moment_ms, zone)
            found.update((starts.day_ms, starts.week_ms, starts.month_ms))
    return found


async def oldest_pending_hold_ms(connection: Connection) -> int | None:
    """When the oldest hold that is still pending was placed."""
    rows = await connection.fetch(_OLDEST_PENDING, count=1)
    return number(rows[0][0]) if rows else None


def budgets_text(budgets: Sequence[Budget]) -> str:
    """Budgets as they are stored: a JSON list of their texts."""
    return orjson.dumps([str(budget) for budget in budgets]).decode()


@lru_cache(maxsize=4096)  # parsed anew with every batch otherwise; the text itself is read under the lock every time
def _budgets(text: str) -> tuple[Budget, ...]:
    return tuple(map(parse_budget, orjson.loads(text))) if text != "[]" else ()


def _terms_of(row: Row) -> tuple[AccountId, Terms]:
    account, budgets, zone, prepaid = row
    return AccountId(str(account)), _terms(str(budgets), str(zone), bool(prepaid))


@lru_cache(maxsize=4096)
def _terms(budgets: str, zone: str, prepaid: bool) -> Terms:
    return Terms(_budgets(budgets), zone, prepaid)


def _balance(row: Row) -> tuple[BalanceKey, Balance]:
    account, window, start, *sums = row
    numbers = [number(value) for value in sums]
    return (
        BalanceKey(AccountId(str(account)), Window(str(window)), number(start)),
        Balance(Amount(*numbers[:3]), Amount(*numbers[3:])),
    )


def _hold(row: Row) -> Hold:
    task_id, path, *numbers, state, created, ended, windows = row
    values = [number(value) for value in numbers]
    payers = tuple(map(AccountId, orjson.loads(str(path))))
    return Hold(
        TaskId(str(task_id)),
        payers,
        Amount(*values[:3]),
        number(created),
        HoldState(str(state)),
        Amount(*values[3:]),
        None if ended is None else number(ended),
        _windows(str(windows), len(payers)),
    )


def _windows(text: str, accounts: int) -> tuple[WindowStarts, ...]:
    """A hold that was placed before windows were kept has none; it ends in the totals alone."""
    starts = orjson.loads(text)
    return tuple(WindowStarts(*each) if any(each) else NO_WINDOWS for each in starts) or (NO_WINDOWS,) * accounts


def _hold_row(hold: Hold) -> tuple[str | int | None, ...]:
    path = orjson.dumps(hold.path).decode()
    return (
        hold.task_id, path, *_parts(hold.amount), *_parts(hold.settled), hold.state.value, hold.created_at_ms, hold.ended_at_ms,
        _windows_text(hold.windows),
    )  # fmt: skip


@lru_cache(maxsize=1024)  # the same all day
def _windows_text(windows: tuple[WindowStarts, ...]) -> str:
    return orjson.dumps([[starts.day_ms, starts.week_ms, starts.month_ms] for starts in windows]).decode()


def _hold_end(hold: Hold) -> tuple[str | int | None, ...]:
    return *_parts(hold.settled), hold.state.value, hold.ended_at_ms, hold.task_id


def _entry_row(entry: Entry) -> tuple[str | int | None, ...]:
    return (
        entry.account, entry.task_id, entry.attempt_id, entry.kind.value, *_parts(entry.posted), *_parts(entry.pending), entry.at_ms, entry.note,
        entry.windows.day_ms, entry.windows.week_ms, entry.windows.month_ms,
    )  # fmt: skip


def _parts(amount: Amount) -> tuple[int, int, int]:
    return amount.microcredits, amount.microusd, amount.images


def _sums(balance: Balance) -> tuple[int, ...]:
    return (*_parts(balance.posted), *_parts(balance.pending))
