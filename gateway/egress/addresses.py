"""Says of an IP address what it is. Pure; fails never.

The list is our own because `ipaddress.is_global` and `is_private` differ between Python releases and miss multicast, NAT64, 6to4,
IPv4-compatible and ISATAP forms (CVE-2024-4032 and what it left open). Sources: IANA's IPv4 and IPv6 special-purpose address
registries, RFC 6890, and the cloud vendors' documentation for metadata services.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


class Verdict(StrEnum):
    """Only PUBLIC may be dialled for a stranger's URL."""

    PUBLIC = "public"
    METADATA = "metadata"  # a cloud's credentials service, wherever it lives
    UNSPECIFIED = "unspecified"  # 0.0.0.0/8 and ::, which reach this machine
    LOOPBACK = "loopback"
    PRIVATE = "private"  # RFC 1918, unique local, and the old site-local
    LINK_LOCAL = "link_local"
    CGNAT = "cgnat"  # RFC 6598, used inside clusters and by overlay networks
    MULTICAST = "multicast"
    DOCUMENTATION = "documentation"
    RESERVED = "reserved"  # special purposes, benchmarks, and all that is not assigned for global unicast
    MAPPED = "mapped"  # ::ffff:a.b.c.d, dialled as a.b.c.d
    COMPATIBLE = "compatible"  # ::a.b.c.d
    TRANSLATED = "translated"  # ::ffff:0:a.b.c.d
    NAT64 = "nat64"  # a translator may take the embedded IPv4 address into our own network
    SIX_TO_FOUR = "6to4"
    TEREDO = "teredo"
    ISATAP = "isatap"  # an IPv4 address in the interface id, below any prefix


_METADATA = frozenset(
    int(address)
    for address in (
        IPv4Address("169.254.169.254"),  # AWS, Azure, GCP, OpenStack, DigitalOcean, Hetzner …
        IPv4Address("169.254.170.2"),  # AWS ECS task credentials
        IPv4Address("169.254.170.23"),  # AWS EKS pod identity
        IPv4Address("169.254.0.23"),  # Tencent
        IPv4Address("168.63.129.16"),  # Azure's host, in public space
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("192.0.0.192"),  # Oracle, older images
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS EKS pod identity
        IPv6Address("fd20:ce::254"),  # GCP
        IPv6Address("fd00:c1::a9fe:a9fe"),  # Oracle
        IPv6Address("fd00:42::42"),  # Scaleway
    )
)

# First match wins.
_IPV4: tuple[tuple[IPv4Network, Verdict], ...] = tuple(
    (IPv4Network(network), verdict)
    for network, verdict in (
        ("0.0.0.0/8", Verdict.UNSPECIFIED),
        ("10.0.0.0/8", Verdict.PRIVATE),
        ("100.64.0.0/10", Verdict.CGNAT),
        ("127.0.0.0/8", Verdict.LOOPBACK),
        ("169.254.0.0/16", Verdict.LINK_LOCAL),
        ("172.16.0.0/12", Verdict.PRIVATE),
        ("192.0.0.0/24", Verdict.RESERVED),  # IETF protocol assignments
        ("192.0.2.0/24", Verdict.DOCUMENTATION),
        ("192.31.196.0/24", Verdict.RESERVED),  # AS112
        ("192.52.193.0/24", Verdict.RESERVED),  # AMT
        ("192.88.99.0/24", Verdict.SIX_TO_FOUR),  # relay anycast
        ("192.168.0.0/16", Verdict.PRIVATE),
        ("192.175.48.0/24", Verdict.RESERVED),  # AS112
        ("198.18.0.0/15", Verdict.RESERVED),  # benchmarks
        ("198.51.100.0/24", Verdict.DOCUMENTATION),
        ("203.0.113.0/24", Verdict.DOCUMENTATION),
        ("224.0.0.0/4", Verdict.MULTICAST),
        ("240.0.0.0/4", Verdict.RESERVED),  # includes the broadcast address
    )
)

_IPV6: tuple[tuple[IPv6Network, Verdict], ...] = tuple(
    (IPv6Network(network), verdict)
    for network, verdict in (
        ("::/128", Verdict.UNSPECIFIED),
        ("::1/128", Verdict.LOOPBACK),
        ("::/96", Verdict.COMPATIBLE),
        ("::ffff:0:0/96", Verdict.MAPPED),
        ("::ffff:0:0:0/96", Verdict.TRANSLATED),
        ("64:ff9b::/96", Verdict.NAT64),
        ("64:ff9b:1::/48", Verdict.NAT64),
        ("2001::/32", Verdict.TEREDO),
        ("2001::/23", Verdict.RESERVED),  # IETF protocol assignments: benchmarks, ORCHID, AMT …
        ("2001:db8::/32", Verdict.DOCUMENTATION),
        ("2002::/16", Verdict.SIX_TO_FOUR),
        ("2620:4f:8000::/48", Verdict.RESERVED),  # AS112
        ("3fff::/20", Verdict.DOCUMENTATION),
        ("fc00::/7", Verdict.PRIVATE),
        ("fe80::/10", Verdict.LINK_LOCAL),
        ("fec0::/10", Verdict.PRIVATE),
        ("ff00::/8", Verdict.MULTICAST),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # the only space IANA assigns from; everything else is reserved
_ISATAP_INTERFACE = 0x0000_5EFE  # RFC 5214: 00-00-5E-FE before the IPv4 address …
_ISATAP_MASK = 0xFCFF_FFFF  # … with the universal and group bits free


def classify(address: IPv4Address | IPv6Address) -> Verdict:
    """What the address is; an embedded IPv4 address never makes an IPv6 address public."""
    number = int(address)
    if number in _METADATA:
        return Verdict.METADATA
    if isinstance(address, IPv4Address):
        return next((verdict for network, verdict in _IPV4 if address in network), Verdict.PUBLIC)
    plain = IPv6Address(number)  # without a scope id
    for network, verdict in _IPV6:
        if plain in network:
            return verdict
    if plain not in _GLOBAL_UNICAST:
        return Verdict.RESERVED
    return Verdict.ISATAP if (number >> 32) & _ISATAP_MASK == _ISATAP_INTERFACE else Verdict.PUBLIC
