"""How late the event loop wakes: the one measure of code that blocks it. Runs until cancelled; costs ten wake-ups a second."""

import asyncio
from collections.abc import Callable

from gateway.domain.clock import Clock, SystemClock

INTERVAL_S = 0.1
"""A block of B seconds is seen by a tick in it with chance B / interval; over minutes the histogram shows every habit."""


async def watch_loop_lag(
    observe: Callable[[float], None], interval_s: float = INTERVAL_S, clock: Clock = SystemClock()
) -> None:
    """Tells `observe` the seconds by which each tick came late. The caller owns and cancels the task.

    Not by the loop's own time: uvloop takes that once an iteration, in whole milliseconds.
    """
    while True:
        due_s = clock.monotonic_s() + interval_s
        await asyncio.sleep(interval_s)
        observe(max(0.0, clock.monotonic_s() - due_s))
