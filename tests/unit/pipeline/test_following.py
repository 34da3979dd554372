"""What a task's end is to those who wait for it: pictures, its failure, or nothing, so that one of them makes its own."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, TaskId, new_attempt_id
from gateway.domain.images import Contract, ImageRequest
from gateway.domain.money import NOTHING
from gateway.domain.tasks import Attempt, AttemptState, Billed, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.commands import Finish, Finished
from gateway.pipeline.following import Following, Heir, heir_of
from gateway.pipeline.frozen import FrozenPlan
from gateway.pipeline.waits import Waits
from gateway.pipeline.work import Work
from gateway.telemetry.metrics import Metrics
from tests.sharing import sharing_over

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


class Books:
    """Of one source, which has ended or not; every end that is written is kept."""

    def __init__(self, source: Task | None) -> None:
        self.answers: list[object] = [[] if source is None else [source], list(ended(None))]
        self.written: list[Finish] = []

    async def read(self, query: object) -> object:
        return self.answers.pop(0)

    async def write(self, command: Finish) -> Finished:
        self.written.append(command)
        return Finished(replace(TASK, state=command.state, error=command.error), NOTHING, command.charge, None)


def following(source: Task | None) -> tuple[Following, Books]:
    books: Any = Books(source)
    sharing = sharing_over(books)
    waits = Waits(books, lambda _: None)
    return Following(sharing, waits, books, Metrics(), SystemClock(), results_ms=86_400_000), books


def late_work() -> Work:
    """Taken up after its deadline: the process had been away."""
    waiting = replace(TASK, id=TaskId("task-unified-1757165031-00000002"), state=TaskState.PENDING, source=TASK.id)
    plan, future = FrozenPlan((), 1_000_000, Decimal(1), Decimal(72)), asyncio.get_running_loop().create_future()
    return Work(
        waiting, plan, ImageRequest("m", "p"), future, accepted_s=0.0, deadline_s=SystemClock().monotonic_s() - 1
    )


async def test_pictures_that_are_there_are_not_too_late() -> None:
    """Whoever is taken up after its deadline still gets what was made in time."""
    it, books = following(TASK)
    followed = await it.follow(late_work())
    assert followed.finished is not None
    [end] = books.written
    assert (end.state, end.source) == (TaskState.COMPLETED, TASK.id)


@pytest.mark.parametrize(
    "source",
    [None, replace(TASK, state=TaskState.PROCESSING), failed(TaskErrorCode.SERVICE_ERROR)],
    ids=["gone", "at it", "failed"],
)
async def test_after_the_deadline_nobody_leads(source: Task | None) -> None:
    """It ends as too late, whatever became of the one that it waited for."""
    it, books = following(source)
    books.answers[1] = ended(Billed.NO)
    await it.follow(late_work())
    [end] = books.written
    assert (end.state, end.error and end.error.code) == (TaskState.FAILED, TaskErrorCode.GENERATION_TIMEOUT)
