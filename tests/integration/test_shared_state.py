"""Two gateways on one PostgreSQL and one Valkey: limits hold over both, revocations reach both at once, and without Valkey calls go on."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import app
from gateway.app_office import open_office
from gateway.domain.clock import SystemClock
from gateway.state import circuit as circuit_module
from gateway.state import valkey as valkey_module
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    Answer,
    Fields,
    House,
    accounts,
    openai_upstream,
    serving,
    write_config,
)
from tests.valkey import ValkeyServer

ADMIN = "an-admin-token-of-the-config"
MODEL = "gpt-image-2"
SQUARE: Fields = {"size": "1024x1024", "quality": "low", "response_format": "url"}
SOON_S = 15.0
"""News take milliseconds; a loaded machine gets more. Asking the database takes 30 s."""


@asynccontextmanager
async def two(
    folder: Path, database: str, state: str, emulator: OpenAIEmulator, *, places: int = 4, **key: object
) -> AsyncIterator[tuple[House, House]]:
    """Two gateways of one config."""
    config = write_config(
        folder, database, {"openai": openai_upstream(emulator, concurrency=places)}, state=state, admin_token=ADMIN,
        accounts=accounts(**key),
    )  # fmt: skip
    async with serving(config, {"openai": emulator}) as second, app.running(config, None, second.lines) as gateway:
        yield replace(second, config=gateway.config), second


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


async def soon(house: House, secret: str, status: int) -> None:
    """Until the key is answered so."""
    began_s = time.monotonic()
    while (await house.get("/v1/models", key=secret)).status != status:
        assert time.monotonic() - began_s < SOON_S, "it was not heard of"
        await asyncio.sleep(0.01)


async def test_limits_hold_over_both(
    postgresql_database: str, tmp_path: Path, valkey: ValkeyServer, openai_emulator: OpenAIEmulator
) -> None:
    """Ten requests a minute are ten, three tasks at once three, two calls at an upstream two, whoever asks; what ends is free for both."""
    openai_emulator.next(b.Hang(bills=True), b.Hang(bills=True))
    async with two(tmp_path, postgresql_database, valkey.url, openai_emulator, places=2, rpm=10, concurrency=3) as both:

        async def submit(house: House) -> Answer:
            return await house.generate(MODEL, headers={"Prefer": "respond-async"}, **SQUARE)

        answers = await asyncio.gather(*(submit(house) for house in both for _ in range(4)))
        assert statuses(answers) == {202: 3, 429: 5}
        assert {answer.error["code"] for answer in answers if answer.status == 429} == {"concurrency_limit_exceeded"}
        tasks = [answer.text("id") for answer in answers if answer.status == 202]
        async with asyncio.timeout(30):
            while sum(request.at == "create" for request in openai_emulator.requests) < 2:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert sum(request.at == "create" for request in openai_emulator.requests) == 2, "two places in all"
        openai_emulator.release()
        for task in tasks:
            assert (await both[0].ended(task))["status"] == "completed"
        last = [await submit(house) for house in both]
        assert statuses(last) == {202: 2}, "what has ended is free at both; ten requests by now"
        answers = await asyncio.gather(*(submit(house) for house in both for _ in range(2)))
        assert statuses(answers) == {429: 4}
        assert {answer.error["code"] for answer in answers} == {"rate_limit_exceeded"}
        for answer in last:
            assert (await both[0].ended(answer.text("id")))["status"] == "completed"
        assert await both[1].metric("gateway_state_up") == 1


async def test_revocations_reach_both_and_an_outage_stops_nobody(
    postgresql_database: str,
    tmp_path: Path,
    own_valkey: ValkeyServer,
    openai_emulator: OpenAIEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By API at either, and by command; with Valkey gone calls go on and are counted locally; when it is back, news and limits go on."""
    monkeypatch.setattr(
        valkey_module, "WAIT_S", 30.0
    )  # a stopped server refuses at once; one without a processor is not down
    monkeypatch.setattr(circuit_module, "PAUSE_S", 0.05)
    monkeypatch.setattr(circuit_module, "PAUSE_S_MAX", 0.2)
    async with two(tmp_path, postgresql_database, own_valkey.url, openai_emulator, rpm=3) as (first, second):

        async def post(house: House, path: str, **body: object) -> Answer:
            return await house.call("POST", f"/admin/v1/{path}", key=ADMIN, body=body)

        made = [(await post(first, "keys", org="acme", name=f"key {number}")).json for number in range(3)]
        secrets = [str(key["secret"]) for key in made]
        for key in made:
            second.leaks.secret(str(key["name"]) if "name" in key else "made", str(key["secret"]))
        for secret in secrets:
            await soon(second, secret, 200)
        assert (await post(first, f"keys/{made[0]['id']}/revoke")).status == 200
        await soon(second, secrets[0], 401)
        async with open_office(second.config, SystemClock(), migrating=False) as office:  # as a command does
            await office.keys.revoke(str(made[1]["id"]))
        for house in (first, second):
            await soon(house, secrets[1], 401)

        own_valkey.stop()
        answers = [await house.generate(MODEL, **SQUARE) for house in (first, second) for _ in range(4)]
        assert statuses(answers) == {200: 6, 429: 2}, "three at each"
        assert (await second.get("/readyz", key=None)).status == 200
        assert await second.metric("gateway_limiter_failures_total", kind="rate") >= 4
        assert await second.metric("gateway_state_up") == 0
        assert (await post(first, f"keys/{made[2]['id']}/revoke")).status == 200
        own_valkey.start()
        await soon(second, secrets[2], 401)  # nobody could tell: it looks when Valkey is back
        for house in (first, second):
            async with asyncio.timeout(30):
                while await house.metric("gateway_state_up") != 1:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.02)
        answers = await asyncio.gather(
            *(house.generate(MODEL, **SQUARE) for house in (first, second) for _ in range(3))
        )
        assert statuses(answers) == {200: 3, 429: 3}
