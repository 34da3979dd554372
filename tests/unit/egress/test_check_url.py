"""The first lock: hostile spellings of a URL, and the honest ones that must pass."""

import pytest
from yarl import URL

from gateway.egress.errors import FETCH_FAILED_TEXT, EgressRefused
from gateway.egress.guard import CALLER_URL_CHARS_MAX, UPSTREAM_URL_CHARS_MAX, EgressPolicy, check_url

POLICY = EgressPolicy()

HOSTILE = [
    # not a URL, or not one of ours
    "",
    " ",
    "/etc/passwd",
    "//img.shop/a.png",
    "img.shop/a.png",
    "file:///etc/passwd",
    "ftp://img.shop/a.png",
    "gopher://img.shop/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun/",
    "wss://img.shop/",
    "https:",
    "https:/img.shop/a.png",
    "https:img.shop",
    "https://",
    "https:///a.png",
    "https://?a",
    "https://#a",
    "https://:443/",
    "ht\ntps://img.shop/",
    "\x00https://img.shop/",
    "https://img.shop/" + "a" * CALLER_URL_CHARS_MAX,
    # plain http
    "http://img.shop/a.png",
    "HTTP://img.shop/a.png",
    "http://img.shop:443/a.png",
    # ports
    "https://img.shop:80/",
    "https://img.shop:22/",
    "https://img.shop:8443/",
    "https://img.shop:+443/",
    "https://img.shop:-443/",
    "https://img.shop: 443/",
    "https://img.shop:/",
    "https://img.shop:0443/",
    "https://img.shop:0/",
    "https://img.shop:00000/",
    "https://img.shop:65979/",  # 443 modulo 65,536
    "https://img.shop:99999/",
    "https://img.shop:443443/",
    "https://img.shop:4_43/",
    "https://img.shop:0x1bb/",
    "https://img.shop:443:443/",
    "https://img.shop:443a/",
    "https://img.shop:\u0664\u0664\u0663/",
    # user names and other confusions in the authority
    "https://user@img.shop/",
    "https://user:password@img.shop/",
    "https://@img.shop/",
    "https://img.shop@127.0.0.1/",
    "https://img.shop:443@127.0.0.1/",
    "https://127.0.0.1#@img.shop/",
    "https://127.0.0.1?@img.shop/",
    "https://img.shop\\@127.0.0.1/",
    "https://127.0.0.1\\.img.shop/",
    "https:\\\\img.shop/",
    "https://img.shop/\\..\\",
    "https://img.shop%2f@127.0.0.1/",
    "https://127.0.0.1%2eimg.shop/",
    "https://127.0.0.1%00.img.shop/",
    "https://img.shop%40127.0.0.1/",
    "https://img.shop;127.0.0.1/",
    "https://img.shop,127.0.0.1/",
    "https://img.shop&127.0.0.1/",
    "https://img.shop 127.0.0.1/",
    "https://127.0.0.1\timg.shop/",
    "https://img.shop\r\nHost: internal/",
    "https://(img.shop)/",
    "https://img.shop|/",
    "https://{img.shop}/",
    "https://<img.shop>/",
    "https://img$shop.com/",
    "https://*.img.shop/",
    # IPv4, as addresses are written
    "https://0.0.0.0/",
    "https://127.0.0.1/",
    "https://127.0.0.1:443/",
    "https://127.255.255.254/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://198.18.0.1/",
    # IPv4, as libc reads it
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0X7F000001/",
    "https://0x7f.1/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/",
    "https://0177.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://0x/",
    "https://00000000.0/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://127.000.000.001/",
    "https://1.2.3.4.5/",
    "https://256.256.256.256/",
    "https://8.8.8.0x8/",
    "https://08.8.8.8/",
    "https://8.8.8/",
    "https://img.shop.1/",
    "https://img.shop.0x1/",
    "https://localhost.0x7f000001/",
    # IPv4 in other digits
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    "https://127.0.0.\u0661/",
    # IPv6
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[0000::0001]:443/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:7f00:0001]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2606:4700::5efe:127.0.0.1]/",
    "https://[2606:4700::200:5efe:7f00:1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[5f00::1]/",
    "https://[100::1]/",
    "https://[]/",
    "https://[:]/",
    "https://[:::]/",
    "https://[1]/",
    "https://[127.0.0.1]/",
    "https://[img.shop]/",
    "https://[v1.a]/",
    "https://[2606:4700::1111/",
    "https://2606:4700::1111/",
    "https://[2606:4700::1111]]/",
    "https://[2606:4700::1111]img.shop/",
    "https://[2606:4700::12345]/",
    "https://[2606:4700::1111]:80/",
    # names
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://localhost.localdomain/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://METADATA.google.Internal/",
    "https://kubernetes.default.svc/",
    "https://kubernetes.default.svc.cluster.local/",
    "https://printer.lan/",
    "https://nas.home/",
    "https://router.home.arpa/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://wiki.corp/",
    "https://wiki.intranet/",
    "https://db.private/",
    "https://a.test/",
    "https://a.example/",
    "https://a.invalid/",
    "https://a.onion/",
    "https://redis/",
    "https://img.shop./",
    "https://img.shop../",
    "https://.img.shop/",
    "https://img..shop/",
    "https://./",
    "https://../",
    "https://-img.shop/",
    "https://img-.shop/",
    "https://" + "a" * 64 + ".shop/",
    "https://" + "a." * 127 + "shop/",
    "https://b\u00fccher.shop/",
    "https://img.\u017fhop/",
    "https://\u24d8mg.shop/",
    "https://img.shop/b\u00fccher.png",
    "https://img.shop/a b.png",
    "https://img.shop/\x7f",
]

HONEST = [
    ("https://img.shop", "img.shop", 443),
    ("https://img.shop/", "img.shop", 443),
    ("https://img.shop?a=b", "img.shop", 443),
    ("https://img.shop#a", "img.shop", 443),
    ("HTTPS://IMG.Shop/A.png", "img.shop", 443),
    ("https://img.shop:443/a.png", "img.shop", 443),
    ("https://my_bucket.s3.amazonaws.com/a%2Fb.png?X-Sig=%2B%2f&e=1", "my_bucket.s3.amazonaws.com", 443),
    ("https://a-b.c--d.img.shop/@user:1/x.png", "a-b.c--d.img.shop", 443),
    ("https://xn--bcher-kva.shop/a.png", "xn--bcher-kva.shop", 443),
    ("https://img.xn--p1ai/", "img.xn--p1ai", 443),
    ("https://1.img.shop/", "1.img.shop", 443),
    ("https://0x7f.img.shop/", "0x7f.img.shop", 443),
    ("https://10.0.0.1.nip.io/", "10.0.0.1.nip.io", 443),  # left to the resolver
    ("https://8.8.8.8/a.png", "8.8.8.8", 443),
    ("https://[2606:4700:4700::1111]/a.png", "2606:4700:4700::1111", 443),
    ("https://[2606:4700:4700:0:0:0:0:1111]:443/", "2606:4700:4700::1111", 443),
    ("https://localhost.img.shop/", "localhost.img.shop", 443),
    ("https://img.shop/../a/./b", "img.shop", 443),
    ("https://img.shop/?next=http://127.0.0.1/", "img.shop", 443),
]


def test_the_table_is_large_and_has_no_repeats() -> None:
    """The list of attacks stays a list of different attacks."""
    assert len(set(HOSTILE)) == len(HOSTILE) >= 120


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
