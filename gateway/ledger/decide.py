"""What may happen to money: pure functions over the books of one batch. No I/O, no clock, no ids of its own.

Invariants, asserted on every change: pending and posted are never negative; a hold is at most what every budget on its path has left; a hold
ends once, in the windows in which it was placed, and what was charged is at most what was held. A broken invariant raises AssertionError, which
undoes the whole batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import NOTHING, Amount
from gateway.domain.windows import NO_WINDOWS, WindowStarts, ends_at_ms, starts_at
from gateway.ledger.model import (
    NO_TERMS,
    Balance,
    BalanceKey,
    Books,
    BudgetRefusal,
    Ended,
    Entry,
    EntryKind,
    Grant,
    Granted,
    Held,
    Hold,
    HoldState,
    NoHold,
    Tightest,
    remaining_of,
)

_EMPTY = Balance()
_OF_GRANTED = (EntryKind.GRANT, EntryKind.ADJUST)


def place_hold(
    books: Books,
    task_id: TaskId,
    path: tuple[AccountId, ...],
    options: Sequence[Amount],
    credits_per_usd: Decimal,
    accepted_at_ms: int,
    now_ms: int,
) -> Held | BudgetRefusal:
    """Hold the first of the amounts (largest first) that fits every budget on the path; all accounts or none. The id must be new.

    It counts, from now on and when it ends, in the windows that `accepted_at_ms` lies in.
    """
    if task_id in books.holds:
        raise AssertionError(f"{task_id} is held for already")
    refusal: BudgetRefusal | None = None
    for index, amount in enumerate(options):
        if amount.is_negative:
            raise AssertionError(f"a hold cannot be negative: {amount}")
        refusal = None if amount == NOTHING else _refusal(books, path, amount, accepted_at_ms)
        if refusal is None:
            windows = tuple(windows_of(books, account, accepted_at_ms) for account in path)
            _hold(books, path, windows, amount, task_id, now_ms)
            books.holds[task_id] = Hold(task_id, path, amount, accepted_at_ms, windows=windows)
            books.placed.append(task_id)
            return Held(index, amount, remaining_microcredits(books, path, credits_per_usd, accepted_at_ms))
    if refusal is None:
        raise AssertionError("a hold needs at least one amount")
    return refusal


def raise_hold(
    books: Books, task_id: TaskId, options: Sequence[Amount], credits_per_usd: Decimal, now_ms: int
) -> Held | BudgetRefusal | NoHold:
    """Hold more for a task, in the windows in which it was placed: the first of the amounts (largest first) that fits; what is held already counts
    towards it, and none of it is given back. A hold that has ended is none."""
    hold = books.holds.get(task_id)
    if hold is None or hold.state is not HoldState.PENDING:
        return NoHold(task_id)
    refusal: BudgetRefusal | None = None
    for index, wanted in enumerate(options):
        amount = wanted.raised_to(hold.amount)
        more = amount - hold.amount
        refusal = None if more == NOTHING else _refusal(books, hold.path, more, hold.created_at_ms)
        if refusal is None:
            _hold(books, hold.path, hold.windows, more, task_id, now_ms)
            books.holds[task_id] = replace(hold, amount=amount)
            books.raised.append(task_id)
            remaining = remaining_microcredits(books, hold.path, credits_per_usd, hold.created_at_ms)
            return Held(index, amount, remaining)
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


def send_refusal(books: Books, sends: Iterable[tuple[AccountId, int, int]]) -> BudgetRefusal | None:
    """Which upstream's own budget has no room for these attempts (account, presumed microusd, when it is sent); None: all may go out.

    What is paid, in flight and in doubt in the windows of the sending counts. Where the actual costs came out above the presumed ones, more is used
    than the budget has, and nothing more goes out.
    """
    asked_microusd: dict[AccountId, int] = {}
    for upstream, presumed_microusd, sent_at_ms in sends:
        asked_microusd[upstream] = asked_microusd.get(upstream, 0) + presumed_microusd
        refusal = _refusal(books, (upstream,), Amount(microusd=asked_microusd[upstream]), sent_at_ms)
        if refusal is not None:
            return refusal
    return None


def send(
    books: Books,
    upstream: AccountId,
    task_id: TaskId,
    attempt_id: AttemptId,
    presumed_microusd: int,
    sent_at_ms: int,
    now_ms: int,
) -> None:
    """An attempt that nothing refuses goes out: its presumed cost is in flight at the upstream, in the windows of its `sent_at_ms`."""
    pending = Amount(microusd=presumed_microusd)
    windows = windows_of(books, upstream, sent_at_ms)
    _post(books, Entry(upstream, EntryKind.SEND, NOTHING, pending, now_ms, windows, task_id, attempt_id))


def pay(
    books: Books,
    upstream: AccountId,
    task_id: TaskId,
    attempt_id: AttemptId,
    presumed_microusd: int,
    cost_microusd: int,
    sent_at_ms: int,
    now_ms: int,
    note: str | None = None,
) -> None:
    """The attempt's bill is known (0: nothing was billed): no longer in flight or in doubt, and paid in the windows in which it was sent."""
    kind = EntryKind.PAID if cost_microusd else EntryKind.UNPAID
    _post(
        books,
        Entry(
            upstream,
            kind,
            Amount(microusd=cost_microusd),
            Amount(microusd=-presumed_microusd),
            now_ms,
            windows_of(books, upstream, sent_at_ms),
            task_id,
            attempt_id,
            note,
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
        _post(books, Entry(ours, kind, amount, NOTHING, now_ms, NO_WINDOWS, task_id, attempt_id))


def grant(books: Books, command: Grant, now_ms: int) -> Granted:
    """Grant prepaid credits, or take some back. Below what is used they may fall: then nothing can be held until more is granted.

    What an account used before it was prepaid, and was not granted then, is granted first, so that all of the new credits are left.
    """
    account, terms = command.account, books.terms.get(command.account, NO_TERMS)
    granted, total = _granted(books, account), _balance(books, account)
    used_microcredits = total.posted.microcredits + total.pending.microcredits
    opening = 0 if terms.prepaid else max(0, used_microcredits - granted.posted.microcredits)
    if granted.posted.microcredits + opening + command.microcredits < 0:
        return Granted(max(0, granted.posted.microcredits - used_microcredits), refused=True)
    if opening:
        note = "used before it was prepaid"
        _post(books, Entry(account, EntryKind.ADJUST, Amount(opening), NOTHING, now_ms, NO_WINDOWS, note=note))
    kind = EntryKind.GRANT if command.microcredits > 0 else EntryKind.ADJUST
    amount = Amount(command.microcredits)
    _post(books, Entry(account, kind, amount, NOTHING, now_ms, NO_WINDOWS, note=command.note))
    books.terms[account] = replace(terms, prepaid=True)
    return Granted(max(0, granted.posted.microcredits - used_microcredits), first=not terms.prepaid)


def remaining_microcredits(
    books: Books, path: Sequence[AccountId], credits_per_usd: Decimal, now_ms: int
) -> int | None:
    """What the tightest credit or USD budget on the path has left, in microcredits; None where none is limited."""
    found = tightest(books, path, credits_per_usd, now_ms)
    return None if found is None else found.left_microcredits


def tightest(books: Books, path: Sequence[AccountId], credits_per_usd: Decimal, now_ms: int) -> Tightest | None:
    """The credit or USD budget on the path that has the least left, of equals the nearest; None where none is limited."""
    found: Tightest | None = None
    for account in path:
        for budget, remaining in limits_of(books, account, now_ms):
            if budget.unit is Unit.IMAGES:
                continue
            microcredits = remaining if budget.unit is Unit.CREDITS else int(remaining * credits_per_usd)
            if found is None or microcredits < found.left_microcredits:
                found = Tightest(account, budget, remaining, microcredits)
    return found


def limits_of(books: Books, account: AccountId, now_ms: int) -> list[tuple[Budget, int]]:
    """All that limits an account now, with what is left of each, in its unit: its budgets, and its prepaid credits."""
    terms = books.terms.get(account, NO_TERMS)
    if terms is NO_TERMS:
        return []
    limits = [(budget, remaining_of(budget, used(books, account, budget.window, now_ms))) for budget in terms.budgets]
    if terms.prepaid:
        prepaid = Budget(_granted(books, account).posted.microcredits, Unit.CREDITS, Window.GRANTED)
        limits.append((prepaid, remaining_of(prepaid, _balance(books, account))))
    return limits


def used(books: Books, account: AccountId, window: Window, now_ms: int) -> Balance:
    """What is charged and held in the window that a moment lies in."""
    if window is Window.TOTAL:
        return _balance(books, account)
    start_ms = windows_of(books, account, now_ms).of(window)
    loaded = books.balances.get(BalanceKey(account, window, start_ms), _EMPTY)
    posted, pending = loaded.posted, loaded.pending
    for starts, moved in books.moved.get(account, {}).items():
        if starts.of(window) == start_ms:
            posted, pending = posted + moved.posted, pending + moved.pending
    return Balance(posted, pending)


def windows_of(books: Books, account: AccountId, moment_ms: int) -> WindowStarts:
    """The account's windows that a moment lies in."""
    return starts_at(moment_ms, books.terms.get(account, NO_TERMS).zone)


def _refusal(books: Books, path: Sequence[AccountId], amount: Amount, now_ms: int) -> BudgetRefusal | None:
    for account in path:
        for budget, left in limits_of(books, account, now_ms):
            needed = budget.unit.of(amount)
            if needed > left:
                zone = books.terms[account].zone
                return BudgetRefusal(account, budget, left, needed, ends_at_ms(budget.window, now_ms, zone), zone)
    return None


def _hold(
    books: Books,
    path: Sequence[AccountId],
    windows: Sequence[WindowStarts],
    amount: Amount,
    task_id: TaskId,
    now_ms: int,
) -> None:
    """Nothing changes no balance, and needs no entry."""
    for account, starts in zip(path, windows, strict=True):
        if amount != NOTHING:
            _post(books, Entry(account, EntryKind.HOLD, NOTHING, amount, now_ms, starts, task_id))


def _end(books: Books, hold: Hold, state: HoldState, charge: Amount, now_ms: int) -> Ended:
    kind = EntryKind.SETTLE if state is HoldState.SETTLED else EntryKind.RELEASE
    given_back = -hold.amount
    for account, starts in zip(hold.path, hold.windows, strict=True):
        if hold.amount != NOTHING:
            _post(books, Entry(account, kind, charge, given_back, now_ms, starts, hold.task_id))
    ended = Hold(hold.task_id, hold.path, hold.amount, hold.created_at_ms, state, charge, now_ms, hold.windows)
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
    if entry.kind in _OF_GRANTED:
        balance = _granted(books, entry.account)
    else:
        balance = _balance(books, entry.account)
        if entry.windows is not NO_WINDOWS:
            _move(books, entry)
    posted = balance.posted if entry.posted is NOTHING else balance.posted + entry.posted
    pending = balance.pending if entry.pending is NOTHING else balance.pending + entry.pending
    if posted.is_negative or pending.is_negative:
        raise AssertionError(f"{entry} would make a balance negative: {balance}")
    balance.posted, balance.pending = posted, pending
    books.entries.append(entry)
    books.touched.add(entry.account)


def _move(books: Books, entry: Entry) -> None:
    of_account = books.moved.setdefault(entry.account, {})
    moved = of_account.get(entry.windows)
    if moved is None:
        of_account[entry.windows] = Balance(entry.posted, entry.pending)
        return
    if entry.posted is not NOTHING:
        moved.posted += entry.posted
    if entry.pending is not NOTHING:
        moved.pending += entry.pending


def _granted(books: Books, account: AccountId) -> Balance:
    return books.balances.setdefault(BalanceKey(account, Window.GRANTED), Balance())
