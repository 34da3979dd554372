"""Sessions of the web console: who is signed in, by digests alone.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it, and has none."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.Text(), nullable=True),
        sa.Column("administrator_digest", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.CheckConstraint("key_digest IS NOT NULL OR administrator_digest IS NOT NULL", name="ck_sessions_holder"),
        if_not_exists=True,
    )
    op.create_index("ix_sessions_expires_at_ms", "sessions", ["expires_at_ms"], if_not_exists=True)
    for name, column in (("ix_sessions_key", "key_digest"), ("ix_sessions_administrator", "administrator_digest")):
        of_some = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "sessions", [column], sqlite_where=of_some, postgresql_where=of_some, if_not_exists=True)
