"""What stands around a call: signed links, bodies that are too large or too slow, metrics, and logs that keep secrets."""

import asyncio
import base64
import io
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from gateway.domain.clock import SystemClock
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.conftest import Market
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    PROMPT,
    SECRET_KEY,
    Fields,
    House,
    accounts,
    evolink_upstream,
    list_of,
    openai_upstream,
    serving,
    write_config,
)

SQUARE: Fields = {"size": "1024x1024", "quality": "low"}
DAY_S = 86_400
MIB = 1024 * 1024


class AdvancedClock(SystemClock):
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_s * 1000


@pytest.fixture
def clock() -> AdvancedClock:
    return AdvancedClock()


@pytest.fixture
async def house(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator, clock: AdvancedClock
) -> AsyncIterator[House]:
    """A gateway over OpenAI."""
    config = write_config(tmp_path, sqlite_database, {"openai": openai_upstream(openai_emulator)})
    async with serving(config, {"openai": openai_emulator}, clock=clock) as house:
        yield house


async def link_of(house: House) -> str:
    answer = await house.generate("gpt-image-2", response_format="url", **SQUARE)
    return str(list_of(answer.json, "data")[0]["url"])


async def test_a_link_serves_the_picture_whole_and_in_parts(house: House) -> None:
    """Without a key: the whole, a range, the end, nothing new for a known version; what lies outside is 416. It may not run in a browser."""
    link = await link_of(house)
    whole = await house.get(link, key=None)
    part = await house.get(link, key=None, headers={"Range": "bytes=8-15"})
    end = await house.get(link, key=None, headers={"Range": "bytes=-4"})
    known = await house.get(link, key=None, headers={"If-None-Match": whole.headers["ETag"]})
    outside = await house.get(link, key=None, headers={"Range": f"bytes={len(whole.body)}-"})
    head = await house.call("HEAD", link, key=None)
    size = len(whole.body)
    assert (whole.status, part.status, end.status, known.status, outside.status) == (200, 206, 206, 304, 416)
    assert (part.body, end.body, known.body) == (whole.body[8:16], whole.body[-4:], b"")
    assert part.headers["Content-Range"] == f"bytes 8-15/{size}"
    assert outside.headers["Content-Range"] == f"bytes */{size}"
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(size), b"")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in whole.headers["Content-Security-Policy"]


async def test_a_link_lives_for_a_day_and_no_longer(house: House, clock: AdvancedClock) -> None:
    """It works a minute before its 24 hours are over, and a minute after them it is a 404 like any other."""
    link = await link_of(house)
    clock.ahead_s = DAY_S - 60
    before = await house.get(link, key=None)
    clock.ahead_s = DAY_S + 60
    after = await house.get(link, key=None)
    assert (before.status, after.status) == (200, 404)
    assert after.error["code"] == "not_found"


async def test_a_tampered_link_leads_nowhere(house: House) -> None:
    """Any other character in the token or the file's name, another picture's token, or none: 404 and the same words."""
    link, other = await link_of(house), await link_of(house)
    token, file = link.rsplit("/", 2)[1:]
    root = link.rsplit("/", 2)[0]
    spots = (0, 1, len(token) // 2, len(token) - 1)
    forged = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in spots]
    paths = [f"{root}/{name}/{file}" for name in (*forged, token[:-1], token + "A", "x")]
    paths += [f"{root}/{token}/{name}" for name in ("0.jpg", "other.png", file + "x")]
    paths += [f"{root}/{other.rsplit('/', 2)[1]}/x{file}", f"{root}/{token}/..%2f..%2fgateway.db"]
    answers = [await house.get(path, key=None) for path in paths]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.error["message"] for answer in answers}) == 1
    assert (await house.get(link, key=None)).status == 200


