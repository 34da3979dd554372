"""Bugs planted in calendar windows and prepaid credits, one at a time: the state machine must catch every one, or it proves nothing."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.db.schema import balances
from gateway.db.statements import insert_rows
from gateway.domain import windows as calendar
from gateway.domain.accounts import Window
from gateway.domain.windows import NO_WINDOWS, WindowStarts
from gateway.ledger import audit as ledger_audit
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.model import Balance, BalanceKey, EntryKind, remaining_of
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.ledger_driving import drive_ledger
from tests.property.ledger_world import Ledger
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.test_ledger_machine import machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


def _patch_starts(patch: pytest.MonkeyPatch, starts: Callable[[int, str], WindowStarts]) -> None:
    """Wherever the calendar is asked for."""
    patch.setattr(decide, "starts_at", starts)
    patch.setattr(ledger_store, "starts_at", starts)


@plant
def settled_in_the_windows_of_now(patch: pytest.MonkeyPatch) -> None:
    """A task that ends after midnight is charged to the new day, while the old one goes on being held."""
    genuine = decide._end

    def end(books, hold, state, charge, now_ms):
        now_ms = hold.created_at_ms + 86_400_000  # the machine's clock is not the batch's
        windows = tuple(decide.windows_of(books, account, now_ms) for account in hold.path)
        return genuine(books, replace(hold, windows=windows), state, charge, now_ms)

    patch.setattr(decide, "_end", end)


@plant
def held_in_the_windows_of_the_batch(patch: pytest.MonkeyPatch) -> None:
    """A call is held when it is written, not when it was accepted."""
    genuine = decide.place_hold
    patch.setattr(
        decide,
        "place_hold",
        lambda books, task_id, path, options, rate, accepted_at_ms, now_ms: genuine(
            books, task_id, path, options, rate, now_ms, now_ms
        ),
    )


@plant
def limits_of_the_day_before(patch: pytest.MonkeyPatch) -> None:
    """A budget counts what was used an hour ago: after midnight the wrong day refuses."""
    genuine = decide._refusal
    patch.setattr(
        decide, "_refusal", lambda books, path, amount, at_ms: genuine(books, path, amount, at_ms - 3_600_000)
    )


@plant
def weeks_from_sunday(patch: pytest.MonkeyPatch) -> None:
    """As calendars in America show them."""

    def starts(moment_ms, zone_name):
        day = datetime.fromtimestamp(moment_ms / 1000, calendar.zone(zone_name)).date()
        sunday = day - timedelta(days=(day.weekday() + 1) % 7)
        return replace(
            calendar.starts_at(moment_ms, zone_name), week_ms=calendar._first_ms(sunday, calendar.zone(zone_name))
        )

    _patch_starts(patch, starts)


@plant
def days_of_utc(patch: pytest.MonkeyPatch) -> None:
    """The account's time zone is not asked."""
    _patch_starts(patch, lambda moment_ms, zone_name: calendar.starts_at(moment_ms, "UTC"))


@plant
def offset_of_now(patch: pytest.MonkeyPatch) -> None:
    """Midnight is reckoned with the offset of the moment: on days on which clocks change it is an hour off."""

    def starts(moment_ms, zone_name):
        local = datetime.fromtimestamp(moment_ms / 1000, calendar.zone(zone_name))
        offset = local.utcoffset()
        assert offset is not None
        shift = int(offset.total_seconds()) * 1000
        utc = calendar.starts_at(moment_ms + shift, "UTC")
        return WindowStarts(utc.day_ms - shift, utc.week_ms - shift, utc.month_ms - shift)

    _patch_starts(patch, starts)


@plant
def resets_a_day_of_24_hours_later(patch: pytest.MonkeyPatch) -> None:
    """Of a day with 23 or 25 hours the caller hears the wrong end."""
    genuine = calendar.ends_at_ms

    def ends(window, moment_ms, zone_name):
        if window is Window.DAY:
            return calendar.starts_at(moment_ms, zone_name).day_ms + 86_400_000
        return genuine(window, moment_ms, zone_name)

    patch.setattr(decide, "ends_at_ms", ends)


@plant
def batch_does_not_see_what_it_moved(patch: pytest.MonkeyPatch) -> None:
    """Calls of one batch each find the whole day's budget."""

    def used(books, account, window, now_ms):
        if window is Window.TOTAL:
            return decide._balance(books, account)
        start_ms = decide.windows_of(books, account, now_ms).of(window)
        return books.balances.get(BalanceKey(account, window, start_ms), Balance())

    patch.setattr(decide, "used", used)


@plant
def batch_sees_moves_of_one_day_only(patch: pytest.MonkeyPatch) -> None:
    """Of a month, only what the batch moved on the same day."""
    genuine = decide.used

    def used(books, account, window, now_ms):
        moved, today = books.moved, decide.windows_of(books, account, now_ms)
        mine = moved.get(account, {})
        books.moved = {account: {today: mine[today]} if today in mine else {}}
        found = genuine(books, account, window, now_ms)
        books.moved = moved
        return found

    patch.setattr(decide, "used", used)


