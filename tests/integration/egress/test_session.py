"""The two kinds of client session against real servers on loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from gateway.egress.errors import EgressRefused, RequestRefused, refusal_in
from gateway.egress.guard import EgressPolicy
from gateway.egress.session import open_guarded_session, open_upstream_session

# A certificate authority of nobody: its key was thrown away.
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUIWQnkufop/TFiR7GxA00jt8fopQwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTI0MTgzNTUzWhgPMjEy
NjEwMzExODM1NTNaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAETqVuPpfny6YPOC0eoDS1SDxXdC6Gw+dSmEuX6Ghs
lmMBdQ5rvONwvjrgWERaUU//Ne2L8JiQVok5cIgmqDi4C6NTMFEwHQYDVR0OBBYE
FIsFwP6I3pA7NbOyaTZwor4lAk7gMB8GA1UdIwQYMBaAFIsFwP6I3pA7NbOyaTZw
or4lAk7gMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgbqLUHGW2
r4cX+ZLa8yd6OgxB0ZhIHOKmuD9o/qfYyMcCIQCZDBsuzQVXTm4PzTivJU/0e/aX
o+s1LpWdbM4T5kJCHw==
-----END CERTIFICATE-----
"""


@asynccontextmanager
async def raw_server(*, close_after_body: bool = False) -> AsyncIterator[tuple[int, list[bytes], list[int]]]:
    """Counts requests and connections. Answers the first request of each connection; then, or at once, reads a request whole and closes."""
    requests: list[bytes] = []
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        answered = close_after_body
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if b"ontent-" in head else 0
                requests.append(head + await reader.readexactly(length))
                if answered:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
                answered = True
        except asyncio.IncompleteReadError:
            pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], requests, connections


async def test_a_post_is_never_sent_twice() -> None:
    """A server that reads the whole POST and hangs up sees it once, on a fresh connection and on a kept one: it may have been billed."""
    async with raw_server() as (port, requests, connections):
        base = f"http://127.0.0.1:{port}"
        async with await open_upstream_session(base, concurrency=4) as session:
            async with session.post(f"{base}/a", data=b"first") as response:
                assert await response.read() == b"ok"
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(f"{base}/a", data=b"second")
        assert [request.rpartition(b"\r\n\r\n")[2] for request in requests] == [b"first", b"second"]
        assert len(connections) == 1
    async with raw_server(close_after_body=True) as (port, requests, _):
        base = f"http://127.0.0.1:{port}"
        async with await open_upstream_session(base, concurrency=4) as session:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(f"{base}/a", json={"prompt": "a cat"})
        assert len(requests) == 1


async def test_a_get_on_a_dead_kept_connection_is_sent_again() -> None:
    """The test above could fail: the same server makes aiohttp repeat a GET."""
    async with raw_server() as (port, requests, connections):
        base = f"http://127.0.0.1:{port}"
        async with await open_upstream_session(base, concurrency=4) as session:
            for _ in range(2):
                async with session.get(f"{base}/a") as response:
                    assert await response.read() == b"ok"
        assert (len(requests), len(connections)) == (3, 2)


async def test_an_upstreams_session_stays_at_its_origins() -> None:
    """Another host, port or scheme is refused before a connection is made, and a redirect there does not take the key along."""
    seen: list[web.BaseRequest] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        if request.path == "/away":
            return web.Response(status=307, headers={"Location": request.query["to"]})
        return web.Response(body=b"ok")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    other_app = web.Application()
    other_app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as home, TestServer(other_app, host="127.0.0.1") as other:
        base, away = f"http://127.0.0.1:{home.port}/v1", f"http://127.0.0.1:{other.port}"
        async with await open_upstream_session(base, concurrency=4) as session:
            assert (await session.post(f"{base}/images", data=b"x")).status == 200
            for url in (away, f"http://localhost:{home.port}/v1", f"https://127.0.0.1:{home.port}/v1"):
                with pytest.raises(RequestRefused):
                    await session.get(url)
            with pytest.raises(RequestRefused) as refused:
                await session.post(
                    f"http://127.0.0.1:{home.port}/away",
                    params={"to": away},
                    headers={"Authorization": "Bearer k"},
                    data=b"x",
                )
            assert isinstance(refused.value, aiohttp.ClientError)
        async with await open_upstream_session(base, concurrency=4, other_origins=(away,)) as session:
            assert (await session.get(f"{away}/queue")).status == 200
        assert [request.path for request in seen] == ["/v1/images", "/away", "/queue"]


