"""How tasks and attempts of the last hours went: counts by kind, and the newest durations for percentiles. Reads only.

Ids begin with the second in which a task was made, so that a span of time is a span of the primary key. How it fails: StorageUnavailable.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from gateway.db.connection import Connection
from gateway.db.schema import attempts, tasks
from gateway.db.statements import Statement
from gateway.db.values import number, optional_text, text
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import AttemptState, Fault, TaskState

_NEWEST = (
    select(tasks.c.id).where(tasks.c.id >= bindparam("since")).order_by(tasks.c.id.desc()).limit(bindparam("tasks_max"))
).subquery()
_OLDEST = Statement(select(func.min(_NEWEST.c.id), func.count()).select_from(_NEWEST))
_WHOSE = func.substr(tasks.c.account_id, 1, bindparam("below_length")) == bindparam("below")
_COUNTS = Statement(
    select(tasks.c.model, tasks.c.state, tasks.c.cache, func.count())
    .where(tasks.c.id >= bindparam("oldest"), _WHOSE)
    .group_by(tasks.c.model, tasks.c.state, tasks.c.cache)
)
_DURATIONS = Statement(
    select(tasks.c.finished_at_ms - tasks.c.created_at_ms)
    .where(
        tasks.c.id >= bindparam("oldest"),
        _WHOSE,
        tasks.c.state == TaskState.COMPLETED.value,
        (tasks.c.cache.is_(None)) | (tasks.c.cache != CacheResult.HIT.value),
    )
    .order_by(tasks.c.id.desc())
    .limit(bindparam("size"))
)
_ATTEMPT_COUNTS = Statement(
    select(attempts.c.upstream, attempts.c.state, attempts.c.fault, func.count())
    .where(attempts.c.task_id >= bindparam("oldest"))
    .group_by(attempts.c.upstream, attempts.c.state, attempts.c.fault)
)
_ATTEMPT_DURATIONS = Statement(
    select(attempts.c.upstream, attempts.c.ended_at_ms - attempts.c.sent_at_ms)
    .where(attempts.c.task_id >= bindparam("oldest"), attempts.c.state == AttemptState.SUCCEEDED.value)
    .order_by(attempts.c.task_id.desc())
    .limit(bindparam("size"))
)


@dataclass(frozen=True, slots=True)
class TaskCount:
    """Tasks of one model in one state that the cache was the same to; None: an earlier version wrote them."""

    model: str
    state: TaskState
    cache: CacheResult | None
    tasks: int


@dataclass(frozen=True, slots=True)
class AttemptCount:
    """Tries at one upstream that ended, or stand, alike."""

    upstream: str
    state: AttemptState
    fault: Fault | None
    attempts: int


async def oldest_since(connection: Connection, since_ms: int, tasks_max: int) -> str | None:
    """The oldest of the newest `tasks_max` tasks made since then, and no older one; None: there is none."""
    since = f"task-unified-{since_ms // 1000}-"
    oldest = (await connection.fetch(_OLDEST, since=since, tasks_max=tasks_max))[0][0]
    return None if oldest is None else text(oldest)


async def task_counts(connection: Connection, oldest: str, below: str = "") -> list[TaskCount]:
    """From that task on, of accounts whose ids begin with `below`."""
    rows = await connection.fetch(_COUNTS, oldest=oldest, below=below, below_length=len(below))
    return [
        TaskCount(
            text(model), TaskState(text(state)), None if cache is None else CacheResult(text(cache)), number(count)
        )
        for model, state, cache, count in rows
    ]


async def task_durations_ms(connection: Connection, oldest: str, below: str, size: int) -> list[int]:
    """From acceptance to the pictures, of the newest completed ones; hits of the cache took no time and are left out."""
    rows = await connection.fetch(_DURATIONS, oldest=oldest, below=below, below_length=len(below), size=size)
    return [number(row[0]) for row in rows]


async def attempt_counts(connection: Connection, oldest: str) -> list[AttemptCount]:
    rows = await connection.fetch(_ATTEMPT_COUNTS, oldest=oldest)
    return [
        AttemptCount(text(upstream), AttemptState(text(state)), _fault(optional_text(fault)), number(count))
        for upstream, state, fault, count in rows
    ]


async def attempt_durations_ms(connection: Connection, oldest: str, size: int) -> list[tuple[str, int]]:
    """By upstream, of the newest tries that brought pictures."""
    rows = await connection.fetch(_ATTEMPT_DURATIONS, oldest=oldest, size=size)
    return [(text(upstream), number(ms)) for upstream, ms in rows]


def _fault(value: str | None) -> Fault | None:
    return None if value is None else Fault(value)
