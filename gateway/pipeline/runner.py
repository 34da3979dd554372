"""Owns the tasks that this process works on, from their acceptance to the commit of their end.

Work goes on when the caller hangs up, and is awaited at shutdown. The end of a task is retried until the database takes it: pictures are stored
by then, and what a process leaves when it dies the next one finishes. A task lost to another process, or cancelled, just ends here.
"""

import asyncio
import logging
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from aiojobs import Scheduler

from gateway.db.writer import Database
from gateway.domain.errors import ShuttingDown, StorageUnavailable, Unavailable
from gateway.domain.ids import TaskId
from gateway.domain.images import Usage, add_usages
from gateway.domain.money import NOTHING
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskError, TaskErrorCode, TaskState
from gateway.ledger import usage
from gateway.pipeline import pricing
from gateway.pipeline.attempt_rows import in_doubt
from gateway.pipeline.attempts import Making
from gateway.pipeline.cancel_rules import was_cancelled_and_billed
from gateway.pipeline.commands import Command, Finish, Finished, Lost, Outcome
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.following import Following
from gateway.pipeline.results import Made
from gateway.pipeline.sharing import Flight, Sharing
from gateway.pipeline.stored import STORAGE_PAUSE_S, STORAGE_PAUSE_S_MAX, TaskLost
from gateway.pipeline.tools import Tools
from gateway.pipeline.verdict import end_without_pictures
from gateway.pipeline.waits import Waits
from gateway.pipeline.work import Ending, Work
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import span

log = logging.getLogger(__name__)

DURATIONS_KEPT = 50
"""Completed tasks of a model that its estimated time is the median of."""


class _Durations:
    """The latest DURATIONS_KEPT of a model, sorted as they come: sorting all of them for every task's end would show in the profile."""

    def __init__(self) -> None:
        self._latest: deque[int] = deque()
        self._sorted: list[int] = []
        self._median_s: int | None = None

    def add(self, duration_ms: int) -> None:
        self._median_s = None
        if len(self._latest) == DURATIONS_KEPT:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        self._latest.append(duration_ms)
        insort(self._sorted, duration_ms)

    def median_s(self) -> int:
        """At least a second."""
        if self._median_s is None:
            known = self._sorted
            middle_ms = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
            self._median_s = max(1, round(middle_ms / 1000))
        return self._median_s


