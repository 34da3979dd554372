"""Cancelling over HTTP while an upstream is at it: what the caller, a waiting call, the callback, the metrics and the books say of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.emulators import behaviours as b
from tests.emulators.fal import FalEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.tasks import TaskEmulator
from tests.integration.gateway_app import Fields, House, dict_of, list_of, serving, write_config
from tests.webhook_receiver import WebhookReceiver, receiving

LONG_S = 60.0
"""Half of it a call waits in the vendor's queue."""
CANCELLABLE: Fields = {
    "fal": {"model": "fal-ai/flux/dev", "cost": {"per_megapixel_usd": 0.025, "whole_megapixels": True}},
    "replicate": {"model": "black-forest-labs/flux-schnell", "cost": {"per_image_usd": 0.003}},
}


@asynccontextmanager
async def before(
    vendor: TaskEmulator, kind: str, folder: Path, database: str, receiver: WebhookReceiver | None = None
) -> AsyncIterator[House]:
    """A gateway whose model `m` this vendor alone makes."""
    section: Fields = {"kind": kind, "base_url": vendor.base_url, "api_key": vendor.api_key, "poll_interval": "60ms"}
    offer = {"upstream": kind, **CANCELLABLE[kind]}
    ports = [443] if receiver is None else [receiver.port]
    config = write_config(
        folder,
        database,
        {kind: section},
        models={"m": {"prompt_tokens_max": 2000, "sizes": ["1024x1024"], "n": {"max": 4}, "offers": [offer]}},
        egress={"allow": ["127.0.0.1/32"], "allow_http": True, "ports": ports},
    )
    async with serving(config, {kind: vendor}) as house:
        yield house


async def sent(house: House, vendor: TaskEmulator, **more: Any) -> str:
    """The id of a task that waits in the vendor's queue."""
    created = await house.generate("m", headers={"Prefer": "respond-async"}, **more)
    assert created.status in (200, 202), created.body
    task_id = created.text("id")
    async with asyncio.timeout(30):
        while not vendor.tasks:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.02)
    return task_id


@pytest.mark.parametrize("kind", CANCELLABLE)
async def test_cancelled_at_its_upstream(sqlite_database: str, tmp_path: Path, kind: str) -> None:
    """It can be cancelled while it is out; then it is, at once, twice the same, unbilled, told by its callback, with everything given back."""
    make = {"fal": FalEmulator, "replicate": ReplicateEmulator}[kind]
    async with make(work_s=LONG_S) as vendor, receiving() as receiver:
        async with before(vendor, kind, tmp_path, sqlite_database, receiver) as house:
            hook = f"http://127.0.0.1:{receiver.port}/hook"
            task_id = await sent(house, vendor, callback_url=hook)
            running = (await house.task(task_id)).json
            cancelled = await house.call("POST", f"/v1/tasks/{task_id}/cancel")
            again = await house.call("POST", f"/v1/tasks/{task_id}/cancel")
            [message] = await receiver.until(1)
            assert (running["status"], dict_of(running, "task_info")["can_cancel"]) == ("processing", True)
            assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
            assert (again.status, again.json) == (200, cancelled.json)
            assert dict_of(cancelled.json, "task_info")["can_cancel"] is False
            assert dict_of(cancelled.json, "error")["code"] == "request_cancelled"
            assert dict_of(cancelled.json, "usage")["credits_used"] == 0
            [attempt] = list_of(cancelled.json, "attempts")
            assert (attempt["status"], attempt["fault"], attempt["cost_usd"]) == ("failed", "cancelled", 0)
            assert orjson.loads(message.body) == cancelled.json
            assert await house.metric("gateway_upstream_cancels_total", upstream=kind, outcome="unbilled") == 1
            assert await house.metric("gateway_task_duration_seconds_count", outcome="cancelled") == 1
            assert await house.metric("gateway_upstream_circuit_open") == 0
            assert vendor.bills == []
        assert house.settled.charged() == 0


async def test_a_call_that_waits_is_told(sqlite_database: str, tmp_path: Path) -> None:
    """The image contract: somebody else with the key cancels its task, and it hears so, not to be tried again."""
    async with FalEmulator(work_s=LONG_S) as vendor, before(vendor, "fal", tmp_path, sqlite_database) as house:
        waiting = asyncio.ensure_future(house.generate("m", response_format="url"))
        await vendor.until(lambda vendor: bool(vendor.tasks))
        [task] = list_of((await house.get("/v1/tasks")).json, "data")
        assert (await house.call("POST", f"/v1/tasks/{task['id']}/cancel")).status == 200
        answer = await waiting
        assert (answer.status, answer.error["code"]) == (409, "request_cancelled")
        assert answer.headers["x-should-retry"] == "false"


async def test_too_late(sqlite_database: str, tmp_path: Path) -> None:
    """It has begun, and would be paid for: the wish is shown while it goes on, and the task completes and is charged; then it is 409."""
    async with FalEmulator(work_s=6.0) as vendor, before(vendor, "fal", tmp_path, sqlite_database) as house:
        task_id = await sent(house, vendor)
        await vendor.until(lambda vendor: vendor.state(*vendor.tasks.values()) == "working")
        heard = await house.call("POST", f"/v1/tasks/{task_id}/cancel")
        assert (heard.status, heard.json["status"]) == (200, "processing")
        assert dict_of(heard.json, "task_info")["cancel_requested"] is True
        done = await house.ended(task_id, timeout_s=60)
        refused = await house.call("POST", f"/v1/tasks/{task_id}/cancel")
        assert (done["status"], vendor.billed_images) == ("completed", 1)
        assert "cancel_requested" not in dict_of(done, "task_info")
        assert (refused.status, refused.error["code"]) == (409, "task_not_cancellable")
        assert await house.metric("gateway_upstream_cancels_total", outcome="too_late") == 1


async def test_cancelled_and_billed(sqlite_database: str, tmp_path: Path) -> None:
    """It began in the very moment of the cancel: cancelled, but charged, since the upstream bills it; the books have no loss."""
    async with ReplicateEmulator(work_s=1.5) as vendor, before(vendor, "replicate", tmp_path, sqlite_database) as house:
        vendor.always(b.Succeed(delay_s=1.0), at="cancel")
        task_id = await sent(house, vendor)
        await house.call("POST", f"/v1/tasks/{task_id}/cancel")
        task = await house.ended(task_id)
        assert (task["status"], dict_of(task, "error")["code"]) == ("cancelled", "request_cancelled")
        assert "bills it" in str(dict_of(task, "error")["message"])
        usage = dict_of(task, "usage")
        assert (usage["credits_used"], usage["cost"]) == (0.216, {"credits": 0.216, "usd": 0.003})
        assert len(vendor.bills) == 1
    assert house.settled.lost_microusd == 0
    assert float(house.settled.charged()) == 0.216
