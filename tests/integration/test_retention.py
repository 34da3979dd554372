"""Retention with the whole gateway: what callers see of a task whose pictures, and later itself, have had their time."""

import asyncio
from pathlib import Path

import pytest

from gateway.domain.clock import SystemClock
from gateway.retention import sweeper
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    PROMPT,
    House,
    dict_of,
    list_of,
    openai_upstream,
    serving,
    texts_of,
    write_config,
)

DAY_MS = 86_400_000


class SettableClock(SystemClock):
    """The machine's clock, and how far ahead of it a test has set this one."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def deleted(house: House, kind: str, count: int) -> None:
    """Until so many are."""
    async with asyncio.timeout(30):
        while await house.metric("gateway_retention_deleted_total", kind=kind) < count:  # noqa: ASYNC110 - a metric tells nobody
            await asyncio.sleep(0.05)


def contents(database: str) -> bytes:
    return Path(database.removeprefix("sqlite:///")).read_bytes()


async def test_a_task_after_its_time(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day later its links are dead, its files and prompt gone, and it tells what it cost; after a month it is unknown, and the books agree."""
    monkeypatch.setattr(sweeper, "ROUND_S", 0.1)
    clock = SettableClock()
    config = write_config(tmp_path, sqlite_database, {"openai": openai_upstream(openai_emulator)})
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        await house.generate("gpt-image-2", size="1024x1024", quality="low", user="a person")
        made = await house.generate("gpt-image-2", size="1024x1024", quality="medium", user="a person")
        task_id = made.headers["X-Task-Id"]
        task = (await house.task(task_id)).json
        [link] = texts_of(task, "results")
        assert (await house.get(link, key=None)).status == 200
        clock.ahead_ms = DAY_MS + 1_000
        await deleted(house, "results", 2)
        await deleted(house, "prompts", 2)
        late = (await house.task(task_id)).json
        listed = list_of((await house.get("/v1/tasks")).json, "data")
        assert (await house.get(link, key=None)).status == 404
        assert (late["status"], late["results"], late["result_data"]) == ("completed", [], [])
        assert dict_of(late, "usage") == dict_of(task, "usage")
        assert [row["result_count"] for row in listed] == [1, 1]
        assert [path for path in house.config.blobs.rglob("*") if path.is_file() and path.name != ".lock"] == []
        assert await house.metric("gateway_retention_lag_seconds") == 0
        clock.ahead_ms = 31 * DAY_MS
        await deleted(house, "tasks", 2)
        gone = await house.task(task_id)
        assert (gone.status, gone.error["code"]) == (404, "task_not_found")
        assert (await house.get("/v1/tasks")).json["total"] == 0
        used = dict_of((await house.get("/v1/credits")).json, "data", "token")["used_credits"]
    assert float(house.settled.charged()) == used
    assert PROMPT.encode() not in contents(sqlite_database)
