"""Who claims a task's pictures: the task that made them, and every task that was answered with them. They go with the last claim.

A claim begins with the row of its task, since one that is under way may yet be answered, and ends when that says that its pictures are gone for it
(`pictures_erased_at_ms`), when it ends without any, or with the row. Of two transactions that end claims on the same pictures one finds them locked,
so exactly one ends the last. Who ends that deletes the files first: what a crash leaves between the two is found again by the claim.
Runs in the caller's transaction; how it fails: as the database does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select
from sqlalchemy.sql.expression import FromClause

from gateway.db.connection import Connection
from gateway.db.schema import tasks
from gateway.db.statements import Statement, any_of
from gateway.domain.ids import TaskId

_SHARER = tasks.alias("sharer")


def claims(table: FromClause) -> ColumnElement[bool]:
    """Whether a task, or an alias' one, claims pictures."""
    wants = or_(table.c.finished_at_ms.is_(None), table.c.results_expire_at_ms.is_not(None))
    return and_(table.c.pictures_erased_at_ms.is_(None), wants)


IS_SHARED = exists().where(_SHARER.c.source_id == tasks.c.id, claims(_SHARER))
"""Whether others claim this task's pictures."""

_READ_SHARED = Statement(
    select(tasks.c.id).where(any_of(tasks.c.id, "ids"), or_(tasks.c.source_id.is_not(None), IS_SHARED))
)
_READ = Statement(
    select(tasks.c.id, tasks.c.source_id, tasks.c.pictures_erased_at_ms, tasks.c.finished_at_ms, tasks.c.results_expire_at_ms)
    .where(any_of(tasks.c.id, "ids"))
    .order_by(tasks.c.id)
)  # fmt: skip
_EXISTING = Statement(select(tasks.c.id).where(any_of(tasks.c.id, "makers")))
# Whoever else has them is not waited for: out of the others' order, that could end in a deadlock.
_LOCK = Statement(
    select(tasks.c.id).where(any_of(tasks.c.id, "makers")).order_by(tasks.c.id),
    postgresql_suffix="FOR UPDATE SKIP LOCKED",
)
_CLAIMED_BY_OTHERS = Statement(
    select(tasks.c.id)
    .where(any_of(tasks.c.id, "makers"))
    .where(
        or_(
            and_(claims(tasks), not_(any_of(tasks.c.id, "ids"))),
            exists().where(_SHARER.c.source_id == tasks.c.id, claims(_SHARER), not_(any_of(_SHARER.c.id, "ids"))),
        )
    )
)


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of some tasks' claims comes to. Those whose pictures somebody else had locked are in neither: it is not their time."""

    kept: tuple[TaskId, ...]
    """Others claim the same pictures, or these tasks never had any: the claims may end at once, and no file goes."""
    last: dict[TaskId, TaskId]
    """Nobody else does. Each with the task that made its pictures: all files of that one's attempts go, and then these claims end."""


async def read_shared(connection: Connection, ids: Sequence[TaskId]) -> set[TaskId]:
    """Those of these tasks that share pictures. All others alone claim what they made, for ever if they have expired, or are erased."""
    return {TaskId(str(row[0])) for row in await connection.fetch(_READ_SHARED, ids=ids)}


async def ending(connection: Connection, ids: Sequence[TaskId]) -> Ending:
    """Of tasks whose claims are to end together. Locks who made the pictures, so the kept ones must be ended in this transaction."""
    makers: dict[TaskId, TaskId] = {}
    idle: set[TaskId] = set()
    for task_id, source_id, erased_at, finished_at, expire_at in await connection.fetch(_READ, ids=ids):
        made_by = task_id if source_id is None else source_id
        makers[TaskId(str(task_id))] = TaskId(str(made_by))
        if erased_at is not None or (finished_at is not None and expire_at is None):
            idle.add(TaskId(str(task_id)))
    named = sorted(set(makers.values()))
    locked = await _ids(connection, _LOCK, makers=named)
    busy = await _ids(connection, _EXISTING, makers=named) - locked
    held = await _ids(connection, _CLAIMED_BY_OTHERS, makers=named, ids=ids)
    kept: list[TaskId] = []
    last: dict[TaskId, TaskId] = {}
    for task, maker in makers.items():
        if maker in held or (task != maker and task in idle):
            kept += [] if maker in busy else [task]
        elif maker not in busy:
            last[task] = maker
    return Ending(tuple(kept), last)


async def _ids(connection: Connection, statement: Statement, **values: Sequence[TaskId]) -> set[TaskId]:
    return {TaskId(str(row[0])) for row in await connection.fetch(statement, **values)}
