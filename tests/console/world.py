"""A gateway with a key of every sort, a model with a slow upstream, one with three upstreams, and a receiver of callbacks."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    SECRET_KEY,
    House,
    Settings,
    openai_upstream,
    serving,
    write_config,
)
from tests.webhook_receiver import WebhookReceiver, receiving

ADMIN = "an admin token of the config"
POOR = "integration key that can afford little"
MODEL = "gpt-image-2"


@dataclass(frozen=True, slots=True)
class World:
    """What tests of the console look at."""

    house: House
    openai: OpenAIEmulator
    """Makes `gpt-image-2`, alone, with partial pictures."""
    cheap: OpenAIEmulator
    """Is asked first for `poster`, then `dear` is; `tiny` cannot make one."""
    dear: OpenAIEmulator
    receiver: WebhookReceiver

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/hooks"


def models() -> Settings:
    """`poster` is made by two upstreams, `slow` takes long enough to be cancelled."""
    per_image = [
        {"upstream": "dear", "model": "dall-e-3", "n_max": 1, "cost": {"per_image_usd": 0.04}},
        {"upstream": "cheap", "model": "dall-e-2", "n_max": 1, "cost": {"per_image_usd": 0.02}},
    ]
    common = {"prompt_tokens_max": 1000, "sizes": ["1024x1024"], "estimated_time": 5}
    sandbox = {"upstream": "sandbox", "model": "sandbox", "cost": {"per_image_usd": 0.01}}
    openai = {"upstream": "openai", "model": MODEL, "cost": {"formula": MODEL, "source": "https://example.com/prices"}}
    return {
        MODEL: {"offers": [openai]},
        "poster": {**common, "n": {"max": 4}, "offers": per_image},
        "slow": {**common, "n": {"max": 1}, "offers": [sandbox]},
    }


@asynccontextmanager
async def open_world(folder: Path, database: str | None = None) -> AsyncIterator[World]:
    """For as long as the block runs; the books are checked at its end."""
    async with AsyncExitStack() as stack:
        openai, cheap, dear = [
            await stack.enter_async_context(OpenAIEmulator(legacy=legacy)) for legacy in (False, True, True)
        ]
        receiver = await stack.enter_async_context(receiving())
        upstreams: dict[str, Settings] = {
            "openai": openai_upstream(openai),
            "cheap": openai_upstream(cheap),
            "dear": openai_upstream(dear),
            "sandbox": {"kind": "sandbox", "latency": "15s"},
        }
        keys: list[Settings] = [
            {"name": "ci", "secret": KEY, "budgets": ["9usd/total"]},
            {"name": "poor", "secret": POOR, "budgets": ["0.001usd/total"]},
        ]
        config = write_config(
            folder,
            database or f"sqlite:///{folder}/gateway.db",
            upstreams,
            models=models(),
            admin_token=ADMIN,
            secret_key=SECRET_KEY,
            accounts=[{"org": "acme", "teams": [{"team": "design", "keys": keys}], "keys": [{"name": "other", "secret": OTHER_KEY}]}],
            egress={"allow": ["127.0.0.1/32"], "allow_http": True, "ports": [receiver.port]},
        )  # fmt: skip
        house = await stack.enter_async_context(serving(config, {"openai": openai, "cheap": cheap, "dear": dear}))
        yield World(house, openai, cheap, dear, receiver)
