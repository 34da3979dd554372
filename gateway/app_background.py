"""What runs beside the calls, for as long as a gateway serves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)


@asynccontextmanager
async def background(*jobs: Coroutine[object, object, None] | None) -> AsyncIterator[None]:
    """Endless jobs, cancelled at the end. One that breaks is logged; the gateway goes on without it."""
    tasks = [asyncio.create_task(job) for job in jobs if job is not None]
    for task in tasks:
        task.add_done_callback(_report_broken)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report_broken(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a background job broke", exc_info=task.exception())
