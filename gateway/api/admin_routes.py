"""The routes of administration: each needs an admin token with its scope. What an org's token may not see does not exist for it."""

from gateway.api.handlers.admin import (
    accounts,
    alerts,
    audit_log,
    callbacks,
    holds,
    in_doubt,
    keys,
    overview,
    tasks,
    tokens,
    upstreams,
    usage,
)
from gateway.api.route import Route
from gateway.api.schemas.admin import (
    AdminTokenAnswer,
    AdminTokenBody,
    AdminTokenIssued,
    AdminTokenListAnswer,
    AuditLogAnswer,
)
from gateway.api.schemas.admin_accounts import (
    AccountAnswer,
    AccountBody,
    AccountChangeBody,
    AccountListAnswer,
    EntryListAnswer,
    GrantAnswer,
    GrantBody,
)
from gateway.api.schemas.admin_alerts import AlertAnswer, AlertListAnswer
from gateway.api.schemas.admin_books import (
    DoubtListAnswer,
    ResolveBody,
    ResolvedAnswer,
    StrandedHoldListAnswer,
    UpstreamListAnswer,
    UpstreamTestAnswer,
)
from gateway.api.schemas.admin_callbacks import CallbackAnswer, CallbackListAnswer, CallbackSecretAnswer
from gateway.api.schemas.admin_keys import (
    KeyAnswer,
    KeyBody,
    KeyChangeBody,
    KeyIssued,
    KeyListAnswer,
    KeyRotateBody,
)
from gateway.api.schemas.admin_overview import OverviewAnswer
from gateway.api.schemas.admin_tasks import AdminTaskAnswer, AdminTaskListAnswer
from gateway.api.schemas.admin_usage import UsageAnswer
from gateway.domain.administrators import Scope

