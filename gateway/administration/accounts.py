"""Accounts made by command or API: orgs and teams, their budgets, limits and zones, and prepaid credits.

How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.administration import store as trail
from gateway.administration.names import check_names
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Budget, Limits
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import org_account_id, team_account_id
from gateway.ledger import accounts as account_store
from gateway.ledger.accounts import AccountBalance
from gateway.ledger.model import Grant, Granted


class Accounts:
    """The accounts of one gateway. `reload` is told of changes that keys carry with them."""

    def __init__(self, database: Database[Transact | Grant, object], reload: Callable[[], Awaitable[object]]) -> None:
        self._database = database
        self._reload = reload

    async def create(
        self,
        *,
        org: str,
        team: str | None,
        budgets: tuple[Budget, ...],
        zone: str | None,
        limits: Limits = UNLIMITED,
        by: Administrator = COMMAND,
    ) -> Account:
        """Make an org, or a team and its org where that does not exist. Raises Conflict where it is there already."""
        check_names(("org", org), ("team", team))
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
            raise Conflict(f"{made.id} exists already; change it with `gateway accounts set {made.id}`")

        async def write(connection: Connection, at_ms: int) -> None:
            await account_store.add_accounts(connection, [parent], at_ms)
            await account_store.put_accounts(connection, [made], at_ms)
            await trail.record(connection, at_ms, by, "account.create", made.id, _terms(made))

        await self._database.write(Transact(write))
        return made

    async def change(
        self,
        name: str,
        *,
        budgets: tuple[Budget, ...] | None,
        zone: str | None,
        prepaid: bool | None,
        by: Administrator = COMMAND,
    ) -> Account:
        """What is None stays. Money that is held or charged is not touched. Raises SubjectNotFound, AdministrationError."""
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
            await trail.record(connection, at_ms, by, "account.change", changed.id, _terms(changed))

        await self._database.write(Transact(write))
        await self._reload()
        return changed

    async def grant(
        self, name: str, microcredits: int, note: str, by: Administrator = COMMAND
    ) -> tuple[Account, Granted]:
        """Prepaid credits; negative: taken back. Raises AdministrationError where there is no such account, or less than nothing would be granted."""
        account = await self.find(name)
        if microcredits <= 0 and not account.prepaid:
            raise AdministrationError(f"{account.id} is not prepaid: there is nothing to take back")
        action = "account.grant" if microcredits > 0 else "account.adjust"
        details: dict[str, trail.Detail] = {"credits": money.format_micro(microcredits), "why": note}

        async def also(connection: Connection, at_ms: int) -> None:
            await trail.record(connection, at_ms, by, action, account.id, details)

        granted = await self._database.write(Grant(account.id, microcredits, note, also))
        if not isinstance(granted, Granted):
            raise AssertionError(f"a grant was answered with {granted}")
        if granted.refused:
            raise AdministrationError(
                f"{account.id} was not granted so much: it has {money.format_micro(granted.left_microcredits)} credits left"
            )
        return account, granted

    async def find(self, name: str) -> Account:
        """By its id, or as `acme` (an org) or `acme/design` (a team). Raises SubjectNotFound."""
        parts = name.split("/")
        wanted = {name}
        if ":" not in name:
            wanted.add(org_account_id(name) if len(parts) == 1 else team_account_id(parts[0], parts[-1]))
        payers = (AccountKind.ORG, AccountKind.TEAM, AccountKind.KEY)
        for account in await self._database.read(account_store.read_accounts):
            if account.id in wanted and account.kind in payers:
                return account
        raise SubjectNotFound(f"there is no account {name!r}; `gateway accounts list` shows them")

    async def balances(self) -> list[AccountBalance]:
        return await self._database.read(account_store.read_balances)


def _terms(account: Account) -> dict[str, trail.Detail]:
    return {
        "budgets": [str(budget) for budget in account.budgets],
        "timezone": account.zone,
        "prepaid": account.prepaid,
        "limits": account_store.limits_text(account.limits),
    }
