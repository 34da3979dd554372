"""`gateway accounts …`."""

import re
from collections.abc import Mapping

from gateway.administration.accounts import Accounts
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row, read_budgets, read_timezone
from gateway.domain import money
from gateway.domain.accounts import Account
from gateway.domain.errors import AdministrationError
from gateway.ledger.accounts import limits_text


class AccountCommands:
    """Texts in, rows out."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.commands: Mapping[str, Command] = {
            "accounts list": self._accounts_list,
            "accounts create": self._accounts_create,
            "accounts set": self._accounts_set,
            "accounts grant": self._accounts_grant,
            "accounts adjust": self._accounts_grant,
        }

    async def _accounts_list(self, _: Arguments) -> Report:
        rows: list[Row] = [
            {
                "account": item.account.id,
                "budgets": ", ".join(map(str, item.account.budgets)),
                "limits": limits_text(item.account.limits),
                "timezone": item.account.zone,
                "prepaid": "yes" if item.account.prepaid else "no",
                "used_credits": money.format_micro(item.balance.posted.microcredits),
                "used_usd": money.format_micro(item.balance.posted.microusd),
                "images": item.balance.posted.images,
                "held_credits": money.format_micro(item.balance.pending.microcredits),
                "held_usd": money.format_micro(item.balance.pending.microusd),
            }
            for item in await self._accounts.balances()
        ]
        return Report(tuple(rows[:ROWS_MAX]))

    async def _accounts_create(self, arguments: Arguments) -> Report:
        org = arguments.get("org")
        if not org:
            raise AdministrationError("org is missing: say --org")
        made = await self._accounts.create(
            org=org, team=arguments.get("team"), budgets=read_budgets(arguments) or (), zone=read_timezone(arguments)
        )
        return Report(message=f"{made.id} is there{_with(made)}.")

    async def _accounts_set(self, arguments: Arguments) -> Report:
        prepaid = {"yes": True, "no": False}.get(arguments.get("prepaid") or "")
        changed = await self._accounts.change(
            arguments.get("name") or "", budgets=read_budgets(arguments), zone=read_timezone(arguments), prepaid=prepaid
        )
        return Report(message=f"{changed.id} is changed{_with(changed)}.")

    async def _accounts_grant(self, arguments: Arguments) -> Report:
        text, why = (arguments.get("amount") or "").strip(), (arguments.get("why") or "").strip()
        match = re.fullmatch(r"(-?)([0-9]+(?:\.[0-9]{1,6})?)credits", text)
        if match is None:
            raise AdministrationError(
                f"amount {text!r}: write credits such as 500credits, or -20credits to take some back"
            )
        try:
            microcredits = money.to_micro(match[2]) * (-1 if match[1] else 1)
        except ValueError as exc:
            raise AdministrationError(f"amount {text!r}: {exc}") from exc
        if microcredits < 0 and not why:
            raise AdministrationError("why is missing: say --why, it is kept with the entry")
        if not microcredits:
            raise AdministrationError("amount 0credits changes nothing")
        account, granted = await self._accounts.grant(arguments.get("name") or "", microcredits, why or "granted")
        first = " It is prepaid from now on." if granted.first else ""
        left = money.format_micro(granted.left_microcredits)
        return Report(message=f"{account.id} has {left} credits left.{first}")


def _with(account: Account) -> str:
    budgets = ", ".join(map(str, account.budgets)) or "no budget"
    return f": {budgets}, {account.zone}" + (", prepaid" if account.prepaid else "")
