"""Tasks whose process died, or lost its database: claimed, and finished, resumed or released by the rules of their upstreams.

An embedded restart claims everything at once: the lock on the database file proves that the owner is dead. On PostgreSQL a task is claimed when its
lease has ended; its owner may only be paused, so what it sent to an upstream that cannot be asked is waited for (attempts.py). A database that
does not answer is tried again at the next round.
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.db.connection import Connection, StatementFailed
from gateway.db.url import Dialect
from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import TaskId
from gateway.domain.tasks import Attempt, Task
from gateway.pipeline.attempts import RESUME_S_MIN
from gateway.pipeline.commands import LEASE_MS, Claim, Claimed, Command, ExtendLeases, HandBack, Outcome
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import read_plan, read_request
from gateway.pipeline.limiting import Limiting
from gateway.pipeline.runner import Runner
from gateway.pipeline.work import Work
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.traces import Traces, below, kept

log = logging.getLogger(__name__)

CLAIM_SIZE = 100
"""Tasks claimed in one commit."""
IDLE_SIZE = 20_000
"""Unfinished tasks of this process that are looked through: more than it can work on."""
ROUNDS_A_LEASE = 9
"""A lease of 45 s is looked after every 5 s."""
HEARTBEAT_ROUNDS = 2
"""A sign of life every second round: four of them before a lease ends, so three may be missed."""
HAND_BACK_S_MAX = 3.0
"""A stopping process does not wait longer for its database."""


class Recovery:
    """Takes up what others left, at start and for as long as the process runs."""

    def __init__(
        self,
        database: Database[Command, Outcome],
        runner: Runner,
        limiting: Limiting,
        clock: Clock,
        *,
        owner: str,
        lease_ms: int = LEASE_MS,
        traces: Traces | None = None,
    ) -> None:
        self._database = database
        self._runner = runner
        self._limiting = limiting
        self._clock = clock
        self._owner = owner
        self._lease_ms = lease_ms
        self._traces = traces
        self._round_s = lease_ms / 1000 / ROUNDS_A_LEASE
        self._embedded = database.dialect is Dialect.SQLITE
        self._idle: set[TaskId] = set()

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
                await self._round(with_heartbeat=rounds % HEARTBEAT_ROUNDS == 0)
            except (GatewayError, StatementFailed) as exc:
                log.warning("recovery waits for the database", exc_info=exc)

    async def hand_back(self, ids: Sequence[TaskId] | None = None) -> None:
        """At shutdown: another process may take these tasks, or everything that is left, at once instead of when their lease ends.

        A database that does not answer now is not waited for: then they wait for their lease.
        """
        if self._embedded:
            return  # the next start claims everything
        try:
            async with asyncio.timeout(HAND_BACK_S_MAX):
                if ids is None:
                    ids = await self._database.read(
                        lambda connection: task_store.read_unfinished_of(connection, self._owner, IDLE_SIZE)
                    )
                if ids:
                    await self._database.write(HandBack(self._owner, tuple(ids)))
                    reached(CrashPoint.HANDED_BACK)
        except (GatewayError, StatementFailed, TimeoutError) as exc:
            log.warning("tasks could not be handed back: they wait for the end of their lease", exc_info=exc)

    async def _round(self, *, with_heartbeat: bool) -> None:
        if with_heartbeat:
            # An embedded gateway needs no leases; but after a full disk, and without calls, only this shows that it can be written again.
            await self._database.write(ExtendLeases(self._owner, self._lease_ms))
        if self._runner.closing:
            return
        await self._take_stranded()
        if with_heartbeat:
            await self._take_idle()
        if not self._embedded:
            await self._claim(everything=False)

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
            await self._take_up(
                tuple(task for task in tasks if not task.state.is_final and task.owner == self._owner),
                owner_may_live=False,
            )
            self._runner.stranded.difference_update(ids)

    async def _take_idle(self) -> None:
        """Tasks of ours that nobody works on, whatever went wrong, e.g. claimed when the next answer was lost: those that two looks in a row find."""
        mine = await self._database.read(
            lambda connection: task_store.read_unfinished_of(connection, self._owner, IDLE_SIZE)
        )
        idle = {task_id for task_id in mine if not self._runner.knows(task_id)}
        again, self._idle = idle & self._idle, idle
        if again:
            log.error("tasks had been left lying", extra={"tasks": len(again)})
            self._runner.stranded.update(again)
            await self._take_stranded()

    async def _take_up(self, tasks: tuple[Task, ...], owner_may_live: bool | None = None) -> None:
        if not tasks:
            return
        ids = [task.id for task in tasks]
        attempts = await self._database.read(lambda connection: _attempts_by_task(connection, ids))
        reached(CrashPoint.CLAIMED)
        self._runner.count_taken_up(len(tasks))
        for task in tasks:
            log.info("a task is taken up again", extra={"task": task.id, "state": task.state.value})
            known = tuple(attempts.get(task.id, ()))
            try:
                work = self._work(task, known, not self._embedded if owner_may_live is None else owner_may_live)
            except ValueError:  # it must keep neither this gateway from starting, nor its hold for ever
                log.exception("a task's row cannot be understood; it is given up", extra={"task": task.id})
                await self._runner.give_up(task, known)
                continue
            work.places = await self._limiting.count(task.path)
            with below(self._traces, kept(task.request_json)):  # the trace of the call that it was accepted in
                await self._runner.start(work)

    def _work(self, task: Task, attempts: tuple[Attempt, ...], owner_may_live: bool) -> Work:
        now_s = self._clock.monotonic_s()
        # A clock that was set back must not give a task more time than it had at first.
        left_ms = min(task.deadline_at_ms - self._clock.now_ms(), task.deadline_at_ms - task.created_at_ms)
        deadline_s = now_s + left_ms / 1000
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
    for attempt in await attempt_store.read_attempts(connection, ids):
        found.setdefault(attempt.task_id, []).append(attempt)
    return found
