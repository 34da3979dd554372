"""`gateway admin-tokens …`."""

from collections.abc import Mapping

from gateway.administration.admin_tokens import EVERYTHING, AdminTokenAdministration
from gateway.administration.reports import (
    ROWS_MAX,
    Arguments,
    Command,
    Report,
    Row,
    read_expiry,
    read_list,
    shown_time,
)
from gateway.domain.administrators import AdminToken, Scope
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError


class TokenCommands:
    """Texts in, rows out."""

    def __init__(self, tokens: AdminTokenAdministration, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self.commands: Mapping[str, Command] = {
            "admin-tokens create": self._create,
            "admin-tokens list": self._list,
            "admin-tokens revoke": self._revoke,
        }

    async def _create(self, arguments: Arguments) -> Report:
        name, wanted = arguments.get("name") or "", arguments.get("scopes")
        try:
            scopes = frozenset(Scope(scope) for scope in read_list(wanted)) if wanted else EVERYTHING
        except ValueError as exc:
            raise AdministrationError(f"{exc}; scopes are {', '.join(Scope)}") from exc
        try:
            expires = arguments.get("expires")
            expires_at_ms = read_expiry(expires, self._clock.now_ms()) if expires else None
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        issued = await self._tokens.create(name, scopes, org=arguments.get("org"), expires_at_ms=expires_at_ms)
        return Report(({"id": issued.id, "token": issued.secret},), "Keep the token now: it is not shown again.")

    async def _list(self, _: Arguments) -> Report:
        now_ms = self._clock.now_ms()
        rows: list[Row] = [
            {
                "id": token.id,
                "name": token.name,
                "token": f"{token.display}…",
                "scopes": ",".join(sorted(token.scopes)),
                "org": token.org,
                "state": _state(token, now_ms),
                "expires": shown_time(token.expires_at_ms),
                "used": shown_time(token.used_at_ms),
            }
            for token in await self._tokens.all()
        ]
        return Report(tuple(rows[:ROWS_MAX]))

    async def _revoke(self, arguments: Arguments) -> Report:
        token_id = arguments.get("id") or ""
        await self._tokens.revoke(token_id)
        return Report(message=f"{token_id} is revoked.")


def _state(token: AdminToken, now_ms: int) -> str:
    if token.disabled_at_ms is not None:
        return "revoked"
    return "expired" if token.expires_at_ms is not None and now_ms >= token.expires_at_ms else "active"
