"""One gateway, every kind of upstream that edits: the official client's pictures and masks arrive as they left, partial pictures come back."""

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.emulators.base import Emulator
from tests.emulators.inputs import Polarity, painted
from tests.emulators.masks import box_of, mask, red_box
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import picture
from tests.integration.gateway_app import KEY, House, Settings, openai_upstream, serving, write_config
from tests.integration.upstream_sections import SECTIONS, a_section, an_offer

SIZE = (64, 48)
MODELS: dict[str, tuple[str, Polarity | None]] = {
    "a1111": ("default", "white"),
    "apimart": ("gpt-image-2", None),
    "ark": ("seedream-4-0-250828", None),
    "azure": ("pictures", "alpha"),
    "deepinfra": ("a-model", None),
    "evolink": ("gpt-4o-image", "alpha"),
    "fal": ("openai/gpt-image-2/edit", "white"),
    "gemini": ("gemini-2.5-flash-image", None),
    "openai": ("gpt-image-2", "alpha"),
    "recraft": ("recraftv3", "white"),
    "replicate": ("black-forest-labs/flux-fill-pro", "white"),
    "together": ("black-forest-labs/FLUX.1-schnell", None),
    "xai": ("grok-imagine-image", None),
}
"""Of every kind, and what its vendor makes anew of a mask."""
COSTS: dict[str, Settings] = {
    "fal": {"per_image_usd": 0.006, "per_reference_usd": 0.009},
    "replicate": {"per_image_usd": 0.05},
}
LINKED = ("kie",)


def a_model(name: str) -> Settings:
    offer = dict(an_offer(name))
    if name in MODELS:
        offer["model"] = MODELS[name][0]
    offer["cost"] = COSTS.get(name, offer["cost"])
    return {"prompt_tokens_max": 1000, "sizes": ["auto", "1024x1024"], "n": [1], "image_urls_max": 2, "offers": [offer]}


def client_of(house: House) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=house.base_url, api_key=KEY, max_retries=0, _strict_response_validation=True)


async def test_the_same_edit_everywhere(sqlite_database: str, tmp_path: Path) -> None:
    """Bytes are the caller's, the masked area is the transparent one at alpha and white upstreams alike, books and bills agree; where pictures
    would have to be fetched from here, nobody is asked."""
    one = picture(SIZE, "png", "one")
    async with AsyncExitStack() as stack:
        vendors: dict[str, Emulator] = {
            name: await stack.enter_async_context(SECTIONS[name].make()) for name in (*MODELS, *LINKED)
        }
        upstreams = {name: a_section(name, vendor, timeout="20s") for name, vendor in vendors.items()}
        models = {f"edits-{name}": a_model(name) for name in vendors}
        config = write_config(tmp_path, sqlite_database, upstreams, models=models)
        house = await stack.enter_async_context(serving(config, vendors))
        client = await stack.enter_async_context(client_of(house))
        for name, (_, polarity) in MODELS.items():
            masked: dict[str, Any] = {} if polarity is None else {"mask": ("mask.png", mask("alpha", SIZE))}
            if name == "fal":  # what it takes for a quality that is left open, nobody is told
                masked |= {"quality": "low", "size": "1024x1024"}
            answer = await client.images.edit(model=f"edits-{name}", prompt="a hat", image=("one.png", one), **masked)
            assert answer.data, name
            seen = next(received for received in reversed(vendors[name].requests) if received.at == "create")
            assert seen.images == [one], name
            if polarity is not None:
                assert red_box(painted(seen, polarity)) == box_of(SIZE), name
        for name in LINKED:
            with pytest.raises(openai.BadRequestError):
                await client.images.edit(model=f"edits-{name}", prompt="a hat", image=one)
            assert vendors[name].requests == []


async def test_partial_pictures_through_the_whole_gateway(sqlite_database: str, tmp_path: Path) -> None:
    """Of a generation and an edit: the upstream's partial pictures, then the completed one, billed once with what the partial ones cost."""
    one = picture(SIZE, "png", "one")
    async with OpenAIEmulator() as vendor:
        config = write_config(tmp_path, sqlite_database, {"openai": openai_upstream(vendor)})
        async with serving(config, {"openai": vendor}) as house, client_of(house) as client:
            drawn = await client.images.generate(
                model="gpt-image-2", prompt="tea", size="1024x1024", quality="low", stream=True, partial_images=2
            )
            kinds = [event.type async for event in drawn]
            assert kinds[-1] == "image_generation.completed"
            assert "image_generation.partial_image" in kinds
            edited = await client.images.edit(
                model="gpt-image-2",
                prompt="tea",
                image=one,
                size="1024x1024",
                quality="low",
                stream=True,
                partial_images=2,
            )
            edits = [event.type async for event in edited]
            assert edits[-1] == "image_edit.completed"
            assert "image_edit.partial_image" in edits
            assert vendor.requests[-1].images == [one]
        tokens = 196 + 200
        assert [bill.microusd for bill in vendor.bills] == [
            Decimal(tokens * 30 + 5),
            Decimal(tokens * 30 + 5 + 4 * 8),
        ]
