"""Tasks that are answered with another task's pictures, and keys whose calls are not.

Two tasks may name one picture from now on, so a picture's name is no longer unique among results.

Revision ID: 0012
"""

import sqlalchemy as sa

from gateway.db import online

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it. It shares nothing; what it deletes when its time has come, it deletes without asking
    who else names it, so a roll-out should not take a day."""
    online.add_column("tasks", sa.Column("cache", sa.Text(), nullable=True))
    online.add_column("tasks", sa.Column("source_id", sa.Text(), nullable=True))
    online.add_column("keys", sa.Column("cache", sa.BigInteger(), nullable=False, server_default="1"))
    online.drop_unique("results", "uq_results_blob")
    online.create_index(
        "ix_tasks_source_id", "tasks", ["source_id"], where="source_id IS NOT NULL AND pictures_erased_at_ms IS NULL"
    )
