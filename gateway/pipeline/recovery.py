"""Tasks whose process died, or lost its database: claimed, and finished, resumed or released by the rules of their upstreams.

An embedded restart claims everything at once: the lock on the database file proves that the owner is dead. On PostgreSQL a task is claimed when its
lease has ended; its owner may only be paused, so what it sent to an upstream that cannot be asked is waited for (attempts.py). A database that
does not answer is tried again at the next round.
"""

import asyncio
import logging

from gateway.db.connection import Connection
from gateway.db.statements import Dialect
from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import TaskId
from gateway.domain.tasks import Attempt, Task
from gateway.pipeline.attempts import RESUME_S_MIN
from gateway.pipeline.commands import LEASE_MS, Claim, Claimed, Command, ExtendLeases, Outcome
from gateway.pipeline.frozen import read_plan, read_request
from gateway.pipeline.runner import Runner, Work
from gateway.tasks import store as task_store

log = logging.getLogger(__name__)

CLAIM_SIZE = 100
"""Tasks claimed in one commit."""
ROUNDS_A_LEASE = 9
"""A lease of 45 s is looked after every 5 s."""
HEARTBEAT_ROUNDS = 2
"""A sign of life every second round: four of them before a lease ends, so three may be missed."""


class Recovery:
    """Takes up what others left, at start and for as long as the process runs."""

    def __init__(
        self,
        database: Database[Command, Outcome],
        runner: Runner,
        clock: Clock,
        *,
        owner: str,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock
        self._owner = owner
        self._lease_ms = lease_ms
        self._round_s = lease_ms / 1000 / ROUNDS_A_LEASE
        self._embedded = database.dialect is Dialect.SQLITE

    async def start(self) -> int:
        """Take up what is left from before; says how many tasks. Raises StorageUnavailable."""
        return await self._claim(everything=self._embedded)

    async def run(self) -> None:
        """Heartbeat, and take up what others leave, until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(self._round_s)
            rounds += 1
            try:
                await self._take_stranded()
                if not self._embedded:
                    if rounds % HEARTBEAT_ROUNDS == 0:
                        await self._database.write(ExtendLeases(self._owner, self._lease_ms))
                    await self._claim(everything=False)
            except GatewayError as exc:
                log.warning("recovery waits for the database", exc_info=exc)

    async def _claim(self, *, everything: bool) -> int:
        total = 0
        while True:
            outcome = await self._database.write(Claim(self._owner, self._lease_ms, CLAIM_SIZE, everything))
            if not isinstance(outcome, Claimed):
                raise AssertionError(f"a claim was answered with {outcome}")
            await self._take_up(outcome.tasks)
            total += len(outcome.tasks)
            if len(outcome.tasks) < CLAIM_SIZE:
                return total

    async def _take_stranded(self) -> None:
        ids = [task_id for task_id in self._runner.stranded if self._runner.work_of(task_id) is None]
        if ids:
            tasks = await self._database.read(lambda connection: task_store.read_tasks(connection, ids))
            self._runner.stranded.difference_update(ids)
            await self._take_up(
                tuple(task for task in tasks if not task.state.is_final and task.owner == self._owner),
                owner_may_live=False,
            )

    async def _take_up(self, tasks: tuple[Task, ...], owner_may_live: bool | None = None) -> None:
        if not tasks:
            return
        ids = [task.id for task in tasks]
        attempts = await self._database.read(lambda connection: _attempts_by_task(connection, ids))
        for task in tasks:
            log.info("a task is taken up again", extra={"task": task.id, "state": task.state.value})
            known = tuple(attempts.get(task.id, ()))
            await self._runner.start(
                self._work(task, known, not self._embedded if owner_may_live is None else owner_may_live)
            )

    def _work(self, task: Task, attempts: tuple[Attempt, ...], owner_may_live: bool) -> Work:
        now_s = self._clock.monotonic_s()
        deadline_s = now_s + (task.deadline_at_ms - self._clock.now_ms()) / 1000
        if attempts:
            deadline_s = max(deadline_s, now_s + RESUME_S_MIN)
        return Work(
            task=task,
            plan=read_plan(task.plan_json),
            request=read_request(task.request_json, task.prompt),
            ended=asyncio.get_running_loop().create_future(),
            accepted_s=now_s,
            attempts=attempts,
            deadline_s=deadline_s,
            owner_may_live=owner_may_live,
        )


async def _attempts_by_task(connection: Connection, ids: list[TaskId]) -> dict[TaskId, list[Attempt]]:
    found: dict[TaskId, list[Attempt]] = {}
    for attempt in await task_store.read_attempts(connection, ids):
        found.setdefault(attempt.task_id, []).append(attempt)
    return found
