"""The outbox's rows. Runs in the caller's transaction.

A row that is being sent has its `next_at_ms` in the future: that is the lease, and its value says whose. Whoever writes down how a try went must
still have it, so that a slow sender overwrites nobody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, func, not_, null, or_, select, update

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import callback_attempts, callbacks
from gateway.db.statements import BulkStatement, Statement, Value, any_of, insert_rows, update_rows
from gateway.domain.callbacks import Callback, CallbackState, CallbackTry, host_of
from gateway.domain.ids import AccountId, TaskId, new_callback_id
from gateway.domain.tasks import Task

ERASED = "its task was erased"

_NAMES = (
    "id",
    "task_id",
    "account_id",
    "url",
    "host",
    "body",
    "state",
    "tries",
    "next_at_ms",
    "created_at_ms",
    "answer",
)
_COLUMNS = [callbacks.c[name] for name in _NAMES]
_IS_DUE = (callbacks.c.state == CallbackState.DUE.value, callbacks.c.next_at_ms <= bindparam("now"))

_ADD = insert_rows(callbacks, _NAMES)
_KEEP_BODY = update_rows(callbacks, ("id",), ("body",))
_ADD_TRY = insert_rows(callback_attempts, ("callback_id", "at_ms", "status", "took_ms", "answer"))
_DUE = Statement(
    select(*_COLUMNS)
    .where(*_IS_DUE, not_(any_of(callbacks.c.host, "full")))
    .order_by(callbacks.c.next_at_ms, callbacks.c.id)
    .limit(bindparam("size"))
)
# Rows that another process is claiming in this very moment are left to it (SQLite has one process).
_CLAIM = Statement(
    update(callbacks)
    .where(
        callbacks.c.id.in_(
            select(callbacks.c.id).where(any_of(callbacks.c.id, "ids"), *_IS_DUE).with_for_update(skip_locked=True)
        )
    )
    .values(next_at_ms=bindparam("until"))
    .returning(*_COLUMNS)
)
_NOTE = Statement(
    update(callbacks)
    .where(
        callbacks.c.id == bindparam("callback"),
        callbacks.c.state == CallbackState.DUE.value,
        callbacks.c.next_at_ms == bindparam("claimed_until"),
        callbacks.c.tries == bindparam("tries_before"),  # sent again and claimed anew in one millisecond: until the same moment
    )
    .values(
        state=bindparam("became"), tries=bindparam("tried"), next_at_ms=bindparam("again"), answer=bindparam("said", type_=Text())
    )
    .returning(callbacks.c.id)
)  # fmt: skip
_RESEND = Statement(
    update(callbacks)
    .where(callbacks.c.id == bindparam("callback"), callbacks.c.url != "")
    .values(state=CallbackState.DUE.value, tries=0, next_at_ms=bindparam("again"))
)
_ERASE = Statement(
    update(callbacks)
    .where(any_of(callbacks.c.task_id, "tasks"))
    .values(url="", host="", body=null())
    .returning(callbacks.c.id)
)
_STOP_ERASED = Statement(
    update(callbacks)
    .where(any_of(callbacks.c.id, "ids"), callbacks.c.state == CallbackState.DUE.value)
    .values(state=CallbackState.DEAD.value, answer=bindparam("said", type_=Text()))
)
_ERASE_ANSWERS = Statement(
    update(callback_attempts).where(any_of(callback_attempts.c.callback_id, "ids")).values(answer=null())
)
_BELOW = bindparam("below", type_=Text())
_PAGE = Statement(
    select(*_COLUMNS)
    .where(
        or_(bindparam("before", type_=Text()) == "", callbacks.c.id < bindparam("before", type_=Text())),
        or_(bindparam("state_is", type_=Text()) == "", callbacks.c.state == bindparam("state_is", type_=Text())),
        func.substr(callbacks.c.account_id, 1, func.length(_BELOW)) == _BELOW,
    )
    .order_by(callbacks.c.id.desc())
    .limit(bindparam("size"))
)  # fmt: skip
_DEAD_PAGE = Statement(
    # With its index: the state is no parameter.
    select(*_COLUMNS)
    .where(
        callbacks.c.state == CallbackState.DEAD.value,
        or_(bindparam("before", type_=Text()) == "", callbacks.c.id < bindparam("before", type_=Text())),
        func.substr(callbacks.c.account_id, 1, func.length(_BELOW)) == _BELOW,
    )
    .order_by(callbacks.c.id.desc())
    .limit(bindparam("size"))
)  # fmt: skip
_ONE = Statement(select(*_COLUMNS).where(callbacks.c.id == bindparam("callback")))
_OF_TASK = Statement(select(*_COLUMNS).where(callbacks.c.task_id == bindparam("task")))
_TRIES = Statement(
    select(
        callback_attempts.c.at_ms, callback_attempts.c.status, callback_attempts.c.took_ms, callback_attempts.c.answer
    )
    .where(callback_attempts.c.callback_id == bindparam("callback"))
    .order_by(callback_attempts.c.id.desc())
    .limit(bindparam("size"))
)
_COUNTS = Statement(
    select(
        select(func.count()).select_from(callbacks).where(callbacks.c.state == CallbackState.DUE.value).scalar_subquery(),
        select(func.count()).select_from(callbacks).where(callbacks.c.state == CallbackState.DEAD.value).scalar_subquery(),
    )
)  # fmt: skip
_EXPIRED = Statement(
    select(callbacks.c.id)
    # Ids begin with the moment in which they were made.
    .where(callbacks.c.id < bindparam("before"), callbacks.c.state != CallbackState.DUE.value)
    .order_by(callbacks.c.id)
    .limit(bindparam("size"))
)
_DELETE_TRIES = Statement(callback_attempts.delete().where(any_of(callback_attempts.c.callback_id, "ids")))
_DELETE = Statement(callbacks.delete().where(any_of(callbacks.c.id, "ids")))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many callbacks wait, and how many were given up."""

    due: int
    dead: int


