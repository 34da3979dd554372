"""The nouns of the ledger, after TigerBeetle's two-phase transfers: a hold is pending until it is settled or released, once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.db.connection import Connection
from gateway.domain.accounts import Budget, Window
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.money import NOTHING, Amount
from gateway.domain.tasks import AttemptState
from gateway.domain.windows import WindowStarts


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
    GRANT = "grant"  # posted + prepaid credits, on the granted row
    ADJUST = "adjust"  # posted ± prepaid credits, on the granted row: a correction, with its reason


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
    windows: tuple[WindowStarts, ...] = ()
    """The windows of each account of the path in which it was placed: there it is settled, whenever it ends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one account's balances, in its total and in every window of `windows` at once; append-only. A balance is the sum of its entries.

    Grants and adjustments change the granted row alone.
    """

    account: AccountId
    kind: EntryKind
    posted: Amount
    pending: Amount
    at_ms: int
    windows: WindowStarts
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
    """Not even the smallest amount fits this budget. `left` and `needed` are in the budget's unit (micro, or images).

    `resets_at_ms` is when its window ends; None where it never does. Prepaid credits refuse as a budget of the window `granted`;
    an upstream's own budget refuses to send. `zone` is the account's, in which its windows begin.
    """

    account: AccountId
    budget: Budget
    left: int
    needed: int
    resets_at_ms: int | None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Tightest:
    """The budget, or the prepaid credits, of a path that have the least left; `left` is in the budget's unit."""

    account: AccountId
    budget: Budget
    left: int
    left_microcredits: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The hold after settle or release. `first` is False when it had ended before: then nothing changed."""

    hold: Hold
    first: bool


@dataclass(frozen=True, slots=True)
class NoHold:
    """Nothing is or was held under this id."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Grant:
    """A command: prepaid credits for an account, or some taken back where negative. The first makes it prepaid: from then on it spends only these."""

    account: AccountId
    microcredits: int
    note: str
    """Why; kept with the entry."""
    also: "Callable[[Connection, int], Awaitable[None]] | None" = None
    """Written with it, unless it is refused; the number is the transaction's time in ms."""


@dataclass(frozen=True, slots=True)
class Granted:
    """`left_microcredits` is what can still be held. `refused`: nothing changed, since less than nothing would be granted."""

    left_microcredits: int
    first: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class DoubtfulTask:
    """What usage says of a late bill: whose task it was, of which model, for which caller, accepted when. None of it ever changes."""

    account: AccountId
    model: str
    caller: str
    accepted_at_ms: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """A command: what an operator found out about an attempt in doubt. `upstream` is the attempt's, which is locked before it is looked at."""

    attempt_id: AttemptId
    upstream: AccountId
    paid: bool
    cost_microusd: int | None = None
    """What the upstream took, where it is known better than the presumed cost."""
    note: str = ""
    """Why; kept with the entry."""
    also: "Callable[[Connection, int], Awaitable[None]] | None" = None
    """As in Grant; written only where the attempt is in doubt."""
    of: DoubtfulTask | None = None
    """For the usage of its day; None: no usage is kept of it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Booked: paid (with this cost, which is our loss), or unpaid."""

    cost_microusd: int


@dataclass(frozen=True, slots=True)
class NotInDoubt:
    """Nothing changed: there is no such attempt (None), or its outcome is known."""

    state: AttemptState | None
    cost_microusd: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be spent on an account, and where its windows begin."""

    budgets: tuple[Budget, ...] = ()
    zone: str = "UTC"
    prepaid: bool = False


NO_TERMS = Terms()


@dataclass(slots=True)
class Books:
    """The rows that one batch may look at and change: loaded under lock, decided on in Python, written once.

    `terms` come from the accounts as they stand while the balances are locked, so a lowered limit is seen by the next hold. An account's total row
    is the lock of all its rows.
    """

    balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    terms: dict[AccountId, Terms] = field(default_factory=dict)
    holds: dict[TaskId, Hold] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    placed: list[TaskId] = field(default_factory=list)
    raised: list[TaskId] = field(default_factory=list)
    ended: list[TaskId] = field(default_factory=list)
    touched: set[AccountId] = field(default_factory=set)
    """Whose balances changed."""
    totals: dict[AccountId, Balance] = field(default_factory=dict)
    """The balances that were asked for, by account alone: the very objects of `balances`, found without hashing a key."""
    moved: dict[AccountId, dict[WindowStarts, Balance]] = field(default_factory=dict)
    """What this batch adds to calendar windows, in parts that may be negative; their rows in `balances` stay as they were loaded."""


def remaining_of(budget: Budget, balance: Balance) -> int:
    """What a budget has left, in its unit; never below zero although a lowered limit may lie under what is used."""
    return max(0, budget.limit - budget.unit.of(balance.posted) - budget.unit.of(balance.pending))
