"""Which thresholds a budget has crossed, in which window, and what the message says."""

from datetime import datetime
from zoneinfo import ZoneInfo

import orjson
import pytest

from gateway.administration.budget_states import BudgetState, states_at
from gateway.administration.refused_budgets import BUDGETS_MAX, RefusedBudget, RefusedBudgets
from gateway.domain.accounts import Budget, Unit, Window, parse_budget
from gateway.domain.ids import AccountId
from gateway.domain.money import Amount
from gateway.ledger.model import Balance, BalanceKey, Books, BudgetRefusal, Terms

TEAM = AccountId("team:acme/design")
THRESHOLDS = (50, 80, 100)
BERLIN = ZoneInfo("Europe/Berlin")


def ms(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1000)


def state(used: int, held: int = 0, limit: int = 1_000_000, unit: Unit = Unit.USD) -> BudgetState:
    return BudgetState(TEAM, Budget(limit, unit, Window.DAY), ms(2026, 3, 29), ms(2026, 3, 30), used, held)


@pytest.mark.parametrize(
    ("used", "refused", "crossed"),
    [
        (0, False, ()),
        (499_999, False, ()),
        (500_000, False, (50,)),
        (799_999, False, (50,)),
        (800_000, False, (50, 80)),
        (960_000, False, (50, 80)),
        (960_000, True, (50, 80, 100)),
        (600_000, True, (50, 100)),
        (1_000_000, False, (50, 80, 100)),
        (1_200_000, False, (50, 80, 100)),
    ],
)
def test_thresholds_are_crossed_to_the_micro(used: int, refused: bool, crossed: tuple[int, ...]) -> None:
    """By what is charged; one that was jumped over is crossed, too; a refusal is 100 %, and no other."""
    assert state(used).crossed((100, 50, 80), refused=refused) == crossed


def test_what_is_held_crosses_nothing() -> None:
    """It may be given back."""
    assert state(100_000, held=900_000).crossed(THRESHOLDS, refused=False) == ()


def test_a_budget_of_nothing_crosses_nothing() -> None:
    """Whoever closes an account does not want to hear of it; its figure is full."""
    assert state(0, limit=0).crossed(THRESHOLDS, refused=True) == ()
    assert (state(0, limit=0).figure().used_ratio, state(250_000).figure().used_ratio) == (1.0, 0.25)


def test_the_message_says_everything() -> None:
    """Whose budget, which window, how much, and whether it refuses."""
    message = orjson.loads(state(960_000, held=40_000).body(100, ms(2026, 3, 29, 12), refused=False))
    assert message == {
        "type": "budget.threshold",
        "timestamp": "2026-03-29T10:00:00.000Z",
        "data": {
            "account": "team:acme/design",
            "org": "acme",
            "team": "design",
            "budget": "1usd/day",
            "window": "day",
            "window_start": "2026-03-28T23:00:00.000Z",
            "resets_at": "2026-03-29T22:00:00.000Z",
            "threshold_percent": 100,
            "used": 0.96,
            "held": 0.04,
            "limit": 1,
            "left": 0,
            "unit": "usd",
            "refusing": True,
        },
    }
    assert orjson.loads(state(1, limit=2, unit=Unit.IMAGES).body(50, 0, refused=False))["data"]["left"] == 1


def books(*budgets: str, prepaid: int | None = None, **used: Amount) -> Books:
    """A team in Berlin; what is charged, by the window's name."""
    found = Books(terms={TEAM: Terms(tuple(map(parse_budget, budgets)), "Europe/Berlin", prepaid is not None)})
    starts = {"day": ms(2026, 3, 29), "month": ms(2026, 3, 1), "total": 0}
    for name, amount in used.items():
        found.balances[BalanceKey(TEAM, Window(name), starts[name])] = Balance(amount)
    if prepaid is not None:
        found.balances[BalanceKey(TEAM, Window.GRANTED)] = Balance(Amount(prepaid))
    return found


def test_windows_are_those_of_the_accounts_zone() -> None:
    """A day of 23 hours, and the month around it; the total never ends; granted credits are measured by all that was charged."""
    given = books(
        "1usd/day", "10images/month", "5credits/total", prepaid=8_000_000,
        day=Amount(1, 900_000, 2), month=Amount(2, 3, 4), total=Amount(4_000_000, 5, 6),
    )  # fmt: skip
    found = {str(item.budget): item for item in states_at(given, TEAM, ms(2026, 3, 29, 23, 59))}
    day, month = found["1usd/day"], found["10images/month"]
    assert (day.used, day.resets_at_ms) == (900_000, ms(2026, 3, 30))
    assert ms(2026, 3, 30) - day.window_start_ms == 23 * 3_600_000
    assert (month.used, month.window_start_ms, month.resets_at_ms) == (4, ms(2026, 3, 1), ms(2026, 4, 1))
    assert (found["5credits/total"].used, found["5credits/total"].resets_at_ms) == (4_000_000, None)
    assert (found["8credits/granted"].used, found["8credits/granted"].left) == (4_000_000, 4_000_000)
    after = {str(item.budget): item for item in states_at(given, TEAM, ms(2026, 3, 30))}
    assert after["1usd/day"].used == 0


def test_a_call_dearer_than_the_whole_budget_says_nothing_about_it() -> None:
    """Only a refusal that is due to what is used, or held, counts; what is taken is taken once."""
    refused, budget = RefusedBudgets(), parse_budget("1usd/day")
    refused.note(BudgetRefusal(TEAM, budget, 1_000_000, 1_000_001, 5))
    assert refused.take() == set()
    for _ in range(2):
        refused.note(BudgetRefusal(TEAM, budget, 40_000, 1_000_000, 5))
    assert refused.take() == {RefusedBudget(TEAM, "1usd/day", 5)}
    assert refused.take() == set()


def test_refusals_are_bounded() -> None:
    """However many budgets refuse between two looks."""
    refused = RefusedBudgets()
    for number in range(BUDGETS_MAX + 10):
        refused.note(BudgetRefusal(AccountId(f"org:{number}"), parse_budget("1usd/day"), 0, 1, None))
    assert len(refused.take()) == BUDGETS_MAX
