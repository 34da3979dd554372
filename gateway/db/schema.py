"""All tables. CHECK and UNIQUE carry the invariants of the ledger; states stand here with their meaning in gateway/domain.

Only texts and 64-bit integers are used, so that both drivers hand over the same Python values without converters: times are milliseconds
since 1970 UTC (`…_ms`), money is in millionths, lists are JSON text. Every constraint is named (migrations can find it), nothing cascades.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite makes ids by itself only for INTEGER PRIMARY KEY."""


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, server_default=default)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _amount(prefix: str) -> tuple[Column[int], Column[int], Column[int]]:
    return _number(f"{prefix}_microcredits"), _number(f"{prefix}_microusd"), _number(f"{prefix}_images")


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    _text("kind"),
    _text("name"),
    Column("parent_id", Text, ForeignKey("accounts.id"), nullable=True),
    _text("budgets"),  # JSON list of budgets as text; read while the balance rows are locked
    _number("disabled"),
    _number("created_at_ms"),
    _text("limits", nullable=True),  # JSON object: rpm, concurrency, models, sizes, n_max; null: no limit
    _text("zone", default="UTC"),  # where its calendar windows begin
    _number("prepaid", default="0"),  # 1: it may spend only what was granted
    _text("markup", nullable=True),  # a decimal: of an org, in place of the catalogue's and the config's
    _number("declared", default="0"),  # 1: from the config, follows it
    CheckConstraint("kind IN ('org', 'team', 'key', 'upstream', 'ours')", name="kind"),
)

balances = Table(
    "balances",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("time_window"),
    _number("window_start_ms"),
    *_amount("posted"),
    *_amount("pending"),
    PrimaryKeyConstraint("account_id", "time_window", "window_start_ms"),
    CheckConstraint("posted_microcredits >= 0 AND posted_microusd >= 0 AND posted_images >= 0", name="posted"),
    CheckConstraint("pending_microcredits >= 0 AND pending_microusd >= 0 AND pending_images >= 0", name="pending"),
    postgresql_with={"fillfactor": "50"},  # rows are rewritten all the time: room keeps the updates HOT
)

entries = Table(
    "entries",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("task_id", nullable=True),
    _text("attempt_id", nullable=True),
    _text("kind"),
    *_amount("posted"),
    *_amount("pending"),
    _number("at_ms"),
    _text("note", nullable=True),
    _number("day_ms", default="0"),  # the windows that the change counts in
    _number("week_ms", default="0"),
    _number("month_ms", default="0"),
    # No index but the id's: eight rows a call, which are read by ranges of ids only. One that is not written is the cheapest.
)

grant_ids = Table(
    "grant_ids",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("id"),  # the caller's own, so that a repeated grant is granted once
    _number("microcredits"),
    _number("at_ms"),
    PrimaryKeyConstraint("account_id", "id"),
)

