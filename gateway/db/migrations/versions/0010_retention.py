"""Which pictures and prompts have had their time, found by indexes that only have those; and whose turn it is to delete them.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before deletes nothing, and asked nothing of the index that goes."""
    op.drop_index("ix_tasks_expiry", table_name="tasks")
    pictures = sa.text("results_expire_at_ms IS NOT NULL AND pictures_erased_at_ms IS NULL")
    prompts = sa.text("prompt IS NOT NULL AND finished_at_ms IS NOT NULL")
    op.create_index(
        "ix_tasks_pictures", "tasks", ["results_expire_at_ms", "id"], sqlite_where=pictures, postgresql_where=pictures
    )
    op.create_index(
        "ix_tasks_prompts", "tasks", ["finished_at_ms", "id"], sqlite_where=prompts, postgresql_where=prompts
    )
    op.create_table(
        "job_leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_job_leases"),
    )
