"""The Ark emulator against OpenAI's SDK, which its vendor documents for Seedream, and the errors inside its answers."""

import base64
from collections.abc import AsyncIterator
from decimal import Decimal

import openai
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.ark import ArkEmulator
from tests.emulators.pictures import decoded

MODEL = "seedream-4-0-250828"
SEQUENCE = {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 3}}


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[ArkEmulator]:
    """Ark on a free port."""
    async with ArkEmulator() as started:
        yield started


async def drawn(emulator: ArkEmulator, api_key: str | None = None, **body: object) -> openai.types.ImagesResponse:
    """One call with the SDK; fields that OpenAI does not have go in `extra`."""
    asked: dict[str, object] = {"model": MODEL, "prompt": "tea", "extra_body": body.pop("extra", {})} | body
    async with openai.AsyncOpenAI(
        base_url=emulator.base_url, api_key=api_key or emulator.api_key, max_retries=0, timeout=30.0
    ) as client:
        answer: openai.types.ImagesResponse = await client.images.generate(**asked)  # type: ignore[call-overload]  # also fields that the SDK does not name
        return answer


async def test_one_call_is_one_picture_unless_it_asks_for_a_sequence(emulator: ArkEmulator) -> None:
    """`n` is nothing to this vendor; a sequence has up to max_images, and the usage counts what was made."""
    single = await drawn(emulator, n=3, size="1280x720", response_format="b64_json")
    assert single.data is not None
    assert [decoded(base64.b64decode(item.b64_json or "")) for item in single.data] == [("jpeg", (1280, 720))]
    several = await drawn(emulator, size="2K", extra=SEQUENCE | {"watermark": False, "image": ["https://x.test/a.png"]})
    assert several.data is not None
    assert [(item.model_extra or {})["size"] for item in several.data] == ["2048x2048"] * 3
    assert several.usage is not None
    assert (several.usage.model_extra or {})["generated_images"] == 3
    assert [(bill.images, bill.usd) for bill in emulator.bills] == [(1, Decimal("0.03")), (3, Decimal("0.09"))]


async def test_an_item_may_be_an_error(emulator: ArkEmulator) -> None:
    """What was withheld has an error in its place, and is neither counted nor billed."""
    emulator.next(b.Fewer(images=2))
    answer = await drawn(emulator, extra=SEQUENCE)
    errors = [(item.model_extra or {}).get("error") for item in answer.data or ()]
    assert errors[:2] == [None, None]
    assert isinstance(errors[2], dict)
    assert errors[2]["code"] == "OutputImageSensitiveContentDetected"
    assert emulator.billed_images == 2


async def test_what_is_rejected_and_how(emulator: ArkEmulator) -> None:
    """Sizes below a model's least are refused with the field's name; a wrong key is 401, an unopened model 404."""
    for body, kind, code in (
        ({"size": "1024x1024", "model": "seedream-4-5-251128"}, openai.BadRequestError, "InvalidParameter"),
        ({"size": "1K", "model": "seedream-4-5-251128"}, openai.BadRequestError, "InvalidParameter"),
        ({"size": "8K"}, openai.BadRequestError, "InvalidParameter"),
        ({"prompt": ""}, openai.BadRequestError, "MissingParameter"),
        ({"extra": {"image": "a.png"}}, openai.BadRequestError, "InvalidParameter"),
        ({"model": "seedream-9"}, openai.NotFoundError, "ModelNotOpen"),
        ({"api_key": "other"}, openai.AuthenticationError, "AuthenticationError"),
    ):
        with pytest.raises(kind) as caught:
            await drawn(emulator, **body)
        assert caught.value.code == code
    assert emulator.bills == []


async def test_refusals_limits_load_and_money(emulator: ArkEmulator) -> None:
    """The code tells what the status does not."""
    for behaviour, kind, code in (
        (b.Refuse(), openai.BadRequestError, "OutputImageSensitiveContentDetected"),
        (
            b.Refuse(form="InputTextSensitiveContentDetected"),
            openai.BadRequestError,
            "InputTextSensitiveContentDetected",
        ),
        (b.OutOfMoney(), openai.PermissionDeniedError, "AccountOverdueError"),
        (b.RateLimit(retry_after="2"), openai.RateLimitError, "RateLimitExceeded.ModelImagesPerMinute"),
        (b.Overloaded(), openai.RateLimitError, "ServerOverloaded"),
        (b.Overloaded(form="503"), openai.InternalServerError, "ServerOverloaded"),
    ):
        emulator.next(behaviour)
        with pytest.raises(kind) as caught:
            await drawn(emulator)
        assert caught.value.code == code
