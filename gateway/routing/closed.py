"""Upstreams whose own budget had no room for a send, remembered in this process's memory: their offers are left out without asking the books.

The books decide, under their lock; this only spares them the same question. What needs as much as was refused is left out for RELOOK_S, or until the
budget's window ends if that is sooner; then the next call asks again, so a raised budget is noticed. Losing this memory costs a few refused sends.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.accounts import Budget
from gateway.domain.clock import Clock

log = logging.getLogger(__name__)

RELOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class ClosedUpstream:
    """`needed_microusd`: the smallest send that was refused. `resets_at_ms`: when the budget's window ends; None where it never does."""

    budget: Budget
    needed_microusd: int
    resets_at_ms: int | None
    until_s: float
    """Monotonic: when the books are asked again."""


class ClosedUpstreams:
    """All upstreams that are closed to some sends now. Not thread-safe: used from the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed: dict[str, ClosedUpstream] = {}

    def refused(self, upstream: str, budget: Budget, needed_microusd: int, resets_at_ms: int | None) -> None:
        """The books had no room for a send of so much."""
        known, now_s = self._closed_now(upstream), self._clock.monotonic_s()
        if known is not None and known.needed_microusd <= needed_microusd:
            return  # asked before it was known; a later end would put the next look off
        until_s = now_s + RELOOK_S
        if resets_at_ms is not None:
            until_s = min(until_s, now_s + max(0, resets_at_ms - self._clock.now_ms()) / 1000)
        self._closed[upstream] = ClosedUpstream(budget, needed_microusd, resets_at_ms, until_s)
        if known is None:
            log.warning(
                "an upstream's own budget is used up: its offers are left out",
                extra={"upstream": upstream, "budget": str(budget), "resets_at_ms": resets_at_ms},
            )

    def is_closed(self, upstream: str, needed_microusd: int) -> bool:
        """Whether so much would be refused, as far as is known."""
        known = self._closed_now(upstream)
        return known is not None and needed_microusd >= known.needed_microusd

    def all(self) -> Mapping[str, ClosedUpstream]:
        """By the upstream's name."""
        found = {name: self._closed_now(name) for name in sorted(self._closed)}
        return {name: known for name, known in found.items() if known is not None}

    def _closed_now(self, upstream: str) -> ClosedUpstream | None:
        known = self._closed.get(upstream)
        if known is None or self._clock.monotonic_s() < known.until_s:
            return known
        del self._closed[upstream]
        return None
