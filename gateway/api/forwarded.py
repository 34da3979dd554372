"""Whom a request comes from, and whether it came over TLS, where proxies stand in front: X-Forwarded-* of trusted ones, and of nobody else.

What cannot be read is as if it were not there: the address is then that of the connection itself.
"""

import ipaddress
from collections.abc import Sequence

from aiohttp import web

_HOPS_MAX = 20
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The networks of `server.trusted_proxies`."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def client(self, request: web.Request) -> str:
        """The address nearest to us that is no trusted proxy's; `local` over a Unix socket."""
        address = _peer(request)
        if address is None:
            return "local"
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        for hop in reversed(hops[-_HOPS_MAX:]):
            if not self._trusts(address):
                break
            before = _parsed(hop)
            if before is None:
                break
            address = before
        return str(address)

    def says_https(self, request: web.Request) -> bool:
        """Whether a trusted proxy took the request over TLS."""
        address = _peer(request)
        if address is None or not self._trusts(address):
            return False
        said = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2]
        return said.strip().lower() == "https"

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _peer(request: web.Request) -> _Address | None:
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return _parsed(str(peer[0])) if isinstance(peer, tuple) else None


def _parsed(text: str) -> _Address | None:
    """`10.0.0.1`, `10.0.0.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`."""
    text = text.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
