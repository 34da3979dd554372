"""The address classifier: every range by its first and last address, and the public neighbours just outside."""

from ipaddress import ip_address

import pytest

from gateway.egress.addresses import Verdict, classify

# (just before, first, last, just after): the outer two have a verdict of their own.
V4_RANGES = [
    (None, "0.0.0.0", "0.255.255.255", "1.0.0.0", Verdict.UNSPECIFIED),
    ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", Verdict.PRIVATE),
    ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", Verdict.CGNAT),
    ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", Verdict.LOOPBACK),
    ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", Verdict.LINK_LOCAL),
    ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", Verdict.PRIVATE),
    ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", Verdict.RESERVED),
    ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", Verdict.DOCUMENTATION),
    ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0", Verdict.RESERVED),
    ("192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0", Verdict.RESERVED),
    ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", Verdict.SIX_TO_FOUR),
    ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", Verdict.PRIVATE),
    ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0", Verdict.RESERVED),
    ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", Verdict.RESERVED),
    ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", Verdict.DOCUMENTATION),
    ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", Verdict.DOCUMENTATION),
    ("223.255.255.255", "224.0.0.0", "239.255.255.255", None, Verdict.MULTICAST),
    (None, "240.0.0.0", "255.255.255.255", None, Verdict.RESERVED),
]

V6_CASES = [
    ("::", Verdict.UNSPECIFIED),
    ("::1", Verdict.LOOPBACK),
    ("::2", Verdict.COMPATIBLE),
    ("::127.0.0.1", Verdict.COMPATIBLE),
    ("::8.8.8.8", Verdict.COMPATIBLE),
    ("::ffff:127.0.0.1", Verdict.MAPPED),
    ("::ffff:8.8.8.8", Verdict.MAPPED),
    ("::ffff:ffff:ffff", Verdict.MAPPED),
    ("::1:0:0:0", Verdict.RESERVED),
    ("::ffff:0:127.0.0.1", Verdict.TRANSLATED),
    ("::ffff:0:8.8.8.8", Verdict.TRANSLATED),
    ("::ffff:1:127.0.0.1", Verdict.RESERVED),
    ("64:ff9b::", Verdict.NAT64),
    ("64:ff9b::10.0.0.1", Verdict.NAT64),
    ("64:ff9b::ffff:ffff", Verdict.NAT64),
    ("64:ff9b:0:0:0:1::", Verdict.RESERVED),
    ("64:ff9b:1::", Verdict.NAT64),
    ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Verdict.NAT64),
    ("64:ff9b:2::", Verdict.RESERVED),
    ("100::1", Verdict.RESERVED),
    ("100:0:0:1::1", Verdict.RESERVED),
    ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.RESERVED),
    ("2000::", Verdict.PUBLIC),
    ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PUBLIC),
    ("2001::", Verdict.TEREDO),
    ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.TEREDO),
    ("2001:1::1", Verdict.RESERVED),
    ("2001:2::1", Verdict.RESERVED),
    ("2001:10::1", Verdict.RESERVED),
    ("2001:20::1", Verdict.RESERVED),
    ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.RESERVED),
    ("2001:200::", Verdict.PUBLIC),
    ("2001:4860:4860::8888", Verdict.PUBLIC),
    ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PUBLIC),
    ("2001:db8::", Verdict.DOCUMENTATION),
    ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.DOCUMENTATION),
    ("2001:db9::", Verdict.PUBLIC),
    ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PUBLIC),
    ("2002::", Verdict.SIX_TO_FOUR),
    ("2002:7f00:1::", Verdict.SIX_TO_FOUR),
    ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.SIX_TO_FOUR),
    ("2003::", Verdict.PUBLIC),
    ("2606:4700:4700::1111", Verdict.PUBLIC),
    ("2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", Verdict.PUBLIC),
    ("2620:4f:8000::", Verdict.RESERVED),
    ("2620:4f:8001::", Verdict.PUBLIC),
    ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PUBLIC),
    ("3fff::", Verdict.DOCUMENTATION),
    ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.DOCUMENTATION),
    ("3fff:1000::", Verdict.PUBLIC),
    ("4000::", Verdict.RESERVED),
    ("5f00::1", Verdict.RESERVED),
    ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.RESERVED),
    ("fc00::", Verdict.PRIVATE),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PRIVATE),
    ("fe00::", Verdict.RESERVED),
    ("fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.RESERVED),
    ("fe80::", Verdict.LINK_LOCAL),
    ("fe80::1%eth0", Verdict.LINK_LOCAL),
    ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.LINK_LOCAL),
    ("fec0::", Verdict.PRIVATE),
    ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.PRIVATE),
    ("ff00::", Verdict.MULTICAST),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Verdict.MULTICAST),
    # ISATAP below a public prefix, with every setting of the universal and group bits, and its neighbours
    ("2606:4700::5efe:10.0.0.1", Verdict.ISATAP),
    ("2606:4700::200:5efe:10.0.0.1", Verdict.ISATAP),
    ("2606:4700::100:5efe:10.0.0.1", Verdict.ISATAP),
    ("2606:4700::300:5efe:8.8.8.8", Verdict.ISATAP),
    ("2606:4700::400:5efe:10.0.0.1", Verdict.PUBLIC),
    ("2606:4700::5eff:10.0.0.1", Verdict.PUBLIC),
    ("2606:4700::5efd:10.0.0.1", Verdict.PUBLIC),
]

