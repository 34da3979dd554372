"""Downloads from real servers on loopback: what is followed, what is refused, and every bound."""

import asyncio
import gzip
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from gateway.egress.download import Downloaded, Patience, download
from gateway.egress.errors import (
    FETCH_FAILED_TEXT,
    TOO_LARGE_TEXT,
    DownloadFailed,
    DownloadTooLarge,
    EgressError,
    EgressRefused,
)
from gateway.egress.guard import EgressPolicy
from gateway.egress.session import open_guarded_session


class StillClock:
    """Stands until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1_000)

    def monotonic_s(self) -> float:
        return self.seconds


class TableResolver(AbstractResolver):
    """Each look-up of any name gives the next row, the last one for ever."""

    def __init__(self, *rows: list[str]) -> None:
        self.rows = list(rows)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        row = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in row
        ]

    async def close(self) -> None: ...


@dataclass
class Site:
    """A server with what it was asked, and answers by path."""

    clock: StillClock
    hits: list[web.BaseRequest] = field(default_factory=list)
    redirects: dict[str, tuple[int, str]] = field(default_factory=dict)
    port: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.hits.append(request)
        path = request.path
        if path in self.redirects:
            status, location = self.redirects[path]
            return web.Response(status=status, headers={"Location": location})
        if path.startswith("/status/"):
            return web.Response(status=int(path.rpartition("/")[2]), body=b"no")
        if path == "/cookie":
            return web.Response(status=302, headers={"Location": "/a.png", "Set-Cookie": "a=b"})
        if path == "/gzip":
            return web.Response(body=gzip.compress(bytes(10_000)), headers={"Content-Encoding": "gzip"})
        if path == "/empty":
            return web.Response(body=b"")
        if path in ("/endless", "/slow", "/silent", "/broken"):
            return await self.stream(request)
        return web.Response(body=b"picture", content_type="image/PNG", headers={"X-Path": path})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"} if request.path == "/broken" else {})
        await response.prepare(request)
        await response.write(b"x" * 50)
        if request.path == "/broken":
            assert request.transport is not None
            request.transport.abort()
        elif request.path == "/silent":
            await asyncio.Event().wait()
        for _ in range(1_000):
            if request.path == "/slow":
                self.clock.seconds += 30
            await response.write(b"x" * 1_000)
            await asyncio.sleep(0)
        return response


@asynccontextmanager
async def serve() -> AsyncIterator[Site]:
    site = Site(StillClock())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        site.port = server.port
        yield site


def policy_for(*sites: Site, allow: tuple[str, ...] = ("127.0.0.1",)) -> EgressPolicy:
    return EgressPolicy(allow=allow, allow_http=True, ports=tuple(site.port for site in sites))


async def fetch(
    policy: EgressPolicy,
    url: str,
    site: Site,
    *,
    bytes_max: int = 10_000,
    resolver: AbstractResolver | None = None,
    patience: Patience | None = None,
    deadline_s: float = 2_000.0,
) -> Downloaded:
    async with await open_guarded_session(policy, resolver=resolver) as session:
        return await download(
            session,
            policy,
            url,
            bytes_max=bytes_max,
            deadline_s=deadline_s,
            clock=site.clock,
            patience=patience or Patience(),
        )


async def test_a_file_arrives_with_its_media_type() -> None:
    """The bytes and the claimed type come back; no cookie, no credentials, no wish for compression go out."""
    async with serve() as site:
        found = await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/a%2Fb.png?sig=%2b", site)
        assert found == Downloaded(b"picture", "image/png")
        headers = site.hits[0].headers
        assert headers["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Authorization", "Referer"} & set(headers)
        assert site.hits[0].raw_path == "/a%2Fb.png?sig=%2b"


async def test_an_internal_server_is_not_reached_by_any_spelling() -> None:
    """Without an allow entry no request arrives, whether the address is written out or hidden behind a name."""
    async with serve() as site:
        policy = policy_for(site, allow=())
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost", "img.shop"):
            with pytest.raises(EgressRefused):
                await fetch(policy, f"http://{host}:{site.port}/", site, resolver=TableResolver(["127.0.0.1"]))
        assert site.hits == []


async def test_a_name_with_one_internal_address_is_not_dialled_at_all() -> None:
    """A public address beside the internal one does not help, in either order."""
    async with serve() as site:
        for row in (["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]):
            with pytest.raises(EgressRefused) as refused:
                await fetch(
                    policy_for(site, allow=()), f"http://img.shop:{site.port}/", site, resolver=TableResolver(row)
                )
            assert "loopback" in refused.value.reason
        assert site.hits == []


async def test_rebinding_between_two_hops_is_caught() -> None:
    """A name is looked up anew for every hop, to the same port as well; the second answer points inward and nothing is sent there."""
    async with serve() as site:
        url = f"http://img.shop:{site.port}"
        site.redirects["/a"] = (302, "/a.png")
        resolver = TableResolver(["127.0.0.1"], ["127.0.0.2"])
        with pytest.raises(EgressRefused) as refused:
            await fetch(policy_for(site), f"{url}/a", site, resolver=resolver)
        assert "127.0.0.2" in refused.value.reason
        assert ([hit.path for hit in site.hits], resolver.asked) == (["/a"], ["img.shop", "img.shop"])


async def test_redirects_are_checked_even_where_the_session_would_let_them_pass() -> None:
    """The download's own policy counts for every hop, not only the session's."""
    async with serve() as site, serve() as internal:
        site.redirects["/a"] = (302, f"http://127.0.0.1:{internal.port}/secret")
        async with await open_guarded_session(policy_for(site, internal)) as session:
            with pytest.raises(EgressRefused):
                await download(
                    session,
                    policy_for(site),
                    f"http://127.0.0.1:{site.port}/a",
                    bytes_max=10_000,
                    deadline_s=2_000.0,
                    clock=site.clock,
                )
        assert internal.hits == []


async def test_a_resolver_that_lies_to_the_guard_is_caught_at_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the second lock open, the third still refuses the address that is about to be dialled."""
    async with serve() as site:
        monkeypatch.setattr("gateway.egress.guard.Guard.resolve", TableResolver(["127.0.0.1"]).resolve)
        with pytest.raises(EgressRefused) as refused:
            await fetch(policy_for(site, allow=()), f"http://img.shop:{site.port}/", site)
        assert "dialling 127.0.0.1" in refused.value.reason
        assert site.hits == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://127.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://user@127.0.0.2:{port}/secret",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_a_redirect_inward_is_refused(status: int, location: str) -> None:
    """Each hop passes the same locks: an allowed server cannot send us to one that is not."""
    async with serve() as front, serve() as internal:
        front.redirects["/a"] = (status, location.format(port=internal.port))
        policy = policy_for(front)  # the internal server has another port
        with pytest.raises(EgressRefused) as refused:
            await fetch(policy, f"http://127.0.0.1:{front.port}/a", front)
        assert str(refused.value) == FETCH_FAILED_TEXT
        assert (len(front.hits), internal.hits) == (1, [])


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    """Relative and absolute redirects are followed, up to three."""
    async with serve() as site:
        origin = f"http://127.0.0.1:{site.port}"
        site.redirects = {"/3": (302, "2"), "/2": (301, f"{origin}/1?a=%2F"), "/1": (307, "/a.png"), "/4": (308, "/3")}
        assert (await fetch(policy_for(site), f"{origin}/3", site)).content == b"picture"
        with pytest.raises(DownloadFailed) as failed:
            await fetch(policy_for(site), f"{origin}/4", site)
        assert "redirects" in failed.value.reason


