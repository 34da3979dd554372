"""Bodies with pictures over a real connection: memory stays small, and what a failing store means depends on when it fails."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web

from gateway.domain.clock import SystemClock
from gateway.domain.images import Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure, UpstreamSettings
from gateway.upstreams.bodies import Body, data_url, json_body, multipart_body
from gateway.upstreams.wire import Resources, Send, Wire
from tests.unit.upstreams.given import Given

SIZE = 20_000_000


@dataclass
class Zeros:
    """Twenty megabytes that nobody holds."""

    content_type: str = "image/png"
    size_bytes: int = SIZE
    pixels: Pixels = field(default_factory=lambda: Pixels(4096, 4096))

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(SIZE // 200_000):
            await asyncio.sleep(0)
            yield bytes(200_000)

    def link(self) -> str | None:
        return None


class Vendor:
    """Reads every body to its end, and counts."""

    def __init__(self) -> None:
        self.whole: list[tuple[int, str]] = []
        self.broken = 0

    async def take(self, request: web.Request) -> web.Response:
        digest, size = hashlib.sha256(), 0
        try:
            async for chunk in request.content.iter_any():
                digest.update(chunk)
                size += len(chunk)
        except Exception:
            self.broken += 1
            raise
        assert size == request.content_length
        self.whole.append((size, digest.hexdigest()))
        return web.json_response({})

    async def turn_away(self, request: web.Request) -> web.Response:
        """Before it has read anything."""
        return web.json_response({"error": {"code": "insufficient_quota", "message": "no"}}, status=402)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(1) as threads:
        yield Resources(SystemClock(), threads)


@pytest_asyncio.fixture
async def wire(vendor: Vendor, resources: Resources) -> AsyncIterator[Wire]:
    app = web.Application()
    app.router.add_post("/pictures", vendor.take)
    app.router.add_post("/poor", vendor.turn_away)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    wire = Wire(UpstreamSettings("u", "openai", base_url=f"http://127.0.0.1:{port}"), resources, {})
    yield wire
    await wire.close()
    await runner.cleanup()


async def send(wire: Wire, body: Body) -> None:
    await wire.call(Send("POST", "/pictures", wire.deadline_s(1e12), body=body), bytes)


async def test_twenty_megabytes_are_never_in_memory(wire: Wire, vendor: Vendor) -> None:
    """Eight such pictures at once, in both forms, arrive whole, and the process hardly grows."""
    await send(wire, multipart_body({}, [("image", Given(b"small"))]))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bodies: list[Body] = [json_body({"image": data_url(Zeros())}) for _ in range(4)]
    bodies += [multipart_body({"prompt": "a fox"}, [("image", Zeros())]) for _ in range(4)]
    await asyncio.gather(*(send(wire, body) for body in bodies))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert sum(size > SIZE for size, _ in vendor.whole) == 8
    assert grown_kb < 40_000


async def test_the_same_bytes_twice(wire: Wire, vendor: Vendor) -> None:
    """A body that is sent again is the same body."""
    body = json_body({"image": data_url(Given(b"picture" * 100_000))})
    await send(wire, body)
    await send(wire, body)
    assert vendor.whole[0] == vendor.whole[1]


async def test_a_store_that_is_away(wire: Wire, vendor: Vendor) -> None:
    """Nothing was sent: ours, unbilled, and the next upstream may be asked."""
    with pytest.raises(UpstreamFailure) as caught:
        await send(wire, json_body({"image": data_url(Given(b"x" * 1000, fails_at=0))}))
    assert (caught.value.fault, caught.value.billed) == (Fault.LOCAL, Billed.NO)
    assert (vendor.whole, vendor.broken) == ([], 0)


async def test_a_store_that_fails_in_the_middle(wire: Wire, vendor: Vendor) -> None:
    """The upstream has the beginning: nobody knows what it makes of that. The connection is gone, and the next call has another."""
    with pytest.raises(UpstreamFailure) as caught:
        await send(wire, multipart_body({}, [("image", Given(bytes(1_000_000), fails_at=600_000))]))
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert vendor.whole == []
    await send(wire, multipart_body({}, [("image", Given(b"small"))]))
    assert len(vendor.whole) == 1


@pytest.mark.parametrize("multipart", [False, True])
async def test_an_answer_before_the_end_of_the_body(wire: Wire, multipart: bool) -> None:
    """An upstream that refuses before it has read a large body is believed: the next one may be asked at once."""
    body = multipart_body({}, [("image", Zeros())]) if multipart else json_body({"image": data_url(Zeros())})
    with pytest.raises(UpstreamFailure) as caught:
        await wire.call(Send("POST", "/poor", wire.deadline_s(1e12), body=body), bytes)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_MONEY, Billed.NO)
