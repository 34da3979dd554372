"""What follows a failure, as a table."""

import pytest

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Billed, Fault
from gateway.routing.retry import RESENDS_MAX, Step, next_step

N, Y, U = Billed.NO, Billed.YES, Billed.UNKNOWN
KEY, JOB, LOOKUP, NONE = Recovery.IDEMPOTENCY_KEY, Recovery.ASYNC_JOB, Recovery.LOOKUP, Recovery.NONE


def step(
    fault: Fault,
    billed: Billed,
    recovery: Recovery = NONE,
    on_unknown: OnUnknown = OnUnknown.STOP,
    resends: int = 0,
    has_job: bool = False,
) -> Step:
    return next_step(fault, billed, recovery=recovery, on_unknown=on_unknown, resends=resends, has_job=has_job)


@pytest.mark.parametrize("billed", Billed)
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.CANCELLED])
def test_refusal_and_cancel_end_the_part(fault: Fault, billed: Billed) -> None:
    """Neither is tried elsewhere, however it was billed."""
    assert step(fault, billed, KEY, OnUnknown.NEXT) is Step.STOP


@pytest.mark.parametrize("recovery", Recovery)
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in (Fault.REFUSED, Fault.CANCELLED)])
def test_unbilled_failures_go_to_the_next_offer(fault: Fault, recovery: Recovery) -> None:
    """What cost nothing may be tried elsewhere at once, and is never sent to the same offer again."""
    assert step(fault, N, recovery) is Step.NEXT


@pytest.mark.parametrize(
    ("recovery", "has_job", "expected"),
    [
        (KEY, False, Step.SAME),
        (LOOKUP, False, Step.SAME),
        (JOB, True, Step.SAME),
        (JOB, False, Step.STOP),
        (NONE, True, Step.STOP),
    ],
)
def test_doubt_is_resolved_where_the_upstream_can_be_asked(recovery: Recovery, has_job: bool, expected: Step) -> None:
    """A lost answer is looked for again by key, look-up or stored job; a job submit without an id is never sent twice."""
    assert step(Fault.NO_ANSWER, U, recovery, has_job=has_job) is expected


def test_doubt_that_stays_follows_on_unknown() -> None:
    """After the last look the operator's setting decides: stop, or risk the second payment."""
    assert step(Fault.NO_ANSWER, U, KEY, resends=RESENDS_MAX - 1) is Step.SAME
    assert step(Fault.NO_ANSWER, U, KEY, resends=RESENDS_MAX) is Step.STOP
    assert step(Fault.NO_ANSWER, U, KEY, OnUnknown.NEXT, RESENDS_MAX) is Step.NEXT
    assert step(Fault.NO_ANSWER, U, NONE, OnUnknown.NEXT) is Step.NEXT


def test_lost_paid_results_are_made_again_at_our_cost() -> None:
    """The caller gets a picture: the same one where it can be fetched again, else another; other billed failures end."""
    assert step(Fault.RESULT_LOST, Y, JOB, has_job=True) is Step.SAME
    assert step(Fault.RESULT_LOST, Y, JOB, resends=RESENDS_MAX, has_job=True) is Step.NEXT
    assert step(Fault.RESULT_LOST, Y) is Step.NEXT
    assert step(Fault.NO_IMAGE, Y, KEY) is Step.NEXT
    assert step(Fault.FAILED, Y) is Step.STOP
