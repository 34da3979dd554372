"""The first lock: hostile spellings of a URL, and the honest ones that must pass."""

import pytest
from yarl import URL

from gateway.egress.errors import FETCH_FAILED_TEXT, EgressRefused
from gateway.egress.guard import UPSTREAM_URL_CHARS_MAX, EgressPolicy, check_url
from tests.hostile_urls import HONEST, HOSTILE

POLICY = EgressPolicy()


def test_the_table_is_large_and_has_no_repeats() -> None:
    """The list of attacks stays a list of different attacks."""
    assert len(set(HOSTILE)) == len(HOSTILE) > 300


@pytest.mark.parametrize("url", HOSTILE, ids=[ascii(url)[:60] for url in HOSTILE])
def test_hostile_urls_are_refused_with_one_text(url: str) -> None:
    """Each hostile spelling is refused, the caller's text is always the same, and the log's has no query or password in it."""
    with pytest.raises(EgressRefused) as refused:
        check_url(url, POLICY)
    assert str(refused.value) == FETCH_FAILED_TEXT
    assert refused.value.reason
    assert "password" not in refused.value.reason


@pytest.mark.parametrize(("url", "host", "port"), HONEST)
def test_honest_urls_pass_unchanged(url: str, host: str, port: int) -> None:
    """An ordinary URL passes, is read as written, and its path and query are not requoted."""
    checked = check_url(url, POLICY)
    assert (checked.text, checked.host, checked.port) == (url, host, port)
    query = url.partition("#")[0].partition("?")[2]
    assert checked.url.raw_query_string == query


def test_allow_http_opens_http_but_no_further_port() -> None:
    """`allow_http` is about the scheme; port 80 must be listed too."""
    with pytest.raises(EgressRefused):
        check_url("http://img.shop/", EgressPolicy(allow_http=True))
    assert check_url("http://img.shop/", EgressPolicy(allow_http=True, ports=(80, 443))).port == 80


def test_allowed_networks_open_their_addresses_only() -> None:
    """A CIDR opens what is inside it, on allowed ports, and nothing next to it."""
    policy = EgressPolicy(allow=("10.1.0.0/16", "127.0.0.1", "fd00::/64"))
    for host in ("10.1.0.0", "10.1.255.255", "127.0.0.1", "[fd00::1]"):
        check_url(f"https://{host}/", policy)
    for host in ("10.0.255.255", "10.2.0.0", "127.0.0.2", "[fd00:0:0:1::1]", "[::ffff:127.0.0.1]", "127.0.0.1:444"):
        with pytest.raises(EgressRefused):
            check_url(f"https://{host}/", policy)


def test_allowed_hosts_open_that_name_only() -> None:
    """A host name in `allow` opens exactly this name, single-label and reserved ones included."""
    policy = EgressPolicy(allow=("Minio", "images.corp"))
    assert check_url("https://minio/a", policy).host == "minio"
    assert check_url("https://IMAGES.corp/a", policy).host == "images.corp"
    for host in ("minio.corp", "a.images.corp", "corp", "minio."):
        with pytest.raises(EgressRefused):
            check_url(f"https://{host}/", policy)


def test_an_upstreams_own_host_and_port_are_open_to_its_answers_only() -> None:
    """`for_upstream` opens one host and port, over http too, and leaves the original policy closed."""
    for base_url, link in (
        ("http://comfy:8188/api", "http://comfy:8188/view?a=1"),
        ("http://10.0.0.5:8188", "http://10.0.0.5:8188/x"),
        ("http://[fd00::5]:8188/", "http://[fd00:0::5]:8188/x"),
        ("https://gpu.corp/v1", "https://gpu.corp/x"),
        ("http://gpu.corp/v1", "http://gpu.corp/x"),
    ):
        own = POLICY.for_upstream(base_url)
        check_url(link, own)
        with pytest.raises(EgressRefused):
            check_url(link, POLICY)
    own = POLICY.for_upstream("http://comfy:8188/api")
    for link in (
        "http://comfy:8189/x",
        "http://comfy/x",
        "http://a.comfy:8188/x",
        "http://img.shop/",
        "https://10.0.0.1/",
    ):
        with pytest.raises(EgressRefused):
            check_url(link, own)


def test_an_upstreams_answers_may_hold_longer_links() -> None:
    """Storage links with session tokens pass for an upstream's answers and not for callers."""
    url = "https://img.shop/?" + "a" * 4_000
    check_url(url, POLICY.for_upstream("https://api.shop/v1"))
    with pytest.raises(EgressRefused):
        check_url("https://img.shop/?" + "a" * UPSTREAM_URL_CHARS_MAX, POLICY.for_upstream("https://api.shop/v1"))


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.1/8", "10.0.0", "a b", "http://minio", "minio:9000", "*.corp", "1.2.3.4.5", "::1/129"]
)
def test_a_malformed_allow_entry_is_named(entry: str) -> None:
    """A typing error in `allow` is an error that quotes the entry, not an entry that silently opens nothing or too much."""
    with pytest.raises(ValueError, match=r"egress\.allow") as error:
        EgressPolicy(allow=(entry,))
    assert repr(entry) in str(error.value)


@pytest.mark.parametrize(
    "other", ["https://127.0.0.1/", "http://img.shop/", "https://img.shop:444/", "https://u@img.shop/", "/x"]
)
def test_two_readings_of_one_url_are_one_too_many(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the client's parser ever read a URL differently from us, the URL is refused."""
    monkeypatch.setattr("gateway.egress.guard.URL", lambda text, encoded: URL(other, encoded=encoded))
    with pytest.raises(EgressRefused, match="could not be fetched") as refused:
        check_url("https://img.shop/", POLICY)
    assert "two ways" in refused.value.reason
