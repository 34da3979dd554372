"""What follows a failure, as a table."""

import pytest

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Billed, Fault, Heard
from gateway.routing.retry import RESENDS_MAX, Look, Step, next_look, next_step

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


@pytest.mark.parametrize(
    ("heard", "may_arrive", "time_is_up", "expected"),
    [
        # What it knows the end of has ended, whenever it says so.
        *((heard, may, up, Look.TAKE) for heard in (Heard.MADE, Heard.FAILED) for may in (True, False) for up in (True, False)),
        # What it knows nothing of may be on its way, however late it is.
        (Heard.NOTHING, True, False, Look.AGAIN),
        (Heard.NOTHING, True, True, Look.AGAIN),
        (Heard.NOTHING, False, False, Look.SEND),
        (Heard.NOTHING, False, True, Look.SEND),
        # It is at it, or cannot be asked: waited for while anybody waits.
        *((heard, True, up, Look.AGAIN) for heard in (Heard.WORKING, Heard.SILENT) for up in (True, False)),
        *((heard, False, False, Look.AGAIN) for heard in (Heard.WORKING, Heard.SILENT)),
        *((heard, False, True, Look.STOP) for heard in (Heard.WORKING, Heard.SILENT)),
    ],
)  # fmt: skip
def test_what_an_upstreams_word_means(heard: Heard, may_arrive: bool, time_is_up: bool, expected: Look) -> None:
    """Only "nothing", said when nothing could arrive any more, allows another sending; silence and work in progress never do."""
    assert next_look(heard, may_arrive=may_arrive, time_is_up=time_is_up) is expected
