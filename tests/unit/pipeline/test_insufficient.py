"""The sentence of a budget that refuses a call."""

from decimal import Decimal

import pytest

from gateway.domain.accounts import Budget, Unit, Window, parse_budget
from gateway.domain.ids import AccountId
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.refusing import insufficient

MIDNIGHT_IN_BERLIN = 1_795_734_000_000  # 2026-11-26 23:00 UTC
TEAM = AccountId("team:acme/design")


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            BudgetRefusal(TEAM, parse_budget("20usd/day"), 1_600_000, 2_000_000, MIDNIGHT_IN_BERLIN, "Europe/Berlin"),
            "The budget 20usd/day of the team 'design' has 1.6 usd left; it begins anew at 2026-11-27 00:00 Europe/Berlin; this call needs 2 usd. ",
        ),
        (
            BudgetRefusal(TEAM, parse_budget("9images/month"), 1, 4, MIDNIGHT_IN_BERLIN),
            "The budget 9images/month of the team 'design' has 1 images left; it begins anew at 2026-11-26 23:00 UTC; this call needs 4 images. ",
        ),
        (
            BudgetRefusal(AccountId("org:acme"), Budget(5_000_000, Unit.CREDITS, Window.GRANTED), 0, 1_440_000, None),
            "The prepaid balance of the org 'acme' has 0 credits left; this call needs 1.44 credits. ",
        ),
    ],
    ids=["a day in Berlin", "images", "prepaid"],
)
def test_a_refusal_says_what_is_left_and_needed_and_when_it_begins_anew(refusal: BudgetRefusal, words: str) -> None:
    """Amounts with their unit, and the moment on the clock of the account's own zone."""
    message = insufficient(refusal, 144_000_000, Decimal(72)).message
    assert message == f"{words}Ask for fewer or cheaper images, or have it raised."
