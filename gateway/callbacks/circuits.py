"""Which endpoints are left alone for a while, because one try after the other failed there. In memory, of one process: losing it costs a few tries.

An open circuit uses up nobody's tries: what is due there waits, and no longer than POSTPONED_MS_MAX after its task's end. When its time is over one
message is the probe; it closes the circuit, or opens it for twice as long.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.domain.callbacks import Callback

FAILURES = 5
"""In a row. One message has four tries, so it alone opens nothing."""
OPEN_MS, OPEN_MS_MAX = 10_000, 120_000
PROBE_MS = 15_000
"""Longer than a try takes."""
POSTPONED_MS_MAX = 600_000
ENDPOINTS_MAX = 10_000
"""The one that failed longest ago is forgotten."""


@dataclass(slots=True)
class _Endpoint:
    failures: int = 0
    open_ms: int = 0
    """How long it is open; 0: it is closed."""
    until_ms: int = 0
    probing: bool = False


class EndpointCircuits:
    """Asked before a message is claimed; told how each try went."""

    def __init__(self) -> None:
        self._endpoints: OrderedDict[str, _Endpoint] = OrderedDict()

    def postponed_until_ms(self, callback: Callback, now_ms: int) -> int | None:
        """When to look at a due callback again; None: now, and whoever is told so at a circuit whose time is over is its probe."""
        latest_ms = callback.created_at_ms + POSTPONED_MS_MAX
        endpoint = self._endpoints.get(callback.endpoint)
        if endpoint is None or not endpoint.open_ms or now_ms >= latest_ms:
            return None
        if now_ms < endpoint.until_ms:
            return min(endpoint.until_ms, latest_ms)
        endpoint.probing, endpoint.until_ms = True, now_ms + PROBE_MS
        return None

    def succeeded(self, callback: Callback) -> None:
        self._endpoints.pop(callback.endpoint, None)

    def failed(self, callback: Callback, now_ms: int) -> None:
        endpoint = self._endpoints.setdefault(callback.endpoint, _Endpoint())
        self._endpoints.move_to_end(callback.endpoint)
        if len(self._endpoints) > ENDPOINTS_MAX:
            self._endpoints.popitem(last=False)
        endpoint.failures += 1
        if endpoint.open_ms and not endpoint.probing:
            return  # it was on its way when the circuit opened
        if endpoint.failures >= FAILURES:
            endpoint.open_ms = min(endpoint.open_ms * 2, OPEN_MS_MAX) or OPEN_MS
            endpoint.until_ms, endpoint.probing = now_ms + endpoint.open_ms, False
