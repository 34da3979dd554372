"""What may happen to money, on books in memory: every decision, and every invariant that must stop one."""

from decimal import Decimal

import pytest

from gateway.db.values import number
from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, AttemptId, TaskId, upstream_account_id
from gateway.domain.money import NOTHING, Amount
from gateway.domain.windows import starts_at
from gateway.ledger import decide
from gateway.ledger.audit import AuditReport, Difference
from gateway.ledger.model import (
    Balance,
    BalanceKey,
    Books,
    BudgetRefusal,
    Ended,
    EntryKind,
    Grant,
    Granted,
    Held,
    HoldState,
    NoHold,
    Terms,
    Tightest,
    remaining_of,
)

KEY, ORG, UPSTREAM = AccountId("key:a//k"), AccountId("org:a"), upstream_account_id("u")
PATH = (KEY, ORG)
TASK, OTHER, ATTEMPT = TaskId("task-1"), TaskId("task-2"), AttemptId("att_1")
RATE = Decimal(72)
AT = 1_790_812_800_000  # 2026-10-01 00:00 UTC, a Thursday
TEN, FOUR = Amount(10, 5, 1), Amount(4, 2, 1)


def books(**budgets: Budget) -> Books:
    return Books(
        balances={BalanceKey(account): Balance() for account in (*PATH, UPSTREAM, OURS_ACCOUNT_ID)},
        terms={KEY if name == "key" else ORG: Terms((budget,)) for name, budget in budgets.items()},
    )


def of(given: Books, account: AccountId) -> tuple[Amount, Amount]:
    balance = given.balances[BalanceKey(account)]
    return balance.posted, balance.pending


def test_a_hold_is_on_every_account_of_its_path() -> None:
    """And named as placed; without budgets nothing is said to remain."""
    given = books()
    assert decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 7) == Held(0, TEN, None)
    assert [of(given, account) for account in PATH] == [(NOTHING, TEN)] * 2
    assert given.placed == [TASK]
    assert [(entry.account, entry.kind, entry.at_ms) for entry in given.entries] == [
        (KEY, EntryKind.HOLD, 7), (ORG, EntryKind.HOLD, 7),
    ]  # fmt: skip


def test_the_last_micro_is_held_and_not_one_more() -> None:
    """At the limit yes, above it no; a refusal changes nothing and names the budget, what is left and what is needed."""
    limit = Budget(20, Unit.CREDITS)
    given = books(org=limit)
    assert isinstance(decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 0), Held)
    assert decide.place_hold(given, OTHER, PATH, [TEN], RATE, AT, 0) == Held(0, TEN, 0)
    before = [of(given, account) for account in PATH]
    refusal = decide.place_hold(given, TaskId("task-3"), PATH, [Amount(2), Amount(1)], RATE, AT, 0)
    assert refusal == BudgetRefusal(ORG, limit, left=0, needed=1, resets_at_ms=None)
    assert [of(given, account) for account in PATH] == before
    assert len(given.placed) == 2


def test_a_batch_sees_its_own_ends() -> None:
    """What one command gives back the next may hold; charged and given back are never both."""
    given = books(key=Budget(10, Unit.CREDITS))
    decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 0)
    assert isinstance(decide.place_hold(given, OTHER, PATH, [FOUR], RATE, AT, 0), BudgetRefusal)
    assert isinstance(decide.settle(given, TASK, FOUR, 9), Ended)
    assert decide.place_hold(given, OTHER, PATH, [Amount(6)], RATE, AT, 0) == Held(0, Amount(6), 0)
    assert of(given, KEY) == (FOUR, Amount(6))


def test_the_largest_option_that_fits() -> None:
    """Options are tried in order."""
    given = books(key=Budget(3, Unit.USD))
    assert decide.place_hold(given, TASK, PATH, [TEN, FOUR], RATE, AT, 0) == Held(1, FOUR, 72)


def test_a_hold_ends_once() -> None:
    """The second end says what the first did, and changes nothing; what was never held has no end."""
    for first, state, posted in ((decide.release, HoldState.RELEASED, NOTHING), (None, HoldState.SETTLED, FOUR)):
        given = books()
        decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 0)
        ended = first(given, TASK, 9) if first else decide.settle(given, TASK, FOUR, 9)
        assert isinstance(ended, Ended)
        assert (ended.first, ended.hold.state, ended.hold.settled, ended.hold.ended_at_ms) == (True, state, posted, 9)
        for again in (decide.settle(given, TASK, FOUR, 10), decide.release(given, TASK, 10)):
            assert again == Ended(ended.hold, first=False)
        assert of(given, ORG) == (posted, NOTHING)
        assert given.ended == [TASK]
    assert decide.settle(books(), TASK, FOUR, 0) == decide.release(books(), TASK, 0) == NoHold(TASK)