def callback_of(task: Task, at_ms: int) -> Callback | None:
    """What tells the end of a task, due at once; None where nobody wants to be told."""
    if task.callback_url is None:
        return None
    return Callback(
        new_callback_id(at_ms), task.id, task.account, task.callback_url, host_of(task.callback_url), CallbackState.DUE, 0, at_ms, at_ms
    )  # fmt: skip


def added_callbacks(new: Sequence[Callback]) -> tuple[BulkStatement, BulkRows]:
    """For the transaction in which their tasks end."""
    return _ADD, [
        (c.id, c.task, c.account, c.url, c.host, c.body, c.state.value, c.tries, c.next_at_ms, c.created_at_ms, c.answer)
        for c in new
    ]  # fmt: skip


async def erase_callbacks(connection: Connection, tasks: Sequence[TaskId]) -> None:
    """Of erased tasks: where they were told and what was said, on both sides. One that is still due is not sent any more."""
    ids = [str(row[0]) for row in await connection.fetch(_ERASE, tasks=tasks)]
    if ids:
        await connection.execute(_STOP_ERASED, ids=ids, said=ERASED)
        await connection.execute(_ERASE_ANSWERS, ids=ids)


async def read_due(connection: Connection, *, now_ms: int, full: Collection[str], size: int) -> list[Callback]:
    """Those that are due longest; none to the hosts that are full."""
    return [_callback(row) for row in await connection.fetch(_DUE, now=now_ms, full=sorted(full), size=size)]


async def claim_callbacks(connection: Connection, ids: Sequence[str], *, now_ms: int, until_ms: int) -> list[Callback]:
    """Of these, those that are still due: left alone by others until then, oldest first. Also postpones, where nobody sends them meanwhile."""
    found = [_callback(row) for row in await connection.fetch(_CLAIM, ids=ids, now=now_ms, until=until_ms)]
    return sorted(found, key=lambda callback: callback.id)


async def keep_bodies(connection: Connection, bodies: Sequence[tuple[str, str]]) -> None:
    """(body, id) of claimed callbacks."""
    await connection.write(_KEEP_BODY, bodies)


async def note_try(
    connection: Connection, claimed: Callback, made: CallbackTry, state: CallbackState, *, next_at_ms: int, answer: str
) -> bool:
    """How a try of a claimed callback went; False, and nothing is written, where it is not this claim's any more."""
    noted = await connection.fetch(
        _NOTE, callback=claimed.id, claimed_until=claimed.next_at_ms, tries_before=claimed.tries, became=state.value, tried=claimed.tries + 1,
        again=next_at_ms, said=answer,
    )  # fmt: skip
    if noted:
        await connection.write(_ADD_TRY, [(claimed.id, made.at_ms, made.status, made.took_ms, made.answer)])
    return bool(noted)


async def resend(connection: Connection, callback_id: str, now_ms: int) -> None:
    """Due at once, with all its tries before it; not where it was erased."""
    await connection.execute(_RESEND, callback=callback_id, again=now_ms)


async def read_callback(connection: Connection, callback_id: str) -> Callback | None:
    rows = await connection.fetch(_ONE, callback=callback_id)
    return _callback(rows[0]) if rows else None


async def read_callback_of(connection: Connection, task: TaskId) -> Callback | None:
    rows = await connection.fetch(_OF_TASK, task=task)
    return _callback(rows[0]) if rows else None


async def read_callbacks(
    connection: Connection, *, org: str | None, state: CallbackState | None, before_id: str, size: int
) -> list[Callback]:
    """Below an id, newest first; an empty id: from the newest. `org`: of that one's keys alone."""
    below = "" if org is None else f"key:{org}/"
    where: dict[str, Value] = {"before": before_id, "below": below, "size": size}
    if state is CallbackState.DEAD:
        rows = await connection.fetch(_DEAD_PAGE, **where)
    else:
        rows = await connection.fetch(_PAGE, **where, state_is="" if state is None else state.value)
    return [_callback(row) for row in rows]


async def read_tries(connection: Connection, callback_id: str, size: int) -> list[CallbackTry]:
    """The latest ones, oldest first."""
    rows = await connection.fetch(_TRIES, callback=callback_id, size=size)
    return [
        CallbackTry(
            int(at_ms or 0), None if status is None else int(status), int(took or 0), None if answer is None else str(answer)
        )
        for at_ms, status, took, answer in reversed(rows)
    ]  # fmt: skip


async def count_callbacks(connection: Connection) -> Counts:
    due, dead = (await connection.fetch(_COUNTS))[0]
    return Counts(int(due or 0), int(dead or 0))


async def delete_ended(connection: Connection, *, before_ms: int, size: int) -> int:
    """Those of tasks that ended before then, with their tries, but for what is still to be sent; says how many."""
    ids = [str(row[0]) for row in await connection.fetch(_EXPIRED, before=f"msg_{max(0, before_ms):013d}", size=size)]
    if ids:
        await connection.execute(_DELETE_TRIES, ids=ids)
        await connection.execute(_DELETE, ids=ids)
    return len(ids)


def _callback(row: Row) -> Callback:
    callback_id, task, account, url, host, body, state, tries, next_at, created, answer = row
    return Callback(
        str(callback_id), TaskId(str(task)), AccountId(str(account)), str(url), str(host), CallbackState(str(state)), int(tries or 0),
        int(next_at or 0), int(created or 0), None if body is None else str(body), None if answer is None else str(answer),
    )  # fmt: skip
