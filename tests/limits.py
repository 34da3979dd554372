"""A gateway's limits for tests that build their own parts: in memory, and letting through what cannot be counted."""

from gateway.domain.clock import Clock, SystemClock
from gateway.limits.concurrency import ConcurrencyLimiter, RunningTasks
from gateway.limits.outage import OnStoreFailure, Outage
from gateway.limits.rates import RateLimiter, SlidingWindows
from gateway.pipeline.limiting import Limiting
from gateway.telemetry.metrics import Metrics


class SetClock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.value_s = 1000.0

    def now_ms(self) -> int:
        return round(self.value_s * 1000)

    def monotonic_s(self) -> float:
        return self.value_s


def limiting(
    clock: Clock | None = None,
    *,
    rates: RateLimiter | None = None,
    concurrency: ConcurrencyLimiter | None = None,
    on_failure: OnStoreFailure = OnStoreFailure.ALLOW,
    metrics: Metrics | None = None,
    meanwhile: tuple[RateLimiter, ConcurrencyLimiter] | None = None,
) -> Limiting:
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    outage = Outage(clock, lambda: on_failure, metrics.limiter_failed)
    rates = SlidingWindows(clock) if rates is None else rates  # an empty one is false
    return Limiting(rates, RunningTasks() if concurrency is None else concurrency, outage, metrics, meanwhile)
