"""Which rows have had their time, and their deletion. The ledger (entries, holds, balances, usage) is never touched.

Nothing is due of a task that is under way, whose hold is open, of which an attempt is in doubt, or whose callback is still to be sent. Stores run in
the caller's transaction, make no ids and read no clock. Locked rows are skipped: their writer is not waited for, and they come again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, not_, null, or_, select

from gateway.db.claims import IS_SHARED
from gateway.db.connection import Connection
from gateway.db.schema import attempts, callbacks, holds, job_leases, results, tasks
from gateway.db.statements import Statement, any_of, insert_rows, update_rows
from gateway.domain.callbacks import CallbackState
from gateway.domain.ids import AttemptId, TaskId
from gateway.domain.tasks import AttemptState

_UNSETTLED = or_(
    exists().where(holds.c.task_id == tasks.c.id, holds.c.state == "pending"),
    exists().where(
        attempts.c.task_id == tasks.c.id,
        or_(attempts.c.state == AttemptState.UNKNOWN.value, attempts.c.ended_at_ms.is_(None)),
    ),
    exists().where(callbacks.c.task_id == tasks.c.id, callbacks.c.state == CallbackState.DUE.value),
)
_LOCK = "FOR UPDATE OF tasks SKIP LOCKED"


@dataclass(frozen=True, slots=True)
class Due:
    """What becomes due of ended tasks: those of `where` whose `moment` is not after `before`, oldest first in `order`, which an index has."""

    moment: ColumnElement[Any]
    where: tuple[ColumnElement[bool], ...]
    order: tuple[ColumnElement[Any], ...]

    def rows(self, *columns: ColumnElement[Any], among: ColumnElement[bool] | None = None) -> "Select[Any]":
        return (
            select(tasks.c.id, *columns)
            .where(self.moment <= bindparam("before"), *self.where, tasks.c.finished_at_ms.is_not(None), not_(_UNSETTLED))
            .where(*(() if among is None else (among,)))
            .order_by(*self.order)
            .limit(bindparam("size"))
        )  # fmt: skip


PICTURES = Due(
    tasks.c.results_expire_at_ms,
    (tasks.c.results_expire_at_ms.is_not(None), tasks.c.pictures_erased_at_ms.is_(None)),
    (tasks.c.results_expire_at_ms, tasks.c.id),
)
"""Links tell their own end: a changed setting changes nothing for pictures that were promised before."""
PROMPTS = Due(tasks.c.finished_at_ms, (tasks.c.prompt.is_not(None),), (tasks.c.finished_at_ms, tasks.c.id))
TASKS = Due(tasks.c.finished_at_ms, (tasks.c.id < bindparam("below"), not_(IS_SHARED)), (tasks.c.id,))
"""With all they have; but an attempt names its files while others claim them. Ids begin with the second in which they were made, so the oldest come
first, and what is not below `below` is not looked at."""

_OLDEST = {due: Statement(due.rows(due.moment)) for due in (PICTURES, PROMPTS, TASKS)}
_FIND = {due: Statement(due.rows()) for due in (PICTURES, TASKS)}
_AGAIN = {due: Statement(due.rows(among=any_of(tasks.c.id, "ids")), postgresql_suffix=_LOCK) for due in _FIND}
_FIND_PROMPTS = Statement(PROMPTS.rows(tasks.c.request), postgresql_suffix=_LOCK)
_DELIVERIES = Statement(
    select(attempts.c.id)
    .join(tasks, tasks.c.id == attempts.c.task_id)
    .where(
        or_(
            and_(any_of(attempts.c.task_id, "ids"), tasks.c.pictures_erased_at_ms.is_(None)),
            any_of(attempts.c.task_id, "makers"),
        )
    )
    .order_by(attempts.c.id)
)
_FORGET_PROMPTS = update_rows(tasks, ("id",), ("prompt", "request"))
_FORGET_REVISED = Statement(
    results.update().where(any_of(results.c.task_id, "ids"), results.c.revised_prompt.is_not(None)).values(revised_prompt=null())
)  # fmt: skip
_MARK_PICTURES = Statement(
    tasks.update().where(any_of(tasks.c.id, "ids")).values(pictures_erased_at_ms=bindparam("at"))
)
_DELETE_RESULTS = Statement(results.delete().where(any_of(results.c.task_id, "ids")))
_DELETE_ATTEMPTS = Statement(attempts.delete().where(any_of(attempts.c.task_id, "ids")))
_DELETE_TASKS = Statement(tasks.delete().where(any_of(tasks.c.id, "ids")))
_MAKE_LEASE = insert_rows(job_leases, ("name", "owner", "until_ms"), ignore_repeats=True)
_TAKE_LEASE = Statement(
    job_leases.update()
    .where(
        job_leases.c.name == bindparam("lease"),
        or_(job_leases.c.owner == bindparam("me"), job_leases.c.until_ms <= bindparam("now")),
    )
    .values(owner=bindparam("me"), until_ms=bindparam("until"))
    .returning(job_leases.c.name)
)


async def oldest_due_ms(connection: Connection, due: Due, before_ms: int) -> int | None:
    """The moment of the oldest that is due; None: nothing is."""
    rows = await connection.fetch(_OLDEST[due], **_bounds(before_ms), size=1)
    return int(str(rows[0][1])) if rows else None


async def find_due(connection: Connection, due: Due, before_ms: int, size: int) -> list[TaskId]:
    return [TaskId(str(row[0])) for row in await connection.fetch(_FIND[due], **_bounds(before_ms), size=size)]


async def read_deliveries(connection: Connection, ids: Sequence[TaskId], makers: Sequence[TaskId]) -> list[AttemptId]:
    """The attempts of these tasks whose pictures may still be there. Those of `makers` may, although their own claim has ended."""
    return [AttemptId(str(row[0])) for row in await connection.fetch(_DELIVERIES, ids=ids, makers=makers)]


async def mark_pictures(connection: Connection, ids: Sequence[TaskId], before_ms: int, at_ms: int) -> int:
    """Their files are gone: so are the rows that name them. Of those of these tasks that are still due; says how many."""
    still = await _still_due(connection, PICTURES, ids, before_ms)
    await connection.execute(_DELETE_RESULTS, ids=still)
    await connection.execute(_MARK_PICTURES, ids=still, at=at_ms)
    return len(still)


async def forget_prompts(connection: Connection, before_ms: int, size: int, without_words: Callable[[str], str]) -> int:
    """The oldest prompts that are due, with what upstreams made of them and the callers' own words in the request; says of how many tasks."""
    found = [(str(row[0]), str(row[1])) for row in await connection.fetch(_FIND_PROMPTS, before=before_ms, size=size)]
    await connection.write(_FORGET_PROMPTS, [(None, without_words(request), task_id) for task_id, request in found])
    await connection.execute(_FORGET_REVISED, ids=[task_id for task_id, _ in found])
    return len(found)


async def delete_tasks(connection: Connection, ids: Sequence[TaskId], before_ms: int) -> int:
    """Tasks with results and attempts, whose files must be gone; those of these that are still due. Says how many."""
    still = await _still_due(connection, TASKS, ids, before_ms)
    for statement in (_DELETE_RESULTS, _DELETE_ATTEMPTS, _DELETE_TASKS):
        await connection.execute(statement, ids=still)
    return len(still)


async def take_lease(connection: Connection, name: str, owner: str, *, now_ms: int, until_ms: int) -> bool:
    """Whether the job of this name is the owner's until then: it was already, or nobody's."""
    await connection.write(_MAKE_LEASE, [(name, "", 0)])
    return bool(await connection.fetch(_TAKE_LEASE, lease=name, me=owner, now=now_ms, until=until_ms))


async def _still_due(connection: Connection, due: Due, ids: Sequence[TaskId], before_ms: int) -> list[str]:
    rows = await connection.fetch(_AGAIN[due], **_bounds(before_ms), ids=ids, size=len(ids))
    return [str(row[0]) for row in rows]


def _bounds(before_ms: int) -> dict[str, int | str]:
    return {"before": before_ms, "below": f"task-unified-{max(0, before_ms) // 1000 + 1}"}
