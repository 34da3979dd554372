"""What may be wished of an account's terms, by command or API, and what an account is after it. Pure.

How it fails: AdministrationError with the field at fault, and what may be written.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from gateway.administration.store import Detail
from gateway.domain.accounts import (
    ANY,
    CONCURRENT_TASKS_MAX,
    REQUESTS_PER_MINUTE_MAX,
    Account,
    AccountKind,
    Budget,
    Limits,
)
from gateway.domain.errors import AdministrationError
from gateway.domain.images import parse_pixels, parse_ratio
from gateway.domain.windows import zone as zone_of

MARKUP_MAX = 1_000_000
MARKUP_CHARS_MAX = 40
BUDGETS_MAX = 50
"""Budgets of one account: every call looks at each."""
LIST_MAX = 1_000
"""Models, or sizes, of one account."""


class Kept(Enum):
    """Where None means that there is to be none, this means that nothing is said about it."""

    KEPT = "kept"


KEPT = Kept.KEPT


@dataclass(frozen=True, slots=True)
class Wish:
    """Terms as they should be. What is KEPT, or None where None is not a term's value, stays as it is."""

    budgets: tuple[Budget, ...] | None = None
    """All of them at once."""
    zone: str | None = None
    markup: Decimal | Kept | None = KEPT
    rpm: int | Kept | None = KEPT
    concurrency: int | Kept | None = KEPT
    models: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    n_max: int | Kept | None = KEPT
    disabled: bool | None = None
    prepaid: bool | None = None

    @property
    def is_of_terms(self) -> bool:
        """Whether it says anything about what a config declares; being prepaid is not declared."""
        return replace(self, prepaid=None) != Wish()

    def check(self, known_models: Collection[str]) -> None:
        """Raises AdministrationError."""
        if self.budgets is not None and len(self.budgets) > BUDGETS_MAX:
            raise AdministrationError(f"budgets: an account may have {BUDGETS_MAX}", param="budgets")
        if self.zone is not None:
            _check_zone(self.zone)
        if isinstance(self.markup, Decimal) and not (
            self.markup.is_finite()
            and 0 < self.markup <= MARKUP_MAX
            # First by its exponent: written out, 1E-2000000000 has as many characters.
            and self.markup.adjusted() > -MARKUP_CHARS_MAX
            and len(f"{self.markup:f}") <= MARKUP_CHARS_MAX
        ):
            raise AdministrationError(
                f"markup {self.markup}: write a factor above 0, up to {MARKUP_MAX}, such as 1.2", param="markup"
            )
        for name, value, most in (
            ("rpm", self.rpm, REQUESTS_PER_MINUTE_MAX),
            ("concurrency", self.concurrency, CONCURRENT_TASKS_MAX),
            ("n_max", self.n_max, 100),
        ):
            if isinstance(value, int) and not 1 <= value <= most:
                raise AdministrationError(f"{name}: {value} is not a whole number from 1 to {most}", param=name)
        _check_list("models", self.models)
        _check_list("sizes", self.sizes)
        for model in self.models or ():
            if model != "*" and model not in known_models:
                raise AdministrationError(
                    f"there is no model {model!r}; there are: {', '.join(sorted(known_models))}", param="models"
                )
        for size in self.sizes or ():
            if size not in ("*", "auto") and parse_pixels(size) is None and parse_ratio(size) is None:
                raise AdministrationError(
                    f"sizes: {size!r} is no size; write auto, 1024x1024 or 2:3", param="sizes"
                )  # fmt: skip

    def granted_to(self, account: Account) -> Account:
        """The account afterwards. Raises AdministrationError for what an account of its kind does not have."""
        if self.markup is not KEPT and self.markup is not None and account.kind is not AccountKind.ORG:
            raise AdministrationError(f"markup: {account.id} is no org, and only orgs have one", param="markup")
        if self.disabled and account.kind is AccountKind.KEY:
            raise AdministrationError(
                "disabled: a key is refused with `gateway keys revoke`, or POST /admin/v1/keys/{key_id}/revoke", param="disabled"
            )  # fmt: skip
        if self.prepaid and not account.prepaid:
            raise AdministrationError(
                f"{account.id} becomes prepaid with its first grant: gateway accounts grant {account.id} 500credits",
                param="prepaid",
            )
        limits = account.limits
        return replace(
            account,
            budgets=account.budgets if self.budgets is None else self.budgets,
            zone=self.zone or account.zone,
            markup=account.markup if self.markup is KEPT else self.markup,
            disabled=account.disabled if self.disabled is None else self.disabled,
            prepaid=account.prepaid if self.prepaid is None else self.prepaid,
            limits=Limits(
                limits.requests_per_minute if self.rpm is KEPT else self.rpm,
                limits.concurrent_tasks if self.concurrency is KEPT else self.concurrency,
                self.models or limits.models,
                self.sizes or limits.sizes,
                limits.n_max if self.n_max is KEPT else self.n_max,
            ),
        )


def terms_of(account: Account) -> dict[str, Detail]:
    """What may be changed of an account, as the audit log shows it."""
    limits = account.limits
    return {
        "budgets": [str(budget) for budget in account.budgets],
        "timezone": account.zone,
        "markup": None if account.markup is None else f"{account.markup:f}",
        "rpm": limits.requests_per_minute,
        "concurrency": limits.concurrent_tasks,
        "models": [*limits.models],
        "sizes": [*limits.sizes],
        "n_max": limits.n_max,
        "prepaid": account.prepaid,
        "disabled": account.disabled,
        "declared": account.declared,
    }


_UNSAID: Mapping[str, object] = {
    "budgets": [], "timezone": "UTC", "models": [*ANY], "sizes": [*ANY], "prepaid": False, "disabled": False, "declared": False,
    "markup": None, "rpm": None, "concurrency": None, "n_max": None,
}  # fmt: skip


def changes(before: Account | None, after: Account) -> dict[str, Detail]:
    """The terms that differ, as they are afterwards; of a new account those that are not what everybody has."""
    old = _UNSAID if before is None else terms_of(before)
    return {name: value for name, value in terms_of(after).items() if value != old[name]}


def action(before: Account | None, after: Account) -> str:
    """What the audit log calls it."""
    if before is None:
        return "account.create"
    if before.disabled != after.disabled:
        return "account.disable" if after.disabled else "account.enable"
    return "account.change"


def _check_zone(name: str) -> None:
    try:
        zone_of(name)
    except ValueError as exc:
        raise AdministrationError(f"timezone {exc}", param="timezone") from exc


def _check_list(name: str, values: tuple[str, ...] | None) -> None:
    if values is not None and not 0 < len(values) <= LIST_MAX:
        raise AdministrationError(f"{name}: write 1 to {LIST_MAX}, or * for all", param=name)
