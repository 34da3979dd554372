"""What may happen to money: pure functions over the books of one batch. No I/O, no clock, no ids of its own.

Invariants, asserted on every change: pending and posted are never negative; a hold is at most what every budget on its path has left; a hold
ends once, and what was charged is at most what was held. A broken invariant raises AssertionError, which undoes the whole batch.
"""

from collections.abc import Sequence
from decimal import Decimal

from gateway.domain.accounts import Unit
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import NOTHING, Amount
from gateway.ledger.model import (
    Balance,
    BalanceKey,
    Books,
    BudgetRefusal,
    Ended,
    Entry,
    EntryKind,
    Held,
    Hold,
    HoldState,
    NoHold,
    remaining_of,
)


def place_hold(
    books: Books,
    task_id: TaskId,
    path: tuple[AccountId, ...],
    options: Sequence[Amount],
    credits_per_usd: Decimal,
    now_ms: int,
) -> Held | BudgetRefusal:
    """Hold the first of the amounts (largest first) that fits every budget on the path; all accounts or none. The id must be new."""
    if task_id in books.holds:
        raise AssertionError(f"{task_id} is held for already")
    refusal: BudgetRefusal | None = None
    for index, amount in enumerate(options):
        if amount.is_negative:
            raise AssertionError(f"a hold cannot be negative: {amount}")
        refusal = _refusal(books, path, amount)
        if refusal is None:
            for account in path:
                _post(books, Entry(account, EntryKind.HOLD, NOTHING, amount, now_ms, task_id))
            books.holds[task_id] = Hold(task_id, path, amount, now_ms)
            books.placed.append(task_id)
            return Held(index, amount, remaining_microcredits(books, path, credits_per_usd))
    if refusal is None:
        raise AssertionError("a hold needs at least one amount")
    return refusal


def settle(books: Books, task_id: TaskId, charge: Amount, now_ms: int) -> Ended | NoHold:
    """Charge what was delivered and give the rest back, on every account of the path. `charge` above the hold is the caller's bug: cap it before."""
    hold = books.holds.get(task_id)
    if hold is None:
        return NoHold(task_id)
    if hold.state is not HoldState.PENDING:
        return Ended(hold, first=False)
    if charge.is_negative or (hold.amount - charge).is_negative:
        raise AssertionError(f"{task_id}: a charge of {charge} does not fit its hold of {hold.amount}")
    return _end(books, hold, HoldState.SETTLED, charge, now_ms)


def release(books: Books, task_id: TaskId, now_ms: int) -> Ended | NoHold:
    """Give everything back."""
    hold = books.holds.get(task_id)
    if hold is None:
        return NoHold(task_id)
    if hold.state is not HoldState.PENDING:
        return Ended(hold, first=False)
    return _end(books, hold, HoldState.RELEASED, NOTHING, now_ms)


def send(
    books: Books, upstream: AccountId, task_id: TaskId, attempt_id: AttemptId, presumed_microusd: int, now_ms: int
) -> None:
    """An attempt goes out: its presumed cost is in flight at the upstream."""
    pending = Amount(microusd=presumed_microusd)
    _post(books, Entry(upstream, EntryKind.SEND, NOTHING, pending, now_ms, task_id, attempt_id))


def pay(
    books: Books,
    upstream: AccountId,
    task_id: TaskId,
    attempt_id: AttemptId,
    presumed_microusd: int,
    cost_microusd: int,
    now_ms: int,
) -> None:
    """The attempt's bill is known (0: nothing was billed): no longer in flight or in doubt."""
    kind = EntryKind.PAID if cost_microusd else EntryKind.UNPAID
    _post(
        books,
        Entry(
            upstream,
            kind,
            Amount(microusd=cost_microusd),
            Amount(microusd=-presumed_microusd),
            now_ms,
            task_id,
            attempt_id,
        ),
    )


def lose(
    books: Books,
    ours: AccountId,
    kind: EntryKind,
    amount: Amount,
    now_ms: int,
    task_id: TaskId,
    attempt_id: AttemptId | None = None,
) -> None:
    """Book what no caller pays for on our own account: LOSS or OVERRUN."""
    if amount != NOTHING:
        _post(books, Entry(ours, kind, amount, NOTHING, now_ms, task_id, attempt_id))


def remaining_microcredits(books: Books, path: Sequence[AccountId], credits_per_usd: Decimal) -> int | None:
    """What the tightest credit or USD budget on the path has left, in microcredits; None where none is limited."""
    left: list[int] = []
    for account in path:
        for budget in books.budgets.get(account, ()):
            remaining = remaining_of(budget, _balance(books, account))
            if budget.unit is Unit.CREDITS:
                left.append(remaining)
            elif budget.unit is Unit.USD:
                left.append(int(remaining * credits_per_usd))
    return min(left) if left else None


def _refusal(books: Books, path: Sequence[AccountId], amount: Amount) -> BudgetRefusal | None:
    for account in path:
        for budget in books.budgets.get(account, ()):
            left, needed = remaining_of(budget, _balance(books, account)), budget.unit.of(amount)
            if needed > left:
                return BudgetRefusal(account, budget, left, needed)
    return None


def _end(books: Books, hold: Hold, state: HoldState, charge: Amount, now_ms: int) -> Ended:
    kind = EntryKind.SETTLE if state is HoldState.SETTLED else EntryKind.RELEASE
    given_back = -hold.amount
    for account in hold.path:
        _post(books, Entry(account, kind, charge, given_back, now_ms, hold.task_id))
    ended = Hold(hold.task_id, hold.path, hold.amount, hold.created_at_ms, state, charge, now_ms)
    books.holds[hold.task_id] = ended
    books.ended.append(hold.task_id)
    return Ended(ended, first=True)


def _balance(books: Books, account: AccountId) -> Balance:
    balance = books.totals.get(account)
    if balance is None:
        balance = books.balances.get(BalanceKey(account))
        if balance is None:
            raise AssertionError(f"the balance of {account} was not loaded")
        books.totals[account] = balance
    return balance


def _post(books: Books, entry: Entry) -> None:
    balance = _balance(books, entry.account)
    posted = balance.posted if entry.posted is NOTHING else balance.posted + entry.posted
    pending = balance.pending if entry.pending is NOTHING else balance.pending + entry.pending
    if posted.is_negative or pending.is_negative:
        raise AssertionError(f"{entry} would make a balance negative: {balance}")
    balance.posted, balance.pending = posted, pending
    books.entries.append(entry)
    books.touched.add(entry.account)
