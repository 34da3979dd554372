"""`GET /metrics`: Prometheus' text, for this machine only unless the config makes it public."""

import ipaddress

from aiohttp import web

from gateway.api.state import METRICS, SETTINGS
from gateway.domain.errors import NotFound
from gateway.telemetry.metrics import CONTENT_TYPE

_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


async def get(request: web.Request) -> web.Response:
    if not request.app[SETTINGS].metrics_public and not _is_local(request):
        raise NotFound("Metrics are answered to this machine only; metrics.public in the config opens them.")
    return web.Response(body=request.app[METRICS].render(), headers={"Content-Type": CONTENT_TYPE})


def _is_local(request: web.Request) -> bool:
    """By the socket. What a proxy on this machine passes on comes from elsewhere, and proxies say so in a header."""
    if request.transport is None or any(name in request.headers for name in _FORWARDED):
        return False
    peer = request.transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return True  # a Unix socket
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
