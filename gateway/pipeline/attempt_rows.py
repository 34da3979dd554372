"""The rows of attempts: one that is about to be sent, and those whose end nobody knows. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.domain.catalog import Offer
from gateway.domain.ids import AttemptId, TaskId, new_attempt_id
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault


def new_attempt(
    task_id: TaskId, parent: AttemptId | None, offer: Offer, n: int, presumed_microusd: int, now_ms: int
) -> Attempt:
    """The row of an attempt that is about to be sent."""
    return Attempt(
        new_attempt_id(),
        task_id,
        parent,
        offer.id,
        offer.upstream,
        n,
        AttemptState.SENDING,
        presumed_microusd,
        sent_at_ms=now_ms,
    )


def in_doubt(attempts: Iterable[Attempt], now_ms: int, why: str) -> list[Attempt]:
    """Those of the attempts that are open, as ends of which nobody knows whether they were billed."""
    return [
        replace(
            attempt, state=AttemptState.UNKNOWN, ended_at_ms=now_ms, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN, message=why[:300]
        )
        for attempt in attempts
        if attempt.state.is_open
    ]  # fmt: skip


def offers_above(attempts: Iterable[Attempt], attempt_id: AttemptId | None) -> set[str]:
    """The offers of an attempt and of all that it came after."""
    by_id = {attempt.id: attempt for attempt in attempts}
    found: set[str] = set()
    while attempt_id is not None and (attempt := by_id.pop(attempt_id, None)) is not None:
        found.add(attempt.offer_id)
        attempt_id = attempt.parent_id
    return found
