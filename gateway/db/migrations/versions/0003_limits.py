"""Accounts get their limits: JSON of what is limited, null where nothing is.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: this version reads and writes the column. The version before works on beside it, and leaves it null."""
    op.add_column("accounts", sa.Column("limits", sa.Text(), nullable=True))
