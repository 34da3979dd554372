"""Fetches one file from a URL that somebody else supplied, within bounds of bytes, time, speed and hops.

It must not interpret the bytes: the content type is a hint, `imaging.sniff` decides. Redirects are followed by hand, each through the
same locks as the first URL. Fails with EgressRefused, DownloadFailed or DownloadTooLarge, never with an exception of aiohttp's; a
cancellation passes through.
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import urljoin

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from gateway.domain.clock import Clock
from gateway.egress.errors import DownloadFailed, DownloadTooLarge, EgressRefused, refusal_in
from gateway.egress.guard import CheckedUrl, EgressPolicy, check_url

HOPS_MAX = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow the other side may be."""

    total_s: float = 20.0
    connect_s: float = 3.0
    silence_s: float = 10.0
    """Longest wait for the next bytes."""
    grace_s: float = 5.0
    """Time before the rate counts."""
    bytes_per_s_min: int = 50_000


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Downloaded:
    content: bytes
    content_type_hint: str
    """The header's media type in lower case, or an empty string; what a stranger claims."""


async def download(
    session: ClientSession,
    policy: EgressPolicy,
    url: str,
    *,
    bytes_max: int,
    deadline_s: float,
    clock: Clock,
    accept: str = "image/png, image/jpeg, image/webp;q=0.9, */*;q=0.1",
    patience: Patience = PATIENCE,
) -> Downloaded:
    """GETs the URL; `session` comes from `open_guarded_session` with the same policy, `deadline_s` is a reading of the clock's `monotonic_s`."""
    seconds = min(patience.total_s, deadline_s - clock.monotonic_s())
    if seconds <= 0:
        raise DownloadFailed("no time left before the deadline")
    current = check_url(url, policy)
    try:
        async with asyncio.timeout(seconds):
            for _ in range(HOPS_MAX + 1):
                answer = await _get(session, current, accept, patience, bytes_max, clock)
                if isinstance(answer, Downloaded):
                    return answer
                current = check_url(answer, policy)
    except (ClientError, TimeoutError, OSError, ValueError) as exc:
        raise _translate(exc, current) from exc
    raise DownloadFailed(f"more than {HOPS_MAX} redirects")


async def _get(
    session: ClientSession, target: CheckedUrl, accept: str, patience: Patience, bytes_max: int, clock: Clock
) -> Downloaded | str:
    """The file, or the URL that the answer redirects to."""
    timeout = ClientTimeout(total=None, sock_connect=patience.connect_s, sock_read=patience.silence_s)
    async with session.get(target.url, headers={"Accept": accept}, allow_redirects=False, timeout=timeout) as response:
        if response.status in _REDIRECTS:
            location = response.headers.get("Location")
            if not location:
                raise DownloadFailed(f"{target.place} redirects to nowhere", response.status)
            return urljoin(target.text, location)
        if response.status != 200:
            raise DownloadFailed(f"{target.place} answered {response.status}", response.status)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadFailed(f"{target.place} answered with a content encoding", response.status)
        if response.content_length is not None and response.content_length > bytes_max:
            raise DownloadTooLarge(f"{target.place} announced {response.content_length} bytes, allowed are {bytes_max}")
        return Downloaded(
            await _read(response, target, patience, bytes_max, clock),
            response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        )


async def _read(
    response: ClientResponse, target: CheckedUrl, patience: Patience, bytes_max: int, clock: Clock
) -> bytes:
    started_s = clock.monotonic_s()
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        content += chunk
        if len(content) > bytes_max:
            raise DownloadTooLarge(f"{target.place} sent more than {bytes_max} bytes")
        allowed_s = patience.grace_s + len(content) / patience.bytes_per_s_min
        if clock.monotonic_s() - started_s > allowed_s:
            raise DownloadFailed(f"{target.place} sends too slowly: {len(content)} bytes after {allowed_s:.1f} s")
    if not content:
        raise DownloadFailed(f"{target.place} answered with an empty body", response.status)
    return bytes(content)


def _translate(error: Exception, target: CheckedUrl) -> EgressRefused | DownloadFailed:
    """aiohttp's exceptions can name the whole URL, so only their type goes on."""
    if isinstance(error, EgressRefused):  # RequestRefused, from the session's own check
        return error
    reason = refusal_in(error)
    if reason is not None:
        return EgressRefused(reason)
    if isinstance(error, TimeoutError):
        return DownloadFailed(f"{target.place} took too long")
    return DownloadFailed(f"{target.place}: {type(error).__name__}")