@plant
def grant_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Who pays before may spend nothing."""
    genuine = decide.limits_of

    def limits_of(books, account, now_ms):
        return [
            (replace(budget, limit=0), 0) if budget.window is Window.GRANTED else (budget, left)
            for budget, left in genuine(books, account, now_ms)
        ]

    patch.setattr(decide, "limits_of", limits_of)


@plant_in_the_store
def grant_is_written_twice(patch: pytest.MonkeyPatch) -> None:
    """Once as the balance, once more by its entry."""
    genuine = ledger_store._moves

    def moves(books):
        granted = {entry.account for entry in books.entries if entry.kind in (EntryKind.GRANT, EntryKind.ADJUST)}
        return [
            (*row[:3], *(2 * value for value in row[3:])) if row[1] == "granted" and row[0] in granted else row
            for row in genuine(books)
        ]

    patch.setattr(ledger_store, "_moves", moves)


@plant
def prepaid_ignores_what_is_held(patch: pytest.MonkeyPatch) -> None:
    """Calls at once overspend what was granted."""

    def remaining(budget, balance):
        if budget.window is Window.GRANTED:
            return max(0, budget.limit - balance.posted.microcredits)
        return remaining_of(budget, balance)

    patch.setattr(decide, "remaining_of", remaining)


@plant
def prepaid_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Who pays before may spend everything."""
    genuine = decide.limits_of
    patch.setattr(
        decide,
        "limits_of",
        lambda *given: [each for each in genuine(*given) if each[0].window is not Window.GRANTED],
    )


@plant
def more_taken_than_was_granted(patch: pytest.MonkeyPatch) -> None:
    """What is used is taken for what may be taken back."""
    genuine = decide.grant

    def grant(books, command, now_ms):
        granted = decide._granted(books, command.account).posted.microcredits
        return genuine(books, replace(command, microcredits=max(command.microcredits, -granted)), now_ms)

    patch.setattr(decide, "grant", grant)


@plant_in_the_store
def month_is_not_written(patch: pytest.MonkeyPatch) -> None:
    """Its budget never fills."""
    genuine = ledger_store._moves
    patch.setattr(ledger_store, "_moves", lambda books: [row for row in genuine(books) if row[1] != "month"])


@plant_in_the_store
def windows_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    """Every batch finds day, week and month unused."""
    genuine = ledger_store.load_books

    def load_books(balances, terms, windows, holds):
        return genuine(balances, terms, [row for row in windows if row[1] == "granted"], holds)

    patch.setattr(ledger_store, "load_books", load_books)


@plant_in_the_store
def windows_of_other_zones_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    """Only accounts in UTC know what they used."""

    async def load_windows(connection, books, account_ids, starts):
        return None

    patch.setattr(ledger_store, "load_windows", load_windows)


@plant_in_the_store
def holds_forget_their_windows(patch: pytest.MonkeyPatch) -> None:
    """Read back, a hold ends in the total alone."""
    patch.setattr(ledger_store, "_windows", lambda text, accounts: (NO_WINDOWS,) * accounts)


@plant_in_the_store
def entries_forget_their_windows(patch: pytest.MonkeyPatch) -> None:
    """Balances are right and their entries say nothing of it: only the audit can tell."""
    genuine = ledger_store._entry_row
    patch.setattr(ledger_store, "_entry_row", lambda entry: genuine(replace(entry, windows=NO_WINDOWS)))


@plant_in_the_store
def moves_overwrite(patch: pytest.MonkeyPatch) -> None:
    """A window's row holds what was moved last, not the sum."""
    patch.setattr(
        ledger_store,
        "_MOVE_UP",
        insert_rows(balances, (*ledger_store._BALANCE_KEYS, *ledger_store._BALANCE_SUMS), ignore_repeats=True),
    )


@plant_in_the_store
def only_gains_are_moved(patch: pytest.MonkeyPatch) -> None:
    """What is given back stays held in its windows."""
    genuine = ledger_store._moves
    patch.setattr(ledger_store, "_moves", lambda books: [row for row in genuine(books) if min(row[3:]) >= 0])


@plant
def audit_expects_days_alone(patch: pytest.MonkeyPatch) -> None:
    """What stands in weeks and months is explained by no entry."""
    patch.setattr(
        ledger_audit,
        "_rows_of",
        lambda account, starts: [BalanceKey(account), BalanceKey(account, Window.DAY, starts.day_ms)],
    )


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
    show_mutants(proof, f"windows on {kind}", PLANTS, how, name)


def test_there_are_enough_of_them() -> None:
    """At least six, in the store too, and each says what it breaks."""
    assert len(PLANTS) >= 6
    assert len(IN_THE_STORE) >= 3
    assert all(function.__doc__ for function in PLANTS.values())
