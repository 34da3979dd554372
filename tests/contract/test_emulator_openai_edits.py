"""Edits at the OpenAI and Azure emulators by OpenAI's own client: forms as it really sends them, and what is refused."""

import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.emulators.azure import API_VERSION, AzureEmulator
from tests.emulators.inputs import painted
from tests.emulators.masks import box_of, mask, red_box
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import decoded, picture

ONE, TWO = picture((64, 48), "png", "one"), picture((640, 480), "jpeg", "two")


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[OpenAIEmulator]:
    async with OpenAIEmulator() as started:
        yield started


@pytest_asyncio.fixture
async def client(emulator: OpenAIEmulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


async def test_one_picture_several_and_a_mask(client: openai.AsyncOpenAI, emulator: OpenAIEmulator) -> None:
    """`image`, `image[]` and `mask`: what was given is what the vendor has, in order; transparent is to edit; pictures cost tokens."""
    one = await client.images.edit(model="gpt-image-2", prompt="tea", image=ONE, quality="low", size="1024x1024")
    assert one.data is not None
    assert decoded(base64.b64decode(one.data[0].b64_json or "")) == ("png", (1024, 1024))
    assert one.usage is not None
    assert (one.usage.input_tokens_details.image_tokens, one.usage.input_tokens) == (4, 5)
    files: Any = [("a.png", ONE), ("b.jpg", TWO)]
    several = await client.images.edit(
        model="gpt-image-2",
        prompt="tea",
        image=files,
        mask=("mask.png", mask("alpha")),
        n=2,
        size="1024x1024",
        quality="low",
    )
    assert len(several.data or ()) == 2
    first, second = emulator.requests
    assert (first.images, first.mask) == ([ONE], None)
    assert second.images == [ONE, TWO]
    assert red_box(painted(second, "alpha")) == box_of((64, 48))
    assert [bill.microusd for bill in emulator.bills] == [
        Decimal(5880 + 5 + 4 * 8),
        Decimal(2 * 5880 + 5 + (4 + 300) * 8),
    ]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"image": b"no picture"}, "image"),
        ({"mask": mask("white")}, "mask"),
        ({"mask": mask("alpha", (48, 64))}, "mask"),
        ({"image": [ONE] * 17}, "image"),
        ({"input_fidelity": "high"}, "input_fidelity"),
        ({"extra_body": {"moderation": "low"}}, "moderation"),
        ({"size": "1000x1000"}, "size"),
    ],
)
async def test_what_is_refused(
    client: openai.AsyncOpenAI, emulator: OpenAIEmulator, changes: dict[str, Any], param: str
) -> None:
    """400 with the field, and nothing is billed."""
    asked = {"model": "gpt-image-2", "prompt": "tea", "image": ONE} | changes
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.edit(**asked)
    assert caught.value.param == param
    assert emulator.billed_images == 0


async def test_azures_deployments_edit() -> None:
    """The same form at a deployment's path, without a model."""
    async with (
        AzureEmulator() as emulator,
        openai.AsyncAzureOpenAI(
            azure_endpoint=emulator.base_url,
            api_key=emulator.api_key,
            azure_deployment="pictures",
            api_version=API_VERSION,
        ) as client,
    ):
        answer = await client.images.edit(prompt="tea", image=ONE, mask=mask("alpha"))
        assert answer.data
        assert emulator.requests[0].path == f"/openai/deployments/pictures/images/edits?api-version={API_VERSION}"
        assert (emulator.requests[0].images, emulator.requests[0].mask) == ([ONE], mask("alpha"))
