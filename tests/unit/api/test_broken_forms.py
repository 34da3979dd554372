"""Forms on a raw socket that are broken, slow or endless: each is answered with a clear error and leaves no picture behind."""

import asyncio

import orjson
import pytest

from gateway.api import body as body_module
from gateway.api.call import EDIT_BYTES_MAX
from tests.multipart_bodies import BOUNDARY, Sent, body_of
from tests.unit.api.conftest import Edge
from tests.unit.api.fake_pipeline import KEY
from tests.unit.api.fake_uploads import PNG

GOOD = body_of([Sent("image", PNG, "a.png"), Sent("prompt", b"a hat")])
LINE = b"--" + BOUNDARY.encode()
NAMED = b'Content-Disposition: form-data; name="image"; filename="a"\r\n'


async def answer(
    edge: Edge, body: bytes, *head: str, length: int | None = -1, boundary: str = BOUNDARY
) -> tuple[int, str, str]:
    """Status, code and message. `length` -1: the body's own; None: none is said."""
    server = edge.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    lines = [
        "POST /v1/images/edits HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}",
        f"Content-Type: multipart/form-data{boundary and f'; boundary={boundary}'}", *head,
    ]  # fmt: skip
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(30):
        raw = await reader.readuntil(b"\r\n\r\n")
        size = int(raw.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await reader.readexactly(size)
    writer.close()
    if b"application/json" not in raw:  # the server's own refusal of a request that is none
        return int(raw.split()[1]), "", content.decode()
    error = orjson.loads(content).get("error", {"code": "", "message": ""})
    return int(raw.split()[1]), error["code"], error["message"]


async def test_broken_forms(edge: Edge) -> None:
    """Each in its own words."""
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    cases: dict[str, tuple[tuple[int, str, str], int, str]] = {
        "whole": (await answer(edge, GOOD), 200, ""),
        "chunked": (await answer(edge, chunked, "Transfer-Encoding: chunked", length=None), 200, ""),
        "no boundary in the header": (await answer(edge, GOOD, boundary=""), 400, "needs one boundary"),
        "another boundary": (await answer(edge, GOOD, boundary="other"), 400, "no boundary as its Content-Type says"),
        "truncated": (await answer(edge, GOOD[:-30]), 400, "ends within a part"),
        "truncated chunks": (
            await answer(edge, b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD[:90]), GOOD[:90]), "Transfer-Encoding: chunked", length=None), 400, "ends within",
        ),
        "a shorter length": (await answer(edge, GOOD, length=len(GOOD) - 40), 400, ""),
        "an endless header": (await answer(edge, LINE + b"\r\nX-A: " + b"a" * 99_000), 400, "headers of more than"),
        "an endless preamble": (await answer(edge, b"x" * 99_000 + GOOD), 400, "does not begin"),
        "nested": (await answer(edge, body_of([NAMED + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--"])), 400, "itself multipart"),
        "no name": (await answer(edge, body_of([b"Content-Disposition: form-data\r\n\r\nx"])), 400, "no name"),
        "a scalar twice": (await answer(edge, body_of([Sent("n", b"1"), Sent("n", b"2")])), 400, "twice"),
        "too large": (await answer(edge, b"", length=EDIT_BYTES_MAX + 1), 413, str(EDIT_BYTES_MAX)),
        "empty": (await answer(edge, b""), 400, "no boundary"),
    }  # fmt: skip
    for name, ((status, code, message), expected, text) in cases.items():
        assert status == expected, (name, code, message)
        assert text in message, name
    whole = 2
    assert len(edge.uploads.stored) == whole, "of the two calls that were accepted"


async def test_who_is_too_slow_is_told_so(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops in a picture, or says that it is longer than it is."""
    monkeypatch.setattr(body_module, "READ_S_MIN", 0.05)
    for length, body in ((len(GOOD), GOOD[:900]), (len(GOOD) + 10, GOOD)):
        status, code, _ = await answer(edge, body, length=length)
        assert (status, code) == (408, "request_timeout")
    assert edge.uploads.stored == {}


async def test_who_leaves_in_the_middle_leaves_nothing(edge: Edge) -> None:
    """The connection ends before the body does."""
    server = edge.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = (
        f"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 100000\r\n\r\n"
    )
    writer.write(head.encode() + GOOD[:-60])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    del reader
    async with asyncio.timeout(30):
        while not edge.lines.lines:  # noqa: ASYNC110 - the log line tells nobody
            await asyncio.sleep(0.01)
    assert edge.uploads.stored == {}
    assert edge.pipeline.asked == []
