"""What follows a failed attempt: the same offer again, the next one, or an end. Pure; the caller keeps count, waits and sends."""

from enum import StrEnum

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Billed, Fault

RESENDS_MAX = 3
"""How often one attempt is looked for again before its outcome counts as unknown."""


class Step(StrEnum):
    SAME = "same"  # find the same attempt again: same key, stored job id, or a look-up; never a second payment
    NEXT = "next"  # a new attempt at the next offer
    STOP = "stop"  # the part ends here


def next_step(
    fault: Fault,
    billed: Billed,
    *,
    recovery: Recovery,
    on_unknown: OnUnknown,
    resends: int,
    has_job: bool = False,
) -> Step:
    """`has_job`: the upstream's job id is stored. Without it an ASYNC_JOB submit cannot be found again, and sending it again may pay twice."""
    if fault in (Fault.REFUSED, Fault.CANCELLED):
        return Step.STOP
    if billed is Billed.NO:
        return Step.NEXT
    can_be_found = resends < RESENDS_MAX and (
        recovery in (Recovery.IDEMPOTENCY_KEY, Recovery.LOOKUP) or (recovery is Recovery.ASYNC_JOB and has_job)
    )
    if billed is Billed.UNKNOWN:
        if can_be_found:
            return Step.SAME
        return Step.NEXT if on_unknown is OnUnknown.NEXT else Step.STOP
    if fault is Fault.RESULT_LOST and can_be_found:
        return Step.SAME  # paid for: a fresh link to the same picture costs nothing
    # A billed answer without a picture is our loss; the caller still gets one. Any other billed failure would be paid for again.
    return Step.NEXT if fault in (Fault.RESULT_LOST, Fault.NO_IMAGE) else Step.STOP
