"""Cancelling a task, from whichever process its caller reaches: what may be, the wish in the task's row, and how the task's worker hears of it.

In the worker's own process it hears at once; elsewhere the row is all there is, which every process looks for twice a second among its own tasks. How
it fails: a database that does not answer is asked again at the next look; a wish that was not committed is nobody's, and its caller hears 503.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from gateway.db.connection import StatementFailed
from gateway.db.url import Dialect
from gateway.domain.considered import upstream_and_model
from gateway.domain.errors import GatewayError, TaskNotCancellable, TaskNotFound
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.pipeline.cancel_rules import Wish, decided
from gateway.pipeline.commands import Cancel, CancelNoted, Finished, NotCancellable
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import read_plan
from gateway.pipeline.runner import Runner, count_credits
from gateway.pipeline.tools import Tools
from gateway.pipeline.work import Ending
from gateway.tasks import store as task_store

log = logging.getLogger(__name__)

LOOK_S = 0.5
LOOK_SIZE = 1_000
"""Wishes of one look; what is more waits for tasks to end."""
ENDED_MS = 60_000
"""Tasks that another process cancelled are looked for so long after their end: a worker may be waiting for a place for one."""
ANSWER_S_MAX = 2.0
"""The caller's answer waits so long for the upstream's verdict, where this process makes the task."""


class Cancelling:
    """One a process."""

    def __init__(self, tools: Tools, runner: Runner, *, owner: str, credits_per_usd: Callable[[], Decimal]) -> None:
        self._database = tools.database
        self._runner = runner
        self._adapters = tools.adapters
        self._metrics = tools.metrics
        self._clock = tools.clock
        self._owner = owner
        self._credits_per_usd = credits_per_usd

    def can_cancel(self, task: Task, attempts: Sequence[Attempt]) -> bool:
        """Whether a wish would be heard now."""
        if task.state.is_final:
            return False
        return decided(task, attempts, self._cancellable({one.offer_id for one in attempts})) is not Wish.REFUSED

    async def cancel(self, task: Task) -> None:
        """End it now, or have its upstreams told. Raises TaskNotCancellable, TaskNotFound, StorageUnavailable."""
        cancellable = self._cancellable({offer.id for offer in read_plan(task.plan_json).offers})
        command = Cancel(task.id, task.account, self._credits_per_usd(), task.path, cancellable=cancellable)
        outcome = await self._database.write(command)
        match outcome:
            case Finished():
                self._count(outcome)
                work = self._runner.work_of(task.id)
                attempts = () if work is None else work.attempts
                self._runner.cancelled(task.id, Ending(outcome.task, attempts, (), outcome.remaining_microcredits))
            case CancelNoted():
                reached(CrashPoint.CANCEL_NOTED)
                await self._runner.cancel(task.id, again=True)
                await self._verdict(task)
            case NotCancellable():
                why = "has ended" if outcome.task.state.is_final else "was sent to an upstream that cannot cancel it"
                raise TaskNotCancellable(f"This task {why}; its state is {outcome.task.state}.", param="task_id")
            case _:
                raise TaskNotFound("This key has no such task. Tasks are kept for a limited time.", param="task_id")

    async def run(self) -> None:
        """Look for wishes that other processes wrote down, until cancelled. An embedded gateway has no others."""
        troubled = False
        while self._database.dialect is not Dialect.SQLITE:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
                troubled = False
            except (GatewayError, StatementFailed) as exc:
                if not troubled:
                    log.warning("wishes to cancel cannot be looked for now", exc_info=exc)
                troubled = True

    async def _look(self) -> None:
        if not self._runner.working:
            return
        since_ms = self._clock.now_ms() - ENDED_MS
        wishes = await self._database.read(
            lambda connection: task_store.read_wishes(connection, self._owner, since_ms, LOOK_SIZE)
        )
        for task_id, state in wishes:
            if not state.is_final:
                await self._runner.cancel(task_id, again=False)
            elif state is TaskState.CANCELLED:
                self._runner.cancelled(task_id)

    async def _verdict(self, task: Task) -> None:
        work = self._runner.work_of(task.id)
        if work is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S_MAX):
                    await asyncio.shield(work.ended)

    def _cancellable(self, offer_ids: Collection[str]) -> frozenset[str]:
        """Those of which a call can be cancelled, as the config is now."""
        return frozenset(filter(self._can_cancel, offer_ids))

    def _can_cancel(self, offer_id: str) -> bool:
        upstream, model = upstream_and_model(offer_id)
        adapter = self._adapters.get(upstream)
        return adapter is not None and adapter.capabilities(model).can_cancel

    def _count(self, finished: Finished) -> None:
        """It ended without its worker, which counts what it ends itself."""
        task = finished.task
        count_credits(self._metrics, finished)
        self._metrics.task_finished(
            model=task.model,
            upstream=None,
            contract=task.contract.value,
            outcome=task.state.value,
            duration_s=max(0, self._clock.now_ms() - task.created_at_ms) / 1000,
        )
