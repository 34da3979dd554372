"""The Gemini emulator against Google's own SDK, and its strictness about what the SDK would not send."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.gemini import GeminiEmulator
from tests.sdk.driver import sdk_outcomes
from tests.sdk.sdk_given import PNG

FAULTS: Mapping[str, tuple[b.Behaviour, str, int | None, str]] = {
    "rate": (b.RateLimit(retry_in="1.17"), "ClientError", 429, "'retryDelay': '1.17s'"),
    "money": (b.OutOfMoney(), "ClientError", 402, "RESOURCE_EXHAUSTED"),
    "free tier": (b.OutOfMoney(code="free_tier"), "ClientError", 429, "limit: 0"),
    "billing": (b.OutOfMoney(code="FAILED_PRECONDITION"), "ClientError", 400, "FAILED_PRECONDITION"),
    "overloaded": (b.Overloaded(), "ServerError", 503, "UNAVAILABLE"),
    "capacity": (b.Overloaded(form="MODEL_CAPACITY_EXHAUSTED"), "ClientError", 429, "MODEL_CAPACITY_EXHAUSTED"),
    "internal": (b.Error(status=500), "ServerError", 500, "INTERNAL"),
    "page": (b.HtmlError(), "ServerError", 502, ""),
    "reset": (b.Reset(), "ReadError", None, ""),
}
TEXT = {"contents": [{"parts": [{"text": "cat"}]}]}
URL = "/v1beta/models/gemini-2.5-flash-image:generateContent"


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[GeminiEmulator]:
    """Gemini on a free port."""
    async with GeminiEmulator() as started:
        yield started


async def test_googles_own_sdk_is_content(vendors_python: Path, emulator: GeminiEmulator) -> None:
    """Pictures, refusals and every failure are to the SDK what Google's are; tokens and bills agree."""
    for name, (behaviour, *_) in FAULTS.items():
        emulator.when(name, behaviour)
    emulator.when("finish SAFETY", b.Refuse(form="SAFETY"))
    emulator.when("finish usual", b.Refuse())
    emulator.when("block", b.Refuse(form="blockReason:PROHIBITED_CONTENT"))
    emulator.when("no picture", b.Fewer())
    outcomes = await sdk_outcomes(vendors_python, "gemini", emulator)
    answers = {name: outcome.get("answer") for name, outcome in outcomes.items()}
    plain, edited = answers["plain"], answers["edited"]
    assert isinstance(plain, dict)
    assert isinstance(edited, dict)
    assert [kind for kind, size in plain["pictures"] if size > 0] == ["image/png"]
    assert (plain["finish"], plain["tokens"]) == (["STOP"], [1290, 1292])
    assert len(edited["pictures"]) == 1
    assert edited["tokens"] == [1120, 1120 + 2 + 258]
    assert [one.images for one in emulator.requests if one.images] == [[PNG]]
    refused: dict[str, object] = {"pictures": [], "texts": [], "block": None}
    for name, finish in (("finish SAFETY", "SAFETY"), ("finish usual", "IMAGE_SAFETY")):
        assert outcomes[name]["answer"] == refused | {"finish": [finish], "tokens": [None, -(-len(name) // 4)]}
    blocked = answers["block"]
    assert isinstance(blocked, dict)
    assert (blocked["finish"], blocked["block"]) == ([], "PROHIBITED_CONTENT")
    nothing = answers["no picture"]
    assert isinstance(nothing, dict)
    assert (nothing["pictures"], nothing["texts"], nothing["finish"]) == ([], ["Here it is."], ["NO_IMAGE"])
    for name, (_, kind, status, word) in FAULTS.items():
        assert (outcomes[name]["error"], outcomes[name]["status"]) == (kind, status), name
        assert word in str(outcomes[name]["text"]), name
    for name, status, word in (
        ("ratio", 400, "aspectRatio"),
        ("candidates", 400, "Multiple candidates"),
        ("model", 404, "gemini-9"),
        ("key", 400, "API_KEY_INVALID"),
    ):
        assert outcomes[name]["status"] == status, name
        assert word in str(outcomes[name]["text"]), name
    assert answers["models"] == [f"models/gemini-{name}-image" for name in ("2.5-flash", "3.1-flash", "3-pro")]
    assert [bill.microusd for bill in emulator.bills] == [
        Decimal(1290 * 30) + 2 * Decimal("0.3"),
        Decimal(1120 * 120 + 260 * 2),
        3 * Decimal("0.3"),
        *(tokens * Decimal("0.3") for tokens in (4, 3, 2)),  # refused: the prompts were read
    ]


async def test_both_spellings_are_taken_and_unknown_names_refused(emulator: GeminiEmulator) -> None:
    """Proto JSON takes camelCase, snake_case and a mixture; a field of another vendor is named in the error."""
    mixed = {"generationConfig": {"response_modalities": ["IMAGE", "TEXT"], "imageConfig": {"aspect_ratio": "3:2"}}}
    headers = {"x-goog-api-key": emulator.api_key}
    async with aiohttp.ClientSession(emulator.base_url, headers=headers) as session:
        async with session.post(URL, json=TEXT | mixed) as response:
            parts = (await response.json())["candidates"][0]["content"]["parts"]
            assert ["text" in parts[0], "inlineData" in parts[1]] == [True, True]
        for wrong, field in (
            ({"n": 2}, "n"),
            ({"generationConfig": {"size": "1024x1024"}}, "generation_config.size"),
            ({"generationConfig": {"imageConfig": {"imageSize": "2K"}}}, "imageSize"),  # this model draws in 1K only
            ({"contents": []}, "contents"),
        ):
            async with session.post(URL, json=TEXT | wrong) as response:
                error = (await response.json())["error"]
                assert (response.status, error["status"]) == (400, "INVALID_ARGUMENT")
                assert error["details"][0]["fieldViolations"][0]["field"] == field
        async with session.post(URL, json=TEXT, headers={"x-goog-api-key": ""}) as response:
            assert response.status == 403
    assert emulator.billed_images == 1


async def test_errors_may_come_in_a_list_and_thoughts_cost() -> None:
    """Some of Google's surfaces wrap the error; a model that thinks bills its thoughts, and marks them in the answer."""
    async with (
        GeminiEmulator(listed_errors=True, thoughts=100) as emulator,
        aiohttp.ClientSession(emulator.base_url, headers={"x-goog-api-key": emulator.api_key}) as session,
    ):
        async with session.post(URL, json={}) as response:
            assert (await response.json())[0]["error"]["code"] == 400
        async with session.post(URL, json=TEXT) as response:
            answer = await response.json()
        assert answer["candidates"][0]["content"]["parts"][0]["thought"] is True
        assert answer["usageMetadata"]["thoughtsTokenCount"] == 100
        assert emulator.bills[0].microusd == Decimal(1290 * 30 + 250) + Decimal("0.3")


def test_the_script_knows_the_forms() -> None:
    """A form of another vendor is an error of the test."""
    with pytest.raises(ValueError):
        GeminiEmulator().next(b.OutOfMoney(code="insufficient_quota"))
    with pytest.raises(ValueError):
        GeminiEmulator().next(b.Overloaded(form="E003"))
