"""An alert about a budget: one threshold of one budget in one window, told once."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.ids import AccountId

ALERT_TYPE = "budget.threshold"


class AlertState(StrEnum):
    """SENT and DEAD are final unless somebody has it sent again."""

    DUE = "due"  # to be sent, or sent again, from `next_at_ms` on
    SENT = "sent"
    DEAD = "dead"  # given up


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """One message. The id stays the same however often it is sent, and so does the body, byte for byte."""

    id: str
    account: AccountId
    budget: str
    """As it is written: `20usd/day`. A changed budget is another one; granted credits are `500credits/granted`."""
    window_start_ms: int
    threshold_percent: int
    body: str
    """JSON."""
    created_at_ms: int
    state: AlertState
    tries: int
    next_at_ms: int
    """While it is due: when it is sent next, or when whoever is sending it now is given up."""
    answer: str | None = None
    """Of the latest try: the receiver's status, or what went wrong."""
