"""The xAI emulator against OpenAI's SDK, which xAI documents for its own API, and the forms of its refusals."""

import base64
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal

import openai
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.pictures import decoded
from tests.emulators.xai import XAIEmulator

MODEL = "grok-imagine-image"


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[XAIEmulator]:
    """xAI on a free port."""
    async with XAIEmulator() as started:
        yield started


async def drawn(emulator: XAIEmulator, api_key: str | None = None, **body: object) -> openai.types.ImagesResponse:
    """One call with the SDK; fields that OpenAI does not have go as `extra_body`."""
    extra = {name: body.pop(name) for name in ("aspect_ratio", "resolution") if name in body}
    asked: dict[str, object] = {"model": MODEL, "prompt": "tea", "extra_body": extra} | body
    async with openai.AsyncOpenAI(
        base_url=emulator.base_url, api_key=api_key or emulator.api_key, max_retries=0, timeout=30.0
    ) as client:
        answer: openai.types.ImagesResponse = await client.images.generate(**asked)  # type: ignore[call-overload]  # also fields that the SDK does not name
        return answer


def ticks(answer: openai.types.ImagesResponse) -> object:
    """What the answer says it cost, in 1e-10 USD."""
    extra: Mapping[str, object] = (answer.usage.model_extra if answer.usage else None) or {}
    return extra.get("cost_in_usd_ticks")


async def test_pictures_come_in_a_ratio_and_say_what_they_cost(emulator: XAIEmulator) -> None:
    """Links by default, base64 where asked; the ticks are the bill."""
    answer = await drawn(emulator, n=3, aspect_ratio="16:9")
    assert answer.data is not None
    assert len(answer.data) == 3
    assert all((item.url or "").startswith(emulator.origin) for item in answer.data)
    assert (ticks(answer), emulator.billed_usd) == (600_000_000, Decimal("0.06"))
    inline = await drawn(emulator, aspect_ratio="2:1", resolution="2k", response_format="b64_json")
    assert inline.data is not None
    assert decoded(base64.b64decode(inline.data[0].b64_json or "")) == ("jpeg", (2880, 1440))


async def test_base64_may_really_be_a_data_url() -> None:
    """As xAI sends it at times."""
    async with XAIEmulator(data_urls=True) as emulator:
        answer = await drawn(emulator, response_format="b64_json")
    assert answer.data is not None
    assert (answer.data[0].b64_json or "").startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("form", "items", "extra"),
    [("", 0, {}), ("block_reason", 0, {"block_reason": "content_moderated"}), ("respect_moderation", 1, {})],
)
async def test_a_refusal_is_a_success_without_a_picture(
    emulator: XAIEmulator, form: str, items: int, extra: Mapping[str, object]
) -> None:
    """Status 200 in each form; free unless the script says otherwise."""
    emulator.next(b.Refuse(form=form), b.Refuse(form=form, bills=True))
    answer = await drawn(emulator)
    assert (len(answer.data or ()), ticks(answer)) == (items, 0)
    assert {name: (answer.model_extra or {}).get(name) for name in extra} == extra
    assert [bool(item.url) for item in answer.data or ()] == [False] * items
    assert emulator.bills == []
    assert ticks(await drawn(emulator)) == 200_000_000
    assert emulator.billed_images == 1


async def test_what_is_rejected_and_how(emulator: XAIEmulator) -> None:
    """`size` and `style` are named, a wrong key is 400, a bad value 422; nothing is billed."""
    for body, kind, word in (
        ({"size": "1024x1024"}, openai.BadRequestError, "Argument not supported: size"),
        ({"style": "vivid"}, openai.BadRequestError, "Argument not supported: style"),
        ({"api_key": "xai-other"}, openai.BadRequestError, "Incorrect API key"),
        ({"n": 11}, openai.UnprocessableEntityError, "'n'"),
        ({"aspect_ratio": "21:9"}, openai.UnprocessableEntityError, "aspect_ratio"),
        ({"model": "grok-9"}, openai.NotFoundError, "grok-9"),
    ):
        with pytest.raises(kind) as caught:
            await drawn(emulator, **body)
        assert word in caught.value.response.json()["error"]
    assert emulator.bills == []


async def test_limits_load_and_money(emulator: XAIEmulator) -> None:
    """An empty account is a 403 that reads like a permission; its text tells."""
    for behaviour, kind, word in (
        (b.OutOfMoney(), openai.PermissionDeniedError, "used all available credits"),
        (b.RateLimit(retry_after="2"), openai.RateLimitError, "Too many requests"),
        (b.Overloaded(), openai.InternalServerError, "overloaded"),
    ):
        emulator.next(behaviour)
        with pytest.raises(kind) as caught:
            await drawn(emulator)
        assert word in caught.value.response.json()["error"]
