"""Erasing on the whole app: what goes, what stays, who may, and that nothing of it is left in database or folder."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import BlobStoreUnavailable
from gateway.config import Config
from gateway.db.schema import metadata
from gateway.upstreams.base import Generated, OnSubmitted, UpstreamCall
from gateway.upstreams.sandbox import SandboxAdapter
from tests.emulators import behaviours as b
from tests.emulators.base import Emulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    CI_ACCOUNT,
    KEY,
    OTHER_KEY,
    Answer,
    House,
    dict_of,
    list_of,
    openai_upstream,
    serving,
    texts_of,
    write_config,
)

ADMIN = "an admin token of the config"
MARK = "xylophone-quartz"
PROMPT = f"a {MARK} in fresh snow, " + f"and another {MARK}; " * 150
"""Long enough not to fit into one page of SQLite's."""
USER = f"user-{MARK}"
UNKNOWN_TASK = "task-unified-1757165031-uyujaw3d"


@pytest.fixture(autouse=True)
def revising(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox says, as some upstreams do, what it made of the prompt: that stands in the results and in the manifests."""
    generate = SandboxAdapter.generate

    async def revised(self: SandboxAdapter, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        generated = await generate(self, call, on_submitted)
        images = tuple(replace(image, revised_prompt=f"Revised: {call.request.prompt}") for image in generated.images)
        return replace(generated, images=images)

    monkeypatch.setattr(SandboxAdapter, "generate", revised)


@asynccontextmanager
async def echoing(config: Config, emulators: Mapping[str, Emulator]) -> AsyncIterator[House]:
    """A gateway whose upstream repeats prompts: the search for leaks must not take its revised ones for leaks."""
    async with serving(config, emulators) as served:
        served.leaks.echoed = True
        yield served


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A gateway whose pictures are small, so that they share files."""
    config = write_config(tmp_path, database_url, {"sandbox": {"kind": "sandbox"}}, admin_token=ADMIN)
    async with echoing(config, {}) as served:
        yield served


async def made(house: House, *keys: str | None, **more: object) -> list[str]:
    """A completed task a key, all at once."""
    calls = [
        house.generate(
            "gpt-image-2",
            key=key or OTHER_KEY,
            headers={"Prefer": "respond-async"},
            **{**more, "prompt": f"{number} {more.get('prompt', 'nothing much')}"},
        )
        for number, key in enumerate(keys)
    ]
    ids = [answer.text("id") for answer in await asyncio.gather(*calls)]
    for key, task_id in zip(keys, ids, strict=True):
        assert (await house.ended(task_id, key=key or OTHER_KEY))["status"] == "completed"
    return ids


def in_folder(house: House, *texts: bytes) -> list[str]:
    """Files of the folder of pictures that hold any of these bytes, whatever they are called."""
    files = (path for path in Path(house.config.blobs).rglob("*") if path.is_file())
    return [path.name for path in files if any(text in path.read_bytes() for text in texts)]


async def in_database(url: str) -> list[str]:
    """Tables in which the mark is to be found; of a SQLite file, which nobody may have open, its very bytes."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return [file.name for file in path.parent.glob("gateway.db*") if MARK.encode() in file.read_bytes()]
    connection = await asyncpg.connect(url)
    found = [
        table.name
        for table in metadata.sorted_tables
        if await connection.fetchval(f"SELECT count(*) FROM {table.name} AS t WHERE t::text LIKE '%{MARK}%'")
    ]
    await connection.close()
    return found


def without_request_id(answer: Answer) -> dict[str, object]:
    return {name: value for name, value in answer.error.items() if name != "request_id"}


async def test_an_erased_task_leaves_no_word_and_no_picture(database_url: str, tmp_path: Path) -> None:
    """By its owner: prompt, revised prompt, `user` and bytes are nowhere; the task, its money, and others' pictures stay as they were."""
    config = write_config(tmp_path, database_url, {"sandbox": {"kind": "sandbox"}})
    async with echoing(config, {}) as house:
        kept = await made(house, *[None] * 3)
        spoken = {"prompt": PROMPT, "user": USER, "n": 2}
        large = await made(house, *[KEY] * 2, **spoken)
        small = await made(house, *[KEY] * 4, prompt=f"{MARK}, small enough to share a file", user=USER)
        secret, *_ = ids = [*large, *small]
        before = (await house.task(secret)).json
        links = {task_id: texts_of((await house.task(task_id)).json, "results") for task_id in ids}
        pictures = {task_id: [(await house.get(link)).body for link in links[task_id]] for task_id in ids}
        assert in_folder(house, MARK.encode())

        erased = await house.call("DELETE", f"/v1/tasks/{secret}")
        assert erased.status == 200
        after = erased.json
        assert (after["results"], after["result_data"], after["status"]) == ([], [], "completed")
        assert isinstance(after["erased_at"], int)
        assert after["usage"] == before["usage"]
        assert [(await house.get(link)).status for link in links[secret]] == [404, 404]
        assert in_folder(house, *pictures[secret]) == []
        item = next(task for task in list_of((await house.get("/v1/tasks")).json, "data") if task["id"] == secret)
        assert (item["has_results"], item["result_count"], item["erased_at"]) == (False, 0, after["erased_at"])

        for task_id in ids[1:]:
            assert [(await house.get(link)).body for link in links[task_id]] == pictures[task_id]
            assert (await house.call("DELETE", f"/v1/tasks/{task_id}")).status == 200
        again = await house.call("DELETE", f"/v1/tasks/{secret}")
        assert (again.status, again.json) == (200, after)
        assert (await house.task(secret)).json == after
        assert in_folder(house, MARK.encode(), *(picture for each in pictures.values() for picture in each)) == []
        for task_id in kept:
            [link] = texts_of((await house.task(task_id, key=OTHER_KEY)).json, "results")
            assert (await house.get(link)).status == 200
        used = dict_of((await house.get("/v1/credits")).json, "data", "token")["used_credits"]
    assert await in_database(database_url) == []
    assert float(house.settled.charged(CI_ACCOUNT)) == used
    assert house.settled.charged(CI_ACCOUNT) > 0


async def test_a_task_under_way_is_not_erased(database_url: str, tmp_path: Path) -> None:
    """409 with what to do; once it is cancelled, or has ended, it can be."""
    sandbox = {"kind": "sandbox", "latency": "700ms", "concurrency": 1}
    async with echoing(write_config(tmp_path, database_url, {"sandbox": sandbox}), {}) as house:
        calls = [house.generate("gpt-image-2", headers={"Prefer": "respond-async"}, prompt=PROMPT) for _ in range(2)]
        working, waiting = sorted(
            [answer.json for answer in await asyncio.gather(*calls)], key=lambda task: str(task["status"]), reverse=True
        )
        for task in (working, waiting):
            refused = await house.call("DELETE", f"/v1/tasks/{task['id']}")
            assert (refused.status, refused.error["code"]) == (409, "conflict")
            assert "Cancel it or wait" in str(refused.error["message"])
        assert (await house.call("POST", f"/v1/tasks/{waiting['id']}/cancel")).status == 200
        await house.ended(str(working["id"]))
        for task in (working, waiting):
            assert (await house.call("DELETE", f"/v1/tasks/{task['id']}")).status == 200
    assert await in_database(database_url) == []


async def test_others_tasks_are_as_unknown(house: House) -> None:
    """404 with the same body as for an id that nobody has; nothing of them changes."""
    [foreign] = await made(house, None)
    refused = await house.call("DELETE", f"/v1/tasks/{foreign}")
    unknown = await house.call("DELETE", f"/v1/tasks/{UNKNOWN_TASK}")
    assert refused.status == unknown.status == 404
    assert without_request_id(refused) == without_request_id(unknown)
    assert (await house.call("DELETE", "/v1/tasks/nonsense")).error["code"] == "invalid_task_id"
    assert "erased_at" not in (await house.task(foreign, key=OTHER_KEY)).json


async def test_an_upstreams_words_go_with_the_task(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """A failed task keeps its code alone: neither its attempts' messages nor its own text are left."""
    openai_emulator.always(b.Error(status=400, code="bad", message=f"we do not like {USER[:8]} and {USER}"))
    config = write_config(tmp_path, database_url, {"openai": openai_upstream(openai_emulator)}, admin_token=ADMIN)
    async with echoing(config, {"openai": openai_emulator}) as house:
        answer = await house.generate("gpt-image-2", headers={"Prefer": "respond-async"}, user=USER)
        task_id = answer.text("id")
        failed = await house.ended(task_id)
        assert failed["status"] == "failed"
        shown = (await house.get(f"/admin/v1/tasks/{task_id}", key=ADMIN)).json
        assert any(MARK in str(attempt["message"]) for attempt in list_of(shown, "attempts"))
        erased = (await house.call("DELETE", f"/v1/tasks/{task_id}")).json
        assert dict_of(erased, "error")["code"] == dict_of(failed, "error")["code"]
        shown = (await house.get(f"/admin/v1/tasks/{task_id}", key=ADMIN)).json
        assert [attempt["message"] for attempt in list_of(shown, "attempts")] == [None] * len(
            list_of(shown, "attempts")
        )
    assert await in_database(database_url) == []


async def test_what_a_crash_left_is_deleted_at_the_next_start(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that refuses: the caller is told, the words are gone already, and the next start deletes the pictures before it serves."""
    config = write_config(tmp_path, database_url, {"sandbox": {"kind": "sandbox"}})

    async def refuse(self: LocalBlobStore, prefix: str) -> int:
        raise BlobStoreUnavailable("the disk is on fire")

    async with echoing(config, {}) as house:
        [task_id] = await made(house, KEY, prompt=PROMPT)
        [link] = texts_of((await house.task(task_id)).json, "results")
        with monkeypatch.context() as patch:
            patch.setattr(LocalBlobStore, "delete_prefix", refuse)
            refused = await house.call("DELETE", f"/v1/tasks/{task_id}")
            assert (refused.status, refused.error["code"]) == (503, "storage_unavailable")
            assert "is erased, but its pictures cannot be deleted now" in str(refused.error["message"])
        assert (await house.task(task_id)).json["results"] == []
        assert in_folder(house, MARK.encode())
    assert await in_database(database_url) == []
    async with echoing(config, {}) as again:
        assert in_folder(again, MARK.encode()) == []
        assert (await again.get(f"/v1{link.partition('/v1')[2]}")).status == 404
        assert (await again.call("DELETE", f"/v1/tasks/{task_id}")).status == 200


async def test_a_database_that_erases_overwrites(sqlite_database: str, tmp_path: Path) -> None:
    """While the gateway serves, a checkpoint is enough: the words are in no page of the file."""
    config = write_config(tmp_path, sqlite_database, {"sandbox": {"kind": "sandbox"}})
    async with echoing(config, {}) as house:
        ids = await made(house, *[KEY] * 8, prompt=PROMPT, user=USER)
        path = Path(sqlite_database.removeprefix("sqlite:///"))
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        reading = await asyncio.create_subprocess_exec("grep", "-c", MARK, str(path), stdout=asyncio.subprocess.DEVNULL)
        assert await reading.wait() == 0, "it was there"
        for task_id in ids:
            assert (await house.call("DELETE", f"/v1/tasks/{task_id}")).status == 200
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        for file in (path, path.with_name(path.name + "-wal")):
            reading = await asyncio.create_subprocess_exec(
                "grep", "-c", MARK, str(file), stdout=asyncio.subprocess.DEVNULL
            )
            assert await reading.wait() == 1, f"{file} holds it still"
