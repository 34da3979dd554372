"""What a key may do, as one value: made with the key, changed as a whole, and checked here against what this gateway serves.

How it fails: AdministrationError that names the field and what may be written.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from gateway.administration.store import Detail
from gateway.domain.accounts import (
    ANY,
    CONCURRENT_TASKS_MAX,
    REQUESTS_PER_MINUTE_MAX,
    Account,
    Budget,
    Limits,
)
from gateway.domain.errors import AdministrationError
from gateway.domain.images import Contract, parse_pixels, parse_ratio
from gateway.domain.keys import StoredKey

BUDGETS_MAX = 20
NAMES_MAX = 100
"""Models, or sizes, of one key."""
N_MAX = 100


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """Budgets and limits of a key's account, and what stands on the key itself. None and `*` are no limit."""

    budgets: tuple[Budget, ...] = ()
    models: tuple[str, ...] = ANY
    sizes: tuple[str, ...] = ANY
    n_max: int | None = None
    rpm: int | None = None
    concurrency: int | None = None
    response: Contract | None = None
    expires_at_ms: int | None = None
    choose_upstream: bool = False
    cache: bool = True

    @property
    def limits(self) -> Limits:
        """Of the account; the key's models stand on the key."""
        return Limits(self.rpm, self.concurrency, sizes=self.sizes, n_max=self.n_max)

    def details(self) -> dict[str, Detail]:
        """For the audit log: what is not as it is by default."""
        wanted: dict[str, Detail] = {
            "budgets": [str(budget) for budget in self.budgets] or None,
            "models": None if self.models == ANY else list(self.models),
            "sizes": None if self.sizes == ANY else list(self.sizes),
            "n_max": self.n_max,
            "rpm": self.rpm,
            "concurrency": self.concurrency,
            "response": self.response and self.response.value,
            "expires_at_ms": self.expires_at_ms,
            "choose_upstream": self.choose_upstream or None,
            "cache": None if self.cache else False,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def terms_of(key: StoredKey, account: Account) -> KeyTerms:
    limits = account.limits
    return KeyTerms(
        account.budgets, key.models, limits.sizes, limits.n_max, limits.requests_per_minute, limits.concurrent_tasks, key.response,
        key.expires_at_ms, key.choose_upstream, key.cache,
    )  # fmt: skip


def with_terms(key: StoredKey, account: Account, terms: KeyTerms) -> tuple[StoredKey, Account]:
    """What else stands on the two stays: an account's own list of models, its zone, whether it is prepaid."""
    limits = replace(terms.limits, models=account.limits.models)
    return (
        replace(
            key,
            models=terms.models,
            response=terms.response,
            expires_at_ms=terms.expires_at_ms,
            choose_upstream=terms.choose_upstream,
            cache=terms.cache,
        ),
        replace(account, budgets=terms.budgets, limits=limits),
    )


def check_terms(terms: KeyTerms, known_models: Collection[str]) -> None:
    """Raises AdministrationError."""
    for field, given, most in (
        ("budgets", terms.budgets, BUDGETS_MAX),
        ("models", terms.models, NAMES_MAX),
        ("sizes", terms.sizes, NAMES_MAX),
    ):
        if len(given) > most:
            raise AdministrationError(f"{field}: at most {most} of them, not {len(given)}", param=field)
    for name in terms.models:
        if name != "*" and name not in known_models:
            known = ", ".join(sorted(known_models))
            raise AdministrationError(f"there is no model {name!r}; there are: {known}", param="models")
    for size in terms.sizes:
        if size not in ("*", "auto") and parse_pixels(size) is None and parse_ratio(size) is None:
            raise AdministrationError(f"sizes: {size!r} is no size; write auto, 1024x1024 or 2:3", param="sizes")
    for field, number, most in (
        ("n_max", terms.n_max, N_MAX),
        ("rpm", terms.rpm, REQUESTS_PER_MINUTE_MAX),
        ("concurrency", terms.concurrency, CONCURRENT_TASKS_MAX),
    ):
        if number is not None and not 1 <= number <= most:
            raise AdministrationError(f"{field}: {str(number)!r} is not a whole number from 1 to {most}", param=field)
