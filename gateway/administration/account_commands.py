"""`gateway accounts …` and `gateway ledger entries`."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

from gateway.administration.account_wishes import KEPT, Kept, Wish
from gateway.administration.accounts import ENTRY_ID_MAX, UNKNOWN, Accounts
from gateway.administration.reports import (
    ROWS_MAX,
    Arguments,
    Command,
    Report,
    Row,
    read_budgets,
    read_list,
    read_whole,
)
from gateway.domain import money
from gateway.domain.accounts import Account, Unit
from gateway.domain.errors import AdministrationError, SubjectNotFound
from gateway.domain.money import Amount
from gateway.domain.windows import zone
from gateway.ledger.accounts import AccountState, limits_text
from gateway.ledger.entries import NumberedEntry

_ENTRIES = 100


class AccountCommands:
    """Texts in, rows out."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.commands: Mapping[str, Command] = {
            "accounts list": self._list,
            "accounts show": self._show,
            "accounts create": self._create,
            "accounts set": self._set,
            "accounts grant": self._grant,
            "accounts adjust": self._grant,
            "ledger entries": self._entries,
        }

    async def _list(self, arguments: Arguments) -> Report:
        states = await self._accounts.page(org=arguments.get("org"), size=ROWS_MAX)
        rows: list[Row] = [
            {
                "account": item.account.id,
                "state": "disabled" if item.account.disabled else "declared" if item.account.declared else "active",
                "budgets": ", ".join(map(str, item.account.budgets)),
                "left": ", ".join(_amount(each.left, each.budget.unit) for each in item.budgets),
                "limits": limits_text(item.account.limits),
                "markup": None if item.account.markup is None else f"{item.account.markup:f}",
                "timezone": item.account.zone,
                "prepaid": "yes" if item.account.prepaid else "no",
                "used_credits": money.format_micro(item.balance.posted.microcredits),
                "used_usd": money.format_micro(item.balance.posted.microusd),
                "images": item.balance.posted.images,
                "held_credits": money.format_micro(item.balance.pending.microcredits),
                "held_usd": money.format_micro(item.balance.pending.microusd),
            }
            for item in states
        ]
        return Report(tuple(rows))

    async def _show(self, arguments: Arguments) -> Report:
        with _Named(arguments) as name:
            state = await self._accounts.state(name)
        rows: list[Row] = [
            {
                "budget": str(each.budget),
                "used": _amount(each.used, each.budget.unit),
                "held": _amount(each.held, each.budget.unit),
                "left": _amount(each.left, each.budget.unit),
                "begins_anew": "never" if each.resets_at_ms is None else _moment(each.resets_at_ms, state.account.zone),
            }
            for each in state.budgets
        ]
        if state.account.prepaid:
            rows.append(
                {
                    "budget": f"{money.format_micro(state.granted_microcredits)}credits granted",
                    "used": _amount(state.balance.posted.microcredits, Unit.CREDITS),
                    "held": _amount(state.balance.pending.microcredits, Unit.CREDITS),
                    "left": _amount(state.prepaid_left_microcredits, Unit.CREDITS),
                    "begins_anew": "with a grant",
                }
            )
        return Report(tuple(rows), _sentence(state))

    async def _create(self, arguments: Arguments) -> Report:
        org = arguments.get("org")
        if not org:
            raise AdministrationError("org is missing: say --org", param="org")
        made = await self._accounts.create(org, arguments.get("team"), _wish(arguments))
        return Report(message=f"{made.id} is made{_with(made)}.")

    async def _set(self, arguments: Arguments) -> Report:
        with _Named(arguments) as name:
            changed = await self._accounts.change(name, _wish(arguments))
        return Report(message=f"{changed.id} is changed{_with(changed)}.")

    async def _grant(self, arguments: Arguments) -> Report:
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
        grant_id = arguments.get("id") or None
        with _Named(arguments) as name:
            done = await self._accounts.grant(name, microcredits, why or "granted", grant_id=grant_id)
        more = " This grant was made before; nothing changed." if done.repeated else ""
        more += " It is prepaid from now on." if done.first else ""
        return Report(message=f"{done.account.id} has {money.format_micro(done.left_microcredits)} credits left.{more}")

    async def _entries(self, arguments: Arguments) -> Report:
        try:
            size = read_whole(arguments, "limit", ROWS_MAX) or _ENTRIES
            before = read_whole(arguments, "before", ENTRY_ID_MAX) or ENTRY_ID_MAX
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        with _Named(arguments) as name:
            found = await self._accounts.entries(name, task=arguments.get("task") or None, before=before, size=size)
        on = "" if found.before is None else f"Older ones: --before {found.before}"
        return Report(tuple(map(_entry, found.entries)), on or ("" if found.entries else "There are none."))


