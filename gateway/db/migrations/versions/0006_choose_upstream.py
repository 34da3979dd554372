"""Whether a key may choose its calls' upstreams.

Keys made before may not.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it, and makes keys that may not choose."""
    op.add_column("keys", sa.Column("choose_upstream", sa.BigInteger(), nullable=False, server_default="0"))
