"""Callers' pictures: uploads, parts of calls, and what tasks fetch for themselves.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it, and has none."""
    op.create_table(
        "files",
        sa.Column("id", sa.Text(), nullable=False),
        _text("account_id"), _text("purpose"), _text("filename"), _text("content_type"), _number("size_bytes"), _number("width"),
        _number("height"), _number("has_alpha"), _text("sha256"), _number("created_at_ms"), _number("expires_at_ms"),
        _text("task_id", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_files_account_id"),
        sa.CheckConstraint("purpose IN ('vision', 'call')", name="ck_files_purpose"),
        sa.CheckConstraint("size_bytes > 0 AND width > 0 AND height > 0", name="ck_files_sizes"),
    )  # fmt: skip
    op.create_index("ix_files_account_id_created_at_ms_id", "files", ["account_id", "created_at_ms", "id"])
    op.create_index("ix_files_expires_at_ms", "files", ["expires_at_ms"])
    has_task = sa.text("task_id IS NOT NULL")
    op.create_index("ix_files_task_id", "files", ["task_id"], sqlite_where=has_task, postgresql_where=has_task)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)
