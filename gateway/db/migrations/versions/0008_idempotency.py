"""Which task answers a call that is made again: by its Idempotency-Key, or as an SDK's retry by its body.

Calls of the version before have no rows: the same call again is a new one, as it was.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it, and leaves no rows."""
    op.create_table(
        "idempotency",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("taken_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name="pk_idempotency"),
    )
    keyed, left = sa.text("key != ''"), sa.text("key = '' AND taken_at_ms IS NULL")
    op.create_index(
        "uq_idempotency_key",
        "idempotency",
        ["account_id", "key"],
        unique=True,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    op.create_index(
        "ix_idempotency_left", "idempotency", ["body_sha256", "created_at_ms"], sqlite_where=left, postgresql_where=left
    )
