"""Callbacks in a whole gateway: from a call with `callback_url` to a message that verifies, and what administrators see of it."""

import asyncio
import base64
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.domain.clock import SystemClock
from gateway.webhooks.signing import secret_bytes, secret_text, signed_headers
from tests.emulators.behaviours import Hang, RateLimit
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    OTHER_KEY,
    Answer,
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
from tests.webhook_receiver import SECRET, Received, WebhookReceiver, receiving

pytestmark = pytest.mark.usefixtures("whole_stack")

ADMIN = "an admin token of the config"
PICTURE: Fields = {"size": "1024x1024", "quality": "low"}
CI, OTHER = "declared:key:acme/design/ci", "declared:key:acme//other"
EXAMPLE = Path(__file__).parents[2] / "docs/callbacks.md"
OWN_SECRET = "what the ci signs with, chosen by hand"


def settings(emulator: OpenAIEmulator, *receivers: WebhookReceiver, **more: object) -> Fields:
    egress = {"allow": ["127.0.0.1/32"], "allow_http": True, "ports": [receiver.port for receiver in receivers]}
    return {"upstreams": {"openai": openai_upstream(emulator)}, "egress": egress, "admin_token": ADMIN, **more}


def hook(receiver: WebhookReceiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/hooks/7?password=not-for-logs-either"


async def secret_of(house: House, key_id: str = CI) -> bytes:
    shown = await house.get(f"/admin/v1/keys/{quote(key_id, safe='')}/callback-secret", key=ADMIN)
    assert (shown.status, shown.headers["Cache-Control"]) == (200, "no-store")
    return base64.b64decode(shown.text("secret").removeprefix("whsec_"))


def by_the_library(message: Received, secret: bytes) -> None:
    """As a receiver with the library of Standard Webhooks does it. Raises WebhookVerificationError."""
    Webhook(secret_text(secret)).verify(message.body, dict(message.headers))


async def listed(house: House, query: str = "") -> list[dict[str, object]]:
    return list_of((await house.get(f"/admin/v1/callbacks{query}", key=ADMIN)).json, "data")


async def settled(house: House, state: str, count: int = 1) -> list[dict[str, object]]:
    """So many callbacks in a state; TimeoutError if there never are."""
    async with asyncio.timeout(30):
        while len(found := await listed(house, f"?state={state}")) < count:  # noqa: ASYNC110 - a row tells nobody
            await asyncio.sleep(0.05)
    return found


async def told(receiver: WebhookReceiver, house: House, created: Answer) -> Received:
    """The message about a task just created, which says what a query of it says."""
    task_id = created.text("id")
    async with asyncio.timeout(30):
        while not (  # noqa: ASYNC110 - polled
            found := [message for message in receiver.received if orjson.loads(message.body)["id"] == task_id]
        ):
            await asyncio.sleep(0.02)
    assert orjson.loads(found[0].body) == (await house.task(task_id)).json
    return found[0]


async def test_the_end_of_a_task_is_told(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """Completed and failed, after billing, signed by the key's own secret; the URL's query is in no log, and administrators see the whole way."""
    async with receiving() as receiver:
        config = write_config(tmp_path, database_url, **settings(openai_emulator, receiver))
        async with serving(config, {"openai": openai_emulator}) as house:
            # An OpenAI SDK asks for the image contract; the callback goes before it.
            created = await house.generate(
                "gpt-image-2", headers={"X-Stainless-Lang": "python"}, callback_url=hook(receiver), **PICTURE
            )
            assert (created.status, created.text("object")) == (200, "image.generation.task")
            message = await told(receiver, house, created)
            secret = await secret_of(house)
            message.verify(secret)
            by_the_library(message, secret)
            body = orjson.loads(message.body)
            assert (body["status"], len(body["results"])) == ("completed", 1)
            assert body["usage"]["credits_used"] > 0
            [sent] = await settled(house, "sent")
            assert (sent["id"], sent["task_id"], sent["tries"]) == (message.id, body["id"], 1)
            assert sent["url"] == hook(receiver).partition("?")[0]
            openai_emulator.always(RateLimit())
            failing = await house.generate("gpt-image-2", callback_url=hook(receiver), **PICTURE)
            failure = await told(receiver, house, failing)
            failure.verify(secret)
            assert orjson.loads(failure.body)["status"] == "failed"
            shown = (await house.get(f"/admin/v1/callbacks/{message.id}", key=ADMIN)).json
            [made] = list_of(shown, "attempts")
            assert (made["status"], made["answer"]) == (204, None)
            task = (await house.get(f"/admin/v1/tasks/{body['id']}", key=ADMIN)).json
            assert dict_of(task, "callback")["id"] == message.id
            assert await house.metric("gateway_callbacks_total", outcome="sent") == 2
            assert await house.metric("gateway_callback_lag_seconds_count") == 2
            assert b"not-for-logs" not in house.log_lines()


async def test_a_cancelled_task_is_told(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """One that waits for a slot is cancelled, and its callback says so."""
    openai_emulator.always(Hang(bills=True))
    async with receiving() as receiver:
        given = settings(openai_emulator, receiver)
        given["upstreams"] = {"openai": openai_upstream(openai_emulator, concurrency=1)}
        config = write_config(tmp_path, database_url, **given)
        async with serving(config, {"openai": openai_emulator}) as house:
            first = await house.generate("gpt-image-2", headers={"Prefer": "respond-async"}, **PICTURE)
            async with asyncio.timeout(30):
                while not openai_emulator.requests:  # noqa: ASYNC110 - polled
                    await asyncio.sleep(0.02)
            second = await house.generate("gpt-image-2", callback_url=hook(receiver), **PICTURE)
            cancelled = await house.call("POST", f"/v1/tasks/{second.text('id')}/cancel")
            assert cancelled.status == 200
            message = await told(receiver, house, second)
            body = orjson.loads(message.body)
            assert (body["status"], body["error"]["code"]) == ("cancelled", "request_cancelled")
            openai_emulator.release()
            await house.ended(first.text("id"))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "https://10.0.0.1/", "https://localhost/", "not a url", "https://u:p@example.com/", "x" * 3_000],
)  # fmt: skip
async def test_a_bad_url_is_refused(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator, url: str
) -> None:
    """Before anything is held or sent, in the same words; a quote says the same."""
    config = write_config(tmp_path, database_url, {"openai": openai_upstream(openai_emulator)})
    async with serving(config, {"openai": openai_emulator}) as house:
        for path in ("/v1/images/generations", "/v1/images/quote"):
            body = {"model": "gpt-image-2", "prompt": "a red fox in snow", "callback_url": url, **PICTURE}
            refused = await house.call("POST", path, body=body)
            assert (refused.status, refused.error["code"], refused.error["param"]) == (
                400,
                "invalid_callback_url",
                "callback_url",
            )
            assert str(refused.error["message"]).startswith("callback_url: must be an absolute https URL")
        assert list_of((await house.get("/v1/tasks")).json, "data") == []


async def test_a_dead_letter_is_sent_again(database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """410: dead at once. By the API with an audit line it is the same message; another org's administrators see none of it."""
    async with receiving() as receiver:
        receiver.answers = [410]
        config = write_config(tmp_path, database_url, **settings(openai_emulator, receiver))
        async with serving(config, {"openai": openai_emulator}) as house:
            created = await house.generate("gpt-image-2", callback_url=hook(receiver), **PICTURE)
            [dead] = await settled(house, "dead")
            path = f"/admin/v1/callbacks/{dead['id']}"
            globex = await house.call(
                "POST",
                "/admin/v1/tokens",
                key=ADMIN,
                body={"name": "globex", "scopes": ["read", "keys"], "org": "globex"},
            )
            other = globex.text("secret")
            for method, refused in (
                ("GET", path),
                ("POST", f"{path}/resend"),
                ("GET", f"/admin/v1/keys/{quote(CI, safe='')}/callback-secret"),
            ):
                assert (await house.call(method, refused, key=other)).status == 404
            assert list_of((await house.get("/admin/v1/callbacks", key=other)).json, "data") == []
            acme = await house.call(
                "POST", "/admin/v1/tokens", key=ADMIN, body={"name": "acme", "scopes": ["read"], "org": "acme"}
            )
            assert (
                len(list_of((await house.get("/admin/v1/callbacks?state=dead", key=acme.text("secret"))).json, "data"))
                == 1
            )
            resent = await house.call("POST", f"{path}/resend", key=ADMIN)
            assert (resent.status, resent.text("state")) == (200, "due")
            await settled(house, "sent")
            first, again = receiver.received
            assert (first.id, first.body) == (again.id, again.body)
            again.verify(await secret_of(house))
            lines = list_of((await house.get("/admin/v1/audit-log", key=ADMIN)).json, "data")
            assert [line["subject"] for line in lines if line["action"] == "callback.resend"] == [dead["id"]]
            assert (await house.get("/admin/v1/callbacks?state=lost", key=ADMIN)).status == 400
            erased = await house.call("DELETE", f"/v1/tasks/{created.text('id')}")
            assert erased.status == 200
            [row] = await listed(house)
            assert (row["url"], row["state"]) == ("", "sent")
            assert (await house.call("POST", f"{path}/resend", key=ADMIN)).status == 409


async def test_secrets_are_each_keys_own_and_rotate(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Derived: another for every key, two valid during a rotation, one after it; declared: as it is, shown as receivers take it, not rotated here."""
    keys = accounts()
    keys[0]["keys"] = [{"name": "other", "secret": OTHER_KEY, "callback_secret": OWN_SECRET}]
    async with receiving() as receiver:
        config = write_config(tmp_path, database_url, **settings(openai_emulator, receiver, accounts=keys))
        async with serving(config, {"openai": openai_emulator}) as house:
            before = await secret_of(house)
            assert await secret_of(house, OTHER) == OWN_SECRET.encode() != before
            declared = await house.generate("gpt-image-2", key=OTHER_KEY, callback_url=hook(receiver), **PICTURE)
            assert declared.status == 200
            (await receiver.until(1))[0].verify(OWN_SECRET.encode())
            by_the_library(receiver.received[0], OWN_SECRET.encode())
            rotate = "callback-secret/rotate"
            assert (
                await house.call("POST", f"/admin/v1/keys/{quote(OTHER, safe='')}/{rotate}", key=ADMIN)
            ).status == 409
            assert (
                await house.call(
                    "POST", f"/admin/v1/keys/{quote(CI, safe='')}/{rotate}", key=ADMIN, body={"overlap_s": -1}
                )
            ).status == 400
            rotated = await house.call(
                "POST", f"/admin/v1/keys/{quote(CI, safe='')}/{rotate}", key=ADMIN, body={"overlap_s": 600}
            )
            assert (rotated.status, rotated.json["version"]) == (200, 2)
            after = await secret_of(house)
            assert after != before
            created = await house.generate("gpt-image-2", callback_url=hook(receiver), **PICTURE)
            message = await told(receiver, house, created)
            message.verify(after, before)
            by_the_library(message, after)
            by_the_library(message, before)
            with pytest.raises(WebhookVerificationError):
                by_the_library(message, OWN_SECRET.encode())
            await house.call("POST", f"/admin/v1/keys/{quote(CI, safe='')}/{rotate}", key=ADMIN, body={"overlap_s": 0})
            created = await house.generate("gpt-image-2", callback_url=hook(receiver), **PICTURE)
            (await told(receiver, house, created)).verify(await secret_of(house))
            lines = list_of((await house.get("/admin/v1/audit-log", key=ADMIN)).json, "data")
            assert [line["subject"] for line in lines if line["action"] == "key.rotate_callback_secret"] == [CI, CI]


async def test_what_was_left_is_delivered_by_the_next_process(
    database_url: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Nobody listens, the gateway stops; the next one delivers, the same id for every try."""
    port = free_port()
    config_of = settings(openai_emulator, WebhookReceiver(port=port))
    config = write_config(tmp_path, database_url, **config_of)
    async with serving(config, {"openai": openai_emulator}) as house:
        created = await house.generate("gpt-image-2", callback_url=f"http://127.0.0.1:{port}/", **PICTURE)
        await house.ended(created.text("id"))
        [due] = await settled(house, "due")
    async with receiving(port) as receiver, serving(config, {"openai": openai_emulator}) as house:
        [message] = await receiver.until(1, timeout_s=60)
        assert message.id == due["id"]
        assert orjson.loads(message.body)["status"] == "completed"
        await settled(house, "sent")


@contextmanager
def documented_receiver(language: str, port: int) -> Iterator["subprocess.Popen[str]"]:
    """The example of the documentation, as it stands there, in a process of its own."""
    [example] = re.findall(rf"^```{language}\n(.*?)^```", EXAMPLE.read_text(encoding="utf-8"), re.M | re.S)
    command = [sys.executable, "-u", "-c", example] if language == "python" else ["node", "-e", example]
    environ = {"CALLBACK_SECRET": SECRET, "PORT": str(port), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_documented_receivers_verify(language: str) -> None:
    """They take what is signed, once, by either secret of a rotation; they refuse another body, another secret, an old message, and one unsigned."""
    port, now_s = free_port(), SystemClock().now_ms() // 1000
    body = b'{"id":"task-unified-1757165031-uyujaw3d","status":"completed","results":["https://gateway/1.png"]}'
    ours, foreign = secret_bytes(SECRET), b"another secret of thirty-two byte"

    def post(sent: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", sent, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status: int = answer.status
                return status
        except urllib.error.HTTPError as exc:
            return exc.code

    with documented_receiver(language, port) as process:
        assert process.stdout is not None
        assert "listening" in await asyncio.to_thread(process.stdout.readline)
        signed = dict(signed_headers([ours], "msg_1", now_s, body))
        for headers in (signed, dict(signed_headers([foreign, ours], "msg_1", now_s, body))):
            assert await asyncio.to_thread(post, body, headers) == 204
        old = dict(signed_headers([ours], "msg_1", now_s - 301, body))
        forged = dict(signed_headers([foreign], "msg_1", now_s, body))
        unsigned = {"webhook-id": "msg_1"}
        refused = (
            (body + b" ", signed),
            (body, old),
            (body, forged),
            (body, unsigned),
            (body, {**signed, "webhook-id": "msg_2"}),
        )
        for sent, headers in refused:
            assert await asyncio.to_thread(post, sent, headers) == 400
        line = await asyncio.to_thread(process.stdout.readline)
        assert line == "task-unified-1757165031-uyujaw3d completed 1\n"
        process.kill()
        assert await asyncio.to_thread(process.stdout.read) == "", "told once"
