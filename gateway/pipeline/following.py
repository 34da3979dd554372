"""A task that waits for another task's pictures: it ends with them, or with the failure that they would have been for it too, or makes its own.

Whatever process it is in, and the other one: the row says for whom it waits. A failure is shared where the same request would fail again, or where
somebody may have paid for it: then nobody makes the picture a second time unasked. After any other end one of those who waited leads, and the
others wait for that one. How it fails: TaskLost, where the task is not this process's any more; StorageUnavailable at its deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import TypeVar

from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.domain.errors import StorageUnavailable, Unavailable
from gateway.domain.ids import TaskId
from gateway.domain.money import NOTHING, share_of
from gateway.domain.tasks import Attempt, Billed, Task, TaskError, TaskErrorCode, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline import pricing
from gateway.pipeline.commands import Command, Finish, Finished, Lead, Leading, Lost, Outcome, SourceGone
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import read_plan
from gateway.pipeline.sharing import Sharing
from gateway.pipeline.stored import STORAGE_PAUSE_S, STORAGE_PAUSE_S_MAX, TaskLost
from gateway.pipeline.waits import Waits
from gateway.pipeline.work import Work
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.metrics import Metrics

T = TypeVar("T")

LANDING_MS = 60_000
"""A leader that ends at its deadline still has to store and book."""
_OF_THE_REQUEST = frozenset(
    {
        TaskErrorCode.CONTENT_POLICY_VIOLATION,
        TaskErrorCode.INVALID_PARAMETERS,
        TaskErrorCode.IMAGE_PROCESSING_ERROR,
        TaskErrorCode.IMAGE_DIMENSION_MISMATCH,
        TaskErrorCode.OUTCOME_UNKNOWN,
    }
)
_TOO_LATE = TaskError(
    TaskErrorCode.GENERATION_TIMEOUT,
    "An identical call was waited for, and made no picture before the deadline. Nothing is charged. Try again.",
)
_TOO_DEAR = TaskError(
    TaskErrorCode.RESOURCE_EXHAUSTED,
    "An identical call was waited for, and made no picture; for one of its own this call's budget has no room. Nothing is charged.",
)


class Heir(Enum):
    """What a task's end is to a task that waits for it."""

    PICTURES = auto()
    FAILURE = auto()
    NOTHING = auto()


def heir_of(source: Task | None, attempts: tuple[Attempt, ...]) -> Heir:
    """`source` None: there is no such task any more."""
    if source is None:
        return Heir.NOTHING
    if source.state is TaskState.COMPLETED:
        return Heir.PICTURES if source.erased_at_ms is None else Heir.NOTHING
    perhaps_billed = any(attempt.billed in (Billed.YES, Billed.UNKNOWN) for attempt in attempts)
    of_the_request = source.error is not None and source.error.code in _OF_THE_REQUEST
    failed = source.state is TaskState.FAILED
    return Heir.FAILURE if failed and (of_the_request or perhaps_billed) else Heir.NOTHING


@dataclass(frozen=True, slots=True)
class Followed:
    """How the wait ended. `finished` None: the task makes its own pictures, and holds what they may cost."""

    finished: Finished | None = None


