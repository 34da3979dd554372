"""What the ledger's state machine keeps of a task, and the gateway's answers in the model's words."""

from dataclasses import dataclass, field
from typing import TypedDict

from gateway.domain.ids import AccountId, AttemptId
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, Task
from gateway.ledger.model import BudgetRefusal
from tests.property.ledger_model import Refused, Triple, Windows


@dataclass
class ModelTask:
    """What the model knows of a task. Money as plain integers of (credits, usd, images)."""

    task: Task
    held: Triple
    windows: dict[AccountId, Windows]
    """Of each account, those in which it was accepted."""
    state: str = "pending"
    epoch: int = 1
    open: dict[AttemptId, tuple[Attempt, Windows]] = field(default_factory=dict)
    """With the upstream's windows in which it was sent."""
    ended: list[Attempt] = field(default_factory=list)
    doubts: dict[AttemptId, tuple[Attempt, Windows]] = field(default_factory=dict)
    """Ended, and nobody knows whether they were billed."""
    paid: bool = False
    """A picture of it is there."""

    @property
    def finished(self) -> bool:
        return self.state in ("completed", "failed", "cancelled")


def triple(amount: Amount) -> Triple:
    return amount.microcredits, amount.microusd, amount.images


class Known(TypedDict, total=False):
    """What a giver may know of a task, which otherwise is looked up."""

    path: tuple[AccountId, ...]
    accepted_at_ms: int


def known(task: Task) -> Known:
    return {"path": task.path, "accepted_at_ms": task.created_at_ms}


def told(refusal: BudgetRefusal) -> Refused:
    """In the model's words."""
    budget = refusal.budget
    return Refused(
        refusal.account, budget.unit.value, budget.window.value, refusal.left, refusal.needed, refusal.resets_at_ms
    )
