"""The routes of administration: each needs an admin token with its scope. What an org's token may not see does not exist for it."""

from gateway.api.handlers.admin import audit_log, tokens
from gateway.api.route import Route
from gateway.api.schemas.admin import (
    AdminTokenAnswer,
    AdminTokenBody,
    AdminTokenIssued,
    AdminTokenListAnswer,
    AuditLogAnswer,
)
from gateway.domain.administrators import Scope

_LINES = (
    ("before", "integer", "Only lines with a smaller id: the last id of the page before."),
    ("limit", "integer", "1 to 1000, 100 where absent."),
)

ADMIN_ROUTES: tuple[Route, ...] = (
    Route("GET", "/admin/v1/tokens", tokens.index, "List admin tokens, without their secrets",
          ((200, (AdminTokenListAnswer,)),), (503,), scope=Scope.READ),
    Route("POST", "/admin/v1/tokens", tokens.create, "Make an admin token; it may do at most what its maker may",
          ((201, (AdminTokenIssued,)),), (400, 408, 409, 413, 503), AdminTokenBody, scope=Scope.KEYS),
    Route("POST", "/admin/v1/tokens/{token_id}/revoke", tokens.revoke, "Refuse an admin token from now on",
          ((200, (AdminTokenAnswer,)),), (404, 503), scope=Scope.KEYS),
    Route("GET", "/admin/v1/audit-log", audit_log.index, "Every change by an administrator, newest first",
          ((200, (AuditLogAnswer,)),), (400, 503), query=_LINES, scope=Scope.READ),
)  # fmt: skip
