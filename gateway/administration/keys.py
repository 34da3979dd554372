"""API keys: made, changed, rotated, revoked, and handed to the authenticator whenever something about them or their accounts changes.

A secret made here is returned once and stored only as a digest. How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from gateway.administration import store as trail
from gateway.administration.account_wishes import action, changes
from gateway.administration.declared import DeclaredKey
from gateway.administration.key_records import KeyView, records_of, view_of
from gateway.administration.key_terms import KeyTerms, check_terms, terms_of, with_terms
from gateway.administration.names import check_names
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError, Conflict, ScopeMissing, SubjectNotFound
from gateway.domain.ids import AccountId, KeyId, new_key_id, org_account_id, org_of, team_account_id
from gateway.domain.images import Contract
from gateway.domain.keys import OVERLAP_S, OVERLAP_S_MAX, KeyState, StoredKey
from gateway.keys import store as key_store
from gateway.keys.authenticator import Authenticator
from gateway.keys.secrets import digest, display_prefix, new_key
from gateway.ledger import accounts as account_store
from gateway.ledger.model import Grant

NO_SUCH_KEY = "There is no such key; `gateway keys list` shows them."
"""The same for a key of another org: nobody learns which keys there are."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A secret just made. It is shown once."""

    id: KeyId
    account: AccountId
    secret: str = field(repr=False)
    old_until_ms: int | None = None
    """Of a rotation: until when the secret before it is valid, too."""


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Oldest first. `more`: there are further ones after the last of these."""

    keys: tuple[KeyView, ...]
    more: bool


class Keys:
    """The keys of one gateway. `models`: the names, aliases included, that a key may be limited to."""

    def __init__(
        self,
        database: Database[Transact | Grant, object],
        authenticator: Authenticator,
        pepper: bytes,
        clock: Clock,
        models: Collection[str] = (),
    ) -> None:
        self._database = database
        self._authenticator = authenticator
        self._pepper = pepper
        self._clock = clock
        self._models = models
        self.tell: Callable[[], Awaitable[None]] = tell_nobody
        """Has other processes read what changed; the root puts it in. It must not raise."""

    async def create(  # noqa: PLR0913 - by keyword: all that a key may be made with
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
        choose_upstream: bool = False,
        cache: bool = True,
        secret: str | None = None,
        by: Administrator = COMMAND,
    ) -> IssuedKey:
        """Make a key, and its org and team where they do not exist.

        Raises AdministrationError, SubjectNotFound for an org that `by` does not see, Conflict where the name is taken or org or team disabled.
        `secret` is for who has to keep it before it is valid; else a new one is made.
        """
        check_names(("org", org), ("team", team), ("name", name))
        if not by.sees(org):
            raise SubjectNotFound("There is no such org.", param="org")
        terms = KeyTerms(
            budgets, models, limits.sizes, limits.n_max, limits.requests_per_minute, limits.concurrent_tasks, response, expires_at_ms,
            choose_upstream, cache,
        )  # fmt: skip
        check_terms(terms, self._models)
        _check_may_choose(terms, by)
        secret, now_ms = secret or new_key(), self._clock.now_ms()
        account = DeclaredKey(org, team, name, secret, budgets, limits=limits).account
        stored = StoredKey(
            new_key_id(), account.id, name, digest(self._pepper, secret), display_prefix(secret), response, models,
            declared=False, created_at_ms=now_ms, expires_at_ms=expires_at_ms, choose_upstream=choose_upstream, cache=cache,
        )  # fmt: skip

        async def write(connection: Connection, at_ms: int) -> None:
            parent = await _make_parents(connection, org, team, by, at_ms)
            await _refuse_taken(connection, account)
            await account_store.put_accounts(connection, [replace(account, zone=parent.zone)], at_ms)
            await key_store.add_key(connection, stored)
            details = {"account": account.id, **terms.details()}
            await trail.record(connection, at_ms, by, "key.create", stored.id, details, org=org)

        await self._database.write(Transact(write))
        await self.changed()
        return IssuedKey(stored.id, account.id, secret)

    async def change(
        self, key_id: str, changed: Callable[[KeyTerms], KeyTerms], by: Administrator = COMMAND
    ) -> KeyView:
        """What a key may do becomes what `changed` makes of it. A budget of a key only narrows what its team and org allow.

        Raises SubjectNotFound, AdministrationError, and Conflict where the key is declared or revoked.
        """

        async def write(connection: Connection, at_ms: int) -> None:
            key = await self._lock(connection, key_id, by)
            account = await account_store.lock_account(connection, key.account)
            if account is None:
                raise AssertionError(f"{key.id} has no account")
            before = terms_of(key, account)
            terms = changed(before)
            check_terms(terms, self._models)
            if not before.choose_upstream:
                _check_may_choose(terms, by)
            key, account = with_terms(key, account, terms)
            await key_store.change_key(connection, key)
            await account_store.put_accounts(connection, [account], at_ms)
            await trail.record(connection, at_ms, by, "key.change", key.id, terms.details(), org=org_of(account.id))

        await self._database.write(Transact(write))
        await self.changed()
        return await self.find(key_id, by)

    async def rotate(self, key_id: str, overlap_s: int = OVERLAP_S, by: Administrator = COMMAND) -> IssuedKey:
        """A new secret for a key; the present one stays valid for `overlap_s` more, one before that is refused from now on.

        Raises SubjectNotFound, AdministrationError, and Conflict where the key is declared, revoked or expired.
        """
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            most = f"{OVERLAP_S_MAX // 86_400} days"
            raise AdministrationError(f"overlap: at most {most}, and 0 for none", param="overlap_s")
        secret = new_key()
        rotated: list[StoredKey] = []

        async def write(connection: Connection, at_ms: int) -> None:
            key = await self._lock(connection, key_id, by)
            if key.expires_at_ms is not None and at_ms >= key.expires_at_ms:
                raise Conflict(f"the key {key.name!r} has expired: give it a later end first")
            fresh = replace(
                key, digest=digest(self._pepper, secret), display=display_prefix(secret),
                old_digest=key.digest, old_until_ms=at_ms + overlap_s * 1000,
            )  # fmt: skip
            rotated[:] = [fresh]
            await key_store.rotate_key(connection, fresh)
            details: dict[str, trail.Detail] = {"old_until_ms": fresh.old_until_ms}
            await trail.record(connection, at_ms, by, "key.rotate", key.id, details, org=org_of(key.account))

        await self._database.write(Transact(write))
        await self.changed()
        return IssuedKey(rotated[0].id, rotated[0].account, secret, rotated[0].old_until_ms)

    async def revoke(self, key_id: str, by: Administrator = COMMAND) -> None:
        """Both secrets are refused from now on in this process, and soon in all. Once more changes nothing.

        Raises SubjectNotFound, and Conflict where the config declares it.
        """

        async def write(connection: Connection, at_ms: int) -> None:
            key = await self._lock(connection, key_id, by, revoked_too=True)
            if key.disabled_at_ms is None:
                await key_store.disable_key(connection, key.id, at_ms)
                await trail.record(connection, at_ms, by, "key.revoke", key.id, org=org_of(key.account))

        await self._database.write(Transact(write))
        await self.changed()

    async def _lock(
        self, connection: Connection, key_id: str, by: Administrator, *, revoked_too: bool = False
    ) -> StoredKey:
        """The key that is to be changed. Raises SubjectNotFound and Conflict."""
        key = await key_store.lock_key(connection, key_id)
        if key is None or not by.sees(org_of(key.account)):
            raise SubjectNotFound(NO_SUCH_KEY)
        if key.declared:
            raise Conflict(f"the key {key.name!r} is declared in the config: change it, or take it out, there")
        if key.disabled_at_ms is not None and not revoked_too:
            raise Conflict(f"the key {key.name!r} is revoked, for good: make a new one")
        return key

    async def all(self) -> list[StoredKey]:
        return await self._database.read(key_store.read_keys)

    async def page(
        self,
        by: Administrator,
        *,
        org: str | None = None,
        team: str | None = None,
        state: KeyState | None = None,
        after: str | None = None,
        size: int,
    ) -> KeyPage:
        """Keys that this administrator sees, after the key `after`. Raises AdministrationError where there is no such key."""
        stored, accounts = await self._database.read(_read_everything)
        now_ms, begin = self._clock.now_ms(), 0
        if after is not None:
            begin = next((index for index, key in enumerate(stored, 1) if key.id == after), 0)
            if not begin or not by.sees(view_of(stored[begin - 1], accounts, now_ms).org):
                raise AdministrationError(
                    "after: there is no such key; give the id of the last one seen", param="after"
                )
        views = (view_of(key, accounts, now_ms) for key in stored[begin:])
        wanted = (
            view
            for view in views
            if by.sees(view.org)
            and org in (None, view.org)
            and team in (None, view.team)
            and state in (None, view.state)
        )
        found = tuple(islice(wanted, size + 1))
        return KeyPage(found[:size], len(found) > size)

    async def find(self, key_id: str, by: Administrator = COMMAND) -> KeyView:
        """Raises SubjectNotFound."""
        for view in await self._views():
            if view.key.id == key_id and by.sees(view.org):
                return view
        raise SubjectNotFound(NO_SUCH_KEY)

    async def _views(self) -> list[KeyView]:
        stored, accounts = await self._database.read(_read_everything)
        now_ms = self._clock.now_ms()
        return [view_of(key, accounts, now_ms) for key in stored]

    async def keep_used(self) -> None:
        """Write down when keys were last used. Raises StorageUnavailable: what was noted waits for the next time."""
        used = self._authenticator.used.take()
        if not used:
            return
        try:
            await self._database.write(Transact(lambda connection, _: key_store.mark_keys_used(connection, used)))
        except BaseException:
            self._authenticator.used.put_back(used)
            raise

    async def changed(self) -> None:
        """Something about keys or their accounts is new: known here on return, and soon elsewhere."""
        await self.reload()
        await self.tell()

    async def reload(self) -> int:
        """Read all keys into the authenticator; says how many may be used."""
        records = records_of(*await self._database.read(_read_everything))
        self._authenticator.replace(records)
        return len({record.key_id for record in records if not record.disabled})


async def tell_nobody() -> None:
    """Of the only process."""


def _check_may_choose(terms: KeyTerms, by: Administrator) -> None:
    """A choice may be dearer for us than for the caller, where a model's charge is fixed. Raises ScopeMissing."""
    if terms.choose_upstream and by.org is not None:
        raise ScopeMissing(
            "An org's token cannot let a key choose upstreams: ask an administrator of the whole gateway.",
            param="choose_upstream",
        )


