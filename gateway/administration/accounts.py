"""Accounts and keys: those that the config declares, and those that are made by command. Keeps the authenticator up to date.

A key made here is returned once and stored only as a digest. How it fails: AdministrationError with what is wrong; StorageUnavailable.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits, Principal, parse_expiry
from gateway.domain.clock import Clock
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    AccountId,
    KeyId,
    key_account_id,
    new_key_id,
    org_account_id,
    team_account_id,
    upstream_account_id,
)
from gateway.domain.images import Contract
from gateway.keys import store as key_store
from gateway.keys.authenticator import Authenticator, KeyRecord
from gateway.keys.secrets import digest, display_prefix, new_key
from gateway.keys.store import StoredKey
from gateway.ledger import accounts as account_store
from gateway.ledger.accounts import AccountBalance
from gateway.ledger.model import Grant, Granted


class AdministrationError(Exception):
    """An operator's wish that cannot be fulfilled; the text says why and what to do."""


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

    @property
    def account(self) -> Account:
        parent = team_account_id(self.org, self.team) if self.team else org_account_id(self.org)
        account_id = key_account_id(self.org, self.team, self.name)
        return Account(account_id, AccountKind.KEY, self.name, parent, self.budgets, limits=self.limits, zone=self.zone)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made. The secret is shown once."""

    id: KeyId
    account: AccountId
    secret: str = field(repr=False)


class AccountAdministration:
    """Accounts and keys of one gateway."""

    def __init__(
        self, database: Database[Transact | Grant, object], authenticator: Authenticator, pepper: bytes, clock: Clock
    ) -> None:
        self._database = database
        self._authenticator = authenticator
        self._pepper = pepper
        self._clock = clock

    async def declare(
        self, orgs: Sequence[Account], teams: Sequence[Account], keys: Sequence[DeclaredKey], upstreams: Sequence[str]
    ) -> None:
        """Make the config's accounts and keys true: new names are new accounts, a changed secret is a rotation, what is gone is disabled."""
        now_ms = self._clock.now_ms()
        books = [
            Account(OURS_ACCOUNT_ID, AccountKind.OURS, "ours"),
            *(Account(upstream_account_id(name), AccountKind.UPSTREAM, name) for name in upstreams),
        ]
        declared = [
            StoredKey(
                KeyId(f"declared:{key.account.id}"), key.account.id, key.name, digest(self._pepper, key.secret), display_prefix(key.secret),
                key.response, key.models, declared=True, created_at_ms=now_ms, expires_at_ms=key.expires_at_ms,
            )
            for key in keys
        ]  # fmt: skip

        async def write(connection: Connection, at_ms: int) -> None:
            await account_store.add_accounts(connection, books, at_ms)
            await account_store.put_accounts(connection, [*orgs, *teams, *(key.account for key in keys)], at_ms)
            await key_store.put_declared(connection, declared, at_ms)

        await self._database.write(Transact(write))
        await self.reload_keys()

    async def create_key(
        self,
        *,
        org: str,
        team: str | None,
        name: str,
        budgets: tuple[Budget, ...] = (),
        models: tuple[str, ...] = ("*",),
        response: Contract | None = None,
        expires_at_ms: int | None = None,
        limits: Limits = UNLIMITED,
        secret: str | None = None,
    ) -> IssuedKey:
        """Make a key, and its org and team where they do not exist. Raises AdministrationError where the name is taken.

        `secret` is for who has to keep it before it is valid; else a new one is made.
        """
        _check_names(("org", org), ("team", team), ("name", name))
        secret, now_ms = secret or new_key(), self._clock.now_ms()
        account = DeclaredKey(org, team, name, secret, budgets, limits=limits).account
        stored = StoredKey(
            new_key_id(), account.id, name, digest(self._pepper, secret), display_prefix(secret), response, models,
            declared=False, created_at_ms=now_ms, expires_at_ms=expires_at_ms,
        )  # fmt: skip
        parents = [Account(org_account_id(org), AccountKind.ORG, org)]
        if team is not None:
            parents.append(Account(team_account_id(org, team), AccountKind.TEAM, team, org_account_id(org)))

        async def write(connection: Connection, at_ms: int) -> None:
            taken = [
                key
                for key in await key_store.read_keys(connection)
                if key.account == account.id and key.disabled_at_ms is None
            ]
            if taken:
                raise AdministrationError(f"the key {name!r} exists there already ({taken[0].id}); choose another name")
            await account_store.add_accounts(connection, parents, at_ms)
            known = {found.id: found for found in await account_store.read_accounts(connection)}
            zone = known[parents[-1].id].zone
            await account_store.put_accounts(connection, [replace(account, zone=zone)], at_ms)
            await key_store.add_key(connection, stored)

        await self._database.write(Transact(write))
        await self.reload_keys()
        return IssuedKey(stored.id, account.id, secret)

    async def create_account(
        self, *, org: str, team: str | None, budgets: tuple[Budget, ...], zone: str | None, limits: Limits = UNLIMITED
    ) -> Account:
        """Make an org, or a team and its org where that does not exist. Raises AdministrationError where it is there already."""
        _check_names(("org", org), ("team", team))
        known = {account.id: account for account in await self._database.read(account_store.read_accounts)}
        parent = known.get(org_account_id(org)) or Account(
            org_account_id(org), AccountKind.ORG, org, zone=zone or "UTC"
        )
        if team is None:
            made = replace(parent, budgets=budgets, limits=limits)
        else:
            made = Account(
                team_account_id(org, team), AccountKind.TEAM, team, parent.id, budgets, limits=limits, zone=zone or parent.zone
            )  # fmt: skip
        if made.id in known:
            raise AdministrationError(f"{made.id} exists already; change it with `gateway accounts set {made.id}`")

        async def write(connection: Connection, at_ms: int) -> None:
            await account_store.add_accounts(connection, [parent], at_ms)
            await account_store.put_accounts(connection, [made], at_ms)

        await self._database.write(Transact(write))
        return made

    async def change_account(
        self, name: str, *, budgets: tuple[Budget, ...] | None, zone: str | None, prepaid: bool | None
    ) -> Account:
        """What is None stays. Money that is held or charged is not touched. Raises AdministrationError where there is no such account."""
        account = await self.find(name)
        changed = replace(
            account,
            budgets=account.budgets if budgets is None else budgets,
            zone=zone or account.zone,
            prepaid=account.prepaid if prepaid is None else prepaid,
        )
        if changed.prepaid and not account.prepaid:
            raise AdministrationError(
                f"{account.id} becomes prepaid with its first grant: gateway accounts grant {account.id} 500credits"
            )

        async def write(connection: Connection, at_ms: int) -> None:
            await account_store.put_accounts(connection, [changed], at_ms)
            await account_store.set_prepaid(connection, changed.id, prepaid=changed.prepaid)

        await self._database.write(Transact(write))
        await self.reload_keys()
        return changed

    async def grant(self, name: str, microcredits: int, note: str) -> tuple[Account, Granted]:
        """Prepaid credits; negative: taken back. Raises AdministrationError where there is no such account, or less than nothing would be granted."""
        account = await self.find(name)
        if microcredits <= 0 and not account.prepaid:
            raise AdministrationError(f"{account.id} is not prepaid: there is nothing to take back")
        granted = await self._database.write(Grant(account.id, microcredits, note))
        if not isinstance(granted, Granted):
            raise AssertionError(f"a grant was answered with {granted}")
        if granted.refused:
            raise AdministrationError(
                f"{account.id} was not granted so much: it has {money.format_micro(granted.left_microcredits)} credits left"
            )
        return account, granted

    async def find(self, name: str) -> Account:
        """By its id, or as `acme` (an org) or `acme/design` (a team). Raises AdministrationError."""
        parts = name.split("/")
        wanted = {name}
        if ":" not in name:
            wanted.add(org_account_id(name) if len(parts) == 1 else team_account_id(parts[0], parts[-1]))
        payers = (AccountKind.ORG, AccountKind.TEAM, AccountKind.KEY)
        for account in await self._database.read(account_store.read_accounts):
            if account.id in wanted and account.kind in payers:
                return account
        raise AdministrationError(f"there is no account {name!r}; `gateway accounts list` shows them")

    def expiry(self, text: str) -> int:
        """`90d`, `12h` from now, or a date -> ms since 1970. Raises ValueError with what may be written."""
        match = re.fullmatch(r"([0-9]{1,5})([hd])", text.strip())
        if match is None:
            return parse_expiry(text)
        hours = int(match[1]) * (24 if match[2] == "d" else 1)
        return self._clock.now_ms() + hours * 3_600_000

    async def revoke_key(self, key_id: str) -> None:
        """The key is refused from now on in this process. Raises AdministrationError where there is no such key, or the config declares it."""
        found = [key for key in await self.keys() if key.id == key_id]
        if not found:
            raise AdministrationError(f"there is no key {key_id!r}; `gateway keys list` shows them")
        if found[0].declared:
            raise AdministrationError(f"the key {found[0].name!r} is declared in the config: take it out there")
        await self._database.write(
            Transact(lambda connection, at_ms: key_store.disable_key(connection, KeyId(key_id), at_ms))
        )
        await self.reload_keys()

    async def keys(self) -> list[StoredKey]:
        return await self._database.read(key_store.read_keys)

    async def balances(self) -> list[AccountBalance]:
        return await self._database.read(account_store.read_balances)

    async def reload_keys(self) -> int:
        """Read all keys into the authenticator; says how many may be used."""
        stored, accounts = await self._database.read(_read_everything)
        by_id = {account.id: account for account in accounts}
        records = [
            KeyRecord(key.id, key.digest, _principal(key, by_id), key.expires_at_ms, _is_disabled(key, by_id))
            for key in stored
        ]
        self._authenticator.replace(records)
        return sum(not record.disabled for record in records)


def _check_names(*given: tuple[str, str | None]) -> None:
    for part, text in given:
        if text is not None and (not text.strip() or "/" in text or ":" in text):
            raise AdministrationError(f"{part} {text!r}: write a name without / and :")


async def _read_everything(connection: Connection) -> tuple[list[StoredKey], list[Account]]:
    return await key_store.read_keys(connection), await account_store.read_accounts(connection)


def _path(key: StoredKey, accounts: dict[AccountId, Account]) -> list[Account]:
    """Key, team (where there is one), org."""
    path = [accounts[key.account]]
    while path[-1].parent is not None:
        path.append(accounts[path[-1].parent])
    return path


def _principal(key: StoredKey, accounts: dict[AccountId, Account]) -> Principal:
    path = _path(key, accounts)
    team = next((account.name for account in path if account.kind is AccountKind.TEAM), None)
    limits = tuple((account.id, account.limits) for account in path if account.limits != UNLIMITED)
    return Principal(
        key.id, key.name, tuple(account.id for account in path), path[-1].name, team, key.models, key.response, limits
    )


def _is_disabled(key: StoredKey, accounts: dict[AccountId, Account]) -> bool:
    return key.disabled_at_ms is not None or any(account.disabled for account in _path(key, accounts))
