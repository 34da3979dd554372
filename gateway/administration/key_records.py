"""From stored keys and accounts to what the authenticator knows, and to what administrators see. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Principal
from gateway.domain.ids import AccountId
from gateway.domain.keys import KeyState, StoredKey
from gateway.keys.authenticator import KeyRecord

ById = Mapping[AccountId, Account]


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key with its account, as administrators see it at one moment."""

    key: StoredKey
    account: Account
    org: str
    team: str | None
    state: KeyState
    overlap_until_ms: int | None
    """Until then the secret before the present one is valid, too."""


def path_of(account: AccountId, accounts: ById) -> list[Account]:
    """Key, team (where there is one), org."""
    path = [accounts[account]]
    while path[-1].parent is not None:
        path.append(accounts[path[-1].parent])
    return path


def view_of(key: StoredKey, accounts: ById, now_ms: int) -> KeyView:
    path = path_of(key.account, accounts)
    state = key.state(now_ms, account_disabled=any(account.disabled for account in path))
    return KeyView(key, path[0], path[-1].name, _team(path), state, key.overlaps_until_ms(now_ms))


def records_of(stored: Sequence[StoredKey], accounts: ById) -> list[KeyRecord]:
    """One record a secret. An old secret that is somebody's present one (a rotated key's secret can be declared) is that one's alone."""
    records: list[KeyRecord] = []
    present = {key.digest for key in stored}
    for key in stored:
        path = path_of(key.account, accounts)
        principal = _principal(key, path)
        disabled = key.disabled_at_ms is not None or any(account.disabled for account in path)
        records.append(KeyRecord(key.id, key.digest, principal, key.expires_at_ms, disabled, key.display))
        if key.old_digest is not None and key.old_until_ms is not None and key.old_digest not in present:
            present.add(key.old_digest)
            ends_ms = key.old_until_ms if key.expires_at_ms is None else min(key.old_until_ms, key.expires_at_ms)
            records.append(KeyRecord(key.id, key.old_digest, principal, ends_ms, disabled, key.display))
    return records


def _principal(key: StoredKey, path: Sequence[Account]) -> Principal:
    limits = tuple((account.id, account.limits) for account in path if account.limits != UNLIMITED)
    return Principal(
        key.id, key.name, tuple(account.id for account in path), path[-1].name, _team(path), key.models, key.response, limits,
        path[-1].markup, key.choose_upstream, key.cache,
    )  # fmt: skip


def _team(path: Sequence[Account]) -> str | None:
    return next((account.name for account in path if account.kind is AccountKind.TEAM), None)
