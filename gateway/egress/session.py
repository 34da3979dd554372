"""Makes the client sessions; no other file may. Two kinds, never mixed: an upstream's own API, and URLs that others supplied.

Neither keeps cookies, reads proxy variables or `.netrc`, or sends a POST twice (aiohttp repeats only idempotent methods when a kept
connection turns out dead; a test holds it to that). ValueError if a `ca_file` cannot be read.
"""

import asyncio
import ssl

from aiohttp import (
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    ThreadedResolver,
)
from aiohttp.abc import AbstractResolver
from yarl import URL

from gateway.egress.errors import EgressRefused, RequestRefused
from gateway.egress.guard import EgressPolicy, Guard, check_url
from gateway.telemetry.traces import outgoing

USER_AGENT = "image-gateway"
GUARDED_CONNECT_TIMEOUT_S = 3.0
GUARDED_TIMEOUT_S = 20.0
KEEPALIVE_S = 15.0
"""Below the idle limits of common servers (60 s and more), so that we close first: a POST on a connection that dies is a doubtful one."""

# Answers come unpacked: pictures do not shrink, and a compressed one could grow without bound. A server that packs them all the same
# is still understood on an upstream's session; on a guarded one `download` refuses it.
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}


async def open_upstream_session(
    base_url: str,
    *,
    concurrency: int,
    connect_timeout_s: float = 5.0,
    timeout_s: float = 180.0,
    ca_file: str | None = None,
    proxy: str | None = None,
    other_origins: tuple[str, ...] = (),
) -> ClientSession:
    """A session for one upstream's API calls, with absolute URLs below `base_url` (or `other_origins`, for vendors with several hosts).

    A request to any other origin, redirects included, raises RequestRefused before a connection is made. `concurrency` bounds the
    connections; waiting for one counts as connecting. `timeout_s` is the default for a call as a whole and can be set on each.
    """
    connector = TCPConnector(limit=concurrency, keepalive_timeout=KEEPALIVE_S, ssl=await _trust(ca_file))
    return ClientSession(
        connector=connector,
        timeout=ClientTimeout(total=timeout_s, connect=connect_timeout_s, sock_connect=connect_timeout_s),
        cookie_jar=DummyCookieJar(),
        headers=_HEADERS,
        proxy=proxy,
        trust_env=False,
        middlewares=(_stay_at((base_url, *other_origins)), _traced),
    )


async def open_guarded_session(
    policy: EgressPolicy, *, connections_max: int = 128, resolver: AbstractResolver | None = None
) -> ClientSession:
    """A session for URLs from callers or from upstream answers; callers pass `allow_redirects=False`, or use `download`.

    Every request goes through `check_url` (RequestRefused, an aiohttp.ClientError); a refused address surfaces as aiohttp's
    ClientConnectorError, and `errors.refusal_in` tells why. Connections are not reused: a kept one would outlive the check of its
    address. `connect` has no limit of its own, because it would count the wait for a free connection. `resolver` is for tests.
    """
    guard = Guard(policy, resolver or ThreadedResolver())
    connector = TCPConnector(
        resolver=guard,
        socket_factory=guard.open_socket,
        use_dns_cache=False,
        force_close=True,
        limit=connections_max,
        ssl=await _trust(policy.ca_file),
    )
    return ClientSession(
        connector=connector,
        timeout=ClientTimeout(total=GUARDED_TIMEOUT_S, sock_connect=GUARDED_CONNECT_TIMEOUT_S),
        cookie_jar=DummyCookieJar(),
        headers=_HEADERS,
        trust_env=False,
        auto_decompress=False,
        middlewares=(_check_each(policy),),
    )


def _stay_at(urls: tuple[str, ...]) -> ClientMiddlewareType:
    origins = frozenset(URL(url).origin() for url in urls)

    async def stay(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url.origin() not in origins:
            raise RequestRefused(f"an API call to {request.url.origin()} was stopped")
        return await handler(request)

    return stay


async def _traced(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """An upstream's own spans hang below the attempt; nothing is sent where nothing is traced."""
    request.headers.update(outgoing())
    return await handler(request)


def _check_each(policy: EgressPolicy) -> ClientMiddlewareType:
    async def check(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        try:
            check_url(str(request.url), policy)
        except EgressRefused as exc:
            raise RequestRefused(exc.reason) from exc
        return await handler(request)

    return check


async def _trust(ca_file: str | None) -> ssl.SSLContext | bool:
    """The usual certificate authorities, and those of the file. Reading them takes milliseconds, so not on the loop."""
    if ca_file is None:
        return True

    def load() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=ca_file)
        context.set_alpn_protocols(["http/1.1"])
        return context

    try:
        return await asyncio.to_thread(load)
    except OSError as exc:  # ssl.SSLError is one
        raise ValueError(f"ca_file {ca_file!r} cannot be used: {exc}") from exc
