"""Tasks read with their attempts, as callers are answered about them. How it fails: StorageUnavailable."""

from collections.abc import Sequence

from gateway.db.connection import Connection
from gateway.domain.accounts import Principal
from gateway.domain.ids import TaskId
from gateway.domain.tasks import Attempt, Task
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store

Rows = list[tuple[Task, tuple[Attempt, ...]]]


async def with_attempts(connection: Connection, ids: Sequence[TaskId], owner: Principal | Task) -> Rows:
    """Those of its account alone; others are left out."""
    tasks = await task_store.read_tasks(connection, ids, owner.account)
    attempts = await attempt_store.read_attempts(connection, [task.id for task in tasks])
    return [(task, tuple(attempt for attempt in attempts if attempt.task_id == task.id)) for task in tasks]