class Following:
    """One a process."""

    def __init__(
        self,
        sharing: Sharing,
        waits: Waits,
        database: Database[Command, Outcome],
        metrics: Metrics,
        clock: Clock,
        *,
        results_ms: int,
    ) -> None:
        self._sharing = sharing
        self._waits = waits
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._results_ms = results_ms

    async def follow(self, work: Work) -> Followed:
        """Until the task ends, or is to make its own pictures."""
        source = work.task.source
        reached(CrashPoint.FOLLOWING)
        while source is not None:
            in_time = await self._ended(source, work)
            task, attempts = await self._read(source, work)
            heir = heir_of(task, attempts)
            if heir is Heir.PICTURES and task is not None:
                finished = await self._share(work, task, attempts)
                if finished is not None:
                    return Followed(finished)
            if heir is Heir.FAILURE and task is not None and task.error is not None:
                return Followed(await self._finish(work, _failure(work, task.error)))
            if not in_time:  # what was made in time is its own all the same, where nobody had worked on it meanwhile
                return Followed(await self._finish(work, _failure(work, _TOO_LATE)))
            source = await self._next(work, source)
        outcome = await self._write(self._lead(work), work)
        if isinstance(outcome, BudgetRefusal):
            if work.flight is not None:
                await work.flight.dropped()
            return Followed(await self._finish(work, _failure(work, _TOO_DEAR)))
        if not isinstance(outcome, Leading):
            raise AssertionError(f"a lead was answered with {outcome}")
        reached(CrashPoint.LED)
        if work.flight is not None:
            await work.flight.accepted(self._left_ms(work))
        work.task, work.plan = outcome.task, read_plan(outcome.task.plan_json)
        self._metrics.credits(
            "held", model=work.task.model, team=work.task.user_group, microcredits=outcome.more.microcredits
        )
        return Followed()

    async def _ended(self, source: TaskId, work: Work) -> bool:
        """Whether it ended before the waiting task's deadline."""
        left_s = work.deadline_s - self._clock.monotonic_s()
        return left_s > 0 and await self._waits.ended(source, left_s)

    async def _next(self, work: Work, gone: TaskId) -> TaskId | None:
        """For whom the task waits now; None: it leads, or goes its own way."""
        self._sharing.forget(gone)
        if not work.share_key:
            return None  # nobody knows its fingerprint any more: it was taken up after a crash
        begun = await self._sharing.again(work.share_key, work.task.id, work.task.account, gone)
        work.flight = begun.flight
        return begun.leader if begun.hit is None else begun.hit.task.id

    async def _share(self, work: Work, source: Task, attempts: tuple[Attempt, ...]) -> Finished | None:
        """The end with the pictures of a finished task; None: it has them no more."""
        paid = sum(attempt.cost_microusd for attempt in attempts if attempt.images)
        charged = pricing.charged(source)
        command = Finish(
            work.task.id,
            work.task.epoch,
            TaskState.COMPLETED,
            work.plan.credits_per_usd,
            charge=share_of(charged, self._sharing.rules().charge),
            results=source.results,
            usage=source.usage,
            results_expire_at_ms=max(self._clock.now_ms(), work.task.created_at_ms) + self._results_ms,
            path=work.task.path,
            accepted_at_ms=work.task.created_at_ms,
            source=source.id,
            saved_microusd=paid,
        )
        finished = await self._finish(work, command)
        if finished is not None:
            self._sharing.saved(finished, source, paid)
        return finished

    def _lead(self, work: Work) -> Lead:
        options = work.options or pricing.whole_hold(work.plan, work.task.n, work.task.plan_json)
        return Lead(
            work.task.id, work.task.epoch, options, work.plan.credits_per_usd, work.task.path, work.task.created_at_ms
        )

    async def _finish(self, work: Work, command: Finish) -> Finished | None:
        """None: the source has no pictures any more."""
        outcome = await self._write(command, work)
        if isinstance(outcome, SourceGone):
            return None
        if not isinstance(outcome, Finished):
            raise AssertionError(f"the end of a task was answered with {outcome}")
        return outcome

    async def _write(self, command: Finish | Lead, work: Work) -> Outcome:
        """Until the database takes it; nothing is paid for that could be lost meanwhile, so not beyond the deadline."""

        async def write() -> Outcome:
            return await self._database.write(command)

        outcome = await self._patiently(write, work)
        if isinstance(outcome, Lost):
            raise TaskLost(outcome.state)
        return outcome

    async def _read(self, source: TaskId, work: Work) -> tuple[Task | None, tuple[Attempt, ...]]:
        async def read() -> tuple[Task | None, tuple[Attempt, ...]]:
            tasks = await self._database.read(lambda connection: task_store.read_tasks(connection, [source]))
            attempts = await self._database.read(lambda connection: attempt_store.read_attempts(connection, [source]))
            return (tasks[0] if tasks else None), tuple(attempts)

        return await self._patiently(read, work)

    async def _patiently(self, ask: Callable[[], Awaitable[T]], work: Work) -> T:
        pause_s = STORAGE_PAUSE_S
        while True:
            try:
                return await ask()
            except Unavailable as exc:
                if self._clock.monotonic_s() >= work.deadline_s:
                    raise StorageUnavailable(exc.message, log=exc.log) from exc
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, STORAGE_PAUSE_S_MAX)

    def _left_ms(self, work: Work) -> int:
        return max(1, round((work.deadline_s - self._clock.monotonic_s()) * 1000)) + LANDING_MS


def _failure(work: Work, error: TaskError) -> Finish:
    return Finish(
        work.task.id, work.task.epoch, TaskState.FAILED, Decimal(1), NOTHING, error=error, repeated=True, path=work.task.path,
        accepted_at_ms=work.task.created_at_ms,
    )  # fmt: skip