async def _refuse_taken(connection: Connection, account: Account) -> None:
    """Raises Conflict where a key of this account lives."""
    for key in await key_store.read_keys(connection):
        if key.account == account.id and key.disabled_at_ms is None:
            raise Conflict(
                f"the key {account.name!r} exists there already ({key.id}); choose another name", param="name"
            )


async def _make_parents(connection: Connection, org: str, team: str | None, by: Administrator, at_ms: int) -> Account:
    """Org and team, made where they do not exist, in the org's time zone; the nearest one. Raises Conflict where one is disabled.

    The org is locked: of two processes that make the same key at once, one finds the other's.
    """
    wanted = [Account(org_account_id(org), AccountKind.ORG, org)]
    if team is not None:
        wanted.append(Account(team_account_id(org, team), AccountKind.TEAM, team, wanted[0].id))
    nearest = wanted[0]
    for account in wanted:
        found = await account_store.lock_account(connection, account.id)
        if found is None:
            found = replace(account, zone=nearest.zone)
            await account_store.add_accounts(connection, [found], at_ms)
            await trail.record(connection, at_ms, by, action(None, found), found.id, changes(None, found))
        if found.disabled:
            raise Conflict(f"{found.id} is disabled: a key under it would be refused", param=found.kind.value)
        nearest = found
    return nearest


async def _accounts(connection: Connection) -> Mapping[AccountId, Account]:
    return {account.id: account for account in await account_store.read_accounts(connection)}


async def _read_everything(connection: Connection) -> tuple[list[StoredKey], Mapping[AccountId, Account]]:
    return await key_store.read_keys(connection), await _accounts(connection)
