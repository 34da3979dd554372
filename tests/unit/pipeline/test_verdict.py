"""What a caller is told when no picture came."""

import pytest

from gateway.domain.tasks import Billed, Fault, TaskErrorCode
from gateway.pipeline.verdict import Failure, task_error

NO, YES, UNKNOWN = Billed.NO, Billed.YES, Billed.UNKNOWN


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([Failure(Fault.REFUSED)], TaskErrorCode.CONTENT_POLICY_VIOLATION),
        ([Failure(Fault.NO_ANSWER, UNKNOWN), Failure(Fault.REFUSED, YES)], TaskErrorCode.CONTENT_POLICY_VIOLATION),
        ([Failure(Fault.FAILED), Failure(Fault.NO_ANSWER, UNKNOWN)], TaskErrorCode.OUTCOME_UNKNOWN),
        ([Failure(None, timed_out=True)], TaskErrorCode.GENERATION_TIMEOUT),
        ([Failure(Fault.OVERLOADED, timed_out=True)], TaskErrorCode.GENERATION_TIMEOUT),
        ([Failure(Fault.BAD_REQUEST)], TaskErrorCode.INVALID_PARAMETERS),
        ([Failure(Fault.BAD_REQUEST), Failure(Fault.FAILED)], TaskErrorCode.SERVICE_ERROR),
        ([Failure(Fault.NO_IMAGE, YES)], TaskErrorCode.GENERATION_FAILED_NO_CONTENT),
        ([Failure(Fault.RESULT_LOST, YES)], TaskErrorCode.GENERATION_FAILED_NO_CONTENT),
        (
            [Failure(Fault.RESULT_LOST, YES), Failure(None, timed_out=True)],
            TaskErrorCode.GENERATION_FAILED_NO_CONTENT,
        ),
        ([Failure(Fault.LOCAL)], TaskErrorCode.SERVICE_UNAVAILABLE),
        ([Failure(Fault.RATE_LIMITED), Failure(Fault.OVERLOADED)], TaskErrorCode.RESOURCE_EXHAUSTED),
        ([Failure(Fault.UNREACHABLE)], TaskErrorCode.SERVICE_UNAVAILABLE),
        ([Failure(Fault.NO_MONEY)], TaskErrorCode.SERVICE_UNAVAILABLE),
        ([Failure(Fault.CREDENTIALS), Failure(None)], TaskErrorCode.SERVICE_UNAVAILABLE),
        ([], TaskErrorCode.SERVICE_UNAVAILABLE),
    ],
)
def test_the_most_telling_failure_counts(failures: list[Failure], code: TaskErrorCode) -> None:
    """A refusal before a doubt, a doubt before a lost picture, that before a time-out, these before unwell upstreams."""
    assert task_error(failures).code is code


def test_every_text_says_that_nothing_is_charged() -> None:
    """The caller's first question."""
    for fault in Fault:
        for billed in Billed:
            assert "Nothing is charged" in task_error([Failure(fault, billed)]).message
