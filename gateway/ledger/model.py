"""The nouns of the ledger, after TigerBeetle's two-phase transfers: a hold is pending until it is settled or released, once."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.accounts import Budget, Window
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import NOTHING, Amount


class HoldState(StrEnum):
    """PENDING may become either of the others, once."""

    PENDING = "pending"
    SETTLED = "settled"
    RELEASED = "released"


class EntryKind(StrEnum):
    """Why a balance changed."""

    HOLD = "hold"  # pending + on key, team, org
    SETTLE = "settle"  # pending − held, posted + charged, on key, team, org
    RELEASE = "release"  # pending − held, on key, team, org
    SEND = "send"  # pending + presumed cost on an upstream: in flight
    PAID = "paid"  # pending − presumed, posted + actual cost on an upstream
    UNPAID = "unpaid"  # pending − presumed on an upstream: nothing was billed
    LOSS = "loss"  # posted on `ours`: a cost that no caller pays for
    OVERRUN = "overrun"  # posted on `ours`: what a charge exceeded its hold by
    ADJUST = "adjust"  # by an operator, with a reason


@dataclass(slots=True)
class Balance:
    """The sums of one account in one window. `posted` was charged or paid; `pending` is held, in flight or in doubt."""

    posted: Amount = NOTHING
    pending: Amount = NOTHING


@dataclass(frozen=True, slots=True)
class BalanceKey:
    """Names one balance row."""

    account: AccountId
    window: Window = Window.TOTAL
    window_start_ms: int = 0

    @property
    def order(self) -> tuple[str, str, int]:
        """Rows are locked in this order, everywhere."""
        return self.account, self.window.value, self.window_start_ms


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one task on every account of its path."""

    task_id: TaskId
    path: tuple[AccountId, ...]
    amount: Amount
    created_at_ms: int
    state: HoldState = HoldState.PENDING
    settled: Amount = NOTHING
    ended_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one account's balances; append-only. A balance is the sum of its entries."""

    account: AccountId
    kind: EntryKind
    posted: Amount
    pending: Amount
    at_ms: int
    task_id: TaskId | None = None
    attempt_id: AttemptId | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A hold was placed. `option` is the index of the amount that fitted; `remaining_microcredits` what the tightest budget has left."""

    option: int
    amount: Amount
    remaining_microcredits: int | None


@dataclass(frozen=True, slots=True)
class BudgetRefusal:
    """Not even the smallest amount fits this budget. `left` and `needed` are in the budget's unit (micro, or images)."""

    account: AccountId
    budget: Budget
    left: int
    needed: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The hold after settle or release. `first` is False when it had ended before: then nothing changed."""

    hold: Hold
    first: bool


@dataclass(frozen=True, slots=True)
class NoHold:
    """Nothing is or was held under this id."""

    task_id: TaskId


@dataclass(slots=True)
class Books:
    """The rows that one batch may look at and change: loaded under lock, decided on in Python, written once.

    `budgets` and `disabled` come from the accounts as they stand while the balance rows are locked, so a lowered limit is seen by the next hold.
    """

    balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    budgets: dict[AccountId, tuple[Budget, ...]] = field(default_factory=dict)
    holds: dict[TaskId, Hold] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    placed: list[TaskId] = field(default_factory=list)
    ended: list[TaskId] = field(default_factory=list)
    touched: set[AccountId] = field(default_factory=set)
    """Whose balances changed."""
    totals: dict[AccountId, Balance] = field(default_factory=dict)
    """The balances that were asked for, by account alone: the very objects of `balances`, found without hashing a key."""


def remaining_of(budget: Budget, balance: Balance) -> int:
    """What a budget has left, in its unit; never below zero although a lowered limit may lie under what is used."""
    return max(0, budget.limit - budget.unit.of(balance.posted) - budget.unit.of(balance.pending))
