"""The rows of attempts. See store.py, of whose package this is a part."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, bindparam, cast, func, select

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import attempts, tasks
from gateway.db.statements import BulkStatement, Statement, any_of, insert_rows, update_rows
from gateway.db.values import number, optional_number, optional_text, storable, text
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault

Write = tuple[BulkStatement, BulkRows]

_ATTEMPT_COLUMNS = (
    "id", "task_id", "parent_id", "offer_id", "upstream", "n", "state", "presumed_cost_microusd", "sent_at_ms", "upstream_ref", "ended_at_ms",
    "fault", "billed", "cost_microusd", "images", "message",
)  # fmt: skip
_ATTEMPT_END = ("state", "ended_at_ms", "fault", "billed", "cost_microusd", "images", "message")
_ATTEMPTS = Statement(
    select(*(attempts.c[name] for name in _ATTEMPT_COLUMNS))
    .where(any_of(attempts.c.task_id, "ids"))
    .order_by(attempts.c.sent_at_ms, attempts.c.id)
)
_ATTEMPTS_BY_ID = Statement(
    select(*(attempts.c[name] for name in _ATTEMPT_COLUMNS)).where(any_of(attempts.c.id, "ids"))
)
_IN_DOUBT = Statement(
    select(*(attempts.c[name] for name in _ATTEMPT_COLUMNS), tasks.c.account_id)
    .join(tasks, tasks.c.id == attempts.c.task_id)
    .where(
        attempts.c.state == AttemptState.UNKNOWN.value,
        (attempts.c.sent_at_ms > bindparam("behind_ms"))
        | ((attempts.c.sent_at_ms == bindparam("behind_ms")) & (attempts.c.id > bindparam("behind_id"))),
    )
    .order_by(attempts.c.sent_at_ms, attempts.c.id)
    .limit(bindparam("size"))
)
_IN_DOUBT_BY_UPSTREAM = Statement(
    select(attempts.c.upstream, cast(func.sum(attempts.c.presumed_cost_microusd), BigInteger))
    .where(attempts.c.state == AttemptState.UNKNOWN.value, attempts.c.sent_at_ms >= bindparam("since_ms"))
    .group_by(attempts.c.upstream)
)
_SUM_IN_DOUBT = Statement(
    select(cast(func.coalesce(func.sum(attempts.c.presumed_cost_microusd), 0), BigInteger)).where(
        attempts.c.state == AttemptState.UNKNOWN.value
    )
)
_ADD_ATTEMPTS = insert_rows(attempts, _ATTEMPT_COLUMNS)
_END_ATTEMPTS = update_rows(attempts, ("id",), _ATTEMPT_END)
_SUBMITTED = update_rows(attempts, ("id",), ("state", "upstream_ref"))


def added_attempts(started: Sequence[Attempt]) -> Write:
    return _ADD_ATTEMPTS, [_attempt_row(attempt) for attempt in started]


def ended_attempts(ended: Sequence[Attempt]) -> Write:
    return _END_ATTEMPTS, [
        (
            attempt.state.value, attempt.ended_at_ms, attempt.fault.value if attempt.fault else None,
            attempt.billed.value if attempt.billed else None, attempt.cost_microusd, attempt.images, storable(attempt.message), attempt.id,
        )
        for attempt in ended
    ]  # fmt: skip


def submitted_attempts(submitted: Sequence[tuple[AttemptId, str]]) -> Write:
    """Upstreams' job ids."""
    return _SUBMITTED, [(AttemptState.SUBMITTED.value, storable(ref), attempt) for attempt, ref in submitted]


async def read_attempts(connection: Connection, ids: Sequence[TaskId]) -> list[Attempt]:
    """All attempts of these tasks, oldest first."""
    return [_attempt(row) for row in await connection.fetch(_ATTEMPTS, ids=ids)]


async def read_attempts_by_id(connection: Connection, ids: Sequence[AttemptId]) -> list[Attempt]:
    """In no particular order."""
    return [_attempt(row) for row in await connection.fetch(_ATTEMPTS_BY_ID, ids=ids)]


async def read_in_doubt(
    connection: Connection, size: int, behind: tuple[int, str] = (-1, "")
) -> list[tuple[Attempt, AccountId]]:
    """Attempts of which nobody knows whether they were billed, with their tasks' accounts; oldest first, behind a (sent_at_ms, id)."""
    rows = await connection.fetch(_IN_DOUBT, size=size, behind_ms=behind[0], behind_id=behind[1])
    return [(_attempt(row[:-1]), AccountId(text(row[-1]))) for row in rows]


async def sum_in_doubt_by_upstream(connection: Connection, since_ms: int = 0) -> dict[str, int]:
    """The presumed cost in microusd of what is in doubt and was sent from a time on."""
    rows = await connection.fetch(_IN_DOUBT_BY_UPSTREAM, since_ms=since_ms)
    return {text(upstream): int(str(sum_microusd)) for upstream, sum_microusd in rows}


async def sum_in_doubt_microusd(connection: Connection) -> int:
    """The presumed cost of everything in doubt."""
    return int(str((await connection.fetch(_SUM_IN_DOUBT))[0][0]))


def _attempt_row(attempt: Attempt) -> tuple[str | int | None, ...]:
    return (
        attempt.id, attempt.task_id, attempt.parent_id, attempt.offer_id, attempt.upstream, attempt.n, attempt.state.value,
        attempt.presumed_cost_microusd, attempt.sent_at_ms, attempt.upstream_ref, attempt.ended_at_ms,
        attempt.fault.value if attempt.fault else None, attempt.billed.value if attempt.billed else None,
        attempt.cost_microusd, attempt.images, storable(attempt.message),
    )  # fmt: skip


def _attempt(row: Row) -> Attempt:
    values = dict(zip(_ATTEMPT_COLUMNS, row, strict=True))
    parent, fault, billed = (optional_text(values[name]) for name in ("parent_id", "fault", "billed"))
    return Attempt(
        id=AttemptId(text(values["id"])),
        task_id=TaskId(text(values["task_id"])),
        parent_id=None if parent is None else AttemptId(parent),
        offer_id=text(values["offer_id"]),
        upstream=text(values["upstream"]),
        n=number(values["n"]),
        state=AttemptState(text(values["state"])),
        presumed_cost_microusd=number(values["presumed_cost_microusd"]),
        sent_at_ms=number(values["sent_at_ms"]),
        upstream_ref=optional_text(values["upstream_ref"]),
        ended_at_ms=optional_number(values["ended_at_ms"]), fault=Fault(fault) if fault else None, billed=Billed(billed) if billed else None,
        cost_microusd=number(values["cost_microusd"]), images=number(values["images"]), message=optional_text(values["message"]),
    )  # fmt: skip
