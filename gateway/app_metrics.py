"""Figures that somebody keeps anyway, brought to the metrics: asked for at each scrape, or told by whoever knows them."""

from collections.abc import Callable, Iterable

from gateway import __version__
from gateway.app_office import Office
from gateway.blobs.measured import MeasuredBlobStore
from gateway.domain.accounts import kind_and_name
from gateway.domain.catalog import Catalog, Offer
from gateway.domain.clock import Clock
from gateway.ledger.model import BudgetRefusal
from gateway.limits.slots import Slots
from gateway.pipeline.housekeeping import Housekeeping
from gateway.pipeline.runner import Runner
from gateway.routing.health import Circuits
from gateway.telemetry.metrics import Metrics


def measure(
    office: Office, blobs: MeasuredBlobStore, runner: Runner, slots: Slots, upstreams: Iterable[str], metrics: Metrics
) -> None:
    """From now on, for as long as the process runs."""
    machine, database, current, names = metrics.machine, office.database, office.current, tuple(upstreams)
    known: Catalog | None = None
    database.pulse.watcher, blobs.watcher = machine, machine.blob
    machine.build(__version__)

    def at_scrape() -> None:
        nonlocal known
        if known is not current.config.catalog:
            known = current.config.catalog
            for model in known.models.values():
                for offer in model.offers:
                    metrics.offer_known(upstream=offer.upstream, model=model.name)
        machine.in_hand(runner.working)
        machine.config(is_latest=current.is_latest, credits_per_usd=float(current.config.credits_per_usd))
        pulse = database.pulse
        machine.database(is_up=database.failure() is None, queued=pulse.queued(), connections=pulse.connections())
        for name in names:
            machine.places(name, most=slots.most(name), taken=slots.taken(name), waiting=slots.waiting(name))

    metrics.on_scrape(at_scrape)


def counted(tell: Callable[[BudgetRefusal], None], metrics: Metrics) -> Callable[[BudgetRefusal], None]:
    """The same, and the metrics hear of it as well."""

    def note(refusal: BudgetRefusal) -> None:
        kind, _ = kind_and_name(refusal.account)
        metrics.budget_refused(kind.value, refusal.budget.window.value)
        tell(refusal)

    return note


def housekeeping(
    office: Office, metrics: Metrics, circuits: Circuits, clock: Clock, bytes_in_flight: Callable[[], int]
) -> Housekeeping:
    """The one of a process."""

    def offers() -> list[Offer]:
        return [offer for model in office.current.config.catalog.models.values() for offer in model.offers]

    return Housekeeping(office.database, metrics, circuits, clock, bytes_in_flight=bytes_in_flight, offers=offers)
