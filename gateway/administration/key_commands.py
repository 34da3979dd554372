"""`gateway keys …` and `gateway admin-tokens …`."""

from collections.abc import Collection, Mapping

from gateway.administration.admin_tokens import EVERYTHING, AdminTokenAdministration
from gateway.administration.keys import Keys
from gateway.administration.reports import (
    ROWS_MAX,
    Arguments,
    Command,
    Report,
    Row,
    read_budgets,
    read_limits,
    read_list,
)
from gateway.domain.administrators import Scope
from gateway.domain.errors import AdministrationError
from gateway.domain.images import Contract


class KeyCommands:
    """Texts in, rows out. `models`: the names, aliases included, that a key may be limited to."""

    def __init__(self, keys: Keys, tokens: AdminTokenAdministration, models: Collection[str]) -> None:
        self._keys = keys
        self._tokens = tokens
        self._models = models
        self.commands: Mapping[str, Command] = {
            "keys create": self._keys_create,
            "keys list": self._keys_list,
            "keys revoke": self._keys_revoke,
            "admin-tokens create": self._tokens_create,
            "admin-tokens list": self._tokens_list,
            "admin-tokens revoke": self._tokens_revoke,
        }

    async def _keys_create(self, arguments: Arguments) -> Report:
        name = arguments.get("name")
        if not name:
            raise AdministrationError("name is missing: say --name")
        try:
            budgets = read_budgets(arguments) or ()
            wish = arguments.get("response")
            response = Contract(wish) if wish else None
            limits = read_limits(arguments)
            expires = arguments.get("expires")
            expires_at_ms = self._keys.expiry(expires) if expires else None
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        models = read_list(arguments.get("models"))
        unknown = [name for name in models if name != "*" and name not in self._models]
        if unknown:
            raise AdministrationError(f"there is no model {unknown[0]!r}; there are: {', '.join(sorted(self._models))}")
        issued = await self._keys.create(
            org=arguments.get("org") or "default", team=arguments.get("team"), name=name, budgets=budgets, models=models,
            response=response, limits=limits, expires_at_ms=expires_at_ms,
        )  # fmt: skip
        row = {"id": issued.id, "account": issued.account, "key": issued.secret}
        return Report((row,), "Keep the key now: it is not shown again.")

    async def _keys_list(self, _: Arguments) -> Report:
        rows: list[Row] = [
            {
                "id": key.id,
                "account": key.account,
                "key": f"{key.display}…",
                "models": ",".join(key.models),
                "response": key.response.value if key.response else None,
                "declared": "yes" if key.declared else "no",
                "state": "disabled" if key.disabled_at_ms else "active",
            }
            for key in await self._keys.all()
        ]
        return Report(tuple(rows[:ROWS_MAX]))

    async def _keys_revoke(self, arguments: Arguments) -> Report:
        key_id = arguments.get("id") or ""
        await self._keys.revoke(key_id)
        return Report(message=f"{key_id} is revoked.")

    async def _tokens_create(self, arguments: Arguments) -> Report:
        name, wanted = arguments.get("name") or "", arguments.get("scopes")
        try:
            scopes = frozenset(Scope(scope) for scope in read_list(wanted)) if wanted else EVERYTHING
            expires = arguments.get("expires")
            expires_at_ms = self._keys.expiry(expires) if expires else None
        except ValueError as exc:
            raise AdministrationError(f"{exc}; scopes are {', '.join(Scope)}") from exc
        issued = await self._tokens.create(name, scopes, org=arguments.get("org"), expires_at_ms=expires_at_ms)
        return Report(({"id": issued.id, "token": issued.secret},), "Keep the token now: it is not shown again.")

    async def _tokens_list(self, _: Arguments) -> Report:
        rows: list[Row] = [
            {
                "id": token.id,
                "name": token.name,
                "token": f"{token.display}…",
                "scopes": ",".join(sorted(token.scopes)),
                "org": token.org,
                "state": "disabled" if token.disabled_at_ms else "active",
            }
            for token in await self._tokens.all()
        ]
        return Report(tuple(rows[:ROWS_MAX]))

    async def _tokens_revoke(self, arguments: Arguments) -> Report:
        token_id = arguments.get("id") or ""
        await self._tokens.revoke(token_id)
        return Report(message=f"{token_id} is revoked.")
