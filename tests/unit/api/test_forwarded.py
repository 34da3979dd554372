"""Whom a request comes from behind proxies: what a trusted one says, and what anybody else may claim."""

from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request
from multidict import CIMultiDict

from gateway.api.forwarded import Proxies

PROXIES = Proxies(["10.0.0.0/8", "::1", "2001:db8::/32"])
FORWARDED, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


def request(peer: object, *headers: tuple[str, str]) -> Request:
    transport = SimpleNamespace(get_extra_info=lambda name, default=None: peer if name == "peername" else default)
    return make_mocked_request("GET", "/", headers=CIMultiDict(headers), transport=transport)


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9", "10.9.9.9"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9:4711"], "203.0.113.9"),
        ("::1", ["[2001:470::7]:443"], "2001:470::7"),
        ("::ffff:10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["10.0.0.7"], "10.0.0.7"),
        ("10.1.2.3", ["203.0.113.9, nonsense"], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", [",".join(["10.0.0.1"] * 5_000)], "10.0.0.1"),
        # Nobody believes these.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("192.168.0.1", ["10.0.0.1"], "192.168.0.1"),
        ("11.0.0.1", ["198.51.100.1"], "11.0.0.1"),
    ],
)
def test_the_client_is_the_first_that_is_no_proxy_of_ours(peer: str, said: list[str], client: str) -> None:
    """From the near end of the list; what stands further away may be invented."""
    assert PROXIES.client(request((peer, 4711), *((FORWARDED, line) for line in said))) == client


def test_a_unix_socket_has_no_address() -> None:
    """Whoever may open it is local."""
    assert PROXIES.client(request("", (FORWARDED, "203.0.113.9"))) == "local"
    assert not PROXIES.says_https(request("", (PROTO, "https")))


@pytest.mark.parametrize(
    ("peer", "said", "https"),
    [
        ("10.1.2.3", ["https"], True),
        ("10.1.2.3", ["http, HTTPS "], True),
        ("10.1.2.3", ["https", "http"], False),
        ("10.1.2.3", ["https, http"], False),
        ("10.1.2.3", ["httpsx"], False),
        ("10.1.2.3", [], False),
        ("203.0.113.7", ["https"], False),
    ],
)
def test_tls_is_what_the_nearest_proxy_says(peer: str, said: list[str], https: bool) -> None:
    """The last word is of the proxy that we know."""
    assert PROXIES.says_https(request((peer, 4711), *((PROTO, line) for line in said))) is https
    assert not Proxies([]).says_https(request((peer, 4711), *((PROTO, line) for line in said)))
