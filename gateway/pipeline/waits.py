"""Callers who wait for the end of a task: one question to the database for all of them, whichever process makes it.

A task that this process makes wakes its callers at its commit, without a question. How it fails: while the database does not answer, callers wait on,
at most for their own time. The end of the process wakes everybody at once. A caller that hung up is let go at the next look. Too many callers:
TooManyTasks for one key, Overloaded for the process.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.db.connection import StatementFailed
from gateway.db.writer import Database
from gateway.domain.errors import GatewayError, Overloaded, TooManyTasks
from gateway.domain.ids import AccountId, TaskId
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.work import Ending, Work
from gateway.tasks import store as task_store

log = logging.getLogger(__name__)

LOOK_S = 0.5
WAITERS_MAX = 4_000
"""A waiting caller costs a connection and some kilobytes."""
WAITERS_OF_KEY_MAX = 1_000
LOOK_SIZE = 1_000
"""Tasks that one question asks about."""
RETRY_AFTER_S = 5

HasGone = Callable[[], bool]
"""Whether the caller hung up. Asked at every look, so it must cost nothing."""


@dataclass(slots=True, eq=False)
class _Waiter:
    has_gone: HasGone
    of_a_task: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Waits:
    """The waiting callers of one process. `run` is its look at the database."""

    def __init__(self, database: Database[Command, Outcome], work_of: Callable[[TaskId], Work | None]) -> None:
        self._database = database
        self._work_of = work_of
        self._waiters: dict[TaskId, set[_Waiter]] = {}
        self._of_key: Counter[AccountId] = Counter()
        self._ended = False
        self._blind = False
        """The last look had no answer."""

    @property
    def waiting(self) -> int:
        """How many callers."""
        return self._of_key.total()

    def end(self) -> None:
        """The process stops: nobody waits any more."""
        self._ended = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.of_a_task:
                    waiter.woken.set()

    async def until_ended(self, task_id: TaskId, account: AccountId, wait_s: float, has_gone: HasGone) -> None:
        """Returns when the task may have ended, its caller is gone, or the time is over. Raises TooManyTasks, Overloaded."""
        if self._ended:
            return
        self._check_room(account)
        self._of_key[account] += 1
        try:
            await self._wait(task_id, _Waiter(has_gone), wait_s)
        finally:
            self._of_key[account] -= 1
            if not self._of_key[account]:
                del self._of_key[account]

    async def ended(self, task_id: TaskId, wait_s: float) -> bool:
        """Whether a task that another one waits for may have ended within the time: those who wait are tasks in hand, and counted as such. The end of
        the process does not wake them: it waits for its tasks."""
        return await self._wait(task_id, _Waiter(_never, of_a_task=True), wait_s)

    async def _wait(self, task_id: TaskId, waiter: "_Waiter", wait_s: float) -> bool:
        """Whether it was woken."""
        work = self._work_of(task_id)
        self._waiters.setdefault(task_id, set()).add(waiter)

        def ended(future: "asyncio.Future[Ending | None]") -> None:
            if future.result() is not None:  # else another process has it, and the next look asks
                waiter.woken.set()

        if work is not None:
            work.ended.add_done_callback(ended)
        try:
            async with asyncio.timeout(wait_s):
                await waiter.woken.wait()
        except TimeoutError:
            return False
        finally:
            if work is not None:
                work.ended.remove_done_callback(ended)
            self._forget(task_id, waiter)
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Let go of callers that hung up; ask which tasks of the others have ended elsewhere."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                if waiter.has_gone():
                    waiter.woken.set()
        elsewhere = [task_id for task_id in self._waiters if self._work_of(task_id) is None]
        try:
            for first in range(0, len(elsewhere), LOOK_SIZE):
                for task_id in await self._ask(elsewhere[first : first + LOOK_SIZE]):
                    self._wake(task_id)
        except (GatewayError, StatementFailed) as exc:
            if not self._blind:
                log.warning("callers wait for tasks, and the database does not tell of their ends", exc_info=exc)
            self._blind = True
        else:
            self._blind = False

    async def _ask(self, ids: Sequence[TaskId]) -> list[TaskId]:
        return await self._database.read(lambda connection: task_store.read_ended(connection, ids))

    def _wake(self, task_id: TaskId) -> None:
        for waiter in self._waiters.get(task_id, ()):
            waiter.woken.set()

    def _check_room(self, account: AccountId) -> None:
        if self._of_key[account] >= WAITERS_OF_KEY_MAX:
            raise TooManyTasks(
                f"wait: {WAITERS_OF_KEY_MAX} calls of this key wait for tasks now, as many as may. Ask without wait, or wait for fewer.",
                param="wait",
                retry_after_s=RETRY_AFTER_S,
            )
        if self.waiting >= WAITERS_MAX:
            raise Overloaded(
                "wait: this gateway has as many waiting callers as it can serve. Ask without wait, or try again shortly.",
                param="wait",
                retry_after_s=RETRY_AFTER_S,
            )

    def _forget(self, task_id: TaskId, waiter: _Waiter) -> None:
        waiters = self._waiters[task_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[task_id]


def _never() -> bool:
    return False
