"""Somebody's receiver of webhooks on loopback, which answers as a test tells it. It verifies with code of its own, not with the gateway's."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
_KEY = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Received:
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, object]:
        found = orjson.loads(self.body)["data"]
        assert isinstance(found, dict)
        return found

    @property
    def percent(self) -> object:
        return self.data["threshold_percent"]

    def verify(self, *keys: bytes) -> None:
        """As the specification has it: `v1` over id, timestamp and body, one for each key in order. AssertionError where it is not so."""
        text = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        made = [hmac.new(key, text, hashlib.sha256).digest() for key in keys or (_KEY,)]
        parts = [part.split(",", 1) for part in self.headers["webhook-signature"].split()]
        assert [version for version, _ in parts] == ["v1"] * len(made)
        assert [base64.b64decode(signature) for _, signature in parts] == made


@dataclass
class WebhookReceiver:
    """`answers`: the next statuses, then 204. A negative one: silence for so many seconds; a function answers by itself."""

    port: int = 0
    answers: "list[int | Answer]" = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/budgets?token=not-for-logs"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received(request.headers.copy(), await request.read()))
        status = self.answers.pop(0) if self.answers else 204
        if not isinstance(status, int):
            return await status(request)
        if status < 0:
            await asyncio.sleep(-status)
            status = 204
        return web.Response(status=status, headers=self.headers)

    async def until(self, count: int, timeout_s: float = 60.0) -> list[Received]:
        """So many messages; TimeoutError if they never come."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:  # noqa: ASYNC110 - polled, so that a test may also look at what came until now
                await asyncio.sleep(0.02)
        return self.received


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def reset(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def huge(request: web.Request) -> web.StreamResponse:
    """More than anybody reads, for as long as somebody does."""
    response = web.StreamResponse(status=500)
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(10_000):
            await response.write(b"x" * 65_536)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    """200 at once, then a word now and then."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            await response.write(b"wait ")
            await asyncio.sleep(0.1)
    return response


@asynccontextmanager
async def receiving(port: int | None = None) -> AsyncIterator[WebhookReceiver]:
    """A receiver for as long as the block runs, on a free port or this one."""
    receiver = WebhookReceiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    server = TestServer(app, host="127.0.0.1", port=port)
    await server.start_server(access_log=None)  # it would stand in the log of the gateway under test
    try:
        assert server.port is not None
        receiver.port = server.port
        yield receiver
    finally:
        await server.close()