holds = Table(
    "holds",
    metadata,
    Column("task_id", Text, primary_key=True),
    _text("path"),  # JSON list of account ids: key, team, org
    *_amount("held"),
    *_amount("settled"),
    _text("state"),
    _number("created_at_ms"),
    _number("ended_at_ms", nullable=True),
    _text("windows", default="[]"),  # JSON list of [day, week, month] in ms, one an account of the path
    CheckConstraint("state IN ('pending', 'settled', 'released')", name="state"),
    CheckConstraint("held_microcredits >= 0 AND held_microusd >= 0 AND held_images >= 0", name="held"),
    CheckConstraint(
        "settled_microcredits BETWEEN 0 AND held_microcredits AND settled_microusd BETWEEN 0 AND held_microusd"
        " AND settled_images BETWEEN 0 AND held_images",
        name="settled",
    ),
    CheckConstraint("(state = 'pending') = (ended_at_ms IS NULL)", name="ended"),
    Index(
        "ix_holds_pending",
        "created_at_ms",
        sqlite_where=Column("state") == "pending",
        postgresql_where=Column("state") == "pending",
    ),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("name"),
    _text("digest"),  # HMAC-SHA256 of the secret under the pepper; the secret itself is never stored
    _text("display"),  # the first characters, to recognise a key by
    _text("response", nullable=True),
    _text("models"),  # JSON list
    _number("declared"),  # 1: from the config, follows it
    _number("created_at_ms"),
    _number("expires_at_ms", nullable=True),
    _number("disabled_at_ms", nullable=True),
    _text("old_digest", nullable=True),  # of the secret before the latest rotation,
    _number("old_until_ms", nullable=True),  # which is valid until then
    _number("used_at_ms", nullable=True),  # about when it was last used
    _number("choose_upstream", default="0"),  # 1: its calls may name upstreams
    _number("cache", default="1"),  # 1: its calls are answered with others' pictures, and others with its own
    _number("callback_version", default="1"),  # of the secret that signs its callbacks; the secret itself is derived
    _number("callback_old_until_ms", nullable=True),  # until then the version before signs, too
    UniqueConstraint("digest"),
    Index(None, "account_id"),
)

