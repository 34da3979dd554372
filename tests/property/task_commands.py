"""Parts of the commands that the state machine of tasks gives, and by which rule they follow from few words."""

from dataclasses import replace

from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import Amount
from gateway.domain.sharing import SHARED_MS_MIN
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault
from gateway.pipeline.commands import Cancel, Command, Finish, Lead, RecordAttempts
from tests.property.ledger_world import RATE
from tests.property.task_model import CANCELLABLE, LATER_MS

ENDS = ("made", "unbilled", "billed", "unknown", "stopped")
"""How an attempt ends."""


def amount(credits_: int) -> Amount:
    return Amount(credits_ * 1_000_000, credits_ * 10_000, 1)


def cancel_of(task_id: TaskId, account: AccountId) -> Cancel:
    return Cancel(task_id, account, RATE, cancellable=frozenset({CANCELLABLE}))


def repeated(command: Command) -> Command:
    """Given once more, by a worker that had no answer."""
    if isinstance(command, Lead):
        return command
    assert isinstance(command, RecordAttempts | Finish)
    return replace(command, repeated=True)


def ending_of(attempt: Attempt, how: str) -> Attempt:
    presumed = attempt.presumed_cost_microusd
    state, billed, cost = {
        "made": (AttemptState.SUCCEEDED, None, presumed - 7),
        "unbilled": (AttemptState.FAILED, Billed.NO, 0),
        "billed": (AttemptState.FAILED, Billed.YES, presumed + 5),
        "unknown": (AttemptState.UNKNOWN, Billed.UNKNOWN, 0),
        "stopped": (AttemptState.FAILED, Billed.YES, presumed + 3),
    }[how]
    fault = None if state is AttemptState.SUCCEEDED else Fault.CANCELLED if how == "stopped" else Fault.FAILED
    return replace(attempt, state=state, billed=billed, fault=fault, cost_microusd=cost, ended_at_ms=5)


def expiry(number: int) -> int | None:
    """Of pictures: in the next century, or so soon that they are promised, and shared no more, or never promised at all."""
    soon_ms = SystemClock().now_ms() + SHARED_MS_MIN - 60_000
    return (LATER_MS, LATER_MS, soon_ms, None)[number % 4]
