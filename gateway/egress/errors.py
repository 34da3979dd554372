"""What can go wrong on the way out.

    EgressError
    ├── EgressRefused     the URL, a redirect or an address is not allowed; nothing was sent there
    │   └── RequestRefused    the same from inside a session's call; also an aiohttp.ClientError, so that no caller misses it
    └── DownloadError
        ├── DownloadFailed    refused by the other side, broken off, too slow, or not the form we accept
        └── DownloadTooLarge  more bytes than the caller of `download` allowed

`str(error)` may be shown to whoever supplied the URL and is the same for every refusal and failure, so that answers cannot be used to
scan a network. `reason` is for the log only; it names hosts and ports, never a path or a query (those carry tokens).
`AddressRefused` is internal to a connection attempt: aiohttp wraps it in a ClientConnectorError, `refusal_in` finds it again.
"""

import errno

import aiohttp

FETCH_FAILED_TEXT = (
    "The URL could not be fetched. It must be publicly reachable over https and answer with the file itself."
)
TOO_LARGE_TEXT = "The file behind the URL is too large."


class EgressError(Exception):
    """Base; `reason` is for the log."""

    public_text = FETCH_FAILED_TEXT

    def __init__(self, reason: str) -> None:
        super().__init__(self.public_text)
        self.reason = reason


class EgressRefused(EgressError):
    """Not allowed by the policy."""


class RequestRefused(EgressRefused, aiohttp.ClientError):
    """A session was asked to go where it must not: a stranger's URL, or an upstream's API redirecting to somewhere else."""


class DownloadError(EgressError):
    """The URL was allowed, the bytes did not come."""


class DownloadFailed(DownloadError):
    """`status` is the answer's HTTP status where there was one."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class DownloadTooLarge(DownloadError):
    """More than `bytes_max`."""

    public_text = TOO_LARGE_TEXT


class AddressRefused(PermissionError):
    """An OSError, because that is what aiohttp expects of resolvers and socket factories: the whole call then fails as a ClientConnectorError."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)
        self.reason = reason


def refusal_in(error: BaseException) -> str | None:
    """The reason if a refused address is behind a connection error, else None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, AddressRefused):
            return seen.reason
        seen = seen.__cause__ or seen.__context__
    return None
