"""Money: integers of a millionth. This is the only module that multiplies, rounds or formats it.

Two books that are never mixed: microcredits (what callers are charged) and microusd (what upstreams are paid). Decimal arithmetic; a charge
or a cost is rounded half-up once, a hold is rounded up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import NewType, Self

Microcredits = NewType("Microcredits", int)
Microusd = NewType("Microusd", int)

MICRO = 1_000_000
AMOUNT_MAX = 10**15
"""A thousand million credits or dollars: far below 2**63, so sums of many amounts cannot overflow a BIGINT."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a call counts for on an account: charged credits, the same charge in USD, and images. A budget looks at one of the three."""

    microcredits: int = 0
    microusd: int = 0
    images: int = 0

    def __add__(self, other: Self) -> "Amount":
        return Amount(
            self.microcredits + other.microcredits, self.microusd + other.microusd, self.images + other.images
        )

    def __sub__(self, other: Self) -> "Amount":
        return Amount(
            self.microcredits - other.microcredits, self.microusd - other.microusd, self.images - other.images
        )

    def __neg__(self) -> "Amount":
        return Amount(-self.microcredits, -self.microusd, -self.images)

    def capped_at(self, limit: Self) -> "Amount":
        """The smaller of the two in every part."""
        return Amount(
            min(self.microcredits, limit.microcredits),
            min(self.microusd, limit.microusd),
            min(self.images, limit.images),
        )

    def raised_to(self, other: Self) -> "Amount":
        """The larger of the two in every part."""
        return Amount(
            max(self.microcredits, other.microcredits),
            max(self.microusd, other.microusd),
            max(self.images, other.images),
        )

    @property
    def is_negative(self) -> bool:
        return self.microcredits < 0 or self.microusd < 0 or self.images < 0


NOTHING = Amount()


def to_micro(text: str | int | Decimal) -> int:
    """`"1.5"` -> 1500000. Raises ValueError for what is no number, is negative, too large, or finer than a millionth."""
    try:
        value = Decimal(text) * MICRO
    except ArithmeticError as exc:  # no number, or with an exponent beyond all bounds
        raise ValueError(f"{text!r} is not a decimal number") from exc
    if not value.is_finite() or value < 0 or value > AMOUNT_MAX:
        raise ValueError(f"{text!r} is out of range (0 to {AMOUNT_MAX // MICRO})")
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is finer than a millionth")
    return int(value)


def usd_cost(usd: Decimal) -> Microusd:
    """Dollars to microusd, half-up: for the cost of one attempt, once."""
    return Microusd(int((usd * MICRO).to_integral_value(rounding=ROUND_HALF_UP)))


def usd_cost_most(usd: Decimal) -> Microusd:
    """Dollars to microusd, rounded up: for what may have to be held."""
    return Microusd(int((usd * MICRO).to_integral_value(rounding=ROUND_CEILING)))


def charge_of_cost(costs: Iterable[int], *, markup: Decimal, credits_per_usd: Decimal) -> Microcredits:
    """Microcredits for the actual costs (microusd) of a task's delivered pictures; rounded half-up once per task."""
    return Microcredits(int((sum(costs) * markup * credits_per_usd).to_integral_value(rounding=ROUND_HALF_UP)))


def hold_of_cost(cost: int, *, markup: Decimal, credits_per_usd: Decimal) -> Microcredits:
    """Microcredits to hold for a cost of at most so many microusd; rounded up."""
    return Microcredits(int((cost * markup * credits_per_usd).to_integral_value(rounding=ROUND_CEILING)))


def charge_amount(microcredits: int, images: int, *, credits_per_usd: Decimal) -> Amount:
    """A charge with its USD side, half-up. The USD side of a settlement never exceeds that of its hold, since both round the same way."""
    usd = (Decimal(microcredits) / credits_per_usd).to_integral_value(rounding=ROUND_HALF_UP)
    return Amount(microcredits, int(usd), images)


def split(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`total` (not negative) in parts like the weights, exact to the last unit: what is left of rounding down goes to the largest remainders, of
    equal ones to the first. Where every weight is 0, all goes to the first part; without parts there is nothing.
    """
    if not weights:
        return ()
    whole = sum(weights)
    if whole == 0:
        return (total, *(0 for _ in weights[1:]))
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return tuple(parts)


def proportion(amount: int, part: int, whole: int) -> int:
    """What `part` of `whole` comes to, half-up: of a price for four pictures, that of three."""
    return (2 * amount * part + whole) // (2 * whole)


def share_of(amount: Amount, share: Decimal) -> Amount:
    """That share (0 to 1) of a charge, half-up; its pictures count whole, or not at all where it is nothing."""
    return _share(amount, share, ROUND_HALF_UP)


def share_of_hold(amount: Amount, share: Decimal) -> Amount:
    """The same, rounded up: the share of no charge within the hold is larger."""
    return _share(amount, share, ROUND_CEILING)


def _share(amount: Amount, share: Decimal, rounding: str) -> Amount:
    microcredits, microusd = (
        int((part * share).to_integral_value(rounding=rounding)) for part in (amount.microcredits, amount.microusd)
    )
    return Amount(microcredits, microusd, amount.images if share else 0)


@lru_cache(maxsize=1024)  # a call says the same sum to its caller and to the log, and the next one often does, too
def format_micro(micro: int) -> str:
    """1500000 -> `1.5`; exact, no exponent, no trailing zeros."""
    sign, digits = ("-" if micro < 0 else ""), f"{abs(micro):07d}"
    fraction = digits[-6:].rstrip("0")
    return f"{sign}{digits[:-6]}" + (f".{fraction}" if fraction else "")


def json_number(micro: int) -> float | int:
    """For JSON answers only: the number a reader expects (1.5). Never calculated with; a float holds any amount below 10**15 to the micro."""
    return micro // MICRO if micro % MICRO == 0 else micro / MICRO
