"""The commands of operators by name, for the command line beside a running gateway (api/control.py) and without one.

Every command takes texts and answers rows, so that the same answer can be printed as a table or as JSON. How it fails: AdministrationError names
the argument and the remedy.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from gateway.administration.accounts import AccountAdministration, AdministrationError
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.accounts import (
    ANY,
    CONCURRENT_TASKS_MAX,
    REQUESTS_PER_MINUTE_MAX,
    Account,
    Budget,
    Limits,
    parse_budget,
)
from gateway.domain.images import Contract, parse_pixels, parse_ratio
from gateway.domain.windows import zone
from gateway.ledger.accounts import limits_text
from gateway.ledger.audit import audit
from gateway.ledger.model import Grant
from gateway.tasks import store as task_store

ROWS_MAX = 1_000
"""Rows of one answer."""

Value = str | int | float | None
Row = Mapping[str, Value]
Arguments = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a command answers. `failed` makes the command exit with 1."""

    rows: tuple[Row, ...] = ()
    message: str = ""
    failed: bool = False


class Operator:
    """Runs commands by name."""

    def __init__(
        self, accounts: AccountAdministration, database: Database[Transact | Grant, object], models: Collection[str]
    ) -> None:
        """`models`: the names, aliases included, that a key may be limited to."""
        self._accounts = accounts
        self._models = models
        self._database = database
        self._commands: dict[str, Callable[[Arguments], Awaitable[Report]]] = {
            "accounts list": self._accounts_list,
            "accounts create": self._accounts_create,
            "accounts set": self._accounts_set,
            "accounts grant": self._accounts_grant,
            "accounts adjust": self._accounts_grant,
            "keys create": self._keys_create,
            "keys list": self._keys_list,
            "keys revoke": self._keys_revoke,
            "in-doubt list": self._in_doubt_list,
            "ledger audit": self._ledger_audit,
        }

    async def run(self, command: str, arguments: Arguments) -> Report:
        """Raises AdministrationError, StorageUnavailable."""
        if command not in self._commands:
            raise AdministrationError(f"there is no command {command!r}; there are: {', '.join(self._commands)}")
        return await self._commands[command](arguments)

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
        made = await self._accounts.create_account(
            org=org, team=arguments.get("team"), budgets=_budgets(arguments) or (), zone=_zone(arguments)
        )
        return Report(message=f"{made.id} is there{_with(made)}.")

    async def _accounts_set(self, arguments: Arguments) -> Report:
        prepaid = {"yes": True, "no": False}.get(arguments.get("prepaid") or "")
        changed = await self._accounts.change_account(
            arguments.get("name") or "", budgets=_budgets(arguments), zone=_zone(arguments), prepaid=prepaid
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

    async def _keys_create(self, arguments: Arguments) -> Report:
        name = arguments.get("name")
        if not name:
            raise AdministrationError("name is missing: say --name")
        try:
            budgets = _budgets(arguments) or ()
            wish = arguments.get("response")
            response = Contract(wish) if wish else None
            limits = _limits(arguments)
            expires = arguments.get("expires")
            expires_at_ms = self._accounts.expiry(expires) if expires else None
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        models = _listed(arguments.get("models"))
        unknown = [name for name in models if name != "*" and name not in self._models]
        if unknown:
            raise AdministrationError(f"there is no model {unknown[0]!r}; there are: {', '.join(sorted(self._models))}")
        issued = await self._accounts.create_key(
            org=arguments.get("org") or "default", team=arguments.get("team"), name=name, budgets=budgets, models=models,
            response=response, limits=limits, expires_at_ms=expires_at_ms,
        )  # fmt: skip
        row = {"id": issued.id, "account": issued.account, "key": issued.secret}
        return Report((row,), "Keep the key now: it is not shown again.")

    async def _keys_list(self, _: Arguments) -> Report:
        rows: list[Row] = [
            {
                "id": key.id,
                "account": key.account,
                "key": f"{key.display}…",
                "models": ",".join(key.models),
                "response": key.response.value if key.response else None,
                "declared": "yes" if key.declared else "no",
                "state": "disabled" if key.disabled_at_ms else "active",
            }
            for key in await self._accounts.keys()
        ]
        return Report(tuple(rows[:ROWS_MAX]))

    async def _keys_revoke(self, arguments: Arguments) -> Report:
        key_id = arguments.get("id") or ""
        await self._accounts.revoke_key(key_id)
        return Report(message=f"{key_id} is revoked.")

    async def _in_doubt_list(self, _: Arguments) -> Report:
        found = await self._database.read(lambda connection: task_store.read_in_doubt(connection, ROWS_MAX))
        rows: list[Row] = [
            {
                "attempt": attempt.id,
                "task": attempt.task_id,
                "offer": attempt.offer_id,
                "images": attempt.n,
                "presumed_usd": money.format_micro(attempt.presumed_cost_microusd),
                "sent_at_ms": attempt.sent_at_ms,
                "message": attempt.message,
            }
            for attempt in found
        ]
        return Report(tuple(rows))

    async def _ledger_audit(self, _: Arguments) -> Report:
        report = await audit(self._database)
        rows: list[Row] = [
            {"account": d.account, "what": d.what, "stored": d.stored, "expected": d.expected}
            for d in report.differences
        ]
        looked_at = f"{report.accounts} accounts, {report.entries} entries, {report.holds_pending} pending holds"
        if rows:
            return Report(tuple(rows), f"{len(rows)} differences in {looked_at}.", failed=True)
        return Report(message=f"The ledger is clean: {looked_at}, no differences.")


def _limits(arguments: Arguments) -> Limits:
    """Of a new key, its models apart. Raises ValueError with the option and what it takes."""
    sizes = _listed(arguments.get("sizes"))
    for size in sizes:
        if size not in ("*", "auto") and parse_pixels(size) is None and parse_ratio(size) is None:
            raise ValueError(f"sizes: {size!r} is no size; write auto, 1024x1024 or 2:3")
    return Limits(
        _whole(arguments, "rpm", REQUESTS_PER_MINUTE_MAX),
        _whole(arguments, "concurrency", CONCURRENT_TASKS_MAX),
        sizes=sizes,
        n_max=_whole(arguments, "n_max", 100),
    )


def _whole(arguments: Arguments, name: str, most: int) -> int | None:
    text = arguments.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise ValueError(f"{name}: {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _listed(text: str | None) -> tuple[str, ...]:
    """`a, b` -> (a, b); nothing is everything."""
    return tuple(item.strip() for item in (text or "*").split(",") if item.strip()) or ANY


def _budgets(arguments: Arguments) -> tuple[Budget, ...] | None:
    """None where none are named; `none` is for taking all away."""
    given = arguments.get("budgets") or ""
    if not given:
        return None
    try:
        return tuple(parse_budget(text) for text in given.split(",") if text.strip() not in ("", "none"))
    except ValueError as exc:
        raise AdministrationError(str(exc)) from exc


def _zone(arguments: Arguments) -> str | None:
    name = arguments.get("timezone")
    try:
        if name:
            zone(name)
    except ValueError as exc:
        raise AdministrationError(f"timezone {exc}") from exc
    return name


def _with(account: Account) -> str:
    budgets = ", ".join(map(str, account.budgets)) or "no budget"
    return f": {budgets}, {account.zone}" + (", prepaid" if account.prepaid else "")
