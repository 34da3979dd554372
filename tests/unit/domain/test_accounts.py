"""Budgets as operators write them, and what a principal may use."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.accounts import BUDGET_WINDOWS, Budget, Limits, Principal, Unit, Window, parse_budget, parse_expiry
from gateway.domain.ids import AccountId, KeyId
from gateway.domain.money import AMOUNT_MAX, Amount


def principal(*models: str, team: str | None = None) -> Principal:
    return Principal(KeyId("key_a"), "a", (AccountId("key:acme//a"), AccountId("org:acme")), "acme", team, models)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("500credits/total", Budget(500_000_000, Unit.CREDITS)),
        (" 0.5usd/total ", Budget(500_000, Unit.USD)),
        ("0images/total", Budget(0, Unit.IMAGES)),
        ("7images/total", Budget(7, Unit.IMAGES)),
        ("20usd/day", Budget(20_000_000, Unit.USD, Window.DAY)),
        ("3images/week", Budget(3, Unit.IMAGES, Window.WEEK)),
        ("1.5credits/month", Budget(1_500_000, Unit.CREDITS, Window.MONTH)),
    ],
)
def test_budgets_are_read_in_their_unit(text: str, budget: Budget) -> None:
    """Micro for money, whole numbers for images."""
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "500", "500credits", "-1credits/total", "1.5images/total", "1credits/year", "1credits/granted", "1e3usd/total", "0.0000001usd/total",
     "1000000001usd/total", f"{AMOUNT_MAX + 1}images/total", "9" * 5000 + "images/total", "٣credits/total"],
)  # fmt: skip
def test_other_texts_are_refused_with_the_text(text: str) -> None:
    """Nothing is read as something near it."""
    with pytest.raises(ValueError):
        parse_budget(text)


@given(st.integers(0, AMOUNT_MAX), st.sampled_from(Unit), st.sampled_from(BUDGET_WINDOWS))
def test_a_budget_is_stored_as_text_without_loss(limit: int, unit: Unit, window: Window) -> None:
    """str and parse_budget are inverse: accounts keep budgets as texts."""
    assert parse_budget(str(Budget(limit, unit, window))) == Budget(limit, unit, window)


def test_a_unit_looks_at_its_part() -> None:
    """Credits, dollars, images."""
    assert [unit.of(Amount(1, 2, 3)) for unit in (Unit.CREDITS, Unit.USD, Unit.IMAGES)] == [1, 2, 3]


def test_a_principal_may_use_its_models() -> None:
    """By name, or all with a star; the account is the key's, the group the team's."""
    assert principal("*").may_use("any")
    assert principal("a", "b").may_use("b")
    assert not principal("a").may_use("b")
    assert principal("*").account == "key:acme//a"
    assert (principal().user_group, principal(team="design").user_group) == ("default", "design")


def test_a_model_must_be_allowed_along_the_whole_path() -> None:
    """By key, team and org each, under its own name or the alias that was asked for."""
    org = (AccountId("org:acme"), Limits(models=("a", "b")))
    team = (AccountId("team:acme/t"), Limits(models=("b", "alias")))
    narrow = replace(principal("*"), limits=(team, org))
    assert narrow.may_use("b")
    assert not narrow.may_use("a")
    assert narrow.may_use("a", "alias")
    assert not narrow.may_use("c", "alias")
    assert not replace(narrow, models=("a",)).may_use("b")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2027-01-31", 1_801_353_600_000),
        (" 2027-01-31T01:00:00+01:00 ", 1_801_353_600_000),
        ("2027-01-31T00:00:00", 1_801_353_600_000),
        ("2027-01-31T00:00:00.5Z", 1_801_353_600_500),
    ],
)
def test_a_key_expires_at_a_moment(text: str, ms: int) -> None:
    """A day begins in UTC; a time without an offset is UTC's."""
    assert parse_expiry(text) == ms


@pytest.mark.parametrize("text", ["", "2027", "tomorrow", "2027-13-01", "31.01.2027", "90d", "2027-01-31T25:00"])
def test_other_texts_are_no_moment(text: str) -> None:
    """Refused with what may be written."""
    with pytest.raises(ValueError, match="2027-01-31T18:00:00Z"):
        parse_expiry(text)