async def test_cookies_are_not_carried_to_the_next_hop() -> None:
    """Nothing that one answer sets is sent with the next request."""
    async with serve() as site:
        # By name: aiohttp's own jar would ignore the cookies of a bare address.
        resolver = TableResolver(["127.0.0.1"])
        await fetch(policy_for(site), f"http://img.shop:{site.port}/cookie", site, resolver=resolver)
        assert [hit.headers.get("Cookie") for hit in site.hits] == [None, None]


async def test_an_upstreams_own_server_is_reached_for_its_answers_only() -> None:
    """The policy for an upstream reaches its loopback server; the policy for callers does not."""
    async with serve() as site:
        url = f"http://127.0.0.1:{site.port}/view"
        own = EgressPolicy().for_upstream(f"http://127.0.0.1:{site.port}/v1")
        assert (await fetch(own, url, site)).content == b"picture"
        with pytest.raises(EgressRefused):
            await fetch(EgressPolicy(), url, site)
        # Even if somebody pairs the upstream's policy with the callers' session:
        async with await open_guarded_session(EgressPolicy()) as session:
            with pytest.raises(EgressRefused):
                await download(session, own, url, bytes_max=10, deadline_s=2_000.0, clock=site.clock)
        assert len(site.hits) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
async def test_other_statuses_fail_and_are_named(status: int) -> None:
    """Only 200 is a file; the status is kept for the log and for whoever decides about a retry."""
    async with serve() as site:
        with pytest.raises(DownloadFailed) as failed:
            await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/status/{status}", site)
        assert failed.value.status == status
        assert str(failed.value) == FETCH_FAILED_TEXT


