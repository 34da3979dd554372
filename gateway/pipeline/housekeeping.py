"""Looks at the database now and then, for the metrics: tasks by state, doubt, the oldest hold, circuits, and the audit. Forgets calls of yesterday.

A database that does not answer leaves the figures as they were.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import upstream_account_id
from gateway.domain.repeats import KEPT_MS
from gateway.ledger import store as ledger_store
from gateway.ledger.audit import audit
from gateway.ledger.decide import used
from gateway.pipeline.commands import Command, Outcome
from gateway.repeats import store as repeat_store
from gateway.routing.health import Circuits
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.store import StateCount
from gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

ROUND_S = 5.0
AUDIT_ROUNDS = 120
"""An audit every ten minutes."""
FORGET_ROUNDS = 12
"""Once a minute."""
FORGOTTEN_AT_ONCE = 1_000
"""Rows deleted in one transaction: a few milliseconds."""
FORGET_BATCHES_MAX = 60
"""A thousand a second: more calls than one database takes."""
FORGET_MARGIN_MS = 60_000
"""Rows are found by their tasks' seconds, and judged by their own time: the clocks of processes and database may differ by so much."""


class Housekeeping:
    """Runs until cancelled."""

    def __init__(
        self,
        database: Database[Command, Outcome],
        metrics: Metrics,
        circuits: Circuits,
        clock: Clock,
        *,
        bytes_in_flight: Callable[[], int],
        offers: Callable[[], Sequence[Offer]],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._circuits = circuits
        self._clock = clock
        self._bytes_in_flight = bytes_in_flight
        self._offers = offers
        self._bytes_shown = 0
        self._differences = 0
        metrics.on_scrape(self._at_scrape)

    async def run(self) -> None:
        """Look, sleep, look again."""
        rounds = 0
        while True:
            try:
                await self._look(auditing=rounds % AUDIT_ROUNDS == 0)
            except (GatewayError, StatementFailed) as exc:  # whatever it is, the next look may succeed
                log.warning("the figures of the database are not to be had", exc_info=exc)
            if rounds % FORGET_ROUNDS == 0:
                try:
                    await self.forget_calls()
                except (GatewayError, StatementFailed) as exc:
                    log.warning("calls of yesterday cannot be forgotten now", exc_info=exc)
            rounds += 1
            await asyncio.sleep(ROUND_S)

    async def forget_calls(self) -> int:
        """Delete the rows of calls whose repeats are new calls by now; says how many. What is too much for once is left for the next time."""
        before_ms = self._clock.now_ms() - KEPT_MS - FORGET_MARGIN_MS
        total = 0
        for _ in range(FORGET_BATCHES_MAX):
            batch = 0

            async def delete(connection: Connection, _: int) -> None:
                nonlocal batch
                batch = await repeat_store.delete_old(connection, before_ms, FORGOTTEN_AT_ONCE)

            await self._database.write(Transact(delete))
            total += batch
            if batch < FORGOTTEN_AT_ONCE:
                break
        return total

    async def _look(self, *, auditing: bool) -> None:
        if auditing:
            report = await audit(self._database)
            self._differences = len(report.differences)
            for difference in report.differences:
                log.error("the ledger differs", extra={"difference": str(difference)})
        now_ms = self._clock.now_ms()
        states, in_doubt_microusd, oldest_hold_ms = await self._database.read(_figures)
        upstreams = sorted({offer.upstream for offer in self._offers()})
        self._metrics.upstream_budgets(
            await self._database.read(lambda connection: _budgets_used(connection, upstreams, now_ms))
        )
        self._metrics.tasks(
            {item.state.value: item.count for item in states},
            {item.state.value: max(0, now_ms - item.oldest_created_at_ms) / 1000 for item in states},
        )
        self._metrics.books(
            in_doubt_microusd=in_doubt_microusd,
            differences=self._differences,
            oldest_hold_age_s=0.0 if oldest_hold_ms is None else max(0, now_ms - oldest_hold_ms) / 1000,
        )

    def _at_scrape(self) -> None:
        """What is in memory is looked at when somebody asks."""
        used = self._bytes_in_flight()
        self._metrics.bytes_in_flight(used - self._bytes_shown)
        self._bytes_shown = used
        self._metrics.upstreams_closed(self._circuits.closed.all().keys())
        for offer in self._offers():
            self._metrics.circuit(
                upstream=offer.upstream, model=offer.upstream_model, is_open=self._circuits.is_open(offer.id)
            )


async def _figures(connection: Connection) -> tuple[list[StateCount], int, int | None]:
    return (
        await task_store.count_unfinished(connection),
        await attempt_store.sum_in_doubt_microusd(connection),
        await ledger_store.oldest_pending_hold_ms(connection),
    )


async def _budgets_used(connection: Connection, upstreams: Sequence[str], now_ms: int) -> dict[tuple[str, str], float]:
    """Of each upstream's own budgets, by window: what is paid, in flight and in doubt, as a part of it."""
    accounts = {upstream_account_id(name): name for name in upstreams}
    books = await ledger_store.read_books(connection, accounts, now_ms)
    found: dict[tuple[str, str], float] = {}
    for account, name in accounts.items():
        for budget in books.terms[account].budgets if account in books.terms else ():
            balance = used(books, account, budget.window, now_ms)
            spent = budget.unit.of(balance.posted) + budget.unit.of(balance.pending)
            found[name, budget.window.value] = spent / budget.limit if budget.limit else 1.0
    return found
