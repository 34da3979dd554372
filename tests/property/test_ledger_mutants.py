"""Bugs planted in the ledger, one at a time: the state machine must catch every one, or it proves nothing."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.domain.money import NOTHING, Amount
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.model import BalanceKey, Books, Ended, Entry, EntryKind, Hold, HoldState, remaining_of
from gateway.pipeline import apply as batch
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.ledger_driving import drive_ledger
from tests.property.ledger_world import UPSTREAM, Ledger
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.test_ledger_machine import machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


@plant
def double_settle(patch: pytest.MonkeyPatch) -> None:
    """An ended hold is settled again."""
    genuine = decide.settle

    def settle(books: Books, task_id, charge, now_ms):
        hold = books.holds[task_id]
        books.holds[task_id] = replace(hold, state=HoldState.PENDING)
        return genuine(books, task_id, charge, now_ms)

    patch.setattr(decide, "settle", settle)
    patch.setattr(batch, "_lost", lambda work, task_id, epoch: None)


@plant
def leaked_rest(patch: pytest.MonkeyPatch) -> None:
    """What was held beyond the charge stays pending."""
    patch.setattr(decide, "_end", _ending(lambda hold, charge: -charge if charge != NOTHING else -hold.amount))


@plant
def over_capture(patch: pytest.MonkeyPatch) -> None:
    """A charge above the hold is not capped."""
    patch.setattr(Amount, "capped_at", lambda self, limit: self)
    patch.setattr(decide, "settle", _settle_unchecked)


@plant
def hold_not_released_on_failure(patch: pytest.MonkeyPatch) -> None:
    """A failed task keeps its hold."""

    def release(books: Books, task_id, now_ms):
        hold = replace(books.holds[task_id], state=HoldState.RELEASED, ended_at_ms=now_ms)
        books.holds[task_id] = hold
        books.ended.append(task_id)
        return Ended(hold, first=True)

    patch.setattr(decide, "release", release)


@plant
def wrong_account(patch: pytest.MonkeyPatch) -> None:
    """The team is left out of the path."""
    genuine = decide.place_hold

    def place_hold(books, task_id, path, *rest):
        return genuine(books, task_id, (path[0], path[-1]), *rest)

    patch.setattr(decide, "place_hold", place_hold)


@plant
def budget_of_the_key_only(patch: pytest.MonkeyPatch) -> None:
    """Team and org budgets are not asked."""
    genuine = decide._refusal
    patch.setattr(decide, "_refusal", lambda books, path, *rest: genuine(books, path[:1], *rest))


@plant
def pending_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A budget counts only what is charged already: concurrent calls overspend it."""
    patch.setattr(decide, "remaining_of", lambda budget, balance: budget.limit - budget.unit.of(balance.posted))


@plant
def off_by_one(patch: pytest.MonkeyPatch) -> None:
    """One micro-credit more than the budget fits."""
    patch.setattr(decide, "remaining_of", lambda budget, balance: remaining_of(budget, balance) + 1)


@plant
def batch_does_not_see_its_own_holds(patch: pytest.MonkeyPatch) -> None:
    """Every command of a batch is decided on the balances as they were loaded."""
    genuine = decide._refusal
    before: list[tuple[Books, dict[BalanceKey, Amount]]] = []

    def refusal(books: Books, *rest):
        now = {key: balance.pending for key, balance in books.balances.items()}
        if not before or before[-1][0] is not books:
            before.append((books, now))
        for key, balance in books.balances.items():
            balance.pending = before[-1][1].get(key, NOTHING)
        moved, books.moved = books.moved, {}
        verdict = genuine(books, *rest)
        books.moved = moved
        for key, pending in now.items():
            books.balances[key].pending = pending
        return verdict

    patch.setattr(decide, "_refusal", refusal)


@plant
def first_option_always(patch: pytest.MonkeyPatch) -> None:
    """The dearest plan never makes way for a cheaper one."""
    genuine = decide.place_hold
    patch.setattr(
        decide,
        "place_hold",
        lambda books, task_id, path, options, *rest: genuine(books, task_id, path, options[:1], *rest),
    )


@plant
def stale_epoch_may_write(patch: pytest.MonkeyPatch) -> None:
    """A worker that was replaced goes on."""
    genuine = batch._lost
    patch.setattr(batch, "_lost", lambda work, task_id, epoch: genuine(work, task_id, work.tasks[task_id].epoch))


@plant
def repeats_are_written_twice(patch: pytest.MonkeyPatch) -> None:
    """A start given twice is in flight twice."""
    genuine = batch._start

    def start(work, attempts):
        for attempt in attempts:
            presumed = attempt.presumed_cost_microusd
            decide.send(work.books, UPSTREAM, attempt.task_id, attempt.id, presumed, attempt.sent_at_ms, work.now_ms)
        genuine(work, ())
        work.started.extend(a for a in attempts if a.id not in work.attempts.get(a.task_id, {}))

    patch.setattr(batch, "_start", start)


@plant
def cancel_while_something_is_out(patch: pytest.MonkeyPatch) -> None:
    """A picture in the making is cancelled, and its cost forgotten."""
    genuine = batch._cancel

    def cancel(work, command):
        work.attempts[command.task_id] = {}
        return genuine(work, command)

    patch.setattr(batch, "_cancel", cancel)


