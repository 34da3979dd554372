"""The first schema: accounts, balances, entries, holds, keys, tasks, attempts, results.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pre-deployment: nothing else runs yet."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("budgets", sa.Text(), nullable=False),
        sa.Column("disabled", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('org', 'team', 'key', 'upstream', 'ours')", name=op.f("ck_accounts_kind")),
        sa.ForeignKeyConstraint(["parent_id"], ["accounts.id"], name=op.f("fk_accounts_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "holds",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("held_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("held_microusd", sa.BigInteger(), nullable=False),
        sa.Column("held_images", sa.BigInteger(), nullable=False),
        sa.Column("settled_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("settled_microusd", sa.BigInteger(), nullable=False),
        sa.Column("settled_images", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'pending') = (ended_at_ms IS NULL)", name=op.f("ck_holds_ended")),
        sa.CheckConstraint("state IN ('pending', 'settled', 'released')", name=op.f("ck_holds_state")),
        sa.CheckConstraint(
            "held_microcredits >= 0 AND held_microusd >= 0 AND held_images >= 0", name=op.f("ck_holds_held")
        ),
        sa.CheckConstraint(
            "settled_microcredits BETWEEN 0 AND held_microcredits AND settled_microusd BETWEEN 0 AND held_microusd"
            " AND settled_images BETWEEN 0 AND held_images",
            name=op.f("ck_holds_settled"),
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_holds")),
    )
    op.create_index(
        "ix_holds_pending",
        "holds",
        ["created_at_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "balances",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("time_window", sa.Text(), nullable=False),
        sa.Column("window_start_ms", sa.BigInteger(), nullable=False),
        sa.Column("posted_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("posted_microusd", sa.BigInteger(), nullable=False),
        sa.Column("posted_images", sa.BigInteger(), nullable=False),
        sa.Column("pending_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("pending_microusd", sa.BigInteger(), nullable=False),
        sa.Column("pending_images", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "pending_microcredits >= 0 AND pending_microusd >= 0 AND pending_images >= 0",
            name=op.f("ck_balances_pending"),
        ),
        sa.CheckConstraint(
            "posted_microcredits >= 0 AND posted_microusd >= 0 AND posted_images >= 0", name=op.f("ck_balances_posted")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_balances_account_id")),
        sa.PrimaryKeyConstraint("account_id", "time_window", "window_start_ms", name=op.f("pk_balances")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("posted_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("posted_microusd", sa.BigInteger(), nullable=False),
        sa.Column("posted_images", sa.BigInteger(), nullable=False),
        sa.Column("pending_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("pending_microusd", sa.BigInteger(), nullable=False),
        sa.Column("pending_images", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_entries_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_account_id_id"), "entries", ["account_id", "id"], unique=False)
    op.create_index(op.f("ix_entries_task_id"), "entries", ["task_id"], unique=False)
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("display", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("declared", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("user_group", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("reserved_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("used_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("used_microusd", sa.BigInteger(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("cancel_requested", sa.BigInteger(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("usage", sa.Text(), nullable=True),
        sa.Column("result_count", sa.BigInteger(), nullable=False),
        sa.Column("results_expire_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)",
            name=op.f("ck_tasks_finished"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'processing', 'completed', 'failed', 'cancelled')", name=op.f("ck_tasks_state")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_tasks_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index("ix_tasks_account", "tasks", ["account_id", "created_at_ms", "id"], unique=False)
    op.create_index("ix_tasks_expiry", "tasks", ["results_expire_at_ms"], unique=False)
    op.create_index(
        "ix_tasks_unfinished",
        "tasks",
        ["lease_until_ms"],
        unique=False,
        sqlite_where=sa.text("finished_at_ms IS NULL"),
        postgresql_where=sa.text("finished_at_ms IS NULL"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("presumed_cost_microusd", sa.BigInteger(), nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("upstream_ref", sa.Text(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("billed", sa.Text(), nullable=True),
        sa.Column("cost_microusd", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('sending', 'submitted')) = (ended_at_ms IS NULL)", name=op.f("ck_attempts_ended")
        ),
        sa.CheckConstraint(
            "state IN ('sending', 'submitted', 'succeeded', 'failed', 'unknown')", name=op.f("ck_attempts_state")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_attempts_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(
        "ix_attempts_in_doubt",
        "attempts",
        ["upstream"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_index(op.f("ix_attempts_task_id"), "attempts", ["task_id"], unique=False)
    op.create_table(
        "results",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("revised_prompt", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_results_task_id")),
        sa.PrimaryKeyConstraint("task_id", "position", name=op.f("pk_results")),
        sa.UniqueConstraint("blob", name=op.f("uq_results_blob")),
    )
    # ### end Alembic commands ###
