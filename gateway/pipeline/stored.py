"""What one walk writes and looks for: a database or a blob store that does not answer is waited for, until the task's deadline.

How it fails: TaskLost where the task is another's, or was cancelled; StorageUnavailable at the deadline.
"""

import asyncio
from dataclasses import dataclass, replace

from gateway.blobs.store import BlobStoreUnavailable
from gateway.domain.errors import StorageUnavailable, Unavailable
from gateway.domain.ids import AttemptId
from gateway.domain.tasks import TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import CancelWished, Lost, RecordAttempts, RecordSubmitted, SendRefused
from gateway.pipeline.results import Delivery
from gateway.pipeline.tools import Tools

STORAGE_PAUSE_S = 0.5
STORAGE_PAUSE_S_MAX = 10.0
MANIFEST_LOOK_S = 2.0


class TaskLost(Exception):
    """The task is not this worker's any more."""

    def __init__(self, state: TaskState) -> None:
        super().__init__(state)
        self.state = state


@dataclass(frozen=True, slots=True)
class Stored:
    """`deadline_s` is the task's."""

    tools: Tools
    deadline_s: float

    async def write(self, command: RecordAttempts | RecordSubmitted) -> BudgetRefusal | CancelWished | None:
        """The refusal says that what was to be started must not be sent. Raises TaskLost, at last StorageUnavailable."""
        pause_s = STORAGE_PAUSE_S
        while True:
            try:
                outcome = await self.tools.database.write(command)
            except Unavailable as exc:
                if self._time_is_up():
                    raise StorageUnavailable(exc.message, log=exc.log) from exc
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, STORAGE_PAUSE_S_MAX)
                if isinstance(command, RecordAttempts):
                    command = replace(command, repeated=True)
                continue
            if isinstance(outcome, Lost):
                raise TaskLost(outcome.state)
            if isinstance(outcome, SendRefused):
                return outcome.refusal
            return outcome if isinstance(outcome, CancelWished) else None

    async def find(self, attempt_id: AttemptId) -> Delivery | None:
        """The manifest of an attempt."""
        while True:
            try:
                return await self.tools.results.find(attempt_id)
            except BlobStoreUnavailable:
                if self._time_is_up():
                    return None
                await asyncio.sleep(STORAGE_PAUSE_S)

    async def await_manifest(self, attempt_id: AttemptId, seconds: float) -> Delivery | None:
        """Looked for again and again, for so long."""
        until_s = self.tools.clock.monotonic_s() + seconds
        while self.tools.clock.monotonic_s() < until_s:
            await asyncio.sleep(MANIFEST_LOOK_S)
            delivery = await self.find(attempt_id)
            if delivery is not None:
                return delivery
        return None

    def _time_is_up(self) -> bool:
        return self.tools.clock.monotonic_s() >= self.deadline_s
