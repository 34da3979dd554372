"""Calendar windows and prepaid credits.

What was booked before has no windows: it counts in the totals alone, and so does the end of a hold that is pending now. What is in flight or in doubt
at upstreams is moved, by entries, into the windows in which it was sent, where its end will look for it.

Revision ID: 0004
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOVE = """
INSERT INTO entries (account_id, task_id, attempt_id, kind, posted_microcredits, posted_microusd, posted_images,
                     pending_microcredits, pending_microusd, pending_images, at_ms, note, day_ms, week_ms, month_ms)
VALUES (:account, :task, :attempt, 'send', 0, 0, 0, 0, :usd, 0, :at, 'moved to its windows', :day, :week, :month)
"""
_MAKE_ROW = """
INSERT INTO balances (account_id, time_window, window_start_ms, posted_microcredits, posted_microusd, posted_images,
                      pending_microcredits, pending_microusd, pending_images)
VALUES (:account, :window, :start, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING
"""
_ADD_PENDING = """
UPDATE balances SET pending_microusd = pending_microusd + :usd
WHERE account_id = :account AND time_window = :window AND window_start_ms = :start
"""


def upgrade() -> None:
    """The version before must be stopped first: it would end the holds of this one in the totals alone."""
    _extend_tables()
    _move_open_attempts(op.get_bind())


def _move_open_attempts(connection: sa.Connection) -> None:
    """Only these are looked at one by one: they are as many as were in flight or in doubt."""
    found = connection.execute(
        sa.text(
            "SELECT id, task_id, upstream, presumed_cost_microusd, sent_at_ms FROM attempts WHERE state IN ('sending', 'submitted', 'unknown')"
        )
    ).all()
    for attempt_id, task_id, upstream, presumed, sent_at_ms in found:
        day = datetime.fromtimestamp(sent_at_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        starts = (day, day - timedelta(days=day.weekday()), day.replace(day=1))
        new = dict(zip(("day", "week", "month"), (int(start.timestamp() * 1000) for start in starts), strict=True))
        account = f"upstream:{upstream}"
        entry = {"account": account, "task": task_id, "attempt": attempt_id, "at": sent_at_ms}
        connection.execute(sa.text(_MOVE), entry | dict.fromkeys(new, 0) | {"usd": -presumed})
        connection.execute(sa.text(_MOVE), entry | new | {"usd": presumed})
        for window, start in new.items():
            row = {"account": account, "window": window, "start": start, "usd": presumed}
            connection.execute(sa.text(_MAKE_ROW), row)
            connection.execute(sa.text(_ADD_PENDING), row)


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=default)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=default)


def _extend_tables() -> None:
    op.add_column("accounts", _text("zone", default="UTC"))
    op.add_column("accounts", _number("prepaid", default="0"))
    for name in ("day_ms", "week_ms", "month_ms"):
        op.add_column("entries", _number(name, default="0"))
    op.add_column("holds", _text("windows", default="[]"))
