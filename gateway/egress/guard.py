"""Decides where a URL may lead: three locks, each enough against most attacks, none against all.

1. `check_url` reads the text: scheme, authority, port, and literal addresses.
2. `Guard.resolve` looks at every address that a name has; one that is not public refuses the name.
3. `Guard.open_socket` sees the address that is dialled, whatever led to it. aiohttp asks no resolver for literal addresses.

It must not fetch anything. It fails closed: EgressRefused from `check_url`, AddressRefused (an OSError) from the other two.
"""

import asyncio
import re
import socket
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.egress.addresses import Verdict, classify
from gateway.egress.errors import AddressRefused, EgressRefused

CALLER_URL_CHARS_MAX = 2_048
UPSTREAM_URL_CHARS_MAX = 8_192
"""Storage links signed with a session token pass 2,048 characters; 8,190 is the longest request line that servers take by default."""
DNS_TIMEOUT_S = 3.0
_GRANTS_MAX = 1_024

_URL = re.compile(r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?(?=[/?#]|\Z)", re.IGNORECASE)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # what the WHATWG URL standard calls "ends in a number"
# Names that mean something inside a network only: RFC 6761, 6762, 7686, 8375, 9476, ICANN's .internal, and common habits.
_RESERVED_SUFFIXES = frozenset(
    {
        "alt",
        "arpa",
        "corp",
        "example",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "private",
        "svc",
        "test",
    }
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Where URLs of others may lead. ValueError names the entry of `allow` that is neither network nor host."""

    allow: tuple[str, ...] = ()
    """Networks (CIDR, or one address) and host names reachable although not public; on `ports` only."""
    allow_http: bool = False
    ports: tuple[int, ...] = (443,)
    ca_file: str | None = None
    """PEM file of further certificate authorities, besides the usual ones."""
    own: tuple[tuple[str, int], ...] = ()
    """An upstream's own host and port, trusted for that upstream's answers, over http as well."""
    url_chars_max: int = CALLER_URL_CHARS_MAX
    networks: tuple[Network, ...] = field(init=False, repr=False)
    hosts: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        networks: list[Network] = []
        hosts: set[str] = set()
        for entry in self.allow:
            text = entry.strip().lower()
            if all(_LABEL.fullmatch(label) for label in text.split(".")) and not _NUMERIC.fullmatch(
                text.split(".")[-1]
            ):
                hosts.add(text)
                continue
            try:
                networks.append(ip_network(text))
            except ValueError as exc:
                raise ValueError(
                    f"egress.allow: {entry!r} is neither a network (10.1.0.0/16) nor a host name: {exc}"
                ) from exc
        object.__setattr__(self, "networks", tuple(networks))
        object.__setattr__(self, "hosts", frozenset(hosts))
        object.__setattr__(self, "own", tuple((_normal(host), port) for host, port in self.own))

    def for_upstream(self, base_url: str) -> "EgressPolicy":
        """The policy for URLs that this upstream answers with: its own host and port are reachable too, and links may be longer."""
        parts = urlsplit(base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return replace(self, own=(*self.own, (parts.hostname or "", port)), url_chars_max=UPSTREAM_URL_CHARS_MAX)

    def allows_address(self, address: Address) -> bool:
        return classify(address) is Verdict.PUBLIC or any(address in network for network in self.networks)

    def trusts_name(self, host: str, port: int) -> bool:
        """Whether a name may have any address but a cloud's metadata service."""
        return host in self.hosts or (host, port) in self.own


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """A URL that passed the first lock. `text` is what was checked; `url` is the same, not requoted, so that signatures survive."""

    text: str
    url: URL
    host: str
    port: int

    @property
    def place(self) -> str:
        """For the log: no path, no query."""
        return f"{self.host}:{self.port}"


def check_url(url: str, policy: EgressPolicy) -> CheckedUrl:
    """Checks the text of an absolute http(s) URL; EgressRefused says why, for the log."""
    if not 0 < len(url) <= policy.url_chars_max:
        raise EgressRefused(f"URL of {len(url)} characters")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise EgressRefused("URL with characters other than printable ASCII, or a backslash")
    match = _URL.match(url)
    if match is None:
        raise EgressRefused("not an absolute http(s) URL with a plain authority")
    scheme, literal, name, port_text = match[1].lower(), match[2], match[3], match[4]
    if port_text is not None and port_text.startswith("0"):
        raise EgressRefused("port with a leading zero")
    port = int(port_text) if port_text else (443 if scheme == "https" else 80)
    host = _literal_host(literal) if literal is not None else name.lower()
    checked = CheckedUrl(url, _parse(url, scheme, host, port), host, port)
    if (host, port) in policy.own:
        return checked
    if scheme == "http" and not policy.allow_http:
        raise EgressRefused("plain http")
    if port not in policy.ports:
        raise EgressRefused(f"port {port} is not allowed")
    if host not in policy.hosts:
        _check_host(host, policy)
    return checked


def _literal_host(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as exc:
        raise EgressRefused("malformed IPv6 address") from exc


def _parse(text: str, scheme: str, host: str, port: int) -> URL:
    """yarl's reading must be ours: two parsers that differ are the oldest way around a check."""
    try:
        url = URL(text, encoded=True)
        read_host = (url.raw_host or "").lower()
        read = (
            url.scheme,
            str(IPv6Address(read_host)) if ":" in read_host else read_host,
            url.port,
            url.user,
            url.password,
        )
    except ValueError as exc:
        raise EgressRefused("URL that the client cannot read") from exc
    if read != (scheme, host, port, None, None):
        raise EgressRefused("URL that can be read in two ways")
    return url


def _check_host(host: str, policy: EgressPolicy) -> None:
    labels = host.split(".")
    if ":" in host or _NUMERIC.fullmatch(labels[-1]):
        try:
            # Strict: four decimal numbers without leading zeros. libc would also take octal, hexadecimal and shorter forms.
            address = ip_address(host)
        except ValueError as exc:
            raise EgressRefused("host that ends in a number but is no IPv4 address") from exc
        if not policy.allows_address(address):
            raise EgressRefused(f"address {address} is {classify(address)}")
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressRefused("malformed host name")
    if len(labels) < 2 or labels[-1] in _RESERVED_SUFFIXES:
        raise EgressRefused(f"host {host} is a name of internal networks")


class Guard(AbstractResolver):
    """The second and third lock of one session. No cache: a name is looked up anew for every connection."""

    def __init__(self, policy: EgressPolicy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver
        # Where trusted names led to. The socket does not know the name it is opened for, so the resolver tells it here.
        self._granted: OrderedDict[tuple[Address, int], None] = OrderedDict()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the name, or AddressRefused if a single one may not be dialled."""
        async with asyncio.timeout(DNS_TIMEOUT_S):
            answers = await self._resolver.resolve(host, port, family)
        trusted = self._policy.trusts_name(host.lower(), port)
        for answer in answers:
            address = _plain_address(answer["host"])
            if address is None or answer["port"] != port:
                raise AddressRefused(f"{host} resolves to something that is no address")
            if trusted and classify(address) is not Verdict.METADATA:
                self._grant(address, port)
            elif not self._policy.allows_address(address):
                raise AddressRefused(f"{host} resolves to {address}, which is {classify(address)}")
        return answers

    def open_socket(self, info: AddrInfoType) -> socket.socket:
        """For TCPConnector(socket_factory=…): called with exactly the address about to be dialled."""
        family, kind, protocol, _, target = info
        host, port = str(target[0]), target[1]
        address = _plain_address(host)
        if address is None or not isinstance(port, int):
            raise AddressRefused("dialling something that is no address")
        if not self._may_dial(address, port):
            raise AddressRefused(f"dialling {address}, which is {classify(address)}")
        return socket.socket(family=family, type=kind, proto=protocol)

    async def close(self) -> None:
        await self._resolver.close()

    def _may_dial(self, address: Address, port: int) -> bool:
        return (
            self._policy.allows_address(address)
            or (address, port) in self._granted
            or (str(address), port) in self._policy.own
        )

    def _grant(self, address: Address, port: int) -> None:
        self._granted[address, port] = None
        self._granted.move_to_end((address, port))
        if len(self._granted) > _GRANTS_MAX:
            self._granted.popitem(last=False)


def _normal(host: str) -> str:
    address = _plain_address(host)
    return host.lower() if address is None else str(address)


def _plain_address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
