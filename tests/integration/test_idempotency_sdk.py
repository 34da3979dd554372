"""The official `openai` client with its default retries, whose connection is cut when the picture is paid for: one bill, and it gets the picture."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import orjson
import pytest

from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import KEY, PROMPT, House, openai_upstream, serving, write_config
from tests.tcp_proxy import Cut, Proxy

MODEL = "gpt-image-2"
OFFER = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
PROGRAM = Path(__file__).with_name("openai_cut_call.py")


@asynccontextmanager
async def behind_a_proxy(
    folder: Path, database: str, emulator: OpenAIEmulator
) -> AsyncIterator[tuple[House, Proxy, str]]:
    """A gateway, and a proxy before it that loses the answer to the first create call; the base URL leads through it."""
    config = write_config(folder, database, {"openai": openai_upstream(emulator)}, models={MODEL: {"offers": [OFFER]}})
    async with serving(config, {"openai": emulator}) as house:
        proxy = Proxy(f"http://nobody@127.0.0.1:{house.config.server.port}")
        proxy.marked, proxy.cut = b"POST /v1/images/generations", Cut.AFTER
        origin = await proxy.start()
        try:
            yield house, proxy, f"http://{origin.partition('@')[2]}/v1"
        finally:
            await proxy.stop()


async def test_a_cut_connection_costs_one_picture(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The client's second try gets the picture of the first call's task, on both databases."""
    async with (
        behind_a_proxy(tmp_path, database_url, openai_emulator) as (house, proxy, base_url),
        openai.AsyncOpenAI(base_url=base_url, api_key=KEY, _strict_response_validation=True) as client,
    ):
        raw = await client.images.with_raw_response.generate(
            model=MODEL, prompt=PROMPT, size="1024x1024", quality="low"
        )
        assert proxy.happened.is_set()
        assert raw.retries_taken == 1
        assert raw.headers["Idempotency-Replayed"] == "true"
        answer = raw.parse()
        assert answer.data is not None
        assert answer.data[0].b64_json
        assert (await house.get("/v1/tasks")).json["total"] == 1
    assert len(openai_emulator.bills) == 1


async def test_every_version_of_the_client(
    client_python: Path, sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """The oldest and the newest major version alike."""
    async with behind_a_proxy(tmp_path, sqlite_database, openai_emulator) as (_, proxy, base_url):
        process = await asyncio.create_subprocess_exec(
            str(client_python), "-I", str(PROGRAM), base_url, KEY,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        assert proxy.happened.is_set()
    assert orjson.loads(printed) == {"picture": True, "replayed": "true"}
    assert len(openai_emulator.bills) == 1


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Gateway-Retry"])
async def test_the_clients_own_word(
    header: str, sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """With a key of its own the retry is answered by that; who declines pays for a second picture."""
    value = {"Idempotency-Key": "order 7", "X-Gateway-Retry": "new"}[header]
    async with (
        behind_a_proxy(tmp_path, sqlite_database, openai_emulator) as (_, _, base_url),
        openai.AsyncOpenAI(base_url=base_url, api_key=KEY) as client,
    ):
        raw = await client.images.with_raw_response.generate(
            model=MODEL, prompt=PROMPT, size="1024x1024", quality="low", extra_headers={header: value}
        )
        assert raw.retries_taken == 1
        assert raw.headers.get("Idempotency-Replayed") == ("true" if header == "Idempotency-Key" else None)
    assert len(openai_emulator.bills) == (1 if header == "Idempotency-Key" else 2)
