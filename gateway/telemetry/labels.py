"""How metrics stay bounded whatever comes: labels keep so many values, the rest counts as `other`. Pure; fails never."""

from collections.abc import Iterable
from dataclasses import dataclass

DISTINCT_VALUES_MAX = 200
OTHER = "other"


class BoundedLabel:
    """Lets the first DISTINCT_VALUES_MAX values of a label through and turns the rest into `other`, so that no caller can grow the series."""

    def __init__(self, values_max: int = DISTINCT_VALUES_MAX) -> None:
        self._values_max = values_max
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._values_max:
            return OTHER
        self._seen.add(value)
        return value


@dataclass(frozen=True, slots=True)
class BudgetFigure:
    """One budget of one account."""

    account: str
    window: str
    unit: str
    used_ratio: float
    """Charged, as a part of the limit; above 1 where the limit was lowered below it."""
    left: float
    """In USD, credits or images."""


Used = dict[tuple[str, ...], float]
Left = dict[tuple[str, ...], float]


def tightest(figures: Iterable[BudgetFigure], accounts_max: int = DISTINCT_VALUES_MAX) -> tuple[Used, Left]:
    """By account and window the fullest budget, and by unit besides what the tightest has left; beyond `accounts_max` all accounts are one.

    Not the first that come keep their names, as with other labels: the fullest budgets are the ones that somebody waits to hear of.
    """
    given = list(figures)
    fullest: dict[str, float] = {}
    for figure in given:
        fullest[figure.account] = max(fullest.get(figure.account, 0.0), figure.used_ratio)
    named = set(sorted(fullest, key=lambda account: (-fullest[account], account))[:accounts_max])
    used: Used = {}
    left: Left = {}
    for figure in given:
        account = figure.account if figure.account in named else OTHER
        of_window, of_unit = (account, figure.window), (account, figure.window, figure.unit)
        used[of_window] = max(used.get(of_window, figure.used_ratio), figure.used_ratio)
        left[of_unit] = min(left.get(of_unit, figure.left), figure.left)
    return used, left
