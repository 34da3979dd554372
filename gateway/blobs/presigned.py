"""Links to results at the bucket itself, signed by its own rules: the bytes do not pass the gateway, and a link ends when the results do.

Signing costs no call, but it may have to wait while the machine's own credentials are renewed. So links are prepared first, for all results of an
answer together, and then found while it is written. How it fails: a link that could not be signed in time is the gateway's own, which leads to
the same picture.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby

from cachetools import TTLCache

from gateway.blobs.links import LinkSigner
from gateway.blobs.store import BlobStoreUnavailable
from gateway.domain.clock import Clock

log = logging.getLogger(__name__)

SECONDS_MAX = 7 * 86_400
"""S3 takes no longer ones. Results that live longer get new links when their task is queried again."""
SIGN_S_MAX = 1.0
KEPT_S = 60.0
"""A link is answered again for so long: one that is signed by passing credentials ends with these."""
KEPT_MAX = 10_000
"""Links in memory, of some hundred bytes each."""

Sign = Callable[[Sequence[str], int], Awaitable[Sequence[str]]]
"""Names of blobs and seconds to URLs. Raises BlobStoreUnavailable."""


class PresignedLinks:
    """Used on one event loop."""

    def __init__(self, sign: Sign, signer: LinkSigner, clock: Clock) -> None:
        self._sign = sign
        self._signer = signer
        self._clock = clock
        self._kept: TTLCache[tuple[str, int], str] = TTLCache(KEPT_MAX, KEPT_S, timer=clock.monotonic_s)

    async def prepare(self, wanted: Iterable[tuple[str, int]]) -> None:
        """For names of blobs, each until a time (since 1970); several tasks may share a blob. Never raises."""
        missing = sorted({(at_s, name) for name, at_s in wanted if (name, at_s) not in self._kept})
        for at_s, group in groupby(missing, key=lambda pair: pair[0]):
            seconds = min(at_s - self._clock.now_ms() // 1000, SECONDS_MAX)
            if seconds <= 0:
                continue
            names = [name for _, name in group]
            try:
                async with asyncio.timeout(SIGN_S_MAX):
                    urls = await self._sign(names, seconds)
            except (BlobStoreUnavailable, TimeoutError) as exc:
                log.warning("links cannot be signed by the bucket's rules now", extra={"cause": str(exc) or "too slow"})
                return
            self._kept.update(zip([(name, at_s) for name in names], urls, strict=True))

    def url(self, blob_name: str, extension: str, expires_at_s: int) -> str:
        """An absolute URL."""
        kept: str | None = self._kept.get((blob_name, expires_at_s))
        return kept or self._signer.url(blob_name, extension, expires_at_s)
