"""Deletes what has had its time, in small bites with room for others between them, and tells how far behind it is.

On PostgreSQL one process at a time deletes: it holds a lease, which another takes when it falls silent. Every process measures, so that any of them
tells a lag that nobody works off. How it fails: what cannot be deleted now is logged and tried again in the next round, and the lag grows; one kind
does not hold up the others.
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.blobs.store import BlobStoreUnavailable
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Transact
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.retention import store
from gateway.retention.kinds import Books, Kind
from gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

ROUND_S = 10.0
PAUSE_S = 0.01
"""Between two bites: what waits for the writer goes first, and the disk has a moment."""
BITES_MAX = 500
"""Of one kind in one round; so many are 50,000 tasks. A round that does more looks for the others first."""
LEASE = "retention"
LEASE_MS = 60_000
RENEW_S = 10.0
"""A bite takes far less than what is left of a lease then."""


class Sweeper:
    """Runs until cancelled. `owner` names this process."""

    def __init__(self, kinds: Sequence[Kind], database: Books, metrics: Metrics, clock: Clock, *, owner: str) -> None:
        self._kinds = kinds
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._renew_at_s = float("-inf")
        self._due_since_ms: dict[str, int | None] = {kind.name: None for kind in kinds}
        metrics.on_scrape(self._at_scrape)

    async def run(self) -> None:
        """Sweep, sleep, sweep again."""
        while True:
            await self.sweep()
            await asyncio.sleep(ROUND_S)

    async def sweep(self) -> int:
        """One round: delete all that is due, as far as it can be done now; says how many things. Measured before and after."""
        deleted = 0
        for kind in self._kinds:
            try:
                if await self._measure(kind) is None:
                    continue
                deleted += await self._delete(kind)
                await self._measure(kind)
            except (GatewayError, StatementFailed, BlobStoreUnavailable) as exc:
                log.warning("what has had its time cannot be deleted now", extra={"kind": kind.name}, exc_info=exc)
        return deleted

    async def _delete(self, kind: Kind) -> int:
        now_ms, total = self._clock.now_ms(), 0
        for _ in range(BITES_MAX):
            if not await self._has_lease():
                break
            bite = await kind.bite(now_ms)
            if not bite:
                break
            total += bite
            self._metrics.retention_deleted(kind.name, bite)
            await asyncio.sleep(PAUSE_S)
        return total

    async def _measure(self, kind: Kind) -> int | None:
        """Since when the oldest has been due."""
        found = self._due_since_ms[kind.name] = await kind.oldest_ms(self._clock.now_ms())
        return found

    async def _has_lease(self) -> bool:
        """Taken, renewed, or renewed a moment ago."""
        now_s, mine = self._clock.monotonic_s(), False
        if now_s < self._renew_at_s:
            return True

        async def take(connection: Connection, now_ms: int) -> None:
            nonlocal mine
            until_ms = now_ms + LEASE_MS
            mine = await store.take_lease(connection, LEASE, self._owner, now_ms=now_ms, until_ms=until_ms)

        await self._database.write(Transact(take))
        self._renew_at_s = now_s + RENEW_S if mine else float("-inf")
        return mine

    def _at_scrape(self) -> None:
        """By the clock of now: a lag grows while nobody works it off, and while nothing can be measured."""
        now_ms = self._clock.now_ms()
        for name, since_ms in self._due_since_ms.items():
            self._metrics.retention_lag(name, 0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000)
