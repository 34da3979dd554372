"""Whether a URL that a caller gives may be accepted, before anything is fetched or sent: its text, and every address that its name has now.

At every use the locks of `guard.py` decide anew. How it fails: EgressRefused with a reason for the log alone, TooManyLookups.
"""

import asyncio

from aiohttp.abc import AbstractResolver

from gateway.egress.errors import EgressRefused
from gateway.egress.guard import EgressPolicy, Guard, check_url
from gateway.egress.lookups import OwnThreadsResolver

LOOKUPS_MAX = 16
"""At once, each for three seconds at most."""
THREADS = 4 * LOOKUPS_MAX
"""A look-up that was given up keeps its thread until the system gives it up, too."""
PLACE_S_MAX = 3.0
"""A caller does not wait longer for others' look-ups."""


class TooManyLookups(Exception):
    """All places are taken by names that nobody answers for."""


class CallerUrls:
    """Checks by the policy for callers' URLs. `resolver` is for tests."""

    def __init__(self, policy: EgressPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._guard = Guard(policy, resolver or OwnThreadsResolver(THREADS))
        self._places = asyncio.Semaphore(LOOKUPS_MAX)

    async def check(self, url: str) -> None:
        """Raises EgressRefused, TooManyLookups."""
        checked = check_url(url, self._policy)
        try:
            async with asyncio.timeout(PLACE_S_MAX):
                await self._places.acquire()
        except TimeoutError as exc:
            raise TooManyLookups from exc
        try:
            await self._guard.resolve(checked.host, checked.port)
        except (OSError, TimeoutError) as exc:  # the name is not known, or one of its addresses is internal
            raise EgressRefused(getattr(exc, "reason", None) or type(exc).__name__) from exc
        finally:
            self._places.release()

    async def close(self) -> None:
        await self._guard.close()
