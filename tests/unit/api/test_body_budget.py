"""The bytes of callers' bodies: admitted by what they declare, given back in every case, refused at once beyond."""

import asyncio
import gzip

import pytest

from gateway.api.body_budget import BODIES_BYTES_MAX, HELD_BYTES_MAX, BodyBudget
from gateway.api.state import BODIES
from gateway.domain.errors import Overloaded
from tests.multipart_bodies import BOUNDARY, Sent, body_of
from tests.unit.api.conftest import Edge
from tests.unit.api.fake_pipeline import KEY
from tests.unit.api.fake_uploads import PNG
from tests.unit.api.test_edits import FORM, form


def test_shares_follow_the_declared_length() -> None:
    """Small ones count twice, none counts for more than a piece, and an unknown length for as much."""
    budget = BodyBudget()
    for declared, share in ((0, 0), (200, 400), (20_000_000, HELD_BYTES_MAX), (None, HELD_BYTES_MAX)):
        with budget.hold(declared):
            assert budget.used_bytes == share
    assert budget.used_bytes == 0


def test_what_does_not_fit_is_refused_and_what_breaks_is_given_back() -> None:
    """One more than fits: 503 with Retry-After; small ones still pass."""
    budget = BodyBudget(3 * HELD_BYTES_MAX // 2)
    with budget.hold(None):
        with pytest.raises(Overloaded) as refused, budget.hold(None):
            pass
        assert refused.value.retry_after_s == 2
        with budget.hold(1000):
            assert budget.used_bytes == HELD_BYTES_MAX + 2000
        with pytest.raises(KeyError), budget.hold(1000):
            raise KeyError
    assert budget.used_bytes == 0
    assert BODIES_BYTES_MAX // HELD_BYTES_MAX >= 100


def test_what_comes_is_bounded_as_a_whole() -> None:
    """By the declared length, so that callers cannot fill the disk with calls that are not accepted yet."""
    budget = BodyBudget(coming_bytes_max=100_000_000)
    with budget.hold(60_000_000):
        with pytest.raises(Overloaded), budget.hold(50_000_000):
            pass
        with pytest.raises(Overloaded), budget.hold(None):
            pass
        with budget.hold(40_000_000):
            assert budget.coming_bytes == 100_000_000
    assert (budget.used_bytes, budget.coming_bytes) == (0, 0)


def test_what_was_not_declared_is_counted_as_it_comes() -> None:
    """Chunked bodies, and compressed ones, which say how long they are packed."""
    budget = BodyBudget(coming_bytes_max=100_000_000)
    with budget.hold(1000) as share:
        share.cover(900)
        assert budget.coming_bytes == 1000
        share.cover(90_000_000)
        assert budget.coming_bytes == 90_000_000
        with pytest.raises(Overloaded):
            share.cover(110_000_000)
    assert (budget.used_bytes, budget.coming_bytes) == (0, 0)


async def test_a_packed_form_cannot_fill_the_disk(edge: Edge) -> None:
    """What it unpacks to counts."""
    edge.client.app[BODIES]._coming_bytes_max = 1_000_000
    body = gzip.compress(body_of([Sent("prompt", b"a hat"), Sent("image", PNG + bytes(3_000_000), "a.png")]))
    assert len(body) < 10_000
    headers = {
        "Authorization": f"Bearer {KEY}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Encoding": "gzip",
    }  # fmt: skip
    answer = await edge.client.post("/v1/images/edits", data=body, headers=headers)
    assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")
    assert edge.uploads.stored == {}
    assert edge.client.app[BODIES].coming_bytes == 0


async def test_a_gateway_full_of_bodies_says_so_before_it_reads(edge: Edge) -> None:
    """While slow forms fill the budget, the next one is told to come again; afterwards it is served, and nothing is counted any more."""
    budget = edge.client.app[BODIES]
    server = edge.client.server
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 20000000\r\n"
    writer.write(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n")
    async with asyncio.timeout(30):
        while not budget.used_bytes:  # noqa: ASYNC110 - the server tells nobody that it has begun to read
            await asyncio.sleep(0.01)
    assert budget.used_bytes == HELD_BYTES_MAX, "by what was declared, not by what came"
    budget._bytes_max = HELD_BYTES_MAX
    answer = await form(edge, *FORM)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert (await answer.json())["error"]["code"] == "overloaded"
    assert (await form(edge, Sent("purpose", b"vision"), Sent("file", PNG, "a"), path="/v1/files")).status == 503
    writer.close()
    async with asyncio.timeout(30):
        while budget.used_bytes:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
    assert (await form(edge, *FORM)).status == 200
    assert budget.used_bytes == 0
