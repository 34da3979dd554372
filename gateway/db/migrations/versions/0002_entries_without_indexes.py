"""Entries lose the two indexes that nothing reads by: eight rows of a call no longer write sixteen places besides.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment or after it: both versions work with and without."""
    op.drop_index(op.f("ix_entries_account_id_id"), table_name="entries")
    op.drop_index(op.f("ix_entries_task_id"), table_name="entries")