async def test_size_is_capped_by_announcement_and_by_count() -> None:
    """A file of exactly the limit passes; one byte more fails, announced or streamed without a length."""
    async with serve() as site:
        origin = f"http://127.0.0.1:{site.port}"
        assert (await fetch(policy_for(site), f"{origin}/a.png", site, bytes_max=7)).content == b"picture"
        for path, bytes_max, how in (("a.png", 6, "announced"), ("endless", 10_000, "sent more")):
            with pytest.raises(DownloadTooLarge) as failed:
                await fetch(policy_for(site), f"{origin}/{path}", site, bytes_max=bytes_max)
            assert str(failed.value) == TOO_LARGE_TEXT
            assert how in failed.value.reason


@pytest.mark.parametrize(
    ("path", "reason"), [("gzip", "encoding"), ("empty", "empty"), ("broken", "ClientPayloadError"), ("slow", "slowly")]
)
async def test_bodies_that_are_not_the_file_fail(path: str, reason: str) -> None:
    """Compressed, empty, broken off or trickling answers fail, each with its reason for the log."""
    async with serve() as site:
        with pytest.raises(DownloadFailed) as failed:
            await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/{path}", site, bytes_max=10_000_000)
        assert reason in failed.value.reason


async def test_a_guarded_session_unpacks_nothing() -> None:
    """Bytes come as sent, so that a small answer cannot grow on arrival."""
    async with (
        serve() as site,
        await open_guarded_session(policy_for(site)) as session,
        session.get(f"http://127.0.0.1:{site.port}/gzip", allow_redirects=False) as response,
    ):
        assert gzip.decompress(await response.read()) == bytes(10_000)


@pytest.mark.parametrize("patience", [Patience(silence_s=0.05), Patience(total_s=0.05)])
async def test_silence_is_bounded(patience: Patience) -> None:
    """A server that stops sending is given up after the pause allowed, or at the end of the time in all."""
    async with serve() as site:
        with pytest.raises(DownloadFailed) as failed:
            await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/silent", site, patience=patience)
        assert "too long" in failed.value.reason


async def test_the_deadline_bounds_a_download() -> None:
    """A deadline that has passed sends nothing; one that comes soon ends a silent answer."""
    async with serve() as site:
        url = f"http://127.0.0.1:{site.port}/silent"
        with pytest.raises(DownloadFailed):
            await fetch(policy_for(site), url, site, deadline_s=site.clock.seconds)
        assert site.hits == []
        with pytest.raises(DownloadFailed):
            await fetch(policy_for(site), url, site, deadline_s=site.clock.seconds + 0.05)


async def test_a_closed_port_fails_like_anything_else() -> None:
    """Nothing listening, a refused address and a wrong status look the same to whoever gave the URL."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        site = Site(StillClock(), port=closed.getsockname()[1])
        with pytest.raises(DownloadFailed) as failed:
            await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/secret?token=abc", site)
    assert str(failed.value) == FETCH_FAILED_TEXT
    assert "token" not in failed.value.reason
    assert "secret" not in failed.value.reason


async def test_only_our_own_errors_come_out() -> None:
    """Raw nonsense from the other side ends in an EgressError, never in a client library's exception."""
    answers = [
        b"",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a:b:c/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ]
    unsent = itertools.cycle(answers)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(unsent))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        site = Site(StillClock(), port=server.sockets[0].getsockname()[1])
        for _ in answers:
            with pytest.raises(EgressError):
                await fetch(policy_for(site), f"http://127.0.0.1:{site.port}/", site)
