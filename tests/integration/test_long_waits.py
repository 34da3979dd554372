"""Waiting with the whole gateway: for tasks of this process and another one, until a caller hangs up or the gateway stops; and signs of life."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson

from gateway.config import Config
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    Answer,
    House,
    accounts,
    openai_upstream,
    serving,
    write_config,
)

PROGRAM = Path(__file__).with_name("openai_kept_alive.py")
PICTURE = {"size": "1024x1024", "quality": "low"}
NODE = """
const [origin, key] = process.argv.slice(1);
fetch(`${origin}/v1/images/generations`, {method: "POST",
  headers: {authorization: `Bearer ${key}`, "content-type": "application/json", "x-stainless-lang": "js"},
  body: JSON.stringify({model: "gpt-image-2", prompt: "a red fox in fresh snow", size: "1024x1024", quality: "low"})})
  .then(async (answer) => console.log(JSON.stringify([answer.status, (await answer.json()).data.length])))
"""


def config_of(folder: Path, database: str, emulator: OpenAIEmulator) -> Config:
    address = {"host": "127.0.0.1", "port": 0, "drain": "5s"}
    upstreams = {"openai": openai_upstream(emulator, timeout="15s")}
    return write_config(folder, database, upstreams, accounts=accounts(), server=address)


async def begun(house: House, emulator: OpenAIEmulator) -> str:
    """A task that hangs at its upstream."""
    hanging = emulator.hanging
    emulator.next(b.Hang(bills=True))
    answer = await house.generate("gpt-image-2", headers={"Prefer": "respond-async"}, **PICTURE)
    await emulator.until(lambda emulator: emulator.hanging == hanging + 1)
    return answer.text("id")


async def waiting(house: House, task_id: str, *, wait_s: int = 60) -> "asyncio.Task[Answer]":
    """A caller who waits for its end, and is known to."""
    call = asyncio.create_task(house.get(f"/v1/tasks/{task_id}?wait={wait_s}"))
    await asyncio.sleep(0.3)
    assert not call.done()
    return call


async def test_a_caller_waits_for_a_task_of_any_process(
    postgresql_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Answered at the end by the gateway that makes it and by another one; at the time's end with what there is; at once where it has ended."""
    config = config_of(tmp_path, postgresql_database, openai_emulator)
    async with AsyncExitStack() as stack:
        making, other = [
            await stack.enter_async_context(serving(config, {"openai": openai_emulator})) for _ in range(2)
        ]
        task_id = await begun(making, openai_emulator)
        started_s = time.monotonic()
        early = (await other.get(f"/v1/tasks/{task_id}?wait=1")).json
        took_s = time.monotonic() - started_s
        calls = [await waiting(house, task_id) for house in (making, other)]
        openai_emulator.release()
        started_s = time.monotonic()
        answers = [answer.json for answer in await asyncio.gather(*calls)]
        woken_s = time.monotonic() - started_s
        again = await asyncio.wait_for(other.get(f"/v1/tasks/{task_id}?wait=300"), 30)
    assert (early["status"], 1.0 <= took_s < 10) == ("processing", True)
    assert [answer["status"] for answer in answers] == ["completed", "completed"]
    assert woken_s < 10
    assert again.json["results"]


async def test_a_stop_answers_all_who_wait(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """At once and with the task as it stands, before it has ended. Who hung up earlier was let go."""
    config = config_of(tmp_path, sqlite_database, openai_emulator)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as callers:
        async with serving(config, {"openai": openai_emulator}) as house:
            task_id = await begun(house, openai_emulator)
            gone = await waiting(house, task_id)
            gone.cancel()
            async with asyncio.timeout(30):
                while b'"status":499' not in house.log_lines().replace(b" ", b""):  # noqa: ASYNC110 - nothing tells of a written line
                    await asyncio.sleep(0.05)

            async def answered() -> tuple[int, str | None, object]:
                async with callers.get(f"{house.origin}/v1/tasks/{task_id}?wait=60") as answer:
                    return answer.status, answer.headers.get("Connection"), (await answer.json())["status"]

            async def released() -> list[tuple[int, str | None, object]]:
                answers = await asyncio.gather(*(answered() for _ in range(3)))
                openai_emulator.release()  # without which the gateway does not come to its end
                return answers

            ending = asyncio.create_task(released())
            await asyncio.sleep(0.3)
            assert not ending.done()
        assert await asyncio.wait_for(ending, 30) == [(200, "close", "processing")] * 3


async def test_official_clients_read_what_was_kept_alive(
    client_python: Path, sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Spaces before the JSON: a picture for each client; a late failure is an answer without data, and no exception."""
    config = config_of(tmp_path, sqlite_database, openai_emulator)
    config = replace(config, server=replace(config.server, keep_alive_s=0.05))
    openai_emulator.next(b.Succeed(delay_s=0.4), b.Succeed(delay_s=0.4), b.Refuse(delay_s=0.4))
    async with serving(config, {"openai": openai_emulator}) as house:
        node = orjson.loads(await printed("node", "-e", NODE, house.origin, KEY))
        python = orjson.loads(await printed(str(client_python), "-I", str(PROGRAM), house.base_url, KEY))
        log = house.log_lines()
    assert node == [200, 1]
    assert python == {"made": 1, "signs": True, "failed": None, "raised": None}
    assert log.count(b'"kept_alive":true') == 3


async def printed(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return out
