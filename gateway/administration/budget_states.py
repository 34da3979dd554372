"""How full budgets are, which thresholds are crossed, and what an alert says. Pure: books and a moment in, messages out.

Charged counts against a threshold, held does not: a hold may be given back. A budget that refused a call is at 100 %, however little is missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from gateway.administration.refused_budgets import RefusedBudget
from gateway.domain import money
from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.alerts import ALERT_TYPE
from gateway.domain.ids import AccountId, org_of, team_of
from gateway.domain.windows import ends_at_ms
from gateway.ledger import decide
from gateway.ledger.model import NO_TERMS, Balance, Books
from gateway.telemetry.labels import BudgetFigure

FULL = 100


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One budget of one account in one window. Amounts are in its unit: micro, or images."""

    account: AccountId
    budget: Budget
    window_start_ms: int
    resets_at_ms: int | None
    used: int
    held: int

    @property
    def left(self) -> int:
        return max(0, self.budget.limit - self.used - self.held)

    @property
    def name(self) -> RefusedBudget:
        return RefusedBudget(self.account, str(self.budget), self.resets_at_ms)

    def crossed(self, thresholds: Sequence[int], *, refused: bool) -> tuple[int, ...]:
        """In percent, rising. A budget of nothing is a closed door and crosses none."""
        if not self.budget.limit:
            return ()
        return tuple(
            threshold
            for threshold in sorted(thresholds)
            if self.used * 100 >= threshold * self.budget.limit or (refused and threshold == FULL)
        )

    def figure(self) -> BudgetFigure:
        """For the metrics. Of a budget of nothing everything is used."""
        ratio = self.used / self.budget.limit if self.budget.limit else 1.0
        unit = self.budget.unit
        return BudgetFigure(self.account, self.budget.window.value, unit.value, ratio, _shown(self.left, unit))

    def body(self, threshold: int, now_ms: int, *, refused: bool) -> str:
        """The message that this threshold is crossed, as it is sent."""
        unit = self.budget.unit
        data = {
            "account": self.account,
            "org": org_of(self.account),
            "team": team_of(self.account),
            "budget": str(self.budget),
            "window": self.budget.window.value,
            "window_start": _time(self.window_start_ms) if self.window_start_ms else None,
            "resets_at": None if self.resets_at_ms is None else _time(self.resets_at_ms),
            "threshold_percent": threshold,
            "used": _shown(self.used, unit),
            "held": _shown(self.held, unit),
            "limit": _shown(self.budget.limit, unit),
            "left": _shown(self.left, unit),
            "unit": unit.value,
            "refusing": refused or not self.left,
        }
        return orjson.dumps({"type": ALERT_TYPE, "timestamp": _time(now_ms), "data": data}).decode()


def states_at(books: Books, account: AccountId, moment_ms: int) -> Iterator[BudgetState]:
    """Of every budget of an account, and of its prepaid credits, in the windows that a moment lies in."""
    terms = books.terms.get(account, NO_TERMS)
    starts = decide.windows_of(books, account, moment_ms)
    budgets = terms.budgets
    if terms.prepaid:
        budgets = (*budgets, decide.limits_of(books, account, moment_ms)[-1][0])
    for budget in budgets:
        window = Window.TOTAL if budget.window is Window.GRANTED else budget.window
        found: Balance = decide.used(books, account, window, moment_ms)
        yield BudgetState(
            account,
            budget,
            starts.of(budget.window),
            _ends_at_ms(budget.window, moment_ms, terms.zone),
            budget.unit.of(found.posted),
            budget.unit.of(found.pending),
        )


_ends_at_ms = lru_cache(maxsize=1024)(ends_at_ms)
"""The same for very many budgets of one look."""


def _shown(amount: int, unit: Unit) -> float | int:
    return amount if unit is Unit.IMAGES else money.json_number(amount)


def _time(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