async def test_an_upstreams_session_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy from the environment, no cookie kept, no compression asked for, and at most `concurrency` connections."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[web.BaseRequest] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=b"ok", headers={"Set-Cookie": "a=b"})

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        base = f"http://localhost:{server.port}/"  # a name: aiohttp's own jar ignores the cookies of bare addresses
        async with await open_upstream_session(base, concurrency=3) as session:
            for _ in range(2):
                async with session.get(base) as response:
                    await response.read()
            assert session.connector is not None
            assert session.connector.limit == 3
    assert [request.headers.get("Cookie") for request in seen] == [None, None]
    assert {request.headers["Accept-Encoding"] for request in seen} == {"identity"}


async def test_waiting_for_a_connection_counts_as_connecting() -> None:
    """With all connections busy, a further call fails after the connect timeout, and the server has not seen it."""
    arrived, release = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        arrived.set()
        await release.wait()
        return web.Response(body=b"ok")

    async def call(session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.get(url) as response:
            return await response.read()

    app = web.Application()
    app.router.add_get("/{path}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        base = f"http://127.0.0.1:{server.port}"
        async with (
            await open_upstream_session(base, concurrency=1, connect_timeout_s=0.5) as session,
            asyncio.TaskGroup() as tasks,
        ):
            first = tasks.create_task(call(session, f"{base}/first"))
            await arrived.wait()
            with pytest.raises(aiohttp.ConnectionTimeoutError):
                await call(session, f"{base}/second")
            release.set()
            assert await first == b"ok"
    assert seen == ["/first"]


async def test_a_guarded_session_checks_every_request_and_redirect() -> None:
    """Even a caller that forgets `check_url` and lets aiohttp follow redirects gets nowhere internal."""
    hits: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(status=302, headers={"Location": "http://127.0.0.2/secret"})

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        policy = EgressPolicy(allow=("127.0.0.1",), allow_http=True, ports=(server.port or 0, 80))
        async with await open_guarded_session(policy) as session:
            with pytest.raises(RequestRefused) as refused:
                await session.get(f"http://127.0.0.1:{server.port}/")
            assert isinstance(refused.value, EgressRefused)
            assert isinstance(refused.value, aiohttp.ClientError)
            assert "127.0.0.2" in refused.value.reason
    assert hits == ["/"]


async def test_a_refused_address_is_a_connection_error_with_its_reason() -> None:
    """Users of a guarded session need to catch aiohttp's errors only, and can still learn why."""

    class Inward(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [ResolveResult(hostname=host, host="10.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

        async def close(self) -> None: ...

    async with await open_guarded_session(EgressPolicy(), resolver=Inward()) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await session.get("https://img.shop/")
    assert refusal_in(refused.value) == "img.shop resolves to 10.0.0.1, which is private"


async def test_a_bad_ca_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    """A missing or malformed CA file is named at once, not at the first call."""
    broken = tmp_path / "ca.pem"
    broken.write_text("nonsense")
    for path in (str(broken), str(tmp_path / "absent.pem")):
        with pytest.raises(ValueError, match="ca_file"):
            await open_upstream_session("https://api.shop", concurrency=1, ca_file=path)
        with pytest.raises(ValueError, match="ca_file"):
            await open_guarded_session(EgressPolicy(ca_file=path))


async def test_a_ca_file_is_added_to_the_usual_authorities(tmp_path: Path) -> None:
    """Certificates are still verified, by the file's authority or any of the usual ones."""
    path = tmp_path / "ca.pem"
    path.write_text(AUTHORITY)
    for opened in (
        open_upstream_session("https://api.shop", concurrency=1, ca_file=str(path)),
        open_guarded_session(EgressPolicy(ca_file=str(path))),
    ):
        async with await opened as session:
            assert isinstance(session.connector, aiohttp.TCPConnector)
            context = session.connector._ssl
            assert isinstance(context, ssl.SSLContext)
            assert context.verify_mode is ssl.CERT_REQUIRED
            assert context.check_hostname
            usual = {str(known) for known in ssl.create_default_context().get_ca_certs()}
            assert {str(known) for known in context.get_ca_certs()} - usual
