"""Files in OpenAI's shape and in EvoLink's: kept, listed, read, deleted, for their owner alone."""

import base64
import io
from typing import Any

import openai
import pytest

from gateway.api.schemas.files import EvolinkFileAnswer, FileAnswer, FileDeletedAnswer, FileListAnswer
from gateway.domain.errors import InsufficientQuota, InvalidImage
from gateway.domain.files import FILE_BYTES_MAX, Purpose
from gateway.domain.ids import AccountId
from tests.multipart_bodies import Sent
from tests.unit.api.conftest import Edge
from tests.unit.api.fake_uploads import JPEG, PNG
from tests.unit.api.test_edits import draft_of, form, sdk

VISION = Sent("purpose", b"vision")
LARGE = PNG + bytes(200_000)


async def test_the_sdk_keeps_lists_reads_and_deletes_files(edge: Edge) -> None:
    """With strict validation, and paging by itself."""
    async with sdk(edge) as client:
        made = await client.files.create(file=("a/fox.png", LARGE), purpose="vision")
        assert (made.bytes, made.filename, made.purpose, made.status) == (
            len(LARGE),
            "a/fox.png",
            "vision",
            "processed",
        )
        assert made.expires_at == made.created_at + 72 * 3600
        other = await client.files.create(
            file=io.BytesIO(JPEG), purpose="vision", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert (await client.files.retrieve(made.id)).id == made.id
        assert [file.id async for file in await client.files.list(limit=1)] == [other.id, made.id]
        assert [file.id async for file in await client.files.list(purpose="assistants")] == []
        assert (await client.files.content(made.id)).content == LARGE
        assert (await client.files.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(made.id)
    assert edge.uploads.stored[other.id].purpose is Purpose.VISION


async def test_the_answers_are_as_documented(edge: Edge) -> None:
    """Every field of the schemas, no other."""
    answer = await form(edge, VISION, Sent("file", PNG, "a.png"), path="/v1/files")
    file = FileAnswer.model_validate(await answer.json())
    FileListAnswer.model_validate(await (await edge.get("/v1/files")).json())
    answer = await edge.get(f"/v1/files/{file.id}/content")
    assert (answer.content_type, await answer.read()) == ("image/png", PNG)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.png"'
    answer = await edge.client.delete(f"/v1/files/{file.id}", headers={"Authorization": "Bearer igw_aKeyThatWorks"})
    FileDeletedAnswer.model_validate(await answer.json())


REFUSED: list[tuple[list[Sent], str]] = [
    ([Sent("file", PNG, "a.png")], "purpose"),
    ([Sent("file", PNG, "a.png"), Sent("purpose", b"assistants")], "purpose"),
    ([Sent("purpose", b"fine-tune"), Sent("file", b'{"a": 1}', "a.jsonl")], "file"),
    ([VISION], "file"),
    ([VISION, Sent("file", PNG, "a"), Sent("file", PNG, "b")], "file"),
    ([VISION, Sent("file", PNG, "a"), Sent("x", b"x" * 2000)], "x"),
    ([VISION, Sent("file", b"GIF89a", "a.gif")], "file"),
]


async def test_refused_uploads_leave_nothing(edge: Edge) -> None:
    """Another purpose, no file, two, no picture: 400 with the field, whatever came first."""
    for parts, param in REFUSED:
        answer = await form(edge, *parts, path="/v1/files")
        assert (answer.status, (await answer.json())["error"]["param"]) == (400, param)
        assert edge.uploads.stored == {}
    edge.uploads.error = InsufficientQuota("This key keeps 1 GB here.")
    assert (await form(edge, VISION, Sent("file", PNG, "a"), path="/v1/files")).status == 402


async def test_others_files_do_not_exist(edge: Edge) -> None:
    """Neither to be seen, read, deleted, nor to page from."""
    theirs = edge.uploads.put(PNG, account=AccountId("key:other//x"))
    headers = {"Authorization": "Bearer igw_aKeyThatWorks"}
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await edge.client.request(method, f"/v1/files/{theirs.id}{path}", headers=headers)
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "file_not_found")
    answer = await edge.get(f"/v1/files?after={theirs.id}")
    assert (answer.status, (await answer.json())["error"]["param"]) == (404, "after")
    assert (await (await edge.get("/v1/files")).json())["data"] == []
    assert theirs.id in edge.uploads.stored


async def test_odd_pages(edge: Edge) -> None:
    """What is no limit, and the order that is not served."""
    for query in ("limit=0", "limit=x", "limit=10001", "limit=-1", "order=asc"):
        answer = await edge.get(f"/v1/files?{query}")
        assert (answer.status, (await answer.json())["error"]["param"]) == (400, query.partition("=")[0])


async def evolink(edge: Edge, way: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await edge.post(f"/api/v1/files/upload/{way}", body)
    assert answer.status == 200, await answer.text()
    EvolinkFileAnswer.model_validate(await answer.json())
    data: dict[str, Any] = (await answer.json())["data"]
    return data


async def test_evolinks_ways_of_uploading(edge: Edge) -> None:
    """Base64 with and without a header, long and short, a form, a URL; the names may stand anywhere and be spelt in both ways."""
    for content in (PNG, LARGE):
        text = base64.b64encode(content).decode()
        plain = await evolink(edge, "base64", {"base64_data": text, "file_name": "a.png", "upload_path": "photos"})
        headed = await evolink(edge, "base64", {"base64Data": f"data:image/png;base64,{text}", "fileName": "a.png"})
        assert (plain["file_name"], plain["upload_path"], headed["file_name"]) == ("a.png", "photos", "a.png")
        for data in (plain, headed):
            assert edge.uploads.contents[data["file_id"]] == content
            assert data["file_url"] == f"http://127.0.0.1:8080/v1/files/{data['file_id']}/content"
            assert (data["mime_type"], data["file_size"]) == ("image/png", len(content))
    answer = await form(
        edge, Sent("file", LARGE, "b.png"), Sent("fileName", b"c.png"), path="/api/v1/files/upload/stream"
    )
    data = (await answer.json())["data"]
    assert (data["file_name"], data["original_name"]) == ("c.png", "b.png")
    fetched = await evolink(edge, "url", {"file_url": "https://images.acme.com/x/fox.png?size=2"})
    assert (edge.uploads.fetched, fetched["original_name"]) == (["https://images.acme.com/x/fox.png?size=2"], "fox.png")
    assert {file.purpose for file in edge.uploads.stored.values()} == {Purpose.VISION}
    assert data["expires_at"].endswith("+00:00")


async def test_evolinks_file_url_is_a_picture_for_a_task(edge: Edge) -> None:
    """As its clients use it: upload, then image_urls."""
    data = await evolink(edge, "base64", {"base64_data": base64.b64encode(PNG).decode()})
    await edge.generate(model="gpt-4o-image", image_urls=[data["file_url"]])
    assert draft_of(edge).images[0].value == data["file_id"]


async def test_evolinks_refusals(edge: Edge) -> None:
    """In the gateway's own error shape, with the field."""
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("base64", {}, "base64_data"),
        ("base64", {"base64_data": "*" * 30_000}, "base64_data"),
        ("base64", {"base64_data": base64.b64encode(b"no picture").decode()}, "base64_data"),
        ("base64", {"base64_data": "AAAA", "file_name": 5}, "file_name"),
        ("url", {"file_url": ""}, "file_url"),
    ]
    for way, body, param in cases:
        answer = await edge.post(f"/api/v1/files/upload/{way}", body)
        assert (answer.status, (await answer.json())["error"]["param"]) == (400, param), (way, body)
    answer = await form(edge, Sent("name", b"x"), path="/api/v1/files/upload/stream")
    assert (await answer.json())["error"]["param"] == "file"
    edge.uploads.error = InvalidImage("The URL cannot be fetched.")
    answer = await edge.post("/api/v1/files/upload/url", {"file_url": "https://x.com/a.png"})
    assert (answer.status, (await answer.json())["error"]["param"]) == (400, "file_url")
    assert edge.uploads.stored == {}


async def test_a_file_beyond_the_limit_is_refused(edge: Edge) -> None:
    """By its declared length, unread."""
    answer = await edge.client.post(
        "/v1/files",
        data=io.BytesIO(b""),
        headers={"Authorization": "Bearer igw_aKeyThatWorks", "Content-Length": str(FILE_BYTES_MAX * 2)},
    )
    assert answer.status == 413
