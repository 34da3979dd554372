"""The tripwire: a test reaches this machine and nothing else.

Covers Python's sockets and name look-ups in the test process, which is what aiohttp and asyncpg use on asyncio's own
loop; uvloop and child processes have sockets of their own, so tests of those talk to loopback by construction.
Fails loudly: a refused call raises NetworkRefusedError, which no product code catches.
"""

import ipaddress
import socket
from typing import Any

import pytest


class NetworkRefusedError(BaseException):
    """A test tried to leave the machine. Not an Exception, so that no error handling under test can swallow it."""


def is_local(family: int, address: object) -> bool:
    """Whether a socket address stays on this machine: a Unix socket, or a loopback address."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return family == socket.AF_UNIX
    host = address[0] if isinstance(address, tuple) and address else None
    return isinstance(host, str) and is_local_host(host)


def is_local_host(host: str) -> bool:
    """Whether a name or an address literal means this machine, judged without a look-up."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def install(patch: pytest.MonkeyPatch) -> None:
    """Replace the ways out by guarded ones for as long as `patch` lives."""
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(name))
    patch.setattr(socket, "getaddrinfo", _guarded_look_up)


def _guarded(name: str) -> Any:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        # connect(address), connect_ex(address), sendto(data[, flags], address): the address is always the last one.
        if not is_local(self.family, arguments[-1]):
            raise NetworkRefusedError(f"{name} to {arguments[-1]!r}: tests may only use loopback and Unix sockets")
        return original(self, *arguments)

    return guarded


_look_up = socket.getaddrinfo


def _guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
    text = host.decode() if isinstance(host, bytes) else host
    if text and not is_local_host(text) and not _is_literal(text):
        raise NetworkRefusedError(f"look-up of {text!r}: tests may only resolve localhost")
    return _look_up(host, *arguments, **options)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True  # an address needs no look-up; connecting to it is judged at the socket
