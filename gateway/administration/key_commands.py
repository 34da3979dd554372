"""`gateway keys …`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from gateway.administration.key_records import KeyView
from gateway.administration.key_terms import N_MAX, KeyTerms
from gateway.administration.keys import Keys
from gateway.administration.reports import (
    ROWS_MAX,
    Arguments,
    Command,
    Report,
    Row,
    read_budgets,
    read_duration_s,
    read_expiry,
    read_limits,
    read_list,
    read_whole,
    shown_time,
)
from gateway.domain.accounts import ANY, CONCURRENT_TASKS_MAX, REQUESTS_PER_MINUTE_MAX
from gateway.domain.administrators import COMMAND
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError
from gateway.domain.images import Contract
from gateway.domain.keys import OVERLAP_S, KeyState
from gateway.ledger.accounts import limits_text

T = TypeVar("T")
NONE = "none"
"""Takes a limit, a budget or an end away."""
_KEEP = "Keep the key now: it is not shown again."


class KeyCommands:
    """Texts in, rows out."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self.commands: Mapping[str, Command] = {
            "keys create": self._create,
            "keys set": self._set,
            "keys list": self._list,
            "keys rotate": self._rotate,
            "keys revoke": self._revoke,
        }

    async def _create(self, arguments: Arguments) -> Report:
        name = arguments.get("name")
        if not name:
            raise AdministrationError("name is missing: say --name")
        try:
            wish, expires = arguments.get("response"), arguments.get("expires")
            response = Contract(wish) if wish else None
            limits = read_limits(arguments)
            expires_at_ms = read_expiry(expires, self._clock.now_ms()) if expires else None
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        issued = await self._keys.create(
            org=arguments.get("org") or "default", team=arguments.get("team"), name=name, budgets=read_budgets(arguments) or (),
            models=read_list(arguments.get("models")), response=response, limits=limits, expires_at_ms=expires_at_ms,
            choose_upstream=arguments.get("choose_upstream") == "yes", cache=arguments.get("cache") != "no",
        )  # fmt: skip
        return Report(({"id": issued.id, "account": issued.account, "key": issued.secret},), _KEEP)

    async def _set(self, arguments: Arguments) -> Report:
        try:
            given = self._given(arguments)
        except ValueError as exc:
            raise AdministrationError(str(exc)) from exc
        if not given:
            raise AdministrationError("nothing is to be changed: say --budget, --rpm, --expires …, or none with one")

        def changed(terms: KeyTerms) -> KeyTerms:
            for change in given:
                terms = change(terms)
            return terms

        view = await self._keys.change(arguments.get("id") or "", changed)
        return Report((_row(view),), f"{view.key.id} is changed.")

    def _given(self, arguments: Arguments) -> list[Callable[[KeyTerms], KeyTerms]]:
        """What is said, each as its change. Raises ValueError."""
        changes: list[Callable[[KeyTerms], KeyTerms]] = []
        budgets = read_budgets(arguments)
        if budgets is not None:
            changes.append(lambda terms: replace(terms, budgets=budgets))
        if models := _said(arguments, "models", read_list):
            changes.append(lambda terms: replace(terms, models=models[0] or ANY))
        if sizes := _said(arguments, "sizes", read_list):
            changes.append(lambda terms: replace(terms, sizes=sizes[0] or ANY))
        if n_max := _said(arguments, "n_max", lambda _: read_whole(arguments, "n_max", N_MAX)):
            changes.append(lambda terms: replace(terms, n_max=n_max[0]))
        if rpm := _said(arguments, "rpm", lambda _: read_whole(arguments, "rpm", REQUESTS_PER_MINUTE_MAX)):
            changes.append(lambda terms: replace(terms, rpm=rpm[0]))
        if tasks := _said(
            arguments, "concurrency", lambda _: read_whole(arguments, "concurrency", CONCURRENT_TASKS_MAX)
        ):
            changes.append(lambda terms: replace(terms, concurrency=tasks[0]))
        if response := _said(arguments, "response", Contract):
            changes.append(lambda terms: replace(terms, response=response[0]))
        if expires := _said(arguments, "expires", lambda text: read_expiry(text, self._clock.now_ms())):
            changes.append(lambda terms: replace(terms, expires_at_ms=expires[0]))
        if (choose := arguments.get("choose_upstream")) is not None:
            changes.append(lambda terms: replace(terms, choose_upstream=choose == "yes"))
        if (cache := arguments.get("cache")) is not None:
            changes.append(lambda terms: replace(terms, cache=cache == "yes"))
        return changes

    async def _list(self, arguments: Arguments) -> Report:
        wish = arguments.get("state")
        try:
            state = KeyState(wish) if wish else None
        except ValueError as exc:
            raise AdministrationError(f"state {wish!r}: write {', '.join(KeyState)}") from exc
        page = await self._keys.page(
            COMMAND, org=arguments.get("org"), team=arguments.get("team"), state=state, size=ROWS_MAX
        )
        return Report(
            tuple(_row(view) for view in page.keys), f"Only the first {ROWS_MAX} are shown." if page.more else ""
        )

    async def _rotate(self, arguments: Arguments) -> Report:
        text = arguments.get("overlap")
        try:
            overlap_s = read_duration_s(text) if text else OVERLAP_S
        except ValueError as exc:
            raise AdministrationError(f"overlap {exc}") from exc
        issued = await self._keys.rotate(arguments.get("id") or "", overlap_s)
        until = shown_time(issued.old_until_ms)
        row = {"id": issued.id, "account": issued.account, "key": issued.secret, "old_until": until}
        return Report(
            (row,), _KEEP + (f" The old one is valid until {until}." if overlap_s else " The old one is refused.")
        )

    async def _revoke(self, arguments: Arguments) -> Report:
        key_id = arguments.get("id") or ""
        await self._keys.revoke(key_id)
        return Report(message=f"{key_id} is revoked.")


def _said(arguments: Arguments, name: str, read: Callable[[str], T]) -> tuple[T | None] | None:
    """None: nothing is said of it. Else what is read, or None for `none`."""
    text = (arguments.get(name) or "").strip()
    if not text:
        return None
    if text == NONE:
        return (None,)
    try:
        return (read(text),)
    except ValueError as exc:
        raise ValueError(str(exc) if str(exc).startswith(name) else f"{name}: {exc}") from exc


def _row(view: KeyView) -> Row:
    key = view.key
    return {
        "id": key.id,
        "account": key.account,
        "key": f"{key.display}…",
        "state": view.state.value,
        "declared": "yes" if key.declared else "no",
        "budgets": ", ".join(map(str, view.account.budgets)),
        "models": ",".join(key.models),
        "limits": limits_text(view.account.limits),
        "response": key.response.value if key.response else None,
        "chooses": "yes" if key.choose_upstream else "no",
        "cache": "yes" if key.cache else "no",
        "expires": shown_time(key.expires_at_ms),
        "old_until": shown_time(view.overlap_until_ms),
        "used": shown_time(key.used_at_ms),
    }
