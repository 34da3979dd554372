"""A whole gateway with its pictures in a bucket: what callers get, where it lies, and what becomes of it."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway import app_console
from gateway.app_office import StartFailed
from gateway.config import Config
from gateway.retention import sweeper
from tests.buckets import S3Server
from tests.integration.gateway_app import Fields, House, Settings, list_of, serving, texts_of, write_config
from tests.integration.test_edits import form
from tests.integration.test_retention import DAY_MS, SettableClock, deleted
from tests.multipart_bodies import Sent
from tests.uploads import picture

SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox", "latency": "5ms"}}
PNG = picture()
ASKED: Fields = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}


def config_of(folder: Path, database: str, s3: S3Server, bucket: str, **more: object) -> Config:
    settings = {"blobs": f"s3://{bucket}/prod", "s3_endpoint": s3.endpoint, "s3_region": "us-east-1", **more}
    return write_config(folder, database, SANDBOX, **settings)


async def urls_of(house: House, **more: Any) -> tuple[str, list[str]]:
    """The task of a call, and the links that it was answered with."""
    made = await house.generate(**ASKED, **more)
    assert made.status == 200, made.body
    return made.headers["X-Task-Id"], [str(row["url"]) for row in list_of(made.json, "data")]


async def test_pictures_live_in_the_bucket_and_go_in_time(
    sqlite_database: str, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links and base64 have the same bytes, an upload is edited, nothing is on disk; a day later the pictures are gone, and then the upload."""
    monkeypatch.setattr(sweeper, "ROUND_S", 0.1)
    bucket, clock = s3.new_bucket(), SettableClock()
    async with serving(config_of(tmp_path, sqlite_database, s3, bucket), {}, clock=clock) as house:
        assert (await house.get("/readyz", key=None)).status == 200
        task_id, [link] = await urls_of(house, response_format="url", n=1)
        assert link.startswith(f"{house.origin}/v1/results/")
        shown = await house.get(link, key=None)
        assert (shown.status, shown.headers["Content-Type"], shown.body[:4]) == (200, "image/png", b"\x89PNG")
        part = await house.get(link, key=None, headers={"Range": "bytes=1-3"})
        assert (part.status, part.body) == (206, b"PNG")
        inline = await house.generate(**ASKED, response_format="b64_json")
        [row] = list_of(inline.json, "data")
        assert base64.b64decode(str(row["b64_json"]))[:4] == b"\x89PNG"
        status, file = await form(house, "/v1/files", Sent("purpose", b"vision"), Sent("file", PNG, "fox.png"))
        assert status == 200
        edited = await house.generate("gpt-image-2", image_urls=[file["id"], link])
        assert edited.status == 200, edited.body
        assert (await house.get(f"/v1/files/{file['id']}/content")).body == PNG
        keys = s3.keys(bucket)
        assert f"prod/{file['id']}" in keys
        assert sum(key.endswith("/manifest") for key in keys) == 3
        assert all(key.startswith("prod/") for key in keys)
        assert not (tmp_path / "images").exists()
        clock.ahead_ms = DAY_MS + 1_000
        await deleted(house, "results", 3)
        assert s3.keys(bucket) == [f"prod/{file['id']}"]
        assert (await house.get(link, key=None)).status == 404
        assert texts_of((await house.task(task_id)).json, "results") == []
        clock.ahead_ms = 4 * DAY_MS
        await deleted(house, "uploads", 1)
    assert s3.keys(bucket) == []


async def test_links_of_the_bucket_itself(
    sqlite_database: str, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By choice a link is the bucket's: any client gets the picture under its type, for as long as the results live and no longer than S3 allows.

    The console's page may show what comes from there.
    """
    bucket = s3.new_bucket()
    config = config_of(
        tmp_path, sqlite_database, s3, bucket, blob_links="presigned", retention={"results": "30d", "tasks": "31d"}
    )
    (tmp_path / "console").mkdir()
    (tmp_path / "console/index.html").write_text("<!doctype html>")
    monkeypatch.setattr(app_console, "FOLDER", tmp_path / "console")
    async with serving(config, {}) as house:
        task_id, [link] = await urls_of(house, response_format="url", n=1)
        assert link.startswith(f"{s3.endpoint}/{bucket}/prod/")
        assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(7 * 86_400)]
        page = await house.get("/console/", key=None)
        assert f"img-src 'self' blob: data: {s3.endpoint};" in page.headers["Content-Security-Policy"]
        async with house.http.get(link) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")
            assert (await answer.read())[:4] == b"\x89PNG"
        [again] = texts_of((await house.task(task_id)).json, "results")
        assert urlsplit(again).path == urlsplit(link).path
        erased = await house.call("DELETE", f"/v1/tasks/{task_id}")
        assert erased.status == 200, erased.body
        async with house.http.get(link) as answer:
            assert answer.status == 404
    assert s3.keys(bucket) == []


async def test_a_start_with_a_bucket_that_does_not_work(sqlite_database: str, tmp_path: Path, s3: S3Server) -> None:
    """What somebody must set right keeps it from starting, in one sentence; a bucket that is only out of reach does not, and readiness tells."""
    with pytest.raises(
        StartFailed, match=r"pictures cannot be stored: image store s3://no-such-bucket/prod: there is no such bucket"
    ):
        async with serving(config_of(tmp_path, sqlite_database, s3, "no-such-bucket"), {}):
            raise AssertionError("it must not start")
    nowhere = S3Server("http://127.0.0.1:1")
    async with serving(config_of(tmp_path, sqlite_database, nowhere, "pictures"), {}) as house:
        ready = await house.get("/readyz", key=None)
        assert ready.status == 503
        assert b"pictures cannot be stored" in ready.body
        assert b"it cannot be reached; look at s3_endpoint" in house.log_lines()
