"""What a caller is told when no picture came: pure, from the failures of all attempts.

The most telling failure counts: a refusal before a doubt, a doubt before the caller's own pictures, these before a lost picture, that before a
time-out, these before everything that only says that upstreams were unwell. Upstreams' own words stay with the operator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.tasks import Billed, Fault, TaskError, TaskErrorCode, TaskState


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a part of a task ended without pictures. `fault` None: no offer could be tried in time or at all."""

    fault: Fault | None
    billed: Billed = Billed.NO
    timed_out: bool = False
    error: TaskError | None = None
    """Of the caller's own pictures: nothing was sent."""


CANCELLED = TaskError(TaskErrorCode.REQUEST_CANCELLED, "The task was cancelled by its caller; nothing is charged.")
_BILLED = TaskError(
    TaskErrorCode.REQUEST_CANCELLED,
    "The task was cancelled by its caller, but an upstream had begun and bills it: that is charged, and there is no picture.",
)


def end_without_pictures(failures: Sequence[Failure], *, wished: bool, is_charged: bool) -> tuple[TaskState, TaskError]:
    """`wished`: its caller wants it cancelled; `is_charged`: what was cancelled was billed all the same.

    A refusal or a doubt is told as what it is; nothing else is worth telling whoever did not want the picture any more.
    """
    if is_charged:
        return TaskState.CANCELLED, _BILLED
    telling = any(one.fault is Fault.REFUSED or one.billed is Billed.UNKNOWN for one in failures)
    if wished and not telling:
        return TaskState.CANCELLED, CANCELLED
    return TaskState.FAILED, task_error(failures)


def task_error(failures: Sequence[Failure]) -> TaskError:
    """The error of a task of which nothing was delivered."""
    faults = {failure.fault for failure in failures}
    if Fault.REFUSED in faults:
        return TaskError(
            TaskErrorCode.CONTENT_POLICY_VIOLATION,
            "The upstream refused this prompt because of its content policy. Nothing is charged. Change the prompt.",
        )
    if any(failure.billed is Billed.UNKNOWN for failure in failures):
        return TaskError(
            TaskErrorCode.OUTCOME_UNKNOWN,
            "The request was sent, but no answer came, so nobody knows whether a picture was made. Nothing is charged. "
            "It was not sent again, because that might pay twice; send it again if you want to.",
        )
    for failure in failures:
        if failure.error is not None:
            return failure.error
    if Fault.RESULT_LOST in faults:
        return TaskError(
            TaskErrorCode.GENERATION_FAILED_NO_CONTENT,
            "A picture was made, but it could not be fetched or stored. Nothing is charged. Try again.",
        )
    if any(failure.timed_out for failure in failures):
        return TaskError(
            TaskErrorCode.GENERATION_TIMEOUT, "No picture was made before the deadline. Nothing is charged. Try again."
        )
    if faults and faults <= {Fault.BAD_REQUEST}:
        return TaskError(
            TaskErrorCode.INVALID_PARAMETERS,
            "No upstream accepts these parameters for this model. Nothing is charged. Use the model's listed sizes and defaults.",
        )
    if Fault.NO_IMAGE in faults:
        return TaskError(
            TaskErrorCode.GENERATION_FAILED_NO_CONTENT,
            "The upstream answered without a picture. Nothing is charged. Try again.",
        )
    if faults and faults <= {Fault.RATE_LIMITED, Fault.OVERLOADED}:
        return TaskError(
            TaskErrorCode.RESOURCE_EXHAUSTED,
            "All upstreams of this model are busy now. Nothing is charged. Try again shortly.",
        )
    if Fault.FAILED in faults:
        return TaskError(
            TaskErrorCode.SERVICE_ERROR, "The upstream failed to make the picture. Nothing is charged. Try again."
        )
    return TaskError(
        TaskErrorCode.SERVICE_UNAVAILABLE,
        "No upstream of this model can be reached now. Nothing is charged. Try again shortly.",
    )