def test_what_an_upstream_is_owed() -> None:
    """In flight by the presumed cost; paid by the actual one; nothing where nothing was billed."""
    given = books()
    decide.send(given, UPSTREAM, TASK, ATTEMPT, 20, AT, 0)
    assert of(given, UPSTREAM) == (NOTHING, Amount(microusd=20))
    decide.pay(given, UPSTREAM, TASK, ATTEMPT, 20, 25, AT, 1)
    assert of(given, UPSTREAM) == (Amount(microusd=25), NOTHING)
    decide.send(given, UPSTREAM, TASK, ATTEMPT, 20, AT, 2)
    decide.pay(given, UPSTREAM, TASK, ATTEMPT, 20, 0, AT, 3)
    assert of(given, UPSTREAM) == (Amount(microusd=25), NOTHING)
    assert [entry.kind for entry in given.entries] == [EntryKind.SEND, EntryKind.PAID, EntryKind.SEND, EntryKind.UNPAID]


def test_our_losses_are_ours() -> None:
    """Nothing lost is no entry."""
    given = books()
    decide.lose(given, OURS_ACCOUNT_ID, EntryKind.LOSS, NOTHING, 0, TASK)
    assert given.entries == []
    decide.lose(given, OURS_ACCOUNT_ID, EntryKind.OVERRUN, Amount(2, 1), 0, TASK, ATTEMPT)
    assert of(given, OURS_ACCOUNT_ID) == (Amount(2, 1), NOTHING)


@pytest.mark.parametrize(
    ("budgets", "remaining"),
    [
        ({}, None),
        ({"key": Budget(5, Unit.IMAGES)}, None),
        ({"key": Budget(50, Unit.CREDITS), "org": Budget(2, Unit.USD)}, 50),
        ({"key": Budget(500, Unit.CREDITS), "org": Budget(2, Unit.USD)}, 144),
    ],
)
def test_what_remains_is_the_tightest_budgets(budgets: dict[str, Budget], remaining: int | None) -> None:
    """In microcredits; a budget in images says nothing about money."""
    assert decide.remaining_microcredits(books(**budgets), PATH, RATE, AT) == remaining


def test_the_tightest_budget_tells_what_it_has_left_in_its_own_unit() -> None:
    """Compared in credits, told in USD."""
    given = books(key=Budget(500, Unit.CREDITS), org=Budget(2, Unit.USD))
    assert decide.tightest(given, PATH, RATE, AT) == Tightest(ORG, Budget(2, Unit.USD), left=2, left_microcredits=144)


DAY_MS = 86_400_000


def test_a_new_day_has_its_whole_budget() -> None:
    """What was held yesterday is settled there, today counts anew; a refusal says when it begins anew."""
    limit = Budget(10, Unit.CREDITS, Window.DAY)
    given = books(org=limit)
    assert decide.place_hold(given, TASK, PATH, [TEN], RATE, AT - 1, AT) == Held(0, TEN, 0)
    assert decide.place_hold(given, OTHER, PATH, [FOUR], RATE, AT - 1, AT) == BudgetRefusal(ORG, limit, 0, 4, AT)
    assert decide.place_hold(given, OTHER, PATH, [FOUR], RATE, AT, AT) == Held(0, FOUR, 6)
    decide.settle(given, TASK, FOUR, AT + 5)
    assert [decide.used(given, ORG, Window.DAY, at) for at in (AT - 1, AT)] == [Balance(FOUR), Balance(pending=FOUR)]
    assert decide.used(given, ORG, Window.MONTH, AT) == Balance(pending=FOUR)
    assert decide.used(given, ORG, Window.WEEK, AT) == decide.used(given, ORG, Window.TOTAL, AT) == Balance(FOUR, FOUR)


def test_a_loaded_window_counts_with_what_the_batch_moved() -> None:
    """A week gathers what was moved on any of its days."""
    given = books(org=Budget(30, Unit.CREDITS, Window.WEEK))
    week = starts_at(AT, "UTC").week_ms
    given.balances[BalanceKey(ORG, Window.WEEK, week)] = Balance(FOUR, FOUR)
    decide.place_hold(given, TASK, PATH, [TEN], RATE, AT - DAY_MS, AT)
    assert decide.place_hold(given, OTHER, PATH, [TEN], RATE, AT, AT) == Held(0, TEN, 2)


