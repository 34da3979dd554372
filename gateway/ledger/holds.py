"""Holds that nothing will end: pending, while their task is final or was never written. There should be none. Read-only."""

from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import Connection
from gateway.db.schema import holds, tasks
from gateway.db.statements import Statement
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import Amount
from gateway.ledger.model import HoldState

_HELD = ("held_microcredits", "held_microusd", "held_images")
_STRANDED = Statement(
    select(holds.c.task_id, holds.c.path, holds.c.created_at_ms, tasks.c.state, *(holds.c[name] for name in _HELD))
    .select_from(holds.outerjoin(tasks, tasks.c.id == holds.c.task_id))
    .where(holds.c.state == HoldState.PENDING.value, tasks.c.id.is_(None) | tasks.c.finished_at_ms.is_not(None))
    .order_by(holds.c.created_at_ms, holds.c.task_id)
    .limit(bindparam("size"))
)


@dataclass(frozen=True, slots=True)
class StrandedHold:
    """`task_state` None: there is no such task."""

    task_id: TaskId
    path: tuple[AccountId, ...]
    created_at_ms: int
    task_state: str | None
    amount: Amount


async def read_stranded(connection: Connection, size: int) -> list[StrandedHold]:
    """Oldest first."""
    return [
        StrandedHold(
            TaskId(str(task_id)),
            tuple(map(AccountId, orjson.loads(str(path)))),
            int(str(created_at_ms)),
            None if state is None else str(state),
            Amount(*(int(str(value)) for value in held)),
        )
        for task_id, path, created_at_ms, state, *held in await connection.fetch(_STRANDED, size=size)
    ]
