"""Callbacks: where a task's end is told, the outbox, its tries, and the version of each key's secret.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it; it ends a task with a callback without telling it."""
    op.add_column("keys", _number("callback_version", default="1"))
    op.add_column("keys", _number("callback_old_until_ms", nullable=True))
    op.create_index("ix_keys_account_id", "keys", ["account_id"])
    op.add_column("tasks", _text("callback_url", nullable=True))
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Text(), nullable=False),
        _text("task_id"), _text("account_id"), _text("url"), _text("host"), _text("body", nullable=True), _text("state"),
        _number("tries"), _number("next_at_ms"), _number("created_at_ms"), _text("answer", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_callbacks"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_callbacks_account_id"),
        sa.CheckConstraint("state IN ('due', 'sent', 'dead')", name="ck_callbacks_state"),
        sa.UniqueConstraint("task_id", name="uq_callbacks_task_id"),
    )  # fmt: skip
    for name, columns, state in (
        ("ix_callbacks_due", ["next_at_ms", "host", "id"], "due"),
        ("ix_callbacks_dead", ["id"], "dead"),
    ):
        only = sa.text(f"state = '{state}'")
        op.create_index(name, "callbacks", columns, sqlite_where=only, postgresql_where=only)
    op.create_table(
        "callback_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        _text("callback_id"), _number("at_ms"), _number("status", nullable=True), _number("took_ms"), _text("answer", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_callback_attempts"),
        sa.ForeignKeyConstraint(["callback_id"], ["callbacks.id"], name="fk_callback_attempts_callback_id"),
    )  # fmt: skip
    op.create_index("ix_callback_attempts_callback_id", "callback_attempts", ["callback_id"])


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=default)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)
