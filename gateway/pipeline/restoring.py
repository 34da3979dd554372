"""Ends what was under way when a backup was made: the gateway it was made of may have finished these tasks since, so they are not run again.

What was sent, or may have been, is in doubt; nobody is charged. How it fails: StorageUnavailable; ending again goes on where it was.
"""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.domain.ids import new_owner_id
from gateway.domain.money import NOTHING
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.attempt_rows import in_doubt
from gateway.pipeline.commands import LEASE_MS, Claim, Claimed, Command, Finish, Finished, Outcome
from gateway.tasks import attempt_store

SIZE = 100
"""Tasks ended in one commit."""
WHY = "restored from a backup that was made while this was at the upstream"
_UNSENT = TaskError(
    TaskErrorCode.SERVICE_UNAVAILABLE,
    "The gateway was restored from a backup that knew this task as not sent. Nothing is charged. Send it again if you want to.",
)
_SENT = TaskError(
    TaskErrorCode.OUTCOME_UNKNOWN,
    "The gateway was restored from a backup that knew this task as sent, so nobody knows whether a picture was made. Nothing is charged.",
)


@dataclass(frozen=True, slots=True)
class EndedTasks:
    """How many were ended: those that had been sent are in doubt."""

    unsent: int = 0
    sent: int = 0


async def end_what_was_under_way(database: Database[Command, Outcome], clock: Clock) -> EndedTasks:
    """Of a database that no gateway works on."""
    owner, unsent, sent = new_owner_id(), 0, 0
    while True:
        claimed = await database.write(Claim(owner, LEASE_MS, SIZE, everything=True))
        if not isinstance(claimed, Claimed):
            raise AssertionError(f"a claim was answered with {claimed}")
        ids = [task.id for task in claimed.tasks]
        attempts = await database.read(lambda connection, ids=ids: attempt_store.read_attempts(connection, ids))  # type: ignore[misc]  # mypy takes no default in a lambda
        ends = [_end_of(task, [a for a in attempts if a.task_id == task.id], clock.now_ms()) for task in claimed.tasks]
        for outcome in await asyncio.gather(*map(database.write, ends)):
            if not isinstance(outcome, Finished):
                raise AssertionError(f"the end of a task was answered with {outcome}")
        sent += sum(end.error is _SENT for end in ends)
        unsent += sum(end.error is _UNSENT for end in ends)
        if len(claimed.tasks) < SIZE:
            return EndedTasks(unsent, sent)


def _end_of(task: Task, attempts: list[Attempt], now_ms: int) -> Finish:
    failed_for_sure = all(attempt.state is AttemptState.FAILED for attempt in attempts)  # or there are none
    return Finish(
        task.id, task.epoch, TaskState.FAILED, Decimal(1), NOTHING, ended=tuple(in_doubt(attempts, now_ms, WHY)),
        error=_UNSENT if failed_for_sure else _SENT, path=task.path, accepted_at_ms=task.created_at_ms,
    )  # fmt: skip
