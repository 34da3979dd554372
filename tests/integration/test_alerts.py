"""Alerts about budgets in a whole gateway: from a picture that is charged to a message that verifies, and what administrators see of it."""

import asyncio
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.domain.clock import SystemClock
from gateway.webhooks.signing import secret_bytes, signed_headers
from tests.emulators.behaviours import Hang
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    Fields,
    House,
    accounts,
    dict_of,
    list_of,
    openai_upstream,
    serving,
    write_config,
)
from tests.ports import free_port
from tests.webhook_receiver import SECRET, receiving

ADMIN = "an admin token of the config"
PICTURE: Fields = {"size": "1024x1024", "quality": "low"}
"""0.42552 credits."""
MODELS = {
    "gpt-image-2": {"offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}]}
}
EXAMPLE = Path(__file__).parents[2] / "docs/administration.md"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other fast."""
    monkeypatch.setattr("gateway.administration.budget_watch.ROUND_S", 0.05)
    monkeypatch.setattr("gateway.alerts.deliverer.LOOK_S", 0.05)
    monkeypatch.setattr("gateway.administration.budget_watch.SHARE", 1)


def settings(emulator: OpenAIEmulator, url: str, *budgets: str) -> Fields:
    return {
        "upstreams": {"openai": openai_upstream(emulator)},
        "models": MODELS,
        "accounts": accounts(*budgets),
        "alerts": {"url": url, "secret": SECRET},
        "egress": {"allow_http": True},
        "admin_token": ADMIN,
    }


async def token(house: House, org: str, *scopes: str) -> str:
    made = await house.call("POST", "/admin/v1/tokens", key=ADMIN, body={"name": org, "org": org, "scopes": scopes})
    return made.text("secret")


async def test_a_budget_is_told_and_administrators_see_it(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Half used, then refusing below 100 %; listed, sent again; another org's token sees nothing, by the same body as of nothing at all."""
    async with receiving() as receiver:
        config = write_config(tmp_path, database_url, **settings(openai_emulator, receiver.url, "0.8credits/day"))
        async with serving(config, {"openai": openai_emulator}) as house:
            assert (await house.generate("gpt-image-2", **PICTURE)).status == 200
            await receiver.until(1)
            assert (await house.generate("gpt-image-2", **PICTURE)).status == 429
            half, full = await receiver.until(2)
            for message in (half, full):
                message.verify()
            assert [(m.percent, m.data["refusing"], m.data["used"]) for m in (half, full)] == [
                (50, False, 0.42552),
                (100, True, 0.42552),
            ]
            assert half.data["account"] == "key:acme/design/ci"
            await _administrators_see(house, full.id)
            assert (await receiver.until(3))[2].id == full.id
            assert await house.metric("gateway_alerts_total", outcome="sent") >= 2
            assert b"not-for-logs" not in house.log_lines()
            assert SECRET.encode() not in house.log_lines()


async def _administrators_see(house: House, alert_id: str) -> None:
    listed = (await house.get("/admin/v1/alerts?limit=1", key=ADMIN)).json
    [newest] = list_of(listed, "data")
    assert (newest["id"], newest["threshold_percent"], listed["has_more"]) == (alert_id, 100, True)
    assert dict_of(newest, "message", "data")["budget"] == newest["budget"] == "0.8credits/day"
    before = (await house.get(f"/admin/v1/alerts?before={alert_id}", key=ADMIN)).json
    assert ([item["threshold_percent"] for item in list_of(before, "data")], before["has_more"]) == ([50], False)
    ours, others = await token(house, "acme", "read", "money"), await token(house, "globex", "read", "money")
    assert len(list_of((await house.get("/admin/v1/alerts", key=ours)).json, "data")) == 2
    assert list_of((await house.get("/admin/v1/alerts", key=others)).json, "data") == []
    hidden = await house.call("POST", f"/admin/v1/alerts/{alert_id}/resend", key=others, body={})
    unknown = await house.call("POST", "/admin/v1/alerts/alr_0/resend", key=others, body={})
    assert hidden.status == unknown.status == 404
    assert hidden.error | {"request_id": 0} == unknown.error | {"request_id": 0}
    for bad in ("limit=0", "limit=1001", "limit=x", "before=%00", "before=" + "a" * 65):
        assert (await house.get(f"/admin/v1/alerts?{bad}", key=ADMIN)).status == 400, bad
    while (await _state(house, alert_id)) == "due":  # noqa: ASYNC110 - its note is written after the receiver's answer
        await asyncio.sleep(0.02)
    resent = await house.call("POST", f"/admin/v1/alerts/{alert_id}/resend", key=ours, body={})
    assert (resent.status, resent.json["id"]) == (200, alert_id)
    lines = list_of((await house.get("/admin/v1/audit-log?limit=1", key=ours)).json, "data")
    assert [(line["action"], line["subject"], line["actor"]) for line in lines] == [
        ("alert.resend", alert_id, "token:acme/acme")
    ]


async def _state(house: House, alert_id: str) -> object:
    data = list_of((await house.get("/admin/v1/alerts", key=ADMIN)).json, "data")
    return next(item["state"] for item in data if item["id"] == alert_id)


async def test_a_dead_receiver_delays_nothing_and_hears_of_it_later(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls and the stop go on as ever; what one process could not deliver the next one does, under the same id."""
    monkeypatch.setattr(
        "gateway.alerts.deliverer.LEASE_MS", 1_000
    )  # of what is just being sent when the first one stops
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    config = write_config(tmp_path, database_url, **settings(openai_emulator, url, "1images/total"))
    async with serving(config, {"openai": openai_emulator}) as house:
        assert (await house.generate("gpt-image-2", **PICTURE)).status == 200
        async with asyncio.timeout(30):
            while len(data := list_of((await house.get("/admin/v1/alerts", key=ADMIN)).json, "data")) < 3:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.05)
        ids = {item["id"] for item in data}
        assert {item["state"] for item in data} == {"due"}
    async with receiving(port) as receiver, serving(config, {"openai": openai_emulator}):
        await receiver.until(3, timeout_s=60)
        assert {message.id for message in receiver.received} == ids


async def test_the_figures_of_the_books_are_true(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without alerts, budgets are measured all the same: a team's, while a picture is made and afterwards; the age of the hold, too."""
    monkeypatch.setattr("gateway.pipeline.housekeeping.ROUND_S", 0.05)
    given = settings(openai_emulator, "", "5images/day") | {"alerts": {}}
    team = {
        "team": "design",
        "budgets": ["4images/day"],
        "keys": [{"name": "ci", "secret": "integration key of the ci"}],
    }
    given["accounts"] = [
        {"org": "acme", "teams": [team], "keys": [{"name": "other", "secret": "another key of the ci"}]}
    ]
    config = write_config(tmp_path, database_url, **given)
    async with serving(config, {"openai": openai_emulator}) as house:
        openai_emulator.always(Hang(bills=True))
        running = asyncio.create_task(house.generate("gpt-image-2", **PICTURE))
        labels = {"account": "team:acme/design", "window": "day"}
        await until_metric(house, 3, "gateway_budget_left", **labels, unit="images")
        assert await house.metric("gateway_budget_used_ratio", **labels) == 0
        async with asyncio.timeout(30):
            while await house.metric("gateway_oldest_hold_age_seconds") == 0:  # noqa: ASYNC110 - a figure tells nobody
                await asyncio.sleep(0.05)
        openai_emulator.release()
        assert (await running).status == 200
        await until_metric(house, 0.25, "gateway_budget_used_ratio", **labels)
        await until_metric(house, 0, "gateway_oldest_hold_age_seconds")
        assert await house.metric("gateway_ledger_differences") == 0


async def until_metric(house: House, wanted: float, name: str, **labels: str) -> None:
    async with asyncio.timeout(30):
        while await house.metric(name, **labels) != wanted:  # noqa: ASYNC110 - metrics are polled
            await asyncio.sleep(0.05)


@contextmanager
def documented_receiver(port: int) -> Iterator["subprocess.Popen[str]"]:
    """The example of the documentation, as it stands there, in a process of its own."""
    text = EXAMPLE.read_text(encoding="utf-8")
    [example] = [
        code for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "webhook-signature" in code
    ]
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", example],
        env={"ALERTS_SECRET": SECRET, "PORT": str(port)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_the_documented_receiver_verifies(tmp_path: Path) -> None:
    """It takes what is signed, once; it refuses another body, another secret, an old message, and one without a signature."""
    port, now_s = free_port(), SystemClock().now_ms() // 1000
    body = (
        b'{"type":"budget.threshold","data":{"account":"team:acme/design","budget":"20usd/day","threshold_percent":80,'
        b'"used":16.2,"limit":20,"unit":"usd","refusing":false}}'
    )
    signed = signed_headers([secret_bytes(SECRET)], "alr_1", now_s, body)

    def post(sent: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", sent, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status: int = answer.status
                return status
        except urllib.error.HTTPError as exc:
            return exc.code

    with documented_receiver(port) as process:
        assert process.stdout is not None
        assert "listening" in await asyncio.to_thread(process.stdout.readline)
        for _ in range(2):
            assert await asyncio.to_thread(post, body, dict(signed)) == 204
        old = signed_headers([secret_bytes(SECRET)], "alr_1", now_s - 301, body)
        forged = signed_headers([b"another secret of thirty-two byte"], "alr_1", now_s, body)
        for sent, headers in ((body + b" ", signed), (body, old), (body, forged), (body, {"webhook-id": "alr_1"})):
            assert await asyncio.to_thread(post, sent, dict(headers)) == 400
        assert "team:acme/design has used 16.2 of 20 usd" in await asyncio.to_thread(process.stdout.readline)
        process.kill()
        assert await asyncio.to_thread(process.stdout.read) == "", "told once"
