"""Emulators that several tests of the whole app need beyond the common ones."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.emulators.openai import OpenAIEmulator
from tests.integration import gateway_app
from tests.integration.gateway_app import Settings, openai_upstream

NAMES = ("cheap", "middle", "dear")


@dataclass(frozen=True, slots=True)
class Market:
    """Three upstreams of one kind at three prices, none of which can find a lost submit again."""

    emulators: dict[str, OpenAIEmulator]

    def __getitem__(self, name: str) -> OpenAIEmulator:
        return self.emulators[name]

    def upstreams(self, **more: object) -> dict[str, Settings]:
        """The upstream sections; what is given goes to all of them."""
        return {name: openai_upstream(emulator, **more) for name, emulator in self.emulators.items()}

    def models(self) -> dict[str, Settings]:
        """One model, `poster`, which all three make; written dearest first, so that the order is the gateway's."""
        offers = [
            # 1,756 tokens at 30 USD a million, and the prompt: 0.05271 USD.
            {
                "upstream": "dear",
                "model": "gpt-image-2",
                "params": {"quality": "medium"},
                "cost": {"formula": "gpt-image-2"},
            },
            {"upstream": "middle", "model": "dall-e-3", "n_max": 1, "cost": {"per_image_usd": 0.04}},
            {"upstream": "cheap", "model": "dall-e-2", "n_max": 1, "cost": {"per_image_usd": 0.02}},
        ]
        poster: Settings = {
            "prompt_tokens_max": 1000,
            "sizes": ["1024x1024"],
            "n": {"max": 4},
            "estimated_time": 5,
            "offers": offers,
        }
        return {"poster": poster}

    @property
    def served(self) -> dict[str, int]:
        """Create calls that reached each upstream."""
        return {
            name: sum(1 for request in emulator.requests if request.at == "create")
            for name, emulator in self.emulators.items()
        }


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    """`cheap`, `middle` and `dear`, each a server of its own."""
    async with AsyncExitStack() as stack:
        emulators = {name: await stack.enter_async_context(OpenAIEmulator(legacy=True)) for name in NAMES}
        yield Market(emulators)


@pytest.fixture
def whole_stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of both databases runs on SQLite, memory and disk, and on PostgreSQL, Valkey and S3."""
    if "database_url" in request.fixturenames and request.getfixturevalue("database_url").startswith("postgresql"):
        valkey, s3 = request.getfixturevalue("valkey"), request.getfixturevalue("s3")
        blobs = {
            "blobs": f"s3://{s3.shared_bucket}/{uuid.uuid4().hex}",
            "s3_endpoint": s3.endpoint,
            "s3_region": "us-east-1",
        }
        monkeypatch.setattr(gateway_app, "SHARED", {"state": valkey.url, **blobs})
