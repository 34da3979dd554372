"""Amounts: what is exact, what is rounded and which way, and what no text may become."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import money
from gateway.domain.money import AMOUNT_MAX, MICRO, NOTHING, Amount

RATES = st.decimals("0.01", "10000", places=4)
MICROS = st.integers(0, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("text", "micro"),
    [("0", 0), ("1.5", 1_500_000), ("0.000001", 1), (72, 72_000_000), (Decimal("0.0200"), 20_000), ("1e3", 1_000_000_000)],
)  # fmt: skip
def test_numbers_become_millionths_exactly(text: str | int | Decimal, micro: int) -> None:
    """Texts, integers and decimals."""
    assert money.to_micro(text) == micro


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one",
        "-1",
        "-0.000001",
        "0.0000001",
        "1000000001",
        "NaN",
        "sNaN",
        "Infinity",
        "9e999999",
        "1e-999999",
        "1,5",
    ],
)
def test_what_is_no_amount_is_a_value_error(text: str) -> None:
    """Also where Decimal itself overflows: a config must never end in a foreign exception."""
    with pytest.raises(ValueError, match=r"decimal|range|finer"):
        money.to_micro(text)


@given(MICROS)
def test_formatting_and_reading_are_inverse(micro: int) -> None:
    """Every amount comes back as it was."""
    assert money.to_micro(money.format_micro(micro)) == micro


@pytest.mark.parametrize(
    ("micro", "text"), [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (-20_000, "-0.02"), (-MICRO, "-1")]
)
def test_format(micro: int, text: str) -> None:
    """No exponent, no trailing zeros, the sign in front."""
    assert money.format_micro(micro) == text


@pytest.mark.parametrize(("micro", "number"), [(2 * MICRO, 2), (1_500_000, 1.5), (1, 0.000001), (0, 0)])
def test_json_number(micro: int, number: float) -> None:
    """Whole credits are integers, others the float a reader expects."""
    assert money.json_number(micro) == number
    assert isinstance(money.json_number(micro), int) == (micro % MICRO == 0)


@pytest.mark.parametrize(
    ("usd", "half_up", "up"),
    [("0.0000005", 1, 1), ("0.0000004", 0, 1), ("0.0000014", 1, 2), ("0.02", 20_000, 20_000), ("0", 0, 0)],
)
def test_costs_round_half_up_and_worst_cases_up(usd: str, half_up: int, up: int) -> None:
    """A cost of exactly half a micro-dollar counts; a hold never lacks a fraction."""
    assert money.usd_cost(Decimal(usd)) == half_up
    assert money.usd_cost_most(Decimal(usd)) == up


@given(st.lists(MICROS.map(lambda micro: micro // 1000), max_size=5), RATES, RATES)
def test_a_charge_never_exceeds_its_hold(costs: list[int], markup: Decimal, rate: Decimal) -> None:
    """In credits and in dollars, at every rate: the hold is rounded up, the charge half-up, and dollars are both rounded alike."""
    charged = money.charge_of_cost(costs, markup=markup, credits_per_usd=rate)
    held = money.hold_of_cost(sum(costs), markup=markup, credits_per_usd=rate)
    assert charged <= held <= charged + 1
    charge, hold = (money.charge_amount(part, 1, credits_per_usd=rate) for part in (charged, held))
    assert not (hold - charge).is_negative
    assert charge.capped_at(hold) == charge


def test_a_charge_is_rounded_once_for_all_parts() -> None:
    """Three thirds of a micro are one, not none."""
    third = Decimal(1) / 3
    assert money.charge_of_cost([1, 1, 1], markup=third, credits_per_usd=Decimal(1)) == 1
    assert money.charge_of_cost([], markup=third, credits_per_usd=Decimal(1)) == 0


def test_amounts_add_up_part_by_part() -> None:
    """Sum, difference, negation and cap look at credits, dollars and images by themselves."""
    one, two = Amount(1, 20, 3), Amount(10, 2, 3)
    assert one + two == Amount(11, 22, 6)
    assert one - two == Amount(-9, 18, 0)
    assert -one == Amount(-1, -20, -3)
    assert one.capped_at(two) == Amount(1, 2, 3)
    assert [amount.is_negative for amount in (NOTHING, one, Amount(-1), Amount(0, -1), Amount(0, 0, -1))] == [
        False, False, True, True, True,
    ]  # fmt: skip
