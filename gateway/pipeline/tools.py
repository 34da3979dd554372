"""What making pictures needs of the process: built once by the root, handed to acceptance, runner and every walk. Owns nothing of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.db.writer import Database
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.tasks import Fault
from gateway.ledger.model import BudgetRefusal
from gateway.limits.slots import Slots
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.inputs import TaskInputs
from gateway.pipeline.results import Results
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.base import Adapter


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

    def refused(self, offer: Offer, refusal: BudgetRefusal) -> None:
        """The upstream's own budget had no room: remembered, and a half-open circuit's probe is for others."""
        self.tell_refusal(refusal)
        self.circuits.closed.refused(offer.upstream, refusal.budget, refusal.needed, refusal.resets_at_ms)
        self.circuits.failed(offer.id, Fault.CANCELLED)
