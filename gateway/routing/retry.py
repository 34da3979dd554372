"""What follows a failed attempt, and an upstream's word about one that may have been sent. Pure; the caller keeps count, waits and sends."""

from enum import StrEnum

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Billed, Fault, Heard

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


class Look(StrEnum):
    TAKE = "take"  # the attempt's end, as the upstream tells it
    AGAIN = "again"  # ask again after a pause
    SEND = "send"  # it never arrived, and will not any more: another may be sent
    STOP = "stop"  # nobody waits longer: the outcome stays unknown


def next_look(heard: Heard, *, may_arrive: bool, time_is_up: bool) -> Look:
    """For Recovery.LOOKUP. `may_arrive`: when the upstream was asked, its sender, or the network, could still have brought it there."""
    match heard:
        case Heard.MADE | Heard.FAILED:
            return Look.TAKE
        case Heard.NOTHING:
            return Look.AGAIN if may_arrive else Look.SEND
        case Heard.WORKING | Heard.SILENT:
            return Look.STOP if time_is_up and not may_arrive else Look.AGAIN
