"""When a server that failed is left alone, and for how long. No I/O, and nothing waits in here."""

from gateway.domain.clock import Clock

PAUSE_S = 1.0
PAUSE_S_MAX = 10.0
STEADY_S = 10.0
"""A server that has answered for so long begins anew: its next failure costs the shortest pause."""


class Circuit:
    """Open from a failure until a probe succeeds. The first pause is PAUSE_S; one soon after another is twice as long, up to PAUSE_S_MAX."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._closed_at_s = clock.monotonic_s()
        self.is_open = False

    def fail(self) -> bool:
        """A call or a probe failed. Says whether this opened it."""
        opened, self.is_open = not self.is_open, True
        if opened and self._clock.monotonic_s() - self._closed_at_s >= STEADY_S:
            self._pause_s = 0.0
        return opened

    def pause_s(self) -> float:
        """How long to wait before the next probe; each is longer than the one before."""
        self._pause_s = min(PAUSE_S_MAX, self._pause_s * 2) or PAUSE_S
        return self._pause_s

    def close(self) -> None:
        """A probe succeeded."""
        self.is_open = False
        self._closed_at_s = self._clock.monotonic_s()