class _Named:
    """The name of an account among the arguments; that there is none of it is said with where to look."""

    def __init__(self, arguments: Arguments) -> None:
        self._name = arguments.get("name") or ""

    def __enter__(self) -> str:
        return self._name

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if isinstance(exc, SubjectNotFound) and str(exc) == UNKNOWN:
            raise SubjectNotFound(f"there is no account {self._name!r}; `gateway accounts list` shows them") from exc


def _wish(arguments: Arguments) -> Wish:
    """What is not named stays. Raises AdministrationError."""
    zone, prepaid, disabled = arguments.get("timezone"), arguments.get("prepaid"), arguments.get("disabled")
    return Wish(
        budgets=read_budgets(arguments),
        zone=zone or None,
        markup=_read_markup(arguments.get("markup")),
        rpm=_read_number(arguments, "rpm"),
        concurrency=_read_number(arguments, "concurrency"),
        models=_read_names(arguments.get("models")),
        sizes=_read_names(arguments.get("sizes")),
        n_max=_read_number(arguments, "n_max"),
        disabled={"yes": True, "no": False}.get(disabled or ""),
        prepaid={"yes": True, "no": False}.get(prepaid or ""),
    )


def _read_number(arguments: Arguments, name: str) -> int | Kept | None:
    text = arguments.get(name)
    if not text:
        return KEPT
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise AdministrationError(f"{name}: {text!r} is not a whole number; `none` takes the limit away", param=name)
    return int(text)


def _read_names(text: str | None) -> tuple[str, ...] | None:
    return read_list("*" if text == "none" else text) if text else None


def _read_markup(text: str | None) -> Decimal | Kept | None:
    if not text:
        return KEPT
    try:
        return None if text == "none" else Decimal(text)
    except InvalidOperation as exc:
        raise AdministrationError(
            f"markup {text!r}: write a factor above 0 such as 1.2, or `none` to take it away", param="markup"
        ) from exc


def _sentence(state: AccountState) -> str:
    account = state.account
    parts = [account.kind.value, "from the config" if account.declared else ""]
    parts += ["disabled" if account.disabled else "", account.zone]
    parts += [f"markup {account.markup:f}"] if account.markup is not None else []
    limits = limits_text(account.limits)
    used = _books(state.balance.posted)
    return f"{account.id} ({', '.join(filter(None, parts))}), {f'limits {limits}' if limits else 'no limits'}; used in all: {used}."


def _with(account: Account) -> str:
    parts = [", ".join(map(str, account.budgets)) or "no budget", account.zone]
    limits = limits_text(account.limits)
    parts += [f"limits {limits}"] if limits else []
    parts += [f"markup {account.markup:f}"] if account.markup is not None else []
    parts += ["prepaid"] if account.prepaid else []
    parts += ["disabled"] if account.disabled else []
    return f": {', '.join(parts)}"


def _entry(item: NumberedEntry) -> Row:
    entry = item.entry
    return {
        "id": item.id,
        "at": _moment(entry.at_ms),
        "kind": entry.kind.value,
        "task": entry.task_id,
        "attempt": entry.attempt_id,
        "posted": _books(entry.posted),
        "pending": _books(entry.pending),
        "note": entry.note,
    }


def _books(amount: Amount) -> str:
    """`1.5credits 0.02usd 1images`, without what is nothing; `0` for nothing at all."""
    parts = [
        f"{money.format_micro(value)}{unit}"
        for value, unit in ((amount.microcredits, Unit.CREDITS), (amount.microusd, Unit.USD))
        if value
    ]
    parts += [f"{amount.images}{Unit.IMAGES}"] if amount.images else []
    return " ".join(parts) or "0"


def _amount(value: int, unit: Unit) -> str:
    return f"{value if unit is Unit.IMAGES else money.format_micro(value)}{unit}"


def _moment(at_ms: int, zone_name: str = "UTC") -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone(zone_name)).isoformat(timespec="seconds")