_LINES = (
    ("before", "integer", "Only lines with a smaller id: the last id of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_ALERTS = (
    ("before", "string", "Only alerts made before this one: the last id of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_CALLBACKS = (
    ("state", "string", "Only due, sent or dead ones."),
    ("before", "string", "Only callbacks made before this one: the last id of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_KEYS = (
    ("org", "string", "Only keys of this org."),
    ("team", "string", "Only keys of the team of this name."),
    ("state", "string", "Only active, expired, revoked or disabled ones."),
    ("after", "string", "Only keys after the one of this id: the last of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_TASKS = (
    ("org", "string", "Only tasks of this org."),
    ("team", "string", "Only of this team of the org."),
    ("key", "string", "Only of this key, by its name within its team or org."),
    ("state", "string", "Only tasks in this state."),
    ("model", "string", "Only tasks of this model."),
    ("before", "string", "Only older tasks: `next_before` of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_PROMPT = (("prompt", "string", "`true`: with the prompt, while that is kept."),)

_ACCOUNTS = (
    ("org", "string", "Only this org, its teams and its keys."),
    ("kind", "string", "Only org, team, key, upstream or ours."),
    ("after", "string", "Only accounts behind this id: the last id of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_ENTRIES = (
    ("task", "string", "Only entries of this task."),
    ("before", "integer", "Only entries with a smaller id: `before` of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_USAGE = (
    (
        "by",
        "string",
        "Of org, team, key, model, upstream, caller, day: with commas, or repeated. None: one line of sums.",
    ),
    ("since", "string", "The first day, such as 2026-11-01."),
    ("until", "string", "The last day."),
    ("org", "string", "Only this org's."),
    ("team", "string", "Only this team's, by its name."),
    ("key", "string", "Only this key's, by its name."),
    ("model", "string", "Only of this model."),
    ("format", "string", "json, or csv for a file."),
)
_HOURS = (("hours", "integer", "1 to 168, 24 where absent."),)
_DOUBTS = (
    ("after", "string", "Only those behind this attempt: the last of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)
_HOLDS = (("limit", "integer", "1 to 1000, 100 where absent."),)

ADMIN_ROUTES: tuple[Route, ...] = (
    Route("GET", "/admin/v1/tokens", tokens.index, "List admin tokens, without their secrets",
          ((200, (AdminTokenListAnswer,)),), (503,), scope=Scope.READ),
    Route("POST", "/admin/v1/tokens", tokens.create, "Make an admin token; it may do at most what its maker may",
          ((201, (AdminTokenIssued,)),), (400, 408, 409, 413, 503), AdminTokenBody, scope=Scope.KEYS),
    Route("POST", "/admin/v1/tokens/{token_id}/revoke", tokens.revoke, "Refuse an admin token from now on",
          ((200, (AdminTokenAnswer,)),), (404, 503), scope=Scope.KEYS),
    Route("GET", "/admin/v1/accounts", accounts.index, "List accounts with what is used, held and left, by id",
          ((200, (AccountListAnswer,)),), (400, 503), query=_ACCOUNTS, scope=Scope.READ),
    Route("POST", "/admin/v1/accounts", accounts.create, "Make an org or a team",
          ((201, (AccountAnswer,)),), (400, 404, 408, 409, 413, 503), AccountBody, scope=Scope.MONEY),
    Route("GET", "/admin/v1/accounts/{account}", accounts.get, "One account: terms, budgets, prepaid credits",
          ((200, (AccountAnswer,)),), (404, 503), scope=Scope.READ),
    Route("PATCH", "/admin/v1/accounts/{account}", accounts.change, "Change its terms; what is not named stays",
          ((200, (AccountAnswer,)),), (400, 404, 408, 409, 413, 503), AccountChangeBody, scope=Scope.MONEY),
    Route("POST", "/admin/v1/accounts/{account}/grants", accounts.grant, "Grant prepaid credits, or take some back; once for an Idempotency-Key",
          ((201, (GrantAnswer,)), (200, (GrantAnswer,))), (400, 404, 408, 409, 413, 503), GrantBody, scope=Scope.MONEY),
    Route("GET", "/admin/v1/accounts/{account}/entries", accounts.entries, "Its ledger entries, newest first",
          ((200, (EntryListAnswer,)),), (400, 404, 503), query=_ENTRIES, scope=Scope.READ),
    Route("GET", "/admin/v1/keys", keys.index, "List API keys, oldest first, without their secrets",
          ((200, (KeyListAnswer,)),), (400, 503), query=_KEYS, scope=Scope.READ),
    Route("POST", "/admin/v1/keys", keys.create, "Make an API key",
          ((201, (KeyIssued,)),), (400, 404, 408, 409, 413, 503), KeyBody, scope=Scope.KEYS),
    Route("GET", "/admin/v1/keys/{key_id}", keys.get, "Look an API key up", ((200, (KeyAnswer,)),), (404, 503), scope=Scope.READ),
    Route("PATCH", "/admin/v1/keys/{key_id}", keys.change, "Change what an API key may do",
          ((200, (KeyAnswer,)),), (400, 404, 408, 409, 413, 503), KeyChangeBody, scope=Scope.KEYS),
    Route("POST", "/admin/v1/keys/{key_id}/rotate", keys.rotate, "Give an API key a new secret; the old one stays valid for a while",
          ((200, (KeyIssued,)),), (400, 404, 408, 409, 413, 503), KeyRotateBody, scope=Scope.KEYS),
    Route("POST", "/admin/v1/keys/{key_id}/revoke", keys.revoke, "Refuse an API key from now on",
          ((200, (KeyAnswer,)),), (404, 409, 503), scope=Scope.KEYS),
    Route("GET", "/admin/v1/keys/{key_id}/callback-secret", callbacks.secret, "What signs the callbacks of an API key",
          ((200, (CallbackSecretAnswer,)),), (404, 503), scope=Scope.KEYS),
    Route("POST", "/admin/v1/keys/{key_id}/callback-secret/rotate", callbacks.rotate_secret,
          "Sign its callbacks with a new secret, and for a while with the old one, too",
          ((200, (CallbackSecretAnswer,)),), (400, 404, 408, 409, 413, 503), KeyRotateBody, scope=Scope.KEYS),
    Route("GET", "/admin/v1/overview", overview.get, "How the last hours went: tasks, how long they took, what upstreams answered",
          ((200, (OverviewAnswer,)),), (400, 503), query=_HOURS, scope=Scope.READ),
    Route("GET", "/admin/v1/usage", usage.index, "What was made, charged and paid, in daily sums",
          ((200, (UsageAnswer,)),), (400, 503), query=_USAGE, scope=Scope.READ),
    Route("GET", "/admin/v1/audit-log", audit_log.index, "Every change by an administrator, newest first",
          ((200, (AuditLogAnswer,)),), (400, 503), query=_LINES, scope=Scope.READ),
    Route("GET", "/admin/v1/alerts", alerts.index, "Alerts about budgets and their delivery, newest first",
          ((200, (AlertListAnswer,)),), (400, 503), query=_ALERTS, scope=Scope.READ),
    Route("POST", "/admin/v1/alerts/{alert_id}/resend", alerts.resend, "Have an alert sent again",
          ((200, (AlertAnswer,)),), (404, 409, 503), scope=Scope.MONEY),
    Route("GET", "/admin/v1/callbacks", callbacks.index, "Callbacks and their delivery, newest first",
          ((200, (CallbackListAnswer,)),), (400, 503), query=_CALLBACKS, scope=Scope.READ),
    Route("GET", "/admin/v1/callbacks/{callback_id}", callbacks.get, "A callback with its latest tries",
          ((200, (CallbackAnswer,)),), (404, 503), scope=Scope.READ),
    Route("POST", "/admin/v1/callbacks/{callback_id}/resend", callbacks.resend, "Have a callback sent again, under the same id",
          ((200, (CallbackAnswer,)),), (404, 409, 503), scope=Scope.KEYS),
    Route("GET", "/admin/v1/tasks", tasks.index, "List tasks of all callers, newest first",
          ((200, (AdminTaskListAnswer,)),), (400, 503), query=_TASKS, scope=Scope.READ),
    Route("GET", "/admin/v1/tasks/{task_id}", tasks.get, "A task with its plan, its attempts and how it was booked",
          ((200, (AdminTaskAnswer,)),), (400, 404, 503), query=_PROMPT, scope=Scope.READ),
    Route("POST", "/admin/v1/tasks/{task_id}/erase", tasks.erase, "Erase an ended task's prompt and pictures; what it cost stays",
          ((200, (AdminTaskAnswer,)),), (404, 409, 503), scope=Scope.MONEY),
    Route("GET", "/admin/v1/in-doubt", in_doubt.index, "Attempts of which nobody knows whether they were billed, oldest first",
          ((200, (DoubtListAnswer,)),), (400, 503), query=_DOUBTS, scope=Scope.READ),
    Route("POST", "/admin/v1/in-doubt/{attempt_id}/resolve", in_doubt.resolve, "Book what was found out about an attempt in doubt",
          ((200, (ResolvedAnswer,)),), (400, 404, 408, 409, 413, 503), ResolveBody, scope=Scope.MONEY),
    Route("GET", "/admin/v1/upstreams", upstreams.index, "How upstreams work, what they cost, and what their own budgets have left",
          ((200, (UpstreamListAnswer,)),), (503,), scope=Scope.READ),
    Route("POST", "/admin/v1/upstreams/{name}/test", upstreams.test, "Try an upstream's address and key by a call that costs nothing",
          ((200, (UpstreamTestAnswer,)),), (404, 503), scope=Scope.MONEY),
    Route("GET", "/admin/v1/holds", holds.index, "Pending holds that nothing will end; there should be none",
          ((200, (StrandedHoldListAnswer,)),), (400, 503), query=_HOLDS, scope=Scope.READ),
)  # fmt: skip
