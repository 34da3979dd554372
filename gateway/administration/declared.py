"""The config's accounts and keys, and how the database is made to agree with them. Balances, and what was granted, are never touched.

How it fails: StorageUnavailable; nothing is changed then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits
from gateway.domain.clock import Clock
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    KeyId,
    key_account_id,
    org_account_id,
    team_account_id,
    upstream_account_id,
)
from gateway.domain.images import Contract
from gateway.keys import store as key_store
from gateway.keys.secrets import digest, display_prefix
from gateway.keys.store import StoredKey
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
        self, orgs: Sequence[Account], teams: Sequence[Account], keys: Sequence[DeclaredKey], upstreams: Sequence[str]
    ) -> None:
        """Make the config's accounts and keys true: new names are new accounts, a changed secret is a rotation, what is gone is disabled.

        Keys are to be reloaded afterwards.
        """
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
