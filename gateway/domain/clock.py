"""Time, as the rest of the code sees it. SystemClock is the one place that reads it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock for what is stored and shown, monotonic clock for deadlines."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds of a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