@plant
def anybody_may_cancel(patch: pytest.MonkeyPatch) -> None:
    """The owner is not compared."""
    genuine = batch._cancel
    patch.setattr(
        batch,
        "_cancel",
        lambda work, command: genuine(work, replace(command, account=work.tasks[command.task_id].account)),
    )


@plant
def doubt_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """An attempt in doubt no longer counts at its upstream."""
    genuine = batch._end

    def end(work, attempts):
        genuine(work, attempts)
        for attempt in attempts:
            if attempt.state.value == "unknown":
                decide.pay(
                    work.books,
                    UPSTREAM,
                    attempt.task_id,
                    attempt.id,
                    attempt.presumed_cost_microusd,
                    0,
                    attempt.sent_at_ms,
                    work.now_ms,
                )

    patch.setattr(batch, "_end", end)


@plant
def billed_failures_are_not_ours(patch: pytest.MonkeyPatch) -> None:
    """What no caller pays for is booked nowhere."""
    genuine = decide.lose
    patch.setattr(
        decide,
        "lose",
        lambda books, ours, kind, *rest: None if kind is EntryKind.LOSS else genuine(books, ours, kind, *rest),
    )


@plant
def overrun_is_not_booked(patch: pytest.MonkeyPatch) -> None:
    """What a charge exceeded its hold by disappears."""
    genuine = decide.lose
    patch.setattr(
        decide,
        "lose",
        lambda books, ours, kind, *rest: None if kind is EntryKind.OVERRUN else genuine(books, ours, kind, *rest),
    )


@plant_in_the_store
def lowered_limit_frees_a_hold(patch: pytest.MonkeyPatch) -> None:
    """Where an account is above its limit, what is held on it is let go."""
    genuine = ledger_store.load_books

    def load_books(*rows):
        books = genuine(*rows)
        for account, terms in books.terms.items():
            balance = books.balances[BalanceKey(account)]
            used = balance.posted.microcredits + balance.pending.microcredits
            if any(budget.limit < used for budget in terms.budgets):
                balance.pending = NOTHING
        return books

    patch.setattr(ledger_store, "load_books", load_books)


@plant_in_the_store
def lost_window(patch: pytest.MonkeyPatch) -> None:
    """What was charged before is forgotten: every batch begins a new total."""
    genuine = ledger_store.load_books

    def load_books(*rows):
        books = genuine(*rows)
        for balance in books.balances.values():
            balance.posted = NOTHING
        return books

    patch.setattr(ledger_store, "load_books", load_books)


@plant_in_the_store
def balances_are_not_saved(patch: pytest.MonkeyPatch) -> None:
    """Entries and holds are written, and the sum of the org is not."""
    genuine = ledger_store.changes

    def changes(books):
        books.touched = {account for account in books.touched if not account.startswith("org:")}
        return genuine(books)

    patch.setattr(ledger_store, "changes", changes)


@plant
def entries_are_lost(patch: pytest.MonkeyPatch) -> None:
    """A balance changes without an entry: only the audit can tell."""
    genuine = decide._post

    def post(books: Books, entry):
        genuine(books, entry)
        if entry.kind is EntryKind.RELEASE:
            books.entries.pop()

    patch.setattr(decide, "_post", post)


def _ending(pending: Callable[[Hold, Amount], Amount]) -> Callable[..., Ended]:
    """`decide._end` with another change of what is pending."""

    def end(books: Books, hold: Hold, state: HoldState, charge: Amount, now_ms: int) -> Ended:
        kind = EntryKind.SETTLE if state is HoldState.SETTLED else EntryKind.RELEASE
        for account, starts in zip(hold.path, hold.windows, strict=True):
            decide._post(books, Entry(account, kind, charge, pending(hold, charge), now_ms, starts, hold.task_id))
        ended = replace(hold, state=state, settled=charge, ended_at_ms=now_ms)
        books.holds[hold.task_id] = ended
        books.ended.append(hold.task_id)
        return Ended(ended, first=True)

    return end


def _settle_unchecked(books: Books, task_id, charge: Amount, now_ms: int):
    hold = books.holds[task_id]
    for account, starts in zip(hold.path, hold.windows, strict=True):
        decide._post(books, Entry(account, EntryKind.SETTLE, charge, -hold.amount, now_ms, starts, task_id))
    ended = replace(hold, state=HoldState.SETTLED, settled=hold.amount, ended_at_ms=now_ms)
    books.holds[task_id] = ended
    books.ended.append(task_id)
    return Ended(ended, first=True)


@pytest.mark.parametrize(("kind", "name"), cases(PLANTS, IN_THE_STORE))
@pytest.mark.timeout(300)
def test_every_planted_bug_is_caught(
    kind: str, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """The machine fails with the bug in place."""
    ledger: Ledger = request.getfixturevalue(kind)
    PLANTS[name](monkeypatch)
    how = caught(lambda: seek(machine_on(ledger), drive_ledger, examples=300, steps=40))
    assert how is not None, "nobody noticed"
    show_mutants(proof, f"ledger on {kind}", PLANTS, how, name)


def test_there_are_enough_of_them() -> None:
    """At least twelve, and each says what it breaks."""
    assert len(PLANTS) >= 12
    assert all(function.__doc__ for function in PLANTS.values())