async def test_a_body_that_is_too_large_is_refused_unread(house: House, openai_emulator: OpenAIEmulator) -> None:
    """Fifty megabytes, announced or in chunks, are a 413 that arrives long before they could; nothing reaches an upstream."""
    large = b'{"model":"gpt-image-2","prompt":"' + b"x" * (50 * MIB) + b'"}'
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for at in range(0, len(large), MIB // 4):
            sent += MIB // 4
            yield large[at : at + MIB // 4]

    url, headers = f"{house.base_url}/images/generations", {"Authorization": f"Bearer {KEY}"}
    headers["Content-Type"] = "application/json"
    statuses = []
    for data in (io.BytesIO(large), chunks()):
        async with house.http.post(url, headers=headers, data=data) as response:
            statuses.append((response.status, (await response.json())["error"]["code"]))
    assert statuses == [(413, "request_too_large")] * 2
    assert sent < len(large), "it was answered before all had come"
    assert openai_emulator.requests == []
    assert (await house.generate("gpt-image-2", **SQUARE)).status == 200


async def test_a_body_that_trickles_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that sends a byte now and then gets a 408 when its time is over, and others are served meanwhile."""
    monkeypatch.setattr("gateway.api.body.READ_S_MIN", 0.4)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.config.server.port)
    writer.write(
        b"POST /v1/images/generations HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + KEY.encode() + b'\r\nContent-Length: 1000\r\n\r\n{"prompt":'
    )
    answer = asyncio.ensure_future(reader.readline())  # before a reset, for what was sent too late, takes the rest
    for _ in range(500):
        writer.write(b" ")
        meanwhile = await house.get("/v1/models")
        assert meanwhile.status == 200
        await asyncio.wait([answer], timeout=0.1)
        if answer.done():
            break
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_the_promised_metrics_appear_and_their_labels_are_bounded(
    sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """After traffic every metric is there, with the sums that the books have; callers cannot make label values up."""
    market["cheap"].next(b.Error())
    config = write_config(tmp_path, sqlite_database, market.upstreams(), models=market.models())
    async with serving(config, market.emulators) as house:
        for _ in range(2):
            assert (await house.generate("poster")).status == 200
        for index in range(250):
            await house.generate(f"invented-{index}")
            await house.get(f"/v1/invented-{index}/x", key=f"invented-{index}")
        await house.call("INVENTED", "/v1/models")
        samples = await house.metrics()
        held = await house.metric("gateway_credits_total", kind="held")
        used = await house.metric("gateway_credits_total", kind="used")
        released = await house.metric("gateway_credits_total", kind="released")
        paid = await house.metric("gateway_upstream_cost_usd_total")
        failed = await house.metric("gateway_attempts_total", upstream="cheap", model="poster", fault="failed")
        made = await house.metric("gateway_attempts_total", fault="none")
        durations = await house.metric(
            "gateway_task_duration_seconds_count", model="poster", contract="image", outcome="completed"
        )
    names = {sample.name for sample in samples}
    assert names >= {
        "gateway_task_duration_seconds_bucket", "gateway_overhead_seconds_bucket", "gateway_credits_total", "gateway_upstream_cost_usd_total",
        "gateway_attempts_total", "gateway_upstream_circuit_open", "gateway_in_doubt_usd", "gateway_ledger_differences",
        "gateway_oldest_hold_age_seconds", "gateway_event_loop_lag_seconds_bucket", "gateway_bytes_in_flight",
    }  # fmt: skip
    values = {value for sample in samples for value in sample.labels.values()}
    assert not [value for value in values if "invented" in value.lower()]
    assert (failed, made, durations) == (1, 2, 2)
    assert used == pytest.approx(float(house.settled.charged()))
    assert held == pytest.approx(used + released)
    assert paid == pytest.approx(0.06)


CANARY = "zebracrossing quicksilver"
UPSTREAM_KEY = "upstream-key-0f9e8d7c6b5a"


async def test_no_secret_prompt_or_picture_reaches_the_log(sqlite_database: str, tmp_path: Path) -> None:
    """Good calls, bad calls, upstreams that echo what they were sent, and crashes of a vendor: none of it is in any line."""
    prompt = f"{CANARY} {PROMPT}"
    openai_emulator, evolink_emulator = OpenAIEmulator(api_key=UPSTREAM_KEY), EvolinkEmulator(api_key=UPSTREAM_KEY)
    emulators = {"openai": openai_emulator, "evolink": evolink_emulator}
    echo = f"Your request {{'prompt': '{prompt}'}} with key {UPSTREAM_KEY} was not understood."
    openai_emulator.next(
        b.Succeed(), b.Error(status=400, code="invalid_value", message=echo), b.Error(message=echo), b.Refuse(),
        b.Error(status=500, body=echo, content_type="text/plain"), b.WrongImage(), b.MalformedJson(),
    )  # fmt: skip
    evolink_emulator.next(b.Succeed(), b.FailTask(message=echo))
    async with openai_emulator, evolink_emulator:
        upstreams = {"openai": openai_upstream(openai_emulator), "evolink": evolink_upstream(evolink_emulator)}
        models = {
            "gpt-image-2": {
                "offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}]
            }
        }
        config = write_config(tmp_path, sqlite_database, upstreams, models=models, accounts=accounts("90credits/total"))
        async with serving(config, emulators) as house:
            good = await house.generate("gpt-image-2", prompt=prompt, **SQUARE)
            link = str(list_of(good.json, "data")[0]["url"])
            await house.get(link, key=None)
            await house.get(link + "x", key=None)
            statuses = [(await house.generate("gpt-image-2", prompt=prompt, **SQUARE)).status for _ in range(6)]
            for _ in range(2):
                await house.ended((await house.generate("gpt-4o-image", prompt=prompt)).text("id"))
            await house.generate("gpt-image-2", prompt=prompt, n=99)
            await house.generate("gpt-image-2", prompt=prompt, quality=f"{CANARY}")
            await house.generate("gpt-4o-image", prompt=prompt * 1000)
            await house.generate("gpt-image-2", key="igw_" + "a1B2" * 10, prompt=prompt)
            await house.get("/v1/tasks/" + CANARY.replace(" ", "-"))
            async with aiohttp.ClientSession() as http:
                await http.post(
                    f"{house.base_url}/images/generations", headers={"Authorization": f"Bearer {KEY}"}, data=prompt
                )
            malformed = [r.id for r in openai_emulator.requests if r.behaviour == "malformed_json"]
            bills = [bill for bill in openai_emulator.bills if bill.request_id in malformed]
            house.doubt_billed["openai"] = sum((bill.microusd for bill in bills), Decimal(0))
            logged = house.log_lines()
    assert 200 not in statuses
    assert logged.count(b'"event":"request"') > 15
    assert logged.count(b"an attempt failed") >= 7
    picture = str(list_of(good.json, "data")[0]["b64_json"])
    token = re.search(r"/v1/results/([^/]+)/", link)
    assert token is not None
    secrets = {
        "a caller's key": KEY, "another key": OTHER_KEY, "a refused key": "a1B2a1B2", "the gateway's secret": SECRET_KEY,
        "an upstream's key": UPSTREAM_KEY, "a prompt": "zebracrossing", "a prompt's end": "quicksilver", "a link's token": token[1][:40],
        "base64": picture[400:440], "base64's beginning": base64.b64encode(b"\x89PNG\r\n").decode()[:7],
    }  # fmt: skip
    leaked = {name: line for name, secret in secrets.items() for line in logged.splitlines() if secret.encode() in line}
    assert leaked == {}
