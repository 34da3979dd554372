"""How long a task is at its upstreams: the part of its time that is not the gateway's own. Pure but for the clock; it cannot fail."""

from gateway.domain.clock import Clock


class Upstreamed:
    """Measures how long a task had at least one call out: what is not the gateway's own time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._out = 0
        self._since_s = 0.0
        self.total_s = 0.0

    def __enter__(self) -> None:
        if self._out == 0:
            self._since_s = self._clock.monotonic_s()
        self._out += 1

    def __exit__(self, *_: object) -> None:
        self._out -= 1
        if self._out == 0:
            self.total_s += self._clock.monotonic_s() - self._since_s