class Runner:
    """Runs tasks. One a process."""

    def __init__(self, tools: Tools, sharing: Sharing, *, results_ms: int) -> None:
        self._tools = tools
        self.sharing = sharing
        self.results_ms = results_ms
        self._scheduler = Scheduler(limit=None, pending_limit=0, close_timeout=None, wait_timeout=None)
        self._working: dict[TaskId, Work] = {}
        self._durations: dict[str, _Durations] = {}
        self._interrupted = 0
        """Tasks that the end of this process cut off."""
        self.stranded: set[TaskId] = set()
        """Tasks of ours that nobody works on, because the database did not answer when it had to; recovery takes them up."""
        self._left_alone: set[TaskId] = set()
        """Tasks that are being ended without work, and tasks whose end could not be written for a fault of ours: an operator must look."""
        self.closing = False
        """Set when nothing more should be taken over from others."""
        self.waits = Waits(tools.database, self.work_of)
        self._following = Following(
            sharing, self.waits, tools.database, tools.metrics, tools.clock, results_ms=results_ms
        )

    @property
    def stopped(self) -> bool:
        """After the end of the drain."""
        return self._scheduler.closed

    @property
    def working(self) -> int:
        """How many tasks are in this process's hands."""
        return len(self._working)

    def count_taken_up(self, count: int) -> None:
        """Tasks that were somebody else's, for the metrics."""
        self._tools.metrics.machine.taken_up(count)

    def new_future(self) -> "asyncio.Future[Ending | None]":
        return asyncio.get_running_loop().create_future()

    def work_of(self, task_id: TaskId) -> Work | None:
        return self._working.get(task_id)

    def knows(self, task_id: TaskId) -> bool:
        """Whether somebody here works on it, or must not."""
        return task_id in self._working or task_id in self._left_alone

    def usual_s(self, model: str) -> int | None:
        """The median of the model's latest completed tasks, at least a second; None until there are some."""
        durations = self._durations.get(model)
        return None if durations is None else durations.median_s()

    async def start(self, work: Work) -> None:
        """Take a task over; returns at once. Raises ShuttingDown after the end of the drain: then it is the next process's."""
        if self._scheduler.closed:
            raise ShuttingDown("This gateway is shutting down. Try again: another one will answer.", retry_after_s=5)
        self._working[work.task.id] = work
        # Free by its end, not by its coroutine's: a cancelled task may still be waiting for an upstream's slot.
        work.ended.add_done_callback(work.free_places)
        if work.partials is not None:
            work.ended.add_done_callback(work.partials.end)
        await self._scheduler.spawn(self._run(work), name=f"task {work.task.id}")

    async def cancel(self, task_id: TaskId, *, again: bool) -> None:
        """Its caller wants it cancelled, perhaps `again`: nothing more is sent, and what is out is told to stop. Returns at once."""
        work = self._working.get(task_id)
        if work is None or self._scheduler.closed:
            return
        work.task = replace(work.task, cancel_requested=True)
        if work.making is not None and work.making.stopping.begin(again=again):
            await self._scheduler.spawn(work.making.stopping.tell(), name=f"cancel {task_id}")

    def cancelled(self, task_id: TaskId, ending: Ending | None = None) -> None:
        """It ended before anything was sent; `ending` None: in another process. Whoever waits for it need not wait for the walk's end."""
        work = self._working.get(task_id)
        if work is not None and not work.ended.done():
            work.ended.set_result(ending)

    async def leave(self) -> list[TaskId]:
        """At shutdown: let go of tasks with no caller waiting that are not sent, or at an upstream that the next process can ask as well. Says which.

        Each is cancelled before anything else runs, so where it waits, and not a step further.
        """
        left = {id: work.worker for id, work in self._working.items() if work.may_be_left and work.worker is not None}
        for worker in left.values():
            worker.cancel()
        if left:
            await asyncio.wait(left.values())
            reached(CrashPoint.LEFT)
        return [task_id for task_id, worker in left.items() if worker.cancelled()]

    async def drain(self, timeout_s: float) -> int:
        """Wait until all tasks have ended, at most so long; says how many are left for the next process."""
        self.closing = True
        await self._scheduler.wait_and_close(timeout_s)
        return self._interrupted

    async def _run(self, work: Work) -> None:
        told = {
            "gateway.task.id": work.task.id,
            "gateway.model": work.task.model,
            "gateway.contract": work.task.contract.value,
        }
        with span("task", told) as spanned:
            ending = await self._worked(work)
            if ending is not None:
                spanned.set({"gateway.outcome": ending.task.state.value, "gateway.attempts": len(ending.attempts)})

    async def _worked(self, work: Work) -> Ending | None:
        work.worker = asyncio.current_task()
        ending: Ending | None = None
        over, making = False, None
        reached(CrashPoint.TASK_STARTED)
        try:
            if work.follows:
                with span("follow", {"gateway.source.task.id": work.task.source}):
                    ending = await self._followed(work)
            if ending is None:
                work.making = making = self._making(work)
                await making.run()
                work.making = None
                ending = await self._finish(work, making)
        except asyncio.CancelledError:
            self._interrupted += 1
            raise
        except TaskLost as exc:
            log.info("a task ended elsewhere", extra={"task": work.task.id, "state": exc.state.value})
            over = exc.state.is_final
        except StorageUnavailable as exc:
            log.error("a task waits for its database", extra={"task": work.task.id}, exc_info=exc)
            self.stranded.add(work.task.id)
        except Exception as exc:
            log.exception("a task broke", extra={"task": work.task.id})
            ending = await self._fail(work, making or self._making(work), exc)
        finally:
            self._working.pop(work.task.id, None)
            if work.flight is not None and (over or ending is not None):
                await _land(work.flight, ending)
            if not work.ended.done():
                work.ended.set_result(ending)
        if self._tools.inputs is not None and (over or ending is not None):
            await self._tools.inputs.discard(work.task, work.request)
        return ending

    def _making(self, work: Work) -> Making:
        return Making(
            self._tools,
            work.task,
            work.plan,
            work.request,
            work.deadline_s,
            work.attempts,
            work.slots,
            work.owner_may_live,
            work.keep_pictures,
            work.partials,
        )

    async def _followed(self, work: Work) -> Ending | None:
        """The end of a task that waits for another's pictures; None: it makes its own."""
        begun_s = self._tools.clock.monotonic_s()
        finished = (await self._following.follow(work)).finished
        if finished is None:
            return None
        self._count(work, finished, (), self._tools.clock.monotonic_s() - begun_s)
        return Ending(finished.task, (), (), finished.remaining_microcredits)

    async def _finish(self, work: Work, making: Making) -> Ending:
        """Commit the end. A task that delivered at least one picture is completed; the caller pays for what was delivered."""
        made = sorted(making.made, key=lambda part: (part.attempt.sent_at_ms, part.attempt.id))
        results = tuple(image for part in made for image in part.delivery.images)[: work.task.n]
        attempts, stopped = _merged(work.attempts, making), making.stopped
        state, error = TaskState.COMPLETED, None
        if not results:
            wished = making.stopping.wished
            state, error = end_without_pictures(making.failures, wished=wished, is_charged=bool(stopped))
        costs = [part.charged_microusd for part in made] + [attempt.cost_microusd for attempt in stopped]
        command = Finish(
            work.task.id,
            work.task.epoch,
            state,
            work.plan.credits_per_usd,
            charge=pricing.charge(work.plan, len(results), costs, sum(attempt.n for attempt in stopped))
            if results or stopped
            else NOTHING,
            ended=tuple(making.unrecorded),
            results=results,
            usage=_usage(made),
            error=error,
            # Not earlier because a clock was set back meanwhile.
            results_expire_at_ms=max(self._tools.clock.now_ms(), work.task.created_at_ms) + self.results_ms
            if results
            else None,
            path=work.task.path,
            accepted_at_ms=work.task.created_at_ms,
            shares=pricing.shares(work.plan, work.task.n, _delivered(made, work.task.n), attempts, stopped),
        )
        reached(CrashPoint.BEFORE_FINISH)
        with span("settle", {"gateway.outcome": state.value}):
            finished = await _commit(self._tools.database, command)
        reached(CrashPoint.FINISHED)
        self._count(work, finished, attempts, making.upstreamed.total_s)
        self._tools.metrics.saved("routing", sum(share.routing_saved_microusd for share in command.shares))
        pictures = tuple(text for part in made for text in part.pictures)[: work.task.n]
        if len(pictures) != len(results):
            pictures = ()  # some come from before a restart: the caller reads them all from the store
        return Ending(finished.task, attempts, pictures, finished.remaining_microcredits)

    async def _fail(self, work: Work, making: Making, exc: Exception) -> Ending | None:
        """A fault of our own. What was made is delivered all the same, what is out is in doubt. None where the task has ended meanwhile."""
        work.making = None
        making.give_up(work.attempts, repr(exc))
        try:
            if making.made or making.stopped:
                try:
                    return await self._finish(work, making)
                except TaskLost:
                    raise
                except Exception:
                    log.exception("a task's pictures cannot be booked", extra={"task": work.task.id})
            ended = [_as_loss(attempt) for attempt in making.unrecorded]
            error = TaskError(TaskErrorCode.UNKNOWN_ERROR, "The gateway failed on this task. Nothing is charged.")
            attempts = _merged(work.attempts, making)
            with span("settle", {"gateway.outcome": TaskState.FAILED.value}):
                finished = await _commit(self._tools.database, _failure_of(work.task, ended, error, attempts))
        except TaskLost:
            return None
        except Exception:
            self._left_alone.add(work.task.id)
            raise
        return Ending(finished.task, attempts, (), finished.remaining_microcredits)

    async def abandon(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """End a task of which nobody knows whether it was recorded: its caller was told that it was not, and nothing was sent."""
        now_ms = self._tools.clock.now_ms()
        unsent = [
            replace(attempt, state=AttemptState.FAILED, ended_at_ms=now_ms, billed=Billed.NO, fault=Fault.CANCELLED)
            for attempt in attempts
        ]
        error = TaskError(TaskErrorCode.SERVICE_UNAVAILABLE, "The call could not be recorded. Nothing is charged.")
        await self._end_unworked(replace(_failure_of(task, unsent, error, unsent), forgets=True))

    async def give_up(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """End a task that cannot be taken up, since its row cannot be understood. What was sent is in doubt."""
        doubtful = in_doubt(attempts, self._tools.clock.now_ms(), "its task could not be read after a restart")
        error = TaskError(TaskErrorCode.UNKNOWN_ERROR, "The gateway failed on this task. Nothing is charged.")
        await self._end_unworked(_failure_of(task, doubtful, error, attempts))

    async def _end_unworked(self, command: Finish) -> None:
        """Owned by the process: it goes on until the database answers."""
        if self._scheduler.closed:
            return  # the next process finds it
        self._left_alone.add(command.task_id)

        async def end() -> None:
            await _commit_if_there(self._tools.database, command)
            self._left_alone.discard(command.task_id)

        await self._scheduler.spawn(end(), name=f"end {command.task_id}")

    def _count(self, work: Work, finished: Finished, attempts: Sequence[Attempt], upstream_s: float) -> None:
        duration_s = max(0.0, self._tools.clock.monotonic_s() - work.accepted_s)  # not by the rows' times: clocks jump
        upstream = next((a.upstream for a in attempts if a.state is AttemptState.SUCCEEDED), None)
        self._tell(finished, upstream, duration_s, max(0.0, duration_s - upstream_s))
        if finished.task.state is TaskState.COMPLETED:
            self._durations.setdefault(finished.task.model, _Durations()).add(round(duration_s * 1000))

    def _tell(self, finished: Finished, upstream: str | None, duration_s: float, own_s: float) -> None:
        task, metrics = finished.task, self._tools.metrics
        contract = task.contract.value
        metrics.task_finished(
            model=task.model, upstream=upstream, contract=contract, outcome=task.state.value, duration_s=duration_s
        )
        count_credits(metrics, finished)
        metrics.overhead(contract, own_s)
        if task.results:
            metrics.delivered(
                model=task.model,
                upstream=upstream,
                images=len(task.results),
                tokens=_tokens(task.usage) if upstream else {},
            )


async def _land(flight: Flight, ending: Ending | None) -> None:
    """Before anybody hears of the end: the next identical call finds the pictures, or nothing."""
    if ending is None:
        await flight.dropped()
        return
    paid = sum(attempt.cost_microusd for attempt in ending.attempts if attempt.state is AttemptState.SUCCEEDED)
    await flight.landed(ending.task, paid, ending.pictures)


def _failure_of(task: Task, ended: Sequence[Attempt], error: TaskError, attempts: Sequence[Attempt]) -> Finish:
    """An end without a picture, which may be given again. `attempts` are all of the task's."""
    rate = Decimal(1)  # nothing is charged, so nothing is converted
    return Finish(
        task.id, task.epoch, TaskState.FAILED, rate, NOTHING, ended=tuple(ended), error=error, repeated=True, path=task.path,
        accepted_at_ms=task.created_at_ms, shares=usage.losses(attempts),
    )  # fmt: skip


def _as_loss(attempt: Attempt) -> Attempt:
    """What was made but cannot be delivered, or charged, is our loss."""
    if attempt.state is not AttemptState.SUCCEEDED and not was_cancelled_and_billed(attempt):
        return attempt
    return replace(attempt, state=AttemptState.FAILED, fault=Fault.RESULT_LOST, billed=Billed.YES)


def count_credits(metrics: Metrics, finished: Finished) -> None:
    """What became of a hold, for the metrics."""
    task, team = finished.task, finished.task.user_group
    used = finished.charged.microcredits
    metrics.credits("used", model=task.model, team=team, microcredits=used)
    metrics.credits("released", model=task.model, team=team, microcredits=finished.held.microcredits - used)


async def _commit(database: Database[Command, Outcome], command: Finish) -> Finished:
    """Write the end of a task until the database takes it. Raises TaskLost where the task had ended, or belongs to another process."""
    pause_s = STORAGE_PAUSE_S
    while True:
        try:
            outcome = await database.write(command)
        except Unavailable as exc:  # overloaded, too: a picture that is paid for is not given up
            log.warning("the end of a task cannot be written yet", extra={"task": command.task_id}, exc_info=exc)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, STORAGE_PAUSE_S_MAX)
            command = replace(command, repeated=True)
            continue
        if isinstance(outcome, Finished):
            return outcome
        if isinstance(outcome, Lost):
            raise TaskLost(outcome.state)
        raise AssertionError(f"the end of a task was answered with {outcome}")


async def _commit_if_there(database: Database[Command, Outcome], command: Finish) -> None:
    try:
        await _commit(database, command)
    except TaskLost as exc:
        log.info("an abandoned task was not there", extra={"task": command.task_id, "state": exc.state.value})


def _delivered(made: Sequence[Made], n: int) -> list[tuple[Attempt, int]]:
    """How many of each part's pictures are among the `n` that the caller gets."""
    delivered, left = [], n
    for part in made:
        count = min(left, len(part.delivery.images))
        delivered.append((part.attempt, count))
        left -= count
    return delivered


def _usage(made: Sequence[Made]) -> Usage | None:
    """The sum of the parts' usages, where every part has one: a part of a usage would mislead."""
    usages = [part.delivery.usage for part in made if part.delivery.usage is not None]
    return add_usages(usages) if len(usages) == len(made) else None


def _tokens(usage: Usage | None) -> dict[str, int]:
    """By kind, of those that there are."""
    if usage is None:
        return {}
    kinds = {
        "input_text": usage.input_text_tokens,
        "input_image": usage.input_image_tokens,
        "output": usage.output_tokens,
    }
    return {kind: count for kind, count in kinds.items() if count}


def _merged(before: Sequence[Attempt], making: Making) -> tuple[Attempt, ...]:
    """All attempts in their last state, oldest first."""
    latest = {attempt.id: attempt for attempt in (*before, *making.started, *making.ended)}
    return tuple(sorted(latest.values(), key=lambda attempt: (attempt.sent_at_ms, attempt.id)))
