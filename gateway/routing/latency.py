"""How long pictures took lately, by offer, in this process's memory: what decides between offers of the same price.

An average that forgets: each new call weighs a fifth. Only calls that brought pictures count; how an offer fails is its circuit's business. What
nobody used for KEPT_S is unknown again, and an unknown offer is tried before a known one, so that a slow hour is not held against it for ever; one
that has only failed lately is tried last. Losing this memory costs a few slower pictures.
"""

import math
from dataclasses import dataclass

from gateway.domain.clock import Clock

WEIGHT = 0.2
KEPT_S = 600.0
OFFERS_MAX = 1_000
"""The offers used longest ago are forgotten first."""
STEPS_PER_DOUBLING = 2
"""Offers whose averages differ by less than a step, about 40 %, count as equally fast: else the order would change with every call."""

LAST_STEP = 1_000
"""No average comes near: it would be 2**500 ms."""


@dataclass(slots=True)
class _Seen:
    average_s: float
    at_s: float


class Latencies:
    """Of all offers. Not thread-safe: used from the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def took(self, offer_id: str, seconds: float) -> None:
        """A call brought its pictures after so long."""
        now_s = self._clock.monotonic_s()
        seen = self._seen.pop(offer_id, None)  # to the end of the dictionary: its beginning was used longest ago
        if seen is None or now_s - seen.at_s > KEPT_S or seen.average_s == math.inf:
            seen = _Seen(seconds, now_s)
        else:
            seen.average_s += WEIGHT * (seconds - seen.average_s)
            seen.at_s = now_s
        self._keep(offer_id, seen)

    def missed(self, offer_id: str) -> None:
        """A call brought nothing. Says nothing of an offer that brought pictures lately."""
        if self.step(offer_id) in (0, LAST_STEP):
            self._seen.pop(offer_id, None)
            self._keep(offer_id, _Seen(math.inf, self._clock.monotonic_s()))

    def step(self, offer_id: str) -> int:
        """For ordering: the smaller the sooner; 0 for what is not known, from 1 on for what is, LAST_STEP for what has only failed."""
        seen = self._seen.get(offer_id)
        if seen is None or self._clock.monotonic_s() - seen.at_s > KEPT_S:
            return 0
        if seen.average_s == math.inf:
            return LAST_STEP
        ms = max(1.0, seen.average_s * 1000)
        return 1 + int(STEPS_PER_DOUBLING * math.log2(ms))

    def _keep(self, offer_id: str, seen: _Seen) -> None:
        self._seen[offer_id] = seen
        if len(self._seen) > OFFERS_MAX:
            del self._seen[next(iter(self._seen))]
