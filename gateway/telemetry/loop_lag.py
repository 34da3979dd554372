"""How late the event loop wakes: the one measure of code that blocks it. Runs until cancelled; costs ten wake-ups a second."""

import asyncio
from collections.abc import Callable

INTERVAL_S = 0.1
"""A block of B seconds is seen by a tick in it with chance B / interval; over minutes the histogram shows every habit."""


async def watch_loop_lag(observe: Callable[[float], None], interval_s: float = INTERVAL_S) -> None:
    """Tells `observe` the seconds by which each tick came late. The caller owns and cancels the task."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + interval_s
        await asyncio.sleep(interval_s)
        observe(max(0.0, loop.time() - due_s))
