"""Sends what is due in the outbox to the operator's receiver, one after the other, and writes down how each try went.

At least once: a process that dies between a send and its note leaves the alert to be sent again, under the same id. It must not delay anything else:
it runs by itself, and a receiver that is dead or slow costs it time alone. Redirects are not followed. How it fails: a try that fails is repeated
after a longer and longer pause, for about a day; then, or at once where the receiver says 410 (gone), the alert is dead.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gateway.alerts import store
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.egress.guard import EgressPolicy
from gateway.telemetry.metrics import Metrics
from gateway.webhooks.sending import TIMEOUT_S, Reply, Sender
from gateway.webhooks.signing import secret_bytes, signed_headers

log = logging.getLogger(__name__)

LOOK_S = 1.0
BATCH = 5
"""Claimed at once."""
LEASE_MS = 60_000
"""Longer than a batch may take. What a dead process had claimed is sent by the next one after that time."""
HOUR_S = 3_600
PAUSES_S = (1, 5, 30, 120, 600, 1_800, *(HOUR_S,) * 22)
"""After each failed try: 29 tries in 23 hours."""
GONE = 410


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told. The operator's own: its host and port may be reached wherever they are, and nothing else."""

    url: str
    secret: str = field(repr=False)


class Deliverer:
    """Runs until cancelled."""

    def __init__(
        self,
        database: Database[Transact, object],
        receiver: Callable[[], Receiver | None],
        egress: EgressPolicy,
        metrics: Metrics,
        clock: Clock,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._database = database
        self._receiver = receiver
        self._egress = egress
        self._told: Receiver | None = None
        """For whom the sender is: it reaches nobody else."""
        self._metrics = metrics
        self._clock = clock
        self._timeout_s = timeout_s
        self._sender: Sender | None = None

    async def run(self) -> None:
        """Send what is due, look again a second later."""
        try:
            while True:
                tried = 0
                try:
                    tried = await self.deliver_due()
                except (GatewayError, StatementFailed) as exc:  # whatever it is, the next look may succeed
                    log.warning("alerts cannot be read or written now", exc_info=exc)
                if not tried:
                    await asyncio.sleep(LOOK_S)
        finally:
            await self.close()

    async def deliver_due(self) -> int:
        """One batch; says how many were tried. Raises StorageUnavailable, Overloaded: what was claimed is sent again after its lease."""
        now_ms, receiver = self._clock.now_ms(), self._receiver()
        if receiver is None:
            return 0
        if not await self._database.read(partial(store.is_any_due, now_ms=now_ms)):
            return 0
        claimed: list[BudgetAlert] = []

        async def claim(connection: Connection, _: int) -> None:
            claimed[:] = await store.claim_due(connection, now_ms=now_ms, until_ms=now_ms + LEASE_MS, size=BATCH)

        await self._database.write(Transact(claim))
        for alert in claimed:
            await self._deliver(alert, receiver)
        return len(claimed)

    async def close(self) -> None:
        if self._sender is not None:
            await self._sender.close()
            self._sender = None

    async def _deliver(self, alert: BudgetAlert, receiver: Receiver) -> None:
        said = await self._send(alert, receiver)
        state, pause_s = AlertState.DUE, 0
        if said.accepted:
            state, outcome = AlertState.SENT, "sent"
        elif said.status == GONE or alert.tries > len(PAUSES_S):
            state, outcome = AlertState.DEAD, "dead"
        else:
            outcome, pause_s = "failed", max(PAUSES_S[alert.tries - 1], min(said.wait_s, HOUR_S))
        if state is not AlertState.SENT:
            facts = {"alert": alert.id, "answer": said.log or said.text, "tries": alert.tries, "state": state.value}
            log.warning("an alert was not delivered", extra=facts)
        next_at_ms = self._clock.now_ms() + pause_s * 1000

        async def write(connection: Connection, _: int) -> None:
            await store.mark_tried(connection, alert, state, next_at_ms=next_at_ms, answer=said.text)

        await self._database.write(Transact(write))
        self._metrics.alert(outcome)

    async def _send(self, alert: BudgetAlert, receiver: Receiver) -> Reply:
        """One try. Never raises what the receiver, or the way to it, can cause."""
        body = alert.body.encode()
        headers = signed_headers((secret_bytes(receiver.secret),), alert.id, self._clock.now_ms() // 1000, body)
        if self._sender is None or self._told != receiver:
            await self.close()
            policy = self._egress.for_upstream(receiver.url)
            self._sender = Sender(policy, self._clock, connections_max=BATCH, timeout_s=self._timeout_s)
            self._told = receiver
        return await self._sender.post(receiver.url, body, headers)
