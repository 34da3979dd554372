"""Tasks that their callers want cancelled, found by whoever works on them.

The column has been there from the beginning, and no version before this one sets it.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: a process of the version before does not hear of such a wish; the task goes on there as if nobody had one."""
    wished = sa.text("cancel_requested = 1")
    op.create_index(
        "ix_tasks_wishes", "tasks", ["owner", "finished_at_ms"], sqlite_where=wished, postgresql_where=wished
    )
