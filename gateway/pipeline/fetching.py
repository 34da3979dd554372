"""Downloads pictures behind callers' URLs: through egress alone, each bounded in bytes and time, so many at once in this process.

How it fails: EgressError of egress/errors.py; its text may be shown, and is the same whatever the reason. Must not interpret the bytes.
"""

import asyncio

from aiohttp import ClientSession

from gateway.domain.clock import Clock
from gateway.domain.files import URL_BYTES_MAX
from gateway.egress.download import download
from gateway.egress.errors import DownloadFailed
from gateway.egress.guard import EgressPolicy
from gateway.egress.session import open_guarded_session

AT_ONCE = 8
"""Each holds up to URL_BYTES_MAX: 80 MB together."""


class Fetching:
    """One a process; closed by the root."""

    def __init__(self, policy: EgressPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._opening = asyncio.Lock()
        self._session: ClientSession | None = None

    async def get(self, url: str, deadline_s: float) -> bytes:
        """The file, at most URL_BYTES_MAX; `deadline_s` is monotonic, and waiting for a place counts."""
        try:
            async with asyncio.timeout(max(0.0, deadline_s - self._clock.monotonic_s())):
                await self._places.acquire()
        except TimeoutError as exc:
            raise DownloadFailed("no place among the downloads before the deadline") from exc
        try:
            session = await self._guarded()
            got = await download(
                session, self._policy, url, bytes_max=URL_BYTES_MAX, deadline_s=deadline_s, clock=self._clock
            )
        finally:
            self._places.release()
        return got.content

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _guarded(self) -> ClientSession:
        async with self._opening:
            if self._session is None:
                self._session = await open_guarded_session(self._policy, connections_max=AT_ONCE)
            return self._session
