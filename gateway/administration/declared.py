"""The config's accounts, keys and upstreams' budgets, and how the database is made to agree with them. Balances, and what was granted, are never
touched; what was made by command and is not declared is left alone.

How it fails: StorageUnavailable, StatementFailed; nothing is changed then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.administration import store as trail
from gateway.administration.account_wishes import action, changes
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits
from gateway.domain.administrators import CONFIG
from gateway.domain.clock import Clock
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    AccountId,
    KeyId,
    key_account_id,
    org_account_id,
    org_of,
    team_account_id,
    upstream_account_id,
)
from gateway.domain.images import Contract
from gateway.domain.keys import StoredKey
from gateway.keys import store as key_store
from gateway.keys.secrets import digest, display_prefix
from gateway.ledger import accounts as account_store
from gateway.ledger.model import Grant


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A key of the config: its account (org, team?, name) and its secret."""

    org: str
    team: str | None
    name: str
    secret: str = field(repr=False)
    budgets: tuple[Budget, ...] = ()
    models: tuple[str, ...] = ("*",)
    response: Contract | None = None
    limits: Limits = UNLIMITED
    """Its models stand in `models`."""
    expires_at_ms: int | None = None
    zone: str = "UTC"
    choose_upstream: bool = False
    cache: bool = True

    @property
    def account(self) -> Account:
        parent = team_account_id(self.org, self.team) if self.team else org_account_id(self.org)
        account_id = key_account_id(self.org, self.team, self.name)
        return Account(account_id, AccountKind.KEY, self.name, parent, self.budgets, limits=self.limits, zone=self.zone)


class Declaring:
    """Makes what is declared true."""

    def __init__(self, database: Database[Transact | Grant, object], pepper: bytes, clock: Clock) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock

    async def declare(
        self,
        orgs: Sequence[Account],
        teams: Sequence[Account],
        keys: Sequence[DeclaredKey],
        upstreams: Sequence[str],
        upstream_budgets: Mapping[str, Budget] | None = None,
    ) -> None:
        """Make the config true: new names are new accounts, a changed secret is a rotation. What is gone is disabled until it comes back.

        What really changed is in the audit log. Keys are to be reloaded afterwards.
        """
        now_ms = self._clock.now_ms()
        books = [
            Account(OURS_ACCOUNT_ID, AccountKind.OURS, "ours"),
            *(Account(upstream_account_id(name), AccountKind.UPSTREAM, name) for name in upstreams),
        ]
        accounts = [replace(account, declared=True) for account in (*orgs, *teams, *(key.account for key in keys))]
        declared = [
            StoredKey(
                KeyId(f"declared:{key.account.id}"), key.account.id, key.name, digest(self._pepper, key.secret), display_prefix(key.secret),
                key.response, key.models, declared=True, created_at_ms=now_ms, expires_at_ms=key.expires_at_ms,
                choose_upstream=key.choose_upstream, cache=key.cache,
            )
            for key in keys
        ]  # fmt: skip

        async def write(connection: Connection, at_ms: int) -> None:
            await account_store.add_accounts(connection, books, at_ms)
            # Two processes that declare at once do it one after the other; the second finds nothing to change.
            await account_store.lock_account(connection, OURS_ACCOUNT_ID)
            await _put_accounts(connection, accounts, upstream_budgets or {}, at_ms)
            await _put_keys(connection, declared, at_ms)

        await self._database.write(Transact(write))


async def _put_accounts(
    connection: Connection, accounts: Sequence[Account], upstream_budgets: Mapping[str, Budget], at_ms: int
) -> None:
    stored = {account.id: account for account in await account_store.read_accounts(connection)}
    wanted = [_with_what_is_kept(account, stored.get(account.id)) for account in accounts]
    given = {account.id for account in accounts}
    for account in stored.values():
        if account.kind is AccountKind.UPSTREAM:
            budget = upstream_budgets.get(account.name)
            wanted.append(replace(account, budgets=() if budget is None else (budget,), zone="UTC"))
        elif account.declared and account.id not in given:
            # Of a key that is gone nothing but its account is left: the key itself is refused.
            is_key = account.kind is AccountKind.KEY
            wanted.append(replace(account, declared=False) if is_key else replace(account, disabled=True))
    changed = [account for account in wanted if account != stored.get(account.id)]
    await account_store.put_accounts(connection, changed, at_ms)
    for account in changed:
        before = stored.get(account.id)
        details = changes(before, account)
        await trail.record(connection, at_ms, CONFIG, action(before, account), account.id, details)


def _with_what_is_kept(account: Account, stored: Account | None) -> Account:
    """As declared, but for what no config says: whether it is prepaid."""
    return account if stored is None else replace(account, name=stored.name, prepaid=stored.prepaid)


async def _put_keys(connection: Connection, declared: Sequence[StoredKey], at_ms: int) -> None:
    before = {key.id: key for key in await key_store.read_keys(connection) if key.declared}
    await key_store.put_declared(connection, declared, at_ms)
    given = {key.id for key in declared}
    for key in declared:
        verb = _verb(before.get(key.id), key)
        if verb is not None:
            await _record_key(connection, at_ms, verb, key.id, key.account)
    for key in before.values():
        if key.id not in given and key.disabled_at_ms is None:
            await _record_key(connection, at_ms, "key.revoke", key.id, key.account)


def _verb(before: StoredKey | None, key: StoredKey) -> str | None:
    """What happened to a declared key; None: nothing."""
    if before is None:
        return "key.create"
    if before.disabled_at_ms is not None:
        return "key.enable"
    if before.digest != key.digest:
        return "key.rotate"
    return None if _terms(before) == _terms(key) else "key.change"


def _terms(key: StoredKey) -> tuple[object, ...]:
    return key.response, key.models, key.expires_at_ms, key.choose_upstream, key.cache


async def _record_key(connection: Connection, at_ms: int, verb: str, key: KeyId, account: AccountId) -> None:
    await trail.record(connection, at_ms, CONFIG, verb, key, {"account": account}, org=org_of(account))
