"""Upstreams as operators see them: on or off, how they work, what they were paid, and what their own budgets have left.

What only a running gateway knows (circuits, calls in flight) is handed in by the root, and is absent where none runs. Our own books: an
administrator of one org sees nothing of them. How it fails: SubjectNotFound, AdministrationError, StorageUnavailable.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import Budget, Window
from gateway.domain.administrators import Administrator
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.errors import SubjectNotFound
from gateway.domain.ids import upstream_account_id
from gateway.domain.windows import ends_at_ms, starts_at
from gateway.ledger import decide
from gateway.ledger.model import NO_TERMS, Books, Grant, remaining_of
from gateway.ledger.store import read_books
from gateway.tasks import attempt_store


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What the catalogue says that an offer costs us for one of our models, where that stands, and the day on which it was read there."""

    model: str
    offer: Offer
    source: str | None = None
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class ConfiguredUpstream:
    """As the config has it. `off_because` is None for one that is used; `offers` are the ids of what is sold of it."""

    name: str
    kind: str
    off_because: str | None = None
    offers: tuple[str, ...] = ()
    prices: tuple[ListedPrice, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A circuit that is open: why, and until when. `alert`: an operator must act."""

    why: str
    reopens_in_s: float
    alert: bool


@dataclass(frozen=True, slots=True)
class LiveUpstream:
    """What a running gateway knows. `left_alone` by offer id; an offer that is missing there works."""

    calls_in_flight: int
    left_alone: Mapping[str, LeftAlone]


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """`closed_until_ms` of a budget with nothing left: when its window ends, None where it never does, or while it is not closed."""

    budget: Budget
    used: int
    left: int
    closed_until_ms: int | None

    @property
    def is_closed(self) -> bool:
        return self.left == 0


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """Amounts in microusd. `live` is None where no gateway runs beside."""

    configured: ConfiguredUpstream
    in_flight_microusd: int
    in_doubt_microusd: int
    paid_this_month_microusd: int
    in_doubt_this_month_microusd: int
    budgets: tuple[BudgetLeft, ...]
    live: LiveUpstream | None


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test of an upstream found. `text` says what was checked, or what failed."""

    upstream: str
    kind: str
    passed: bool
    text: str


Live = Callable[[], Mapping[str, LiveUpstream]]


class Upstreams:
    """The upstreams of one gateway. `configured` and `test` come from the root, `live` as soon as a gateway serves."""

    def __init__(
        self,
        database: Database[Transact | Grant, object],
        clock: Clock,
        configured: Callable[[], Sequence[ConfiguredUpstream]],
        test: Callable[[str], Awaitable[Tested]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._configured = configured
        self._test = test
        self.live: Live | None = None

    async def all(self, by: Administrator) -> list[UpstreamState]:
        """In the config's order. Raises StorageUnavailable."""
        if not by.sees(None):
            return []
        found, now_ms = self._configured(), self._clock.now_ms()
        accounts = [upstream_account_id(upstream.name) for upstream in found]
        month_ms = starts_at(now_ms, "UTC").month_ms

        async def read(connection: Connection) -> tuple[Books, dict[str, int], dict[str, int]]:
            return (
                await read_books(connection, accounts, now_ms),
                await attempt_store.sum_in_doubt_by_upstream(connection),
                await attempt_store.sum_in_doubt_by_upstream(connection, month_ms),
            )

        books, in_doubt, in_doubt_this_month = await self._database.read(read)
        live = self.live() if self.live is not None else {}
        return [
            _state(
                upstream,
                books,
                now_ms,
                in_doubt.get(upstream.name, 0),
                in_doubt_this_month.get(upstream.name, 0),
                live.get(upstream.name),
            )
            for upstream in found
        ]

    async def test(self, name: str, by: Administrator) -> Tested:
        """One free call, or none. Raises SubjectNotFound; AdministrationError for one that is off."""
        found = {upstream.name: upstream for upstream in self._configured()} if by.sees(None) else {}
        if name not in found:
            raise SubjectNotFound("There is no such upstream.")
        off = found[name].off_because
        if off is not None:
            return Tested(name, found[name].kind, False, f"it is off: {off}")
        return await self._test(name)


def _state(
    upstream: ConfiguredUpstream,
    books: Books,
    now_ms: int,
    in_doubt: int,
    in_doubt_this_month: int,
    live: LiveUpstream | None,
) -> UpstreamState:
    account = upstream_account_id(upstream.name)
    total = decide.used(books, account, Window.TOTAL, now_ms)
    return UpstreamState(
        upstream,
        in_flight_microusd=max(0, total.pending.microusd - in_doubt),  # two questions to the database: a moment apart
        in_doubt_microusd=in_doubt,
        paid_this_month_microusd=decide.used(books, account, Window.MONTH, now_ms).posted.microusd,
        in_doubt_this_month_microusd=in_doubt_this_month,
        budgets=tuple(
            _left(books, budget, upstream.name, now_ms) for budget in books.terms.get(account, NO_TERMS).budgets
        ),
        live=live,
    )


def _left(books: Books, budget: Budget, name: str, now_ms: int) -> BudgetLeft:
    account = upstream_account_id(name)
    balance = decide.used(books, account, budget.window, now_ms)
    used, left = budget.unit.of(balance.posted) + budget.unit.of(balance.pending), remaining_of(budget, balance)
    zone = books.terms[account].zone
    return BudgetLeft(budget, used, left, ends_at_ms(budget.window, now_ms, zone) if left == 0 else None)
