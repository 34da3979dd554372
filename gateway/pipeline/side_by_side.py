"""Several things at once, none of which may be dropped for another's failure."""

import asyncio
from collections.abc import Awaitable, Sequence


async def all_of(jobs: Sequence[Awaitable[None]]) -> None:
    """Await side by side; all of them end before the first exception is raised, so that no picture in flight is dropped for another's failure."""
    if len(jobs) == 1:
        await jobs[0]
        return
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