METADATA = [
    ("169.254.169.253", "169.254.169.254", "169.254.169.255"),
    ("169.254.170.1", "169.254.170.2", "169.254.170.3"),
    ("169.254.170.22", "169.254.170.23", "169.254.170.24"),
    ("169.254.0.22", "169.254.0.23", "169.254.0.24"),
    ("168.63.129.15", "168.63.129.16", "168.63.129.17"),
    ("100.100.100.199", "100.100.100.200", "100.100.100.201"),
    ("192.0.0.191", "192.0.0.192", "192.0.0.193"),
    ("fd00:ec2::253", "fd00:ec2::254", "fd00:ec2::255"),
    ("fd00:ec2::22", "fd00:ec2::23", "fd00:ec2::24"),
    ("fd20:ce::253", "fd20:ce::254", "fd20:ce::255"),
    ("fd00:c1::a9fe:a9fd", "fd00:c1::a9fe:a9fe", "fd00:c1::a9fe:a9ff"),
    ("fd00:42::41", "fd00:42::42", "fd00:42::43"),
]


@pytest.mark.parametrize(("before", "first", "last", "after", "verdict"), V4_RANGES)
def test_ipv4_range_ends_exactly_where_it_should(
    before: str | None, first: str, last: str, after: str | None, verdict: Verdict
) -> None:
    """First and last address of each range carry its verdict, the neighbours are public."""
    assert classify(ip_address(first)) is verdict
    assert classify(ip_address(last)) is verdict
    for neighbour in (before, after):
        if neighbour is not None:
            assert classify(ip_address(neighbour)) is Verdict.PUBLIC


@pytest.mark.parametrize(("address", "verdict"), V6_CASES)
def test_ipv6_verdicts(address: str, verdict: Verdict) -> None:
    """Each IPv6 range has its verdict at both ends, and just outside what the table says."""
    assert classify(ip_address(address)) is verdict


@pytest.mark.parametrize(("before", "address", "after"), METADATA)
def test_metadata_services_are_known_one_by_one(before: str, address: str, after: str) -> None:
    """A cloud's metadata address is named as such, in public space too; its neighbours are not."""
    assert classify(ip_address(address)) is Verdict.METADATA
    assert classify(ip_address(before)) is not Verdict.METADATA
    assert classify(ip_address(after)) is not Verdict.METADATA


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2a00:1450:4001:830::200e", "2400:cb00::1"])
def test_ordinary_addresses_are_public(address: str) -> None:
    """The classifier does not refuse the internet."""
    assert classify(ip_address(address)) is Verdict.PUBLIC
