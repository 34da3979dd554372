"""Erases tasks: a caller's words and pictures go, the money stays.

The database first: in one commit the prompt, what an upstream said about it, the caller's own parameters and the results are gone, and the task
says that it is erased. Then the pictures and manifests of all its attempts are deleted, and that is noted. What a crash or a broken disk leaves
between the two is finished at the next start, by the background job, or by erasing again. An attempt whose outcome nobody knows may still be stored
by a process that was paused: for LATE_MS its pictures are looked for again. Pictures that it shares with other tasks go with the last
that claims them (db/claims.py); to this one they are gone at once.

Only ended tasks are erased: recovery needs what an unfinished one says. How it fails: TaskNotFound, Conflict, StorageUnavailable.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.db import claims
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.clock import Clock
from gateway.domain.errors import Conflict, GatewayError, StorageUnavailable, TaskNotFound
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.tasks import AttemptState, Task, TaskState
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store

log = logging.getLogger(__name__)

ROUND_S = 60.0
LEFT_SIZE = 1_000
"""Erased tasks whose pictures are deleted in one round."""
LATE_MS = 3_600_000
"""No process that was paused longer than this stores anything."""


@dataclass(frozen=True, slots=True)
class Erase:
    """The command: of this account alone, or whosever the task is. `also` is written in the same transaction, the first time."""

    task_id: TaskId
    account: AccountId | None = None
    also: Callable[[Connection, int], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """The task as it is now; its pictures may still be there."""

    task: Task


@dataclass(frozen=True, slots=True)
class NotErased:
    """The task is under way, or (None) there is no such task."""

    state: TaskState | None


class Erasing:
    """Erases, and finishes what was begun. `open_blobs` gives the store of pictures; `also` deletes what else belongs to these tasks there."""

    def __init__(
        self,
        database: Database[Erase | Transact, object],
        open_blobs: Callable[[], Awaitable[BlobStore]],
        clock: Clock,
        also: Callable[[BlobStore, Sequence[TaskId]], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._also = also
        self._open_blobs = open_blobs
        self._clock = clock

    async def erase(self, command: Erase) -> Task:
        """Returns when nothing is left; a second time answers the same. Raises TaskNotFound, Conflict, StorageUnavailable."""
        outcome = await self._database.write(command)
        if isinstance(outcome, NotErased):
            if outcome.state is None:
                raise TaskNotFound("There is no such task. Tasks are kept for a limited time.", param="task_id")
            raise Conflict(
                f"This task is under way; its state is {outcome.state}. Cancel it or wait for its end, then erase it.",
                param="task_id",
            )
        if not isinstance(outcome, Erased):
            raise AssertionError(f"an erasure was answered with {outcome}")
        try:
            await self._delete_pictures([outcome.task.id])
        except BlobStoreUnavailable as exc:
            raise StorageUnavailable(
                "The task is erased, but its pictures cannot be deleted now. The gateway goes on trying; ask again for the outcome.",
                log=str(exc),
                retry_after_s=30,
            ) from exc
        return outcome.task

    async def finish_left(self) -> int:
        """Delete the pictures of tasks whose erasure was begun and not finished; says of how many. What fails is logged and left for later."""
        try:
            ids = await self._database.read(lambda connection: task_store.read_erasing(connection, LEFT_SIZE))
            if ids:
                await self._delete_pictures(ids)
        except (BlobStoreUnavailable, GatewayError, StatementFailed) as exc:
            log.warning("erased pictures cannot be deleted now", exc_info=exc)
            return 0
        return len(ids)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            await self.finish_left()

    async def _delete_pictures(self, ids: list[TaskId]) -> None:
        blobs = await self._open_blobs()
        for task_id in ids:
            await blobs.delete_prefix(task_id)
        if self._also is not None:
            await self._also(blobs, ids)
        last = await self._last_claims(ids)
        makers = sorted(set(last.values()))
        tasks = await self._database.read(lambda connection: task_store.read_tasks(connection, makers))
        attempts = await self._database.read(lambda connection: attempt_store.read_attempts(connection, makers))
        for attempt in attempts:
            await blobs.delete_prefix(attempt.id)
        before_ms = self._clock.now_ms() - LATE_MS
        recent = {task.id for task in tasks if (task.finished_at_ms or 0) > before_ms}
        late = {a.task_id for a in attempts if a.state is AttemptState.UNKNOWN and a.task_id in recent}
        done = [task_id for task_id, maker in last.items() if maker not in late]
        if done:
            await self._database.write(
                Transact(lambda connection, now_ms: task_store.mark_pictures_erased(connection, done, now_ms))
            )

    async def _last_claims(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskId]:
        """Those of these tasks whose pictures nobody else claims, each with the task that made them. The claims of the others have ended then."""
        shared = await self._database.read(lambda connection: claims.read_shared(connection, ids))
        last = {task_id: task_id for task_id in ids if task_id not in shared}

        async def let_go(connection: Connection, now_ms: int) -> None:
            nonlocal last
            ending = await claims.ending(connection, sorted(shared))
            last = {task_id: task_id for task_id in ids if task_id not in shared} | ending.last
            await task_store.mark_pictures_erased(connection, ending.kept, now_ms)

        if shared:
            await self._database.write(Transact(let_go))
        return last
