"""Accounts by command or API: orgs and teams, their terms (budgets, limits, zone, markup), prepaid credits, and their entries.

Each method takes the administrator who asks: what that one does not see is answered as what does not exist. What the config declares is changed
there. How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

from gateway.administration import store as trail
from gateway.administration.account_wishes import Wish, action, changes
from gateway.administration.names import check_names
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.accounts import Account, AccountKind
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import AccountId, org_account_id, org_of, team_account_id
from gateway.ledger import accounts as account_store
from gateway.ledger import entries as entry_store
from gateway.ledger.accounts import AccountState
from gateway.ledger.entries import EntryRange, NumberedEntry
from gateway.ledger.model import Grant, Granted

__all__ = ["ENTRY_ID_MAX", "UNKNOWN", "AccountState", "Accounts", "GrantAnswer"]

UNKNOWN = "There is no such account."
PAYERS = (AccountKind.ORG, AccountKind.TEAM, AccountKind.KEY)
SCANS_MAX = 5
"""Ranges of entries looked at for one request, each of entries.RANGE_ROWS."""
ENTRY_ID_MAX = 2**62
GRANT_ID_CHARS_MAX = 255


@dataclass(frozen=True, slots=True)
class GrantAnswer:
    """`repeated`: this grant was made before under the same id, and nothing changed now."""

    account: Account
    left_microcredits: int
    first: bool = False
    repeated: bool = False


class Accounts:
    """The accounts of one gateway. `reload` is told of changes that keys carry with them; `models` may change under it."""

    def __init__(
        self,
        database: Database[Transact | Grant, object],
        reload: Callable[[], Awaitable[object]],
        clock: Clock,
        models: Collection[str] = (),
    ) -> None:
        self._database = database
        self._reload = reload
        self._clock = clock
        self._models = models

    async def create(self, org: str, team: str | None, wish: Wish, by: Administrator = COMMAND) -> Account:
        """Make an org, or a team and its org where that does not exist. Raises Conflict where it is there already."""
        check_names(("org", org), ("team", team))
        if not by.sees(org):
            raise SubjectNotFound("There is no such org.", param="org")
        wish.check(self._models)
        parent = Account(org_account_id(org), AccountKind.ORG, org, zone=wish.zone or "UTC")
        blank = parent
        if team is not None:
            blank = Account(team_account_id(org, team), AccountKind.TEAM, team, parent.id)
        made = wish.granted_to(blank)

        async def write(connection: Connection, at_ms: int) -> None:
            nonlocal made
            there = await account_store.read_account(connection, parent.id)
            if await account_store.read_account(connection, made.id) is not None:
                raise Conflict(f"{made.id} exists already; change it with `gateway accounts set {made.id}`")
            if team is not None:
                made = replace(made, zone=wish.zone or (there or parent).zone)
                if there is None:
                    await account_store.add_accounts(connection, [parent], at_ms)
                    await trail.record(connection, at_ms, by, action(None, parent), parent.id, changes(None, parent))
            await account_store.put_accounts(connection, [made], at_ms)
            await trail.record(connection, at_ms, by, action(None, made), made.id, changes(None, made))

        await self._database.write(Transact(write))
        return made

    async def change(self, name: str, wish: Wish, by: Administrator = COMMAND) -> Account:
        """Money that is held or charged is not touched. Raises SubjectNotFound, AdministrationError, and Conflict where the config declares it."""
        account_id = (await self.find(name, by)).id
        wish.check(self._models)
        changed: list[Account] = []

        async def write(connection: Connection, at_ms: int) -> None:
            before = await account_store.lock_account(connection, account_id)
            if before is None:
                raise SubjectNotFound(UNKNOWN)
            _refuse_configured(before, wish)
            # What has gone from the config (it is disabled then) and is changed here belongs to whoever changed it.
            after = replace(wish.granted_to(before), declared=before.declared and not wish.is_of_terms)
            if after != before:
                await account_store.put_accounts(connection, [after], at_ms)
                await account_store.set_prepaid(connection, after.id, prepaid=after.prepaid)
                await trail.record(connection, at_ms, by, action(before, after), after.id, changes(before, after))
            changed[:] = [after]

        await self._database.write(Transact(write))
        await self._reload()
        return changed[0]

    async def grant(
        self, name: str, microcredits: int, note: str, *, grant_id: str | None = None, by: Administrator = COMMAND
    ) -> GrantAnswer:
        """Prepaid credits; negative: taken back. A `grant_id` is granted once, however often it is sent.

        Raises SubjectNotFound, AdministrationError where less than nothing would be granted, and Conflict where the id was used for another amount.
        """
        account = await self.find(name, by)
        if account.kind not in PAYERS:
            raise AdministrationError(f"{account.id} is no org, team or key: it takes no credits")
        repeated = await self._repeated(account, grant_id, microcredits)
        if repeated is not None:
            return repeated
        if microcredits <= 0 and not account.prepaid:
            raise AdministrationError(f"{account.id} is not prepaid: there is nothing to take back", param="credits")
        details: dict[str, trail.Detail] = {"credits": money.format_micro(microcredits), "why": note}
        if grant_id is not None:
            details["id"] = grant_id

        async def also(connection: Connection, at_ms: int) -> None:
            if grant_id is not None:
                await entry_store.add_grant_id(connection, account.id, grant_id, microcredits, at_ms)
            verb = "account.grant" if microcredits > 0 else "account.adjust"
            await trail.record(connection, at_ms, by, verb, account.id, details)

        try:
            granted = await self._database.write(Grant(account.id, microcredits, note, also))
        except StatementFailed:
            repeated = await self._repeated(account, grant_id, microcredits)  # the same one came twice at once
            if repeated is None:
                raise
            return repeated
        if not isinstance(granted, Granted):
            raise AssertionError(f"a grant was answered with {granted}")
        left = granted.left_microcredits
        if granted.refused:
            raise AdministrationError(
                f"{account.id} was not granted so much: it has {money.format_micro(left)} credits left", param="credits"
            )
        return GrantAnswer(account, left, first=granted.first)

    async def _repeated(self, account: Account, grant_id: str | None, microcredits: int) -> GrantAnswer | None:
        if grant_id is None:
            return None
        if not 0 < len(grant_id) <= GRANT_ID_CHARS_MAX or not grant_id.isprintable():
            raise AdministrationError(f"id: write 1 to {GRANT_ID_CHARS_MAX} printable characters", param="id")
        before = await self._database.read(
            lambda connection: entry_store.read_grant_id(connection, account.id, grant_id)
        )
        if before is None:
            return None
        if before != microcredits:
            raise Conflict(
                f"the id {grant_id!r} was used for {money.format_micro(before)} credits: choose another", param="id"
            )
        state = await self._state_of(account)
        return GrantAnswer(account, state.prepaid_left_microcredits, repeated=True)

    async def find(self, name: str, by: Administrator = COMMAND) -> Account:
        """By its id, or as `acme` (an org) or `acme/design` (a team). Raises SubjectNotFound."""
        org, slash, team = name.partition("/")
        account_id = AccountId(name)
        if ":" not in name and name != "ours":
            account_id = team_account_id(org, team) if slash else org_account_id(org)
        found = None
        if by.sees(org_of(account_id)):
            found = await self._database.read(lambda connection: account_store.read_account(connection, account_id))
        if found is None:
            raise SubjectNotFound(UNKNOWN)
        return found

    async def state(self, name: str, by: Administrator = COMMAND) -> AccountState:
        """An account, and where it stands within each of its budgets. Raises SubjectNotFound."""
        return await self._state_of(await self.find(name, by))

    async def _state_of(self, account: Account) -> AccountState:
        now_ms = self._clock.now_ms()
        states = await self._database.read(
            lambda connection: account_store.read_states(connection, [account], now_ms)
        )  # fmt: skip
        return states[0]

    async def page(
        self,
        by: Administrator = COMMAND,
        *,
        org: str | None = None,
        kind: AccountKind | None = None,
        after: str = "",
        size: int,
    ) -> list[AccountState]:
        """Accounts behind an id that this administrator sees, by id: of one org, or of one kind, where that is said."""
        if org is not None and not by.sees(org):
            return []
        now_ms, whose = self._clock.now_ms(), by.org if org is None else org

        async def look(connection: Connection) -> list[AccountState]:
            found = await account_store.read_page(connection, org=whose, kind=kind, after=after, size=size)
            return await account_store.read_states(connection, found, now_ms)

        return await self._database.read(look)

    async def entries(
        self, name: str, by: Administrator = COMMAND, *, task: str | None = None, before: int = ENTRY_ID_MAX, size: int
    ) -> EntryRange:
        """Its entries below an id, newest first. Fewer than `size`, even none, where many of others lie between: go on at `before`."""
        account, found = await self.find(name, by), list[NumberedEntry]()
        reached: int | None = before
        for _ in range(SCANS_MAX):
            if reached is None or len(found) >= size:
                break
            part = await self._database.read(_range_query(account.id, task, reached, size - len(found)))
            found += part.entries
            reached = part.before
        return EntryRange(tuple(found), reached)


def _range_query(
    account: AccountId, task: str | None, before: int, size: int
) -> Callable[[Connection], Awaitable[EntryRange]]:
    return lambda connection: entry_store.read_range(connection, account, task=task, before=before, size=size)


def _refuse_configured(account: Account, wish: Wish) -> None:
    """What follows the config cannot be changed elsewhere: it would be changed back."""
    if account.kind is AccountKind.UPSTREAM:
        raise Conflict(f"{account.id} follows the config: change upstreams.{account.name}.budget there")
    if account.kind not in PAYERS:
        raise AdministrationError(f"{account.id} is no org, team or key: it has no terms")
    if account.declared and not account.disabled and wish.is_of_terms:
        raise Conflict(f"{account.id} is declared in the config: change it there")
