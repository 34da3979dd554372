"""The Recraft emulator against OpenAI's SDK, which its vendor documents for generations."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import openai
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.pictures import decoded
from tests.emulators.recraft import RecraftEmulator


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[RecraftEmulator]:
    """Recraft on a free port."""
    async with RecraftEmulator() as started:
        yield started


async def drawn(emulator: RecraftEmulator, api_key: str | None = None, **body: object) -> openai.types.ImagesResponse:
    """One call with the SDK."""
    asked: dict[str, object] = {"model": "recraftv3", "prompt": "tea"} | body
    async with openai.AsyncOpenAI(
        base_url=emulator.base_url, api_key=api_key or emulator.api_key, max_retries=0, timeout=30.0
    ) as client:
        answer: openai.types.ImagesResponse = await client.images.generate(**asked)  # type: ignore[call-overload]  # also fields that the SDK does not name
        return answer


async def test_pictures_cost_credits(emulator: RecraftEmulator) -> None:
    """Forty credits a picture of V3, named in the answer; sizes as pixels of the list or as a ratio; WebP behind links."""
    answer = await drawn(emulator, n=2, size="1365x1024", extra_body={"style": "realistic_image"})
    assert answer.data is not None
    assert (answer.model_extra or {})["credits"] == 80
    async with aiohttp.ClientSession() as session, session.get(answer.data[1].url or "") as response:
        assert decoded(await response.read()) == ("webp", (1365, 1024))
    assert (await drawn(emulator, size="16:9", response_format="b64_json")).data
    assert (emulator.billed_images, emulator.billed_usd) == (3, Decimal("0.12"))


async def test_what_is_rejected_and_how(emulator: RecraftEmulator) -> None:
    """Errors are flat, with a code beside the message."""
    for body, kind, code in (
        ({"size": "1000x1000"}, openai.BadRequestError, "invalid_request_parameter"),
        ({"n": 7}, openai.BadRequestError, "invalid_request_parameter"),
        ({"prompt": "x" * 1001}, openai.BadRequestError, "invalid_request_parameter"),
        ({"api_key": "other"}, openai.AuthenticationError, "unauthorized"),
    ):
        with pytest.raises(kind) as caught:
            await drawn(emulator, **body)
        assert caught.value.code == code
    for behaviour, raised, code in (
        (b.Refuse(), openai.UnprocessableEntityError, "content_policy_violation"),
        (b.OutOfMoney(), openai.APIStatusError, "not_enough_credits"),
        (b.RateLimit(), openai.RateLimitError, "rate_limit_exceeded"),
        (b.Overloaded(), openai.InternalServerError, "service_unavailable"),
    ):
        emulator.next(behaviour)
        with pytest.raises(raised) as failed:
            await drawn(emulator)
        assert failed.value.code == code
    assert emulator.bills == []
