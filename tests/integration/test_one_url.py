"""One URL, two contracts: both see the same durable task, and a caller that is gone finds what was paid for."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.emulators import behaviours as b
from tests.emulators import pictures
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    PROMPT,
    House,
    accounts,
    dict_of,
    list_of,
    openai_upstream,
    serving,
    texts_of,
    write_config,
)


@pytest.fixture
async def house(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> AsyncIterator[House]:
    """A gateway over OpenAI; gpt-4o-image is made by it as well."""
    upstreams = {"openai": openai_upstream(openai_emulator, timeout="15s")}
    config = write_config(tmp_path, sqlite_database, upstreams, accounts=accounts("1000credits/total"))
    async with serving(config, {"openai": openai_emulator}) as house:
        yield house


async def test_an_image_call_is_a_task(house: House) -> None:
    """What the synchronous call answered can be queried, listed and downloaded as a task: the same picture, charged once."""
    answer = await house.generate("gpt-image-2", size="1024x1024", quality="low")
    task = (await house.task(answer.headers["X-Task-Id"])).json
    listed = (await house.get("/v1/tasks")).json
    (item,) = list_of(answer.json, "data")
    linked = await house.get(texts_of(task, "results")[0], key=None)
    assert task["status"] == "completed"
    assert linked.body == base64.b64decode(str(item["b64_json"]))
    assert [row["id"] for row in list_of(listed, "data")] == [task["id"]]
    assert float(answer.headers["X-Credits-Used"]) == dict_of(task, "usage")["credits_used"]


async def test_a_task_is_read_in_the_words_of_both_contracts(house: House) -> None:
    """gpt-4o-image answers with a task by itself, and with the picture when an OpenAI SDK asks."""
    task = await house.generate("gpt-4o-image")
    picture = await house.generate("gpt-4o-image", headers={"X-Stainless-Lang": "python"})
    wished = await house.generate("gpt-4o-image", response_format="url")
    await house.ended(task.text("id"))
    assert task.json["object"] == "image.generation.task"
    assert list_of(picture.json, "data")[0].keys() == {"b64_json", "url"}
    assert list_of(wished.json, "data")[0].keys() == {"url"}


async def test_prefer_respond_async_answers_202_at_once(house: House, openai_emulator: OpenAIEmulator) -> None:
    """A caller of any model gets a task to poll while the upstream still works."""
    openai_emulator.next(b.Hang(bills=True))
    answer = await house.generate("gpt-image-2", quality="low", size="1024x1024", headers={"Prefer": "respond-async"})
    await openai_emulator.until(lambda emulator: emulator.hanging == 1)
    running = (await house.task(answer.text("id"))).json
    openai_emulator.release()
    ended = await house.ended(answer.text("id"))
    assert (answer.status, answer.headers["Preference-Applied"]) == (202, "respond-async")
    assert answer.headers["Location"] == f"/v1/tasks/{answer.json['id']}"
    assert (running["status"], dict_of(running, "task_info")["can_cancel"]) == ("processing", False)
    assert ended["status"] == "completed"


async def test_prefer_wait_answers_with_whatever_there_is_by_then(
    house: House, openai_emulator: OpenAIEmulator
) -> None:
    """Done within the time: the picture. Not done: after that time a task with 202, which still completes."""
    quick = await house.generate("gpt-4o-image", headers={"Prefer": "wait=10"})
    openai_emulator.next(b.Hang(bills=True))
    started_s = time.monotonic()
    slow = await house.generate("gpt-image-2", quality="low", size="1024x1024", headers={"Prefer": "wait=1"})
    took_s = time.monotonic() - started_s
    openai_emulator.release()
    ended = await house.ended(slow.text("id"))
    assert (quick.status, quick.headers["Preference-Applied"]) == (200, "wait=10")
    assert len(list_of(quick.json, "data")) == 1
    assert (slow.status, slow.headers["Preference-Applied"]) == (202, "wait=1")
    assert slow.json["status"] == "processing"
    assert 1.0 <= took_s < 12.0
    assert ended["status"] == "completed"


async def test_a_key_may_say_which_contract_it_speaks(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """`response: task` makes a task of every model's call, an SDK's included; other keys go by the model."""
    upstreams = {"openai": openai_upstream(openai_emulator)}
    config = write_config(tmp_path, sqlite_database, upstreams, accounts=accounts(response="task"))
    async with serving(config, {"openai": openai_emulator}) as house:
        task = await house.generate("gpt-image-2", headers={"X-Stainless-Lang": "js"})
        picture = await house.generate("gpt-image-2", key=OTHER_KEY)
        await house.ended(task.text("id"))
    assert (task.status, task.json["object"]) == (200, "image.generation.task")
    assert len(list_of(picture.json, "data")) == 1


async def test_a_caller_that_hung_up_finds_the_picture(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The connection is gone while the upstream works: the task still ends, is charged once, and its picture is in the list."""
    openai_emulator.next(b.Hang(bills=True))
    upstreams = {"openai": openai_upstream(openai_emulator, timeout="15s")}
    config = write_config(tmp_path, database_url, upstreams, accounts=accounts())
    async with serving(config, {"openai": openai_emulator}) as house:
        async with aiohttp.ClientSession() as caller:
            call = asyncio.ensure_future(
                caller.post(
                    f"{house.base_url}/images/generations",
                    headers={"Authorization": f"Bearer {KEY}"},
                    json={"model": "gpt-image-2", "prompt": PROMPT, "size": "1024x1024", "quality": "low"},
                )
            )
            await openai_emulator.until(lambda emulator: emulator.hanging == 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        openai_emulator.release()
        (row,) = list_of((await house.get("/v1/tasks")).json, "data")
        ended = await house.ended(str(row["id"]))
        picture = await house.get(texts_of(ended, "results")[0], key=None)
    assert ended["status"] == "completed"
    assert str(pictures.label_of(picture.body)).startswith("req_")
    assert openai_emulator.billed_images == 1
    assert float(house.settled.charged()) == dict_of(ended, "usage")["credits_used"]


async def test_credits_are_those_of_the_key_and_its_account(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """`token` counts the key, `user` its team; without any budget nothing is said to be left, only what was used."""
    upstreams = {"openai": openai_upstream(openai_emulator)}
    models = {"gpt-4o-image": {"charge": {"credits": 5}}}
    config = write_config(
        tmp_path, sqlite_database, upstreams, models=models, accounts=accounts("20credits/total", "1usd/total")
    )
    async with serving(config, {"openai": openai_emulator}) as house:
        before = (await house.get("/v1/credits")).json
        await house.ended((await house.generate("gpt-4o-image", n=2)).text("id"))
        after = (await house.get("/v1/credits")).json
        other = (await house.get("/v1/credits", key=OTHER_KEY)).json
    unused = {"remaining_credits": 20, "unlimited_credits": False, "used_credits": 0}
    assert before["success"] is True
    assert dict_of(before, "data", "token") == unused
    assert dict_of(after, "data", "token") == {"remaining_credits": 10, "unlimited_credits": False, "used_credits": 10}
    assert dict_of(after, "data", "user")["used_credits"] == 10
    assert dict_of(other, "data", "token") == {"remaining_credits": None, "unlimited_credits": True, "used_credits": 0}
    assert dict_of(other, "data", "user")["used_credits"] == 10, "the org's"