def test_windows_begin_in_the_accounts_own_zone() -> None:
    """Key and org may be in different zones; each hold keeps the windows of both."""
    given = books()
    given.terms = {KEY: Terms(zone="Europe/Berlin"), ORG: Terms(zone="America/New_York")}
    decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, AT)
    assert given.holds[TASK].windows == (starts_at(AT, "Europe/Berlin"), starts_at(AT, "America/New_York"))
    assert given.holds[TASK].windows[0].month_ms > given.holds[TASK].windows[1].month_ms


def test_prepaid_credits_are_the_most_that_may_be_used() -> None:
    """Beside any budget; taken back below what is used, nothing more is held; below nothing they do not fall."""
    given = books()
    given.terms = {ORG: Terms((Budget(500, Unit.CREDITS),), prepaid=True)}
    assert isinstance(decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, AT), BudgetRefusal)
    assert decide.grant(given, Grant(ORG, 12, "paid"), AT) == Granted(12)
    assert decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, AT) == Held(0, TEN, 2)
    assert decide.grant(given, Grant(ORG, -13, "too much"), AT) == Granted(2, refused=True)
    assert decide.grant(given, Grant(ORG, -5, "a mistake"), AT) == Granted(0)
    prepaid = Budget(7, Unit.CREDITS, Window.GRANTED)
    assert decide.place_hold(given, OTHER, PATH, [FOUR], RATE, AT, AT) == BudgetRefusal(ORG, prepaid, 0, 4, None)
    assert [entry.kind for entry in given.entries if entry.note] == [EntryKind.GRANT, EntryKind.ADJUST]
    assert of(given, ORG) == (NOTHING, TEN)


def test_the_first_grant_makes_an_account_prepaid() -> None:
    """What was used before does not count against it; credits left from an earlier time still do not get lost."""
    given = books()
    decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, AT)
    assert decide.grant(given, Grant(ORG, 12, "paid"), AT) == Granted(12, first=True)
    assert given.balances[BalanceKey(ORG, Window.GRANTED)].posted == Amount(22)
    assert isinstance(decide.place_hold(given, OTHER, PATH, [Amount(13)], RATE, AT, AT), BudgetRefusal)
    given.terms[ORG] = Terms()
    assert decide.grant(given, Grant(ORG, 1, "again"), AT) == Granted(13, first=True)


def test_a_lowered_limit_leaves_nothing_and_frees_nothing() -> None:
    """Never below zero."""
    assert remaining_of(Budget(5, Unit.CREDITS), Balance(Amount(3), Amount(4))) == 0


def test_broken_invariants_stop_the_batch() -> None:
    """A second hold, a negative or missing amount, a charge above the hold, a payment of what was never sent, an account that was not loaded."""
    given = books()
    decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 0)
    for broken in (
        lambda: decide.place_hold(given, TASK, PATH, [TEN], RATE, AT, 0),
        lambda: decide.place_hold(given, OTHER, PATH, [Amount(-1)], RATE, AT, 0),
        lambda: decide.place_hold(given, OTHER, PATH, [], RATE, AT, 0),
        lambda: decide.place_hold(given, OTHER, (AccountId("key:b"),), [TEN], RATE, AT, 0),
        lambda: decide.settle(given, TASK, Amount(11), 0),
        lambda: decide.settle(given, TASK, Amount(1, 6), 0),
        lambda: decide.settle(given, TASK, Amount(-1), 0),
        lambda: decide.pay(given, UPSTREAM, TASK, ATTEMPT, 20, 0, AT, 0),
    ):
        with pytest.raises(AssertionError):
            broken()
    assert of(given, ORG) == (NOTHING, TEN)


def test_a_difference_says_what_should_be() -> None:
    """For the operator's eyes."""
    report = AuditReport(1, 2, 3, (Difference("org:a", "posted_images, by its entries,", 4, 5),))
    assert str(report.differences[0]) == "org:a: posted_images, by its entries, is 4, should be 5"


def test_a_row_without_its_number_is_a_broken_invariant() -> None:
    """Better to stop than to read nothing as zero."""
    with pytest.raises(AssertionError):
        number(None)
