"""The rows of attempts: one that is about to be sent, and those whose end nobody knows. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.domain import money
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.ids import AttemptId, TaskId, new_attempt_id
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault
from gateway.upstreams.base import UpstreamFailure


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


def failed(attempt: Attempt, failure: UpstreamFailure, now_ms: int, message: str) -> Attempt:
    """Its end without a picture. A billed one costs what the upstream named, else what was presumed. `message` may be kept."""
    cost = 0
    if failure.billed is Billed.YES:
        cost = attempt.presumed_cost_microusd if failure.cost_usd is None else money.usd_cost(failure.cost_usd)
    return replace(
        attempt,
        state=AttemptState.UNKNOWN if failure.billed is Billed.UNKNOWN else AttemptState.FAILED,
        ended_at_ms=now_ms,
        fault=failure.fault,
        billed=failure.billed,
        cost_microusd=cost,
        message=message,
    )


def succeeded(attempt: Attempt, now_ms: int, cost_microusd: int, lost_microusd: int, images: int) -> Attempt:
    """Its end with pictures."""
    return replace(
        attempt, state=AttemptState.SUCCEEDED, ended_at_ms=now_ms, cost_microusd=cost_microusd, lost_microusd=lost_microusd, images=images
    )  # fmt: skip


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


def age_s(attempt: Attempt, clock: Clock) -> float:
    """Since it was sent. By two machines' clocks, so not negative: nobody waits longer than the whole."""
    return max(0.0, (clock.now_ms() - attempt.sent_at_ms) / 1000)
