"""Which budgets refused a call lately: told by whoever is refused, read by the watch. In memory, bounded, and lost with the process.

What is lost comes again with the next refused call.
"""

from dataclasses import dataclass
from typing import Self

from gateway.domain.ids import AccountId
from gateway.ledger.model import BudgetRefusal

BUDGETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class RefusedBudget:
    """One budget in one window, which is named by its end."""

    account: AccountId
    budget: str
    resets_at_ms: int | None

    @classmethod
    def of(cls, refusal: BudgetRefusal) -> Self:
        return cls(refusal.account, str(refusal.budget), refusal.resets_at_ms)


class RefusedBudgets:
    """One a process."""

    def __init__(self) -> None:
        self._refused: set[RefusedBudget] = set()

    def note(self, refusal: BudgetRefusal) -> None:
        """A call that the whole budget could not pay for says nothing about its use."""
        if refusal.needed <= refusal.budget.limit and len(self._refused) < BUDGETS_MAX:
            self._refused.add(RefusedBudget.of(refusal))

    def take(self) -> set[RefusedBudget]:
        """Those since the last time."""
        taken, self._refused = self._refused, set()
        return taken
