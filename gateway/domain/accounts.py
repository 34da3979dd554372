"""Who pays: accounts org > team > key, their budgets, and the caller behind a request."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from gateway.domain import money
from gateway.domain.ids import AccountId, KeyId
from gateway.domain.images import Contract
from gateway.domain.money import Amount


class AccountKind(StrEnum):
    """ORG, TEAM and KEY form the path that a call is charged along; the others keep our own books."""

    ORG = "org"
    TEAM = "team"
    KEY = "key"
    UPSTREAM = "upstream"
    OURS = "ours"


class Unit(StrEnum):
    """What a budget counts: charged USD, charged credits, or delivered images."""

    USD = "usd"
    CREDITS = "credits"
    IMAGES = "images"

    def of(self, amount: Amount) -> int:
        """The part of an amount that this unit counts: microusd, microcredits or images."""
        if self is Unit.USD:
            return amount.microusd
        return amount.microcredits if self is Unit.CREDITS else amount.images


class Window(StrEnum):
    """The span a budget counts over: a calendar day, week (from Monday) or month in the account's time zone, or the account's whole life."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    GRANTED = "granted"
    """Of no budget: the balance row with the prepaid credits of an account, which its total may not exceed."""


BUDGET_WINDOWS = (Window.DAY, Window.WEEK, Window.MONTH, Window.TOTAL)


_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)(usd|credits|images)/(day|week|month|total)")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that an account may be charged within a window. `limit` is in microusd, microcredits or images, as the unit says."""

    limit: int
    unit: Unit
    window: Window = Window.TOTAL

    def __str__(self) -> str:
        amount = str(self.limit) if self.unit is Unit.IMAGES else money.format_micro(self.limit)
        return f"{amount}{self.unit}/{self.window}"


def parse_budget(text: str) -> Budget:
    """`500credits/month` -> Budget. Raises ValueError with what is wrong and what is allowed."""
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a budget; write AMOUNT(usd|credits|images)/(day|week|month|total), for example 20usd/day"
        )
    amount, unit, window = match[1], Unit(match[2]), Window(match[3])
    if unit is Unit.IMAGES:
        if not amount.isdigit() or int(amount) > money.AMOUNT_MAX:
            raise ValueError(f"{text!r}: images are counted in whole numbers")
        return Budget(int(amount), unit, window)
    return Budget(money.to_micro(amount), unit, window)


ANY = ("*",)
"""Every model, or every size."""
REQUESTS_PER_MINUTE_MAX = 100_000
"""1,667 a second: more than one process serves. A limit's memory is eight bytes for each request of the last minute, and its float."""
CONCURRENT_TASKS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account lets its calls do, besides its budgets. Every account of a call's path must allow it. None and `*` are no limit."""

    requests_per_minute: int | None = None
    concurrent_tasks: int | None = None
    models: tuple[str, ...] = ANY
    """Models, or aliases, by name."""
    sizes: tuple[str, ...] = ANY
    """As callers write them: `1024x1024`, `2:3`, `auto`. Pixels allow these pixels whatever word a call has for them."""
    n_max: int | None = None

    def allow_model(self, *names: str) -> bool:
        """Whether one of a model's names is allowed."""
        return "*" in self.models or any(name in self.models for name in names)


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class RateState:
    """Where an account stands within its limit of requests a minute."""

    account: AccountId
    limit: int
    remaining: int
    reset_s: float
    """Until nothing counts any more, if no further request comes."""


def kind_and_name(account: AccountId) -> tuple[AccountKind, str]:
    """`team:acme/design` -> (TEAM, "design"): how messages name an account of a call's path."""
    kind, _, name = account.partition(":")
    return AccountKind(kind), name.rpartition("/")[2]


def parse_expiry(text: str) -> int:
    """`2027-01-31` (its first moment in UTC) or `2027-01-31T18:00:00+01:00` (UTC where no offset is given) -> ms since 1970.

    Raises ValueError with what may be written.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"{text!r} is no date; write 2027-01-31, or 2027-01-31T18:00:00Z") from exc


@dataclass(frozen=True, slots=True)
class Account:
    """A payer. `path` of a key is (key, team?, org): what a hold must fit, nearest first."""

    id: AccountId
    kind: AccountKind
    name: str
    parent: AccountId | None = None
    budgets: tuple[Budget, ...] = ()
    disabled: bool = False
    limits: Limits = UNLIMITED
    zone: str = "UTC"
    """Where its calendar windows begin."""
    prepaid: bool = False
    """Whether it may spend only what was granted to it."""
    markup: Decimal | None = None
    """Of an org: in place of a model's and the config's."""
    declared: bool = False
    """Whether it stands in the config, and follows it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller behind a request, as authentication found it."""

    key_id: KeyId
    key_name: str
    path: tuple[AccountId, ...]
    """The accounts charged, nearest first: key, team (where there is one), org."""
    org: str
    team: str | None
    models: tuple[str, ...] = ("*",)
    response: Contract | None = None
    """The contract that this key's calls get when the request does not say."""
    limits: tuple[tuple[AccountId, Limits], ...] = ()
    """Those accounts of the path that limit anything, nearest first."""
    markup: Decimal | None = None
    """The org's own, in place of a model's and the config's."""
    choose_upstream: bool = False
    """Whether its calls may prefer upstreams, or exclude others."""
    cache: bool = True
    """Whether its calls may be answered with pictures that others had made, and others with its own."""

    @property
    def account(self) -> AccountId:
        return self.path[0]

    @property
    def user_group(self) -> str:
        """The task contract's `usage.user_group`: the team's name, `default` where there is none."""
        return self.team or "default"

    def may_use(self, *names: str) -> bool:
        """Whether key, team and org each allow a model that goes by these names: its own, and the alias that was asked for."""
        return ("*" in self.models or any(name in self.models for name in names)) and all(
            limits.allow_model(*names) for _, limits in self.limits
        )
