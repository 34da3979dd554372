"""The callback secrets that the config declares, by the accounts of their keys."""

from collections.abc import Mapping, Sequence

from gateway.app_reload import Current
from gateway.config_accounts import KeyDeclaration, OrgDeclaration
from gateway.domain.ids import AccountId, key_account_id


class DeclaredSecrets:
    """The callback secrets of the config's keys, by their accounts; follows the config."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._read_from: tuple[OrgDeclaration, ...] | None = None
        self._secrets: Mapping[AccountId, bytes] = {}

    def __call__(self, account: AccountId) -> bytes | None:
        accounts = self._current.config.accounts
        if accounts is not self._read_from:
            self._read_from, self._secrets = accounts, dict(_secrets_in(accounts))
        return self._secrets.get(account)


def _secrets_in(orgs: Sequence[OrgDeclaration]) -> list[tuple[AccountId, bytes]]:
    keys: list[tuple[str, str | None, KeyDeclaration]] = []
    for org in orgs:
        keys += [(org.name, None, key) for key in org.keys]
        keys += [(org.name, team.name, key) for team in org.teams for key in team.keys]
    return [
        (key_account_id(org, team, key.name), key.callback_secret) for org, team, key in keys if key.callback_secret
    ]