admin_tokens = Table(
    "admin_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("digest"),  # HMAC-SHA256 of the token under its own pepper
    _text("display"),
    _text("scopes"),  # JSON list of read, keys, money
    _text("org", nullable=True),  # null: every org's
    _number("created_at_ms"),
    _number("expires_at_ms", nullable=True),
    _number("disabled_at_ms", nullable=True),
    _number("used_at_ms", nullable=True),
    UniqueConstraint("digest"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # HMAC-SHA256 of what the browser's cookie holds, which is not stored
    _text(
        "key_digest", nullable=True
    ),  # of the API key's secret that signed in; what has another digest by now is another secret
    _text("administrator_digest", nullable=True),  # of the admin token
    _number("created_at_ms"),
    _number("seen_at_ms"),  # to a minute
    _number("expires_at_ms"),  # unless it is seen again; never later than its absolute end
    CheckConstraint("key_digest IS NOT NULL OR administrator_digest IS NOT NULL", name="holder"),
    Index(None, "expires_at_ms"),
    Index(
        "ix_sessions_key",
        "key_digest",
        sqlite_where=Column("key_digest").is_not(None),
        postgresql_where=Column("key_digest").is_not(None),
    ),
    Index(
        "ix_sessions_administrator",
        "administrator_digest",
        sqlite_where=Column("administrator_digest").is_not(None),
        postgresql_where=Column("administrator_digest").is_not(None),
    ),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    _number("at_ms"),
    _text("actor"),  # who: command, config, token:<name>, token:<org>/<name>
    _text("action"),  # what: key.create, account.change, …
    _text("subject"),  # on what: an id
    _text("org", nullable=True),  # whose it is; null: the gateway's own
    _text("details"),  # JSON object, without secrets
    # Append-only: triggers of the migration refuse UPDATE and DELETE.
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("path"),
    _text("state"),
    _text("contract"),
    _text("model"),
    _number("n"),
    _text("user_group"),
    _number("created_at_ms"),
    _number("deadline_at_ms"),
    _number("finished_at_ms", nullable=True),
    _number("reserved_microcredits"),
    _number("used_microcredits"),
    _number("used_microusd"),
    _text("prompt", nullable=True),  # emptied by retention
    _text("request"),  # JSON of the normalised request without its prompt
    _text("plan"),  # JSON: offers with frozen prices, charge, markup and rate
    _text("owner"),
    _number("lease_until_ms"),
    _number("epoch"),
    _number("cancel_requested"),
    _text("error_code", nullable=True),
    _text("error_message", nullable=True),
    _text("usage", nullable=True),
    _number("result_count"),
    _number("results_expire_at_ms", nullable=True),
    _text("caller", nullable=True),  # a keyed hash of whom the key's own user is, where that is kept
    _number("erased_at_ms", nullable=True),  # the caller's words were deleted, and then
    _number("pictures_erased_at_ms", nullable=True),  # pictures and manifests, or its claim on another's
    _text("callback_url", nullable=True),
    _text("cache", nullable=True),  # hit, joined, miss, bypass; null: from before there was a cache
    _text("source_id", nullable=True),  # the task whose pictures these are, or are to be
    CheckConstraint("state IN ('pending', 'processing', 'completed', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)", name="finished"),
    Index("ix_tasks_account", "account_id", "created_at_ms", "id"),
    Index(
        "ix_tasks_unfinished",
        "lease_until_ms",
        sqlite_where=Column("finished_at_ms").is_(None),
        postgresql_where=Column("finished_at_ms").is_(None),
    ),
    Index(
        "ix_tasks_pictures",
        "results_expire_at_ms",
        "id",
        sqlite_where=(Column("results_expire_at_ms").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
        postgresql_where=(Column("results_expire_at_ms").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
    ),
    Index(
        "ix_tasks_prompts",
        "finished_at_ms",
        "id",
        sqlite_where=(Column("prompt").is_not(None)) & (Column("finished_at_ms").is_not(None)),
        postgresql_where=(Column("prompt").is_not(None)) & (Column("finished_at_ms").is_not(None)),
    ),
    Index(
        "ix_tasks_wishes",
        "owner",
        "finished_at_ms",
        sqlite_where=Column("cancel_requested") == 1,
        postgresql_where=Column("cancel_requested") == 1,
    ),
    Index(
        None,
        "source_id",
        sqlite_where=(Column("source_id").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
        postgresql_where=(Column("source_id").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
    ),
    Index(
        "ix_tasks_erasing",
        "erased_at_ms",
        sqlite_where=(Column("erased_at_ms").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
        postgresql_where=(Column("erased_at_ms").is_not(None)) & (Column("pictures_erased_at_ms").is_(None)),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    _text("parent_id", nullable=True),
    _text("offer_id"),
    _text("upstream"),
    _number("n"),
    _text("state"),
    _number("presumed_cost_microusd"),
    _number("sent_at_ms"),
    _text("upstream_ref", nullable=True),
    _number("ended_at_ms", nullable=True),
    _text("fault", nullable=True),
    _text("billed", nullable=True),
    _number("cost_microusd"),
    _number("images"),
    _text("message", nullable=True),
    CheckConstraint("state IN ('sending', 'submitted', 'succeeded', 'failed', 'unknown')", name="state"),
    CheckConstraint("(state IN ('sending', 'submitted')) = (ended_at_ms IS NULL)", name="ended"),
    Index(None, "task_id"),
    Index(
        "ix_attempts_in_doubt",
        "upstream",
        sqlite_where=Column("state") == "unknown",
        postgresql_where=Column("state") == "unknown",
    ),
)

results = Table(
    "results",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    _number("position"),
    _text("blob"),
    _text("content_type"),
    _text("extension"),
    _number("size_bytes"),
    _number("width"),
    _number("height"),
    _text("sha256"),
    _text("revised_prompt", nullable=True),
    PrimaryKeyConstraint("task_id", "position"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("task_id", Text, primary_key=True),  # begins with its second: in the order of time, for retention
    _text("account_id"),  # the key's
    _text("key"),  # the caller's Idempotency-Key; empty: of an SDK's call, which its own retry may take up
    _text("body_sha256"),  # empty: erased
    _number("created_at_ms"),
    _number("taken_at_ms", nullable=True),  # by an SDK's retry
    Index(
        "uq_idempotency_key",
        "account_id",
        "key",
        unique=True,
        sqlite_where=Column("key") != "",
        postgresql_where=Column("key") != "",
    ),
    Index(
        "ix_idempotency_left",
        "body_sha256",
        "created_at_ms",
        sqlite_where=(Column("key") == "") & (Column("taken_at_ms").is_(None)),
        postgresql_where=(Column("key") == "") & (Column("taken_at_ms").is_(None)),
    ),
)

usage_daily = Table(
    "usage_daily",
    metadata,
    _text("day"),  # ISO date in the account's time zone, on which the task was accepted
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),  # the key's; its id names team and org
    _text("model"),
    _text("upstream"),  # empty: none made anything
    _text("caller"),  # empty: not kept
    _number("tasks"),  # ended
    _number("failed"),  # of them without a picture
    _number("images"),
    _number("charged_microcredits"),
    _number("charged_microusd"),
    _number("paid_microusd"),  # to the upstream, what no caller pays for included
    _number("cache_hits"),
    _number("cache_saved_microusd"),
    _number("routing_saved_microusd"),  # against the dearest able offer
    PrimaryKeyConstraint("day", "account_id", "model", "upstream", "caller"),
)

budget_alerts = Table(
    "budget_alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("budget"),
    _number("window_start_ms"),
    _number("threshold"),  # percent
    _text("body"),  # JSON, as it is sent
    _number("created_at_ms"),
    _text("state"),
    _number("tries"),
    _number("next_at_ms"),
    _text("answer", nullable=True),  # of the last try: a status or what went wrong
    CheckConstraint("state IN ('due', 'sent', 'dead')", name="state"),
    # Once per window.
    UniqueConstraint("account_id", "budget", "window_start_ms", "threshold"),
    Index(
        "ix_budget_alerts_due",
        "next_at_ms",
        sqlite_where=Column("state") == "due",
        postgresql_where=Column("state") == "due",
    ),
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id of every try
    _text("task_id"),  # no foreign key: tasks and callbacks are deleted each in their time
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("url"),  # empty once its task is erased
    _text("host"),
    _text("body", nullable=True),  # JSON, as it is sent; from the first try on
    _text("state"),
    _number("tries"),
    _number("next_at_ms"),
    _number("created_at_ms"),
    _text("answer", nullable=True),  # of the last try: a status or what went wrong
    CheckConstraint("state IN ('due', 'sent', 'dead')", name="state"),
    # A task ends once.
    UniqueConstraint("task_id"),
    Index(
        "ix_callbacks_due",
        "next_at_ms",
        "host",
        "id",
        sqlite_where=Column("state") == "due",
        postgresql_where=Column("state") == "due",
    ),
    Index(
        "ix_callbacks_dead",
        "id",
        sqlite_where=Column("state") == "dead",
        postgresql_where=Column("state") == "dead",
    ),
)

callback_attempts = Table(
    "callback_attempts",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("callback_id", Text, ForeignKey("callbacks.id"), nullable=False),
    _number("at_ms"),
    _number("status", nullable=True),
    _number("took_ms"),
    _text("answer", nullable=True),  # how the receiver's body begins
    Index(None, "callback_id"),
)

job_leases = Table(
    "job_leases",
    metadata,
    Column("name", Text, primary_key=True),  # of a job that one process does at a time
    _text("owner"),  # the run of that process; empty: nobody's yet
    _number("until_ms"),
)

files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),  # the name of its blob
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    _text("purpose"),
    _text("filename"),
    _text("content_type"),
    _number("size_bytes"),
    _number("width"),
    _number("height"),
    _number("has_alpha"),
    _text("sha256"),
    _number("created_at_ms"),
    _number("expires_at_ms"),  # from then on it is gone for its owner
    _text("task_id", nullable=True),  # of what a task fetched or converted for itself
    CheckConstraint("purpose IN ('vision', 'call')", name="purpose"),
    CheckConstraint("size_bytes > 0 AND width > 0 AND height > 0", name="sizes"),
    Index(None, "account_id", "created_at_ms", "id"),
    Index(None, "expires_at_ms"),
    Index(
        "ix_files_task_id",
        "task_id",
        sqlite_where=Column("task_id").is_not(None),
        postgresql_where=Column("task_id").is_not(None),
    ),
)
