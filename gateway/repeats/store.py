"""The rows that lead from a call to its task: by the caller's Idempotency-Key, or, of an SDK's call, by its body.

Stores run in the caller's transaction, make no ids and read no clock. A row is written with its task, under the lock of the key account's balance,
and read for a decision under the same lock. Rows have no foreign keys: they live a day, tasks longer. Old rows are found by their task ids, which
begin with the second in which they were made, so that their primary key is in the order of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import attempts, idempotency, tasks
from gateway.db.statements import BulkStatement, Statement, any_of, insert_rows, update_rows
from gateway.db.values import number
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.tasks import Billed, TaskState

Write = tuple[BulkStatement, BulkRows]

LEFT_MAX = 256
"""Tasks of one body that are looked at, newest first: as many as one batch can take."""

_COLUMNS = ("task_id", "account_id", "key", "body_sha256", "created_at_ms", "taken_at_ms")
_columns = [idempotency.c[name] for name in _COLUMNS]
_HAS_KEY, _OF_AN_SDK = idempotency.c.key != "", idempotency.c.key == ""
KEYED = select(*_columns).where(
    any_of(idempotency.c.account_id, "key_accounts"), any_of(idempotency.c.key, "keys"), _HAS_KEY
)
"""Every row of one of these accounts with one of these keys, for `row_of`."""
_PERHAPS_BILLED = (
    select(attempts.c.id)
    .where(
        attempts.c.task_id == idempotency.c.task_id,
        (attempts.c.billed == Billed.YES.value) | (attempts.c.billed == Billed.UNKNOWN.value),
    )
    .correlate(idempotency)
    .exists()
)
_STATE = (tasks.c.state, _PERHAPS_BILLED.label("perhaps_billed"))
_LEFT_BEHIND = (
    _OF_AN_SDK,
    idempotency.c.taken_at_ms.is_(None),
    tasks.c.erased_at_ms.is_(None),
    (tasks.c.state != TaskState.CANCELLED.value),
    (tasks.c.state != TaskState.FAILED.value) | _PERHAPS_BILLED,
)
"""What a retry may take up: nothing that failed, or was cancelled, without a bill, and nothing that was erased."""
_JOINED = idempotency.join(tasks, tasks.c.id == idempotency.c.task_id)
LEFT_BY_ID = (
    select(*_columns, *_STATE).select_from(_JOINED).where(*_LEFT_BEHIND, any_of(idempotency.c.task_id, "left_ids"))
)
"""Those of these tasks that may be taken up, for `left_of`."""
_ranked = (
    select(
        *_columns,
        *_STATE,
        func.row_number()
        .over(
            partition_by=(idempotency.c.account_id, idempotency.c.body_sha256),
            order_by=(idempotency.c.created_at_ms.desc(), idempotency.c.task_id.desc()),
        )
        .label("place"),
    )
    .select_from(_JOINED)
    .where(
        *_LEFT_BEHIND,
        any_of(idempotency.c.account_id, "left_accounts"),
        any_of(idempotency.c.body_sha256, "left_bodies"),
        idempotency.c.created_at_ms >= bindparam("left_since"),
    )
    .subquery()
)
LEFT_BY_BODY = select(*(_ranked.c[name] for name in (*_COLUMNS, "state", "perhaps_billed"))).where(
    _ranked.c.place <= LEFT_MAX
)
"""The newest of each account and body from a time on, for `left_of`."""
QUERIES = (KEYED, LEFT_BY_BODY, LEFT_BY_ID)
_READ_KEYED = Statement(
    select(*_columns).where(
        idempotency.c.account_id == bindparam("account"), idempotency.c.key == bindparam("called"), _HAS_KEY
    )
)
_READ_LEFT = Statement(
    select(idempotency.c.task_id)
    .select_from(_JOINED)
    .where(
        *_LEFT_BEHIND,
        idempotency.c.account_id == bindparam("account"),
        idempotency.c.body_sha256 == bindparam("body"),
        idempotency.c.created_at_ms >= bindparam("since"),
        tasks.c.results_expire_at_ms.is_(None) | (tasks.c.results_expire_at_ms > bindparam("now")),
    )
    .order_by(idempotency.c.created_at_ms.desc(), idempotency.c.task_id.desc())
    .limit(LEFT_MAX)
)
_ADD = insert_rows(idempotency, _COLUMNS)
_TAKE = update_rows(idempotency, ("task_id",), ("taken_at_ms",))
_DELETE = Statement(idempotency.delete().where(any_of(idempotency.c.task_id, "ids")))
_ERASE = Statement(idempotency.update().where(any_of(idempotency.c.task_id, "ids")).values(body_sha256=""))
_OLD = idempotency.alias("old")
_DELETE_OLD = Statement(
    # Rows that another process is deleting are left to it; waiting for them, out of their order, could end in a deadlock.
    idempotency.delete()
    .where(
        idempotency.c.task_id.in_(
            select(_OLD.c.task_id)
            .where(_OLD.c.task_id < bindparam("before"))
            .order_by(_OLD.c.task_id)
            .limit(bindparam("size"))
            .with_for_update(skip_locked=True)
        )
    )
    .returning(idempotency.c.task_id)
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """One row. `key` empty: of an SDK's call. `body_sha256` empty: the task was erased, and no body is its own any more."""

    task_id: TaskId
    account: AccountId
    key: str
    body_sha256: str
    created_at_ms: int
    taken_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What a retry may take up, and how its task stood when it was read."""

    row: Remembered
    state: TaskState
    perhaps_billed: bool


def row_of(row: Row) -> Remembered:
    """From the rows of KEYED."""
    task_id, account, key, body, created, taken = row
    return Remembered(
        TaskId(str(task_id)), AccountId(str(account)), str(key), str(body), number(created), None if taken is None else number(taken)
    )  # fmt: skip


def left_of(row: Row) -> Left:
    """From the rows of LEFT_BY_ID and LEFT_BY_BODY."""
    return Left(row_of(row[: len(_COLUMNS)]), TaskState(str(row[-2])), bool(row[-1]))


def added(rows: Sequence[Remembered]) -> Write:
    return _ADD, [
        (row.task_id, row.account, row.key, row.body_sha256, row.created_at_ms, row.taken_at_ms) for row in rows
    ]


def taken(ids: Sequence[TaskId], at_ms: int) -> Write:
    return _TAKE, [(at_ms, task_id) for task_id in ids]


async def delete(connection: Connection, ids: Sequence[TaskId]) -> None:
    await connection.execute(_DELETE, ids=ids)


async def erase(connection: Connection, ids: Sequence[TaskId]) -> None:
    """What is left of the caller's words: a hash, by which a guess could be checked. The keys stay used."""
    await connection.execute(_ERASE, ids=ids)


async def delete_old(connection: Connection, before_ms: int, size: int) -> int:
    """Rows of calls before a time, the oldest first and at most `size`; says how many."""
    rows = await connection.fetch(_DELETE_OLD, before=f"task-unified-{before_ms // 1000}", size=size)
    return len(rows)


async def read_keyed(connection: Connection, account: AccountId, key: str) -> Remembered | None:
    rows = await connection.fetch(_READ_KEYED, account=account, called=key)
    return row_of(rows[0]) if rows else None


async def read_left(
    connection: Connection, account: AccountId, body_sha256: str, *, since_ms: int, now_ms: int
) -> tuple[TaskId, ...]:
    """Tasks of an account's SDK calls with this body that may be taken up, newest first and at most LEFT_MAX."""
    rows = await connection.fetch(_READ_LEFT, account=account, body=body_sha256, since=since_ms, now=now_ms)
    return tuple(TaskId(str(row[0])) for row in rows)
