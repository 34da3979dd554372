"""What follows an attempt's failure, by its offer and its upstream as they are now. Pure but for the look at what is configured."""

from gateway.domain.catalog import OnUnknown, Recovery
from gateway.domain.tasks import Attempt, Billed, Fault
from gateway.pipeline.frozen import FrozenPlan
from gateway.pipeline.tools import Tools
from gateway.routing.retry import Step, next_step


def step_after(
    tools: Tools,
    plan: FrozenPlan,
    attempt: Attempt,
    fault: Fault | None,
    billed: Billed | None,
    *,
    resends: int,
    has_job: bool = False,
) -> Step:
    """`resends` and `has_job` as in `next_step`. Of an upstream that was taken out nothing can be found again."""
    offer, adapter = plan.offer(attempt.offer_id), tools.adapters.get(attempt.upstream)
    recovery, on_unknown = Recovery.NONE, None
    if adapter is not None and offer is not None:
        recovery = adapter.capabilities(offer.upstream_model).recovery
        on_unknown = offer.on_unknown or adapter.settings.on_unknown
    return next_step(
        fault or Fault.NO_ANSWER,
        billed or Billed.UNKNOWN,
        recovery=recovery,
        on_unknown=on_unknown or OnUnknown.STOP,
        resends=resends,
        has_job=has_job,
    )
