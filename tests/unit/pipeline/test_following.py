"""What a task's end is to those who wait for it: pictures, its failure, or nothing, so that one of them makes its own."""

from dataclasses import replace

import pytest

from gateway.domain.ids import AccountId, TaskId, new_attempt_id
from gateway.domain.images import Contract
from gateway.domain.tasks import Attempt, AttemptState, Billed, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.following import Heir, heir_of

TASK = Task(
    id=TaskId("task-unified-1757165031-00000001"), account=AccountId("key:o//a"), path=(AccountId("key:o//a"), AccountId("org:o")),
    state=TaskState.COMPLETED, contract=Contract.TASK, model="m", n=1, user_group="t", created_at_ms=1, deadline_at_ms=2, reserved_microcredits=0,
    prompt="p", request_json="{}", plan_json="{}", owner="run_a", epoch=1,
)  # fmt: skip
SAME_AGAIN = {
    TaskErrorCode.CONTENT_POLICY_VIOLATION,
    TaskErrorCode.INVALID_PARAMETERS,
    TaskErrorCode.IMAGE_PROCESSING_ERROR,
    TaskErrorCode.IMAGE_DIMENSION_MISMATCH,
    TaskErrorCode.OUTCOME_UNKNOWN,
}
"""The same request would fail again, or may be paid for."""
OF_NOBODY = set(TaskErrorCode) - SAME_AGAIN


def ended(*billed: Billed | None) -> tuple[Attempt, ...]:
    """One attempt each; None: it made the picture."""
    return tuple(
        Attempt(
            new_attempt_id(), TASK.id, None, "u/m", "u", 1, AttemptState.SUCCEEDED if one is None else AttemptState.FAILED, 1, 1, billed=one
        )
        for one in billed
    )  # fmt: skip


def failed(code: TaskErrorCode) -> Task:
    return replace(TASK, state=TaskState.FAILED, error=TaskError(code, "no"))


def test_pictures_that_are_there_are_everybodys() -> None:
    assert heir_of(TASK, ended(None)) is Heir.PICTURES
    assert heir_of(TASK, ended(Billed.UNKNOWN, None)) is Heir.PICTURES
    assert heir_of(replace(TASK, erased_at_ms=5), ended(None)) is Heir.NOTHING


@pytest.mark.parametrize("code", sorted(SAME_AGAIN))
@pytest.mark.parametrize("attempts", [(), ended(Billed.NO)], ids=["never sent", "unbilled"])
def test_a_failure_of_the_request_is_everybodys(code: TaskErrorCode, attempts: tuple[Attempt, ...]) -> None:
    assert heir_of(failed(code), attempts) is Heir.FAILURE


@pytest.mark.parametrize("code", sorted(OF_NOBODY))
def test_any_other_failure_leaves_the_lead_to_one_of_them_unless_somebody_may_have_paid(code: TaskErrorCode) -> None:
    assert heir_of(failed(code), ()) is Heir.NOTHING
    assert heir_of(failed(code), ended(Billed.NO, Billed.NO)) is Heir.NOTHING
    assert heir_of(failed(code), ended(Billed.NO, Billed.YES)) is Heir.FAILURE
    assert heir_of(failed(code), ended(Billed.UNKNOWN, Billed.NO)) is Heir.FAILURE


@pytest.mark.parametrize(
    "attempts", [(), ended(Billed.NO), ended(Billed.YES)], ids=["never sent", "unbilled", "billed"]
)
def test_what_its_own_caller_cancelled_is_nobodys(attempts: tuple[Attempt, ...]) -> None:
    """Its bill is its caller's, who wanted it; the others still want their picture."""
    cancelled = replace(TASK, state=TaskState.CANCELLED, error=TaskError(TaskErrorCode.REQUEST_CANCELLED, "stopped"))
    assert heir_of(cancelled, attempts) is Heir.NOTHING


def test_what_is_not_over_or_not_there_is_nothing() -> None:
    assert heir_of(None, ()) is Heir.NOTHING
    for state in (TaskState.PENDING, TaskState.PROCESSING):
        assert heir_of(replace(TASK, state=state), ended(Billed.UNKNOWN)) is Heir.NOTHING
