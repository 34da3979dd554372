"""Looks at every budget every few seconds: puts an alert into the outbox for each threshold that is crossed, and keeps the metrics of budgets.

A threshold is told once a window, by the database's own rule, however many processes watch. A budget is also looked at for some minutes after its
window has ended, since what was accepted in it settles in it. It must not send anything, and not count: the ledger does. How it fails: a database
that does not answer leaves the figures as they were, and the next look tells what this one could not.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.administration.budget_states import BudgetState, states_at
from gateway.administration.refused_budgets import RefusedBudget, RefusedBudgets
from gateway.alerts import store
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import AccountId, new_alert_id
from gateway.ledger import accounts as account_store
from gateway.ledger import store as ledger_store
from gateway.telemetry.labels import BudgetFigure
from gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

ROUND_S = 5.0
SHARE = 20
"""A look takes at most a twentieth of the time: with very many budgets the next one comes later."""
PAGE = 100
"""Accounts of one read: some milliseconds, on SQLite of the thread that also writes."""
RECOVERY_MS = 300_000
"""How long after its deadline a task may still settle."""
_MEASURED = ("org:", "team:")
"""Whose budgets are in the metrics; keys would be too many."""

_Told = tuple[AccountId, str, int, int]
"""Account, budget, start of the window, threshold."""


@dataclass(frozen=True, slots=True)
class _Page:
    now: tuple[BudgetState, ...]
    ended: tuple[BudgetState, ...]
    """Of windows that ended a moment ago."""
    last: AccountId | None


class BudgetWatch:
    """Runs until cancelled. Without thresholds it feeds the metrics alone."""

    def __init__(
        self,
        database: Database[Transact, object],
        metrics: Metrics,
        clock: Clock,
        refusals: RefusedBudgets,
        *,
        thresholds: Callable[[], Sequence[int]],
        deadline_s: Callable[[], float],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._refusals = refusals
        self._thresholds = thresholds
        self._deadline_s = deadline_s
        self._refused: set[RefusedBudget] = set()
        self._told: set[_Told] = set()
        """What the latest look found crossed: it is in the outbox."""

    async def run(self) -> None:
        """Look, sleep, look again."""
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self.look()
            except (GatewayError, StatementFailed) as exc:  # whatever it is, the next look may succeed
                log.warning("budgets cannot be looked at now", exc_info=exc)
            await asyncio.sleep(max(ROUND_S, SHARE * (self._clock.monotonic_s() - began_s)))

    async def look(self) -> None:
        """Once. Raises StorageUnavailable, Overloaded."""
        now_ms, grace_ms = self._clock.now_ms(), round(self._deadline_s() * 1000) + RECOVERY_MS
        self._refused |= self._refusals.take()
        seen: set[RefusedBudget] = set()
        told: set[_Told] = set()
        figures: list[BudgetFigure] = []
        after: AccountId | None = AccountId("")
        while after is not None:
            read = partial(_read_page, after=after, now_ms=now_ms, before_ms=now_ms - grace_ms)
            page = await self._database.read(read)
            figures += [state.figure() for state in page.now if state.account.startswith(_MEASURED)]
            seen.update(state.name for state in (*page.now, *page.ended))
            told |= await self._tell((*page.now, *page.ended), now_ms)
            after = page.last
        self._told = told
        self._refused &= seen
        self._metrics.budgets(figures)

    async def _tell(self, states: Sequence[BudgetState], now_ms: int) -> set[_Told]:
        """Every threshold that is crossed, once those that were not yet are in the outbox."""
        crossed: set[_Told] = set()
        new: list[BudgetAlert] = []
        thresholds = self._thresholds()
        for state in states:
            refused = state.name in self._refused
            for threshold in state.crossed(thresholds, refused=refused):
                what = (state.account, str(state.budget), state.window_start_ms, threshold)
                if what not in self._told and what not in crossed:
                    body = state.body(threshold, now_ms, refused=refused)
                    new.append(
                        BudgetAlert(new_alert_id(now_ms), *what, body, now_ms, AlertState.DUE, tries=0, next_at_ms=now_ms)
                    )  # fmt: skip
                crossed.add(what)
        if new:

            async def write(connection: Connection, _: int) -> None:
                await store.add_alerts(connection, new)

            await self._database.write(Transact(write))
        return crossed


async def _read_page(connection: Connection, *, after: AccountId, now_ms: int, before_ms: int) -> _Page:
    ids = await account_store.read_limited_ids(connection, after=after, size=PAGE)
    books = await ledger_store.read_books(connection, ids, now_ms)
    now = tuple(state for account in ids for state in states_at(books, account, now_ms))
    zones = {terms.zone for terms in books.terms.values()}
    earlier = ledger_store.starts_of(zones, (before_ms,)) - ledger_store.starts_of(zones, (now_ms,))
    ended: tuple[BudgetState, ...] = ()
    if earlier:
        await ledger_store.load_windows(connection, books, ids, earlier)
        there = {(state.account, state.budget, state.window_start_ms) for state in now}
        before = (state for account in ids for state in states_at(books, account, before_ms))
        ended = tuple(state for state in before if (state.account, state.budget, state.window_start_ms) not in there)
    return _Page(now, ended, ids[-1] if len(ids) == PAGE else None)
