"""What administration needs: rotation and last use of keys, admin tokens, the audit log, daily usage, alerts, and an org's own markup.

Usage begins with this version: what was charged before stands in the ledger alone.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_APPEND_ONLY_SQLITE = """
CREATE TRIGGER audit_log_{name} BEFORE {verb} ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
# INSERT OR REPLACE deletes without a DELETE that a trigger would see.
_NO_REPLACING_SQLITE = """
CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
_REFUSE_POSTGRESQL = """
CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
"""
_APPEND_ONLY_POSTGRESQL = """
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()
"""


def upgrade() -> None:
    """Pre-deployment: the version before works on beside it, but for the usage of what it ends."""
    _extend_tables()
    _make_tables()
    if op.get_bind().dialect.name == "sqlite":
        for name, verb in (("no_update", "UPDATE"), ("no_delete", "DELETE")):
            op.execute(_APPEND_ONLY_SQLITE.format(name=name, verb=verb))
        op.execute(_NO_REPLACING_SQLITE)
    else:
        op.execute(_REFUSE_POSTGRESQL)
        op.execute(_APPEND_ONLY_POSTGRESQL)


def _extend_tables() -> None:
    op.add_column("accounts", _text("markup", nullable=True))
    op.add_column("accounts", _number("declared", default="0"))
    op.add_column("keys", _text("old_digest", nullable=True))
    op.add_column("keys", _number("old_until_ms", nullable=True))
    op.add_column("keys", _number("used_at_ms", nullable=True))
    op.add_column("tasks", _text("caller", nullable=True))
    op.add_column("tasks", _number("erased_at_ms", nullable=True))
    op.add_column("tasks", _number("pictures_erased_at_ms", nullable=True))
    erasing = sa.text("erased_at_ms IS NOT NULL AND pictures_erased_at_ms IS NULL")
    op.create_index("ix_tasks_erasing", "tasks", ["erased_at_ms"], sqlite_where=erasing, postgresql_where=erasing)


def _make_tables() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "admin_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        _text("name"), _text("digest"), _text("display"), _text("scopes"), _text("org", nullable=True),
        _number("created_at_ms"), _number("expires_at_ms", nullable=True), _number("disabled_at_ms", nullable=True),
        _number("used_at_ms", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_admin_tokens"),
        sa.UniqueConstraint("digest", name="uq_admin_tokens_digest"),
    )  # fmt: skip
    op.create_table(
        "grant_ids",
        _text("account_id"), _text("id"), _number("microcredits"), _number("at_ms"),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_grant_ids"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_grant_ids_account_id"),
    )  # fmt: skip
    op.create_table(
        "audit_log",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        _number("at_ms"), _text("actor"), _text("action"), _text("subject"), _text("org", nullable=True), _text("details"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )  # fmt: skip
    op.create_table(
        "usage_daily",
        _text("day"), _text("account_id"), _text("model"), _text("upstream"), _text("caller"),
        *(_number(name) for name in (
            "tasks", "failed", "images", "charged_microcredits", "charged_microusd", "paid_microusd", "cache_hits", "cache_saved_microusd",
            "routing_saved_microusd",
        )),
        sa.PrimaryKeyConstraint("day", "account_id", "model", "upstream", "caller", name="pk_usage_daily"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_usage_daily_account_id"),
    )  # fmt: skip
    op.create_table(
        "budget_alerts",
        _text("id"), _text("account_id"), _text("budget"), _number("window_start_ms"), _number("threshold"), _text("body"),
        _number("created_at_ms"), _text("state"), _number("tries"), _number("next_at_ms"), _text("answer", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_budget_alerts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_budget_alerts_account_id"),
        sa.CheckConstraint("state IN ('due', 'sent', 'dead')", name="ck_budget_alerts_state"),
        sa.UniqueConstraint("account_id", "budget", "window_start_ms", "threshold", name="uq_budget_alerts_account_id"),
    )  # fmt: skip
    op.create_index(
        "ix_budget_alerts_due", "budget_alerts", ["next_at_ms"],
        sqlite_where=sa.text("state = 'due'"), postgresql_where=sa.text("state = 'due'"),
    )  # fmt: skip


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=default)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=default)
