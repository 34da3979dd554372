"""What making pictures needs of the process: built once by the root, handed to acceptance, runner and every walk. Owns nothing of it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.db.writer import Database
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.tasks import Attempt, AttemptState, Fault
from gateway.ledger.model import BudgetRefusal
from gateway.limits.slots import Slot, Slots, SlotTimeout
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.inputs import TaskInputs
from gateway.pipeline.results import Results
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.base import Adapter

log = logging.getLogger(__name__)

SLOT_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Tools:
    """All of it."""

    database: Database[Command, Outcome]
    adapters: Mapping[str, Adapter]
    slots: Slots
    circuits: Circuits
    results: Results
    metrics: Metrics
    clock: Clock
    tell_refusal: Callable[[BudgetRefusal], None]
    """Hears of everything that a budget refuses, of callers and of upstreams; it must not raise, nor wait."""
    inputs: TaskInputs | None = None
    """The caller's pictures; None where no call has any."""

    async def slot_for_resume(self, offer: Offer, until_s: float) -> Slot:
        """A slot for what is paid for already: waited for however long the queue is."""
        while True:
            try:
                return await self.slots.acquire(offer.upstream, until_s)
            except SlotTimeout:
                await asyncio.sleep(SLOT_PAUSE_S)

    def count(self, attempt: Attempt, model: str) -> None:
        """An attempt that ended; a failure is logged."""
        fault = attempt.fault.value if attempt.fault else None
        self.metrics.attempt_ended(upstream=attempt.upstream, model=model, fault=fault)
        if attempt.ended_at_ms is not None:  # by its row's times: a try may outlive the process that began it
            took_s = max(0, attempt.ended_at_ms - attempt.sent_at_ms) / 1000
            self.metrics.attempt_took(upstream=attempt.upstream, outcome=attempt.state.value, duration_s=took_s)
        if attempt.cost_microusd:
            self.metrics.upstream_paid(upstream=attempt.upstream, model=model, microusd=attempt.cost_microusd)
        if attempt.state is not AttemptState.SUCCEEDED:
            log.warning(
                "an attempt failed",
                extra={
                    "task": attempt.task_id, "attempt": attempt.id, "offer": attempt.offer_id, "fault": fault,
                    "billed": attempt.billed.value if attempt.billed else None, "upstream_message": attempt.message,
                },
            )  # fmt: skip

    def refused(self, offer: Offer, refusal: BudgetRefusal) -> None:
        """The upstream's own budget had no room: remembered, and a half-open circuit's probe is for others."""
        self.tell_refusal(refusal)
        self.circuits.closed.refused(offer.upstream, refusal.budget, refusal.needed, refusal.resets_at_ms)
        self.circuits.failed(offer.id, Fault.CANCELLED)
