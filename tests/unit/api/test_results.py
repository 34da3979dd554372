"""Signed links: whole, ranges, validators, and what protects a browser."""

import aiohttp
import pytest

from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import PNG, FakePipeline, File

PATH = "/v1/results/dG9rZW4/att_1-0.png"
SIZE = len(PNG)


async def test_a_link_needs_no_key_and_is_safe_in_a_browser(edge: Edge) -> None:
    """The picture, its sniffed type, and headers that forbid guessing, running and shared storing."""
    answer = await edge.client.get(PATH)
    assert (answer.status, await answer.read()) == (200, PNG)
    headers = answer.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Disposition"] == 'inline; filename="att_1-0.png"'
    assert headers["Cache-Control"].startswith("private")
    assert headers["X-Request-Id"] == edge.lines.last["request_id"]


async def test_head_has_the_headers_only(edge: Edge) -> None:
    """Length and type without a byte of the picture."""
    answer = await edge.client.head(PATH)
    assert (answer.status, await answer.read()) == (200, b"")
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("wish", "start", "end"),
    [("bytes=0-0", 0, 0), ("bytes=5-", 5, SIZE - 1), ("bytes=-7", SIZE - 7, SIZE - 1), ("bytes=0-99999999", 0, SIZE - 1), ("bytes=10-19", 10, 19),
     (f"bytes=-{SIZE * 2}", 0, SIZE - 1)],
)  # fmt: skip
async def test_one_range_is_served(edge: Edge, wish: str, start: int, end: int) -> None:
    """206 with exactly those bytes."""
    answer = await edge.client.get(PATH, headers={"Range": wish})
    assert (answer.status, await answer.read()) == (206, PNG[start : end + 1])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{SIZE}"


@pytest.mark.parametrize("wish", [f"bytes={SIZE}-", "bytes=-0", "bytes=99999999-"])
async def test_ranges_beyond_the_end_are_416(edge: Edge, wish: str) -> None:
    """With the size, so that the client can ask again."""
    answer = await edge.client.get(PATH, headers={"Range": wish})
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize(
    "wish", ["bytes=0-1,5-6", "bytes=5-2", "bytes=-", "items=0-1", "bytes=a-b", "bytes=" + "9" * 400 + "-"]
)
async def test_other_ranges_are_ignored(edge: Edge, wish: str) -> None:
    """Several, reversed or malformed ones give the whole picture, as the RFC allows."""
    answer = await edge.client.get(PATH, headers={"Range": wish})
    assert (answer.status, len(await answer.read())) == (200, SIZE)


async def test_validators(edge: Edge) -> None:
    """A known version is 304; a range of another version is the whole."""
    etag = (await edge.client.get(PATH)).headers["ETag"]
    assert (await edge.client.get(PATH, headers={"If-None-Match": etag})).status == 304
    assert (await edge.client.get(PATH, headers={"Range": "bytes=0-0", "If-Range": etag})).status == 206
    assert (await edge.client.get(PATH, headers={"Range": "bytes=0-0", "If-Range": '"old"'})).status == 200
    assert "dG9rZW4" not in etag


async def test_what_is_no_picture_is_downloaded_and_not_shown(make_edge: MakeEdge) -> None:
    """A page that came for a picture never runs below our name."""
    edge = await make_edge(FakePipeline(file=File(b"<script>", "text/html")))
    answer = await edge.client.get(PATH)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


async def test_dead_links_are_404(make_edge: MakeEdge) -> None:
    """Expired, cut and forged ones look the same."""
    edge = await make_edge(FakePipeline(file=None))
    answer = await edge.client.get(PATH)
    assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


async def test_a_file_that_breaks_off_is_noticed(make_edge: MakeEdge) -> None:
    """The client sees a broken transfer, never a short picture; the log has one line for it."""
    edge = await make_edge(FakePipeline(file=File(breaks=True)))
    with pytest.raises(aiohttp.ClientError):
        await (await edge.client.get(PATH)).read()
    assert edge.lines.last["error"] == "internal_error"


async def test_no_link_reaches_the_log(edge: Edge) -> None:
    """The line has the route and not the path, which would be a permission."""
    await edge.client.get(PATH)
    assert edge.lines.last["route"] == "/v1/results/{token}/{file}"
    assert "dG9rZW4" not in str(edge.lines.last)
