"""API keys: made, revoked, and handed to the authenticator whenever something about them or their accounts changes.

A key made here is returned once and stored only as a digest. How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

import re
from dataclasses import dataclass, field, replace

from gateway.administration import store as trail
from gateway.administration.declared import DeclaredKey
from gateway.administration.names import check_names
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits, Principal, parse_expiry
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import Conflict, SubjectNotFound
from gateway.domain.ids import AccountId, KeyId, new_key_id, org_account_id, org_of, team_account_id
from gateway.domain.images import Contract
from gateway.keys import store as key_store
from gateway.keys.authenticator import Authenticator, KeyRecord
from gateway.keys.secrets import digest, display_prefix, new_key
from gateway.keys.store import StoredKey
from gateway.ledger import accounts as account_store
from gateway.ledger.model import Grant


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made. The secret is shown once."""

    id: KeyId
    account: AccountId
    secret: str = field(repr=False)


class Keys:
    """The keys of one gateway."""

    def __init__(
        self, database: Database[Transact | Grant, object], authenticator: Authenticator, pepper: bytes, clock: Clock
    ) -> None:
        self._database = database
        self._authenticator = authenticator
        self._pepper = pepper
        self._clock = clock

    async def create(
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
        by: Administrator = COMMAND,
    ) -> IssuedKey:
        """Make a key, and its org and team where they do not exist. Raises AdministrationError, and Conflict where the name is taken.

        `secret` is for who has to keep it before it is valid; else a new one is made.
        """
        check_names(("org", org), ("team", team), ("name", name))
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
                raise Conflict(f"the key {name!r} exists there already ({taken[0].id}); choose another name")
            await account_store.add_accounts(connection, parents, at_ms)
            known = {found.id: found for found in await account_store.read_accounts(connection)}
            zone = known[parents[-1].id].zone
            await account_store.put_accounts(connection, [replace(account, zone=zone)], at_ms)
            await key_store.add_key(connection, stored)
            await trail.record(connection, at_ms, by, "key.create", stored.id, {"account": account.id}, org=org)

        await self._database.write(Transact(write))
        await self.reload()
        return IssuedKey(stored.id, account.id, secret)

    async def revoke(self, key_id: str, by: Administrator = COMMAND) -> None:
        """The key is refused from now on in this process. Raises SubjectNotFound, and Conflict where the config declares it."""
        found = [key for key in await self.all() if key.id == key_id]
        if not found:
            raise SubjectNotFound(f"there is no key {key_id!r}; `gateway keys list` shows them")
        if found[0].declared:
            raise Conflict(f"the key {found[0].name!r} is declared in the config: take it out there")

        async def write(connection: Connection, at_ms: int) -> None:
            await key_store.disable_key(connection, KeyId(key_id), at_ms)
            await trail.record(connection, at_ms, by, "key.revoke", key_id, org=org_of(found[0].account))

        await self._database.write(Transact(write))
        await self.reload()

    async def all(self) -> list[StoredKey]:
        return await self._database.read(key_store.read_keys)

    def expiry(self, text: str) -> int:
        """`90d`, `12h` from now, or a date -> ms since 1970. Raises ValueError with what may be written."""
        match = re.fullmatch(r"([0-9]{1,5})([hd])", text.strip())
        if match is None:
            return parse_expiry(text)
        hours = int(match[1]) * (24 if match[2] == "d" else 1)
        return self._clock.now_ms() + hours * 3_600_000

    async def reload(self) -> int:
        """Read all keys into the authenticator; says how many may be used."""
        stored, accounts = await self._database.read(_read_everything)
        by_id = {account.id: account for account in accounts}
        records = [
            KeyRecord(key.id, key.digest, _principal(key, by_id), key.expires_at_ms, _is_disabled(key, by_id))
            for key in stored
        ]
        self._authenticator.replace(records)
        return sum(not record.disabled for record in records)


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
