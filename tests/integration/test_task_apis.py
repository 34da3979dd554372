"""Task APIs and a card of one's own behind a whole gateway: prices by resolution, an upstream for nothing, and failing over between them."""

from decimal import Decimal
from pathlib import Path

from tests.emulators import behaviours as b
from tests.emulators.a1111 import A1111Emulator
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.base import Emulator
from tests.emulators.kie import KieEmulator
from tests.integration.gateway_app import Settings, serving, write_config

BY_STEP = {
    "apimart": {"1k": 0.006, "2k": 0.012, "4k": 0.018},
    "kie": {"1K": 0.03, "2K": 0.05, "4K": 0.08},
}


def offer(upstream: str) -> Settings:
    rows = [{"step": step, "usd": usd} for step, usd in BY_STEP[upstream].items()]
    return {"upstream": upstream, "model": "gpt-image-2", "cost": {"table": rows}}


def model(*offers: Settings) -> Settings:
    return {
        "prompt_tokens_max": 100,
        "sizes": ["auto", "1024x1024", "2048x2048"],
        "n": {"max": 4},
        "offers": list(offers),
    }


def upstream(kind: str, emulator: Emulator) -> Settings:
    more = {} if kind == "a1111" else {"poll_interval": "30ms"}
    return {"kind": kind, "base_url": emulator.base_url, "api_key": emulator.api_key, "timeout": "5s", **more}


async def test_the_step_is_what_is_paid(tmp_path: Path) -> None:
    """Three pictures of 2048x2048 are three tasks; each costs what the vendor names, which is the price of its step."""
    async with APIMartEmulator() as apimart:
        config = write_config(
            tmp_path,
            f"sqlite:///{tmp_path}/gateway.db",
            {"apimart": upstream("apimart", apimart)},
            models={"m": model(offer("apimart"))},
        )
        async with serving(config, {"apimart": apimart}) as house:
            answer = await house.generate("m", size="2048x2048", n=3)
            assert (answer.status, answer.headers["X-Upstream"]) == (200, "apimart")
            assert apimart.billed_images == 3
        assert house.settled.paid_microusd("apimart") == 36_000
        assert house.settled.charged() == Decimal("0.036") * 72


async def test_the_dearer_one_serves_while_the_cheaper_one_is_in_maintenance(tmp_path: Path) -> None:
    """A refusal inside HTTP 200, or a failed task, costs nothing and leads to the next offer."""
    async with APIMartEmulator() as apimart, KieEmulator() as kie:
        emulators: dict[str, Emulator] = {"apimart": apimart, "kie": kie}
        config = write_config(
            tmp_path,
            f"sqlite:///{tmp_path}/gateway.db",
            {name: upstream(name, emulator) for name, emulator in emulators.items()},
            models={"m": model(*map(offer, emulators))},
        )
        async with serving(config, emulators) as house:
            apimart.next(b.FailTask(code="server_error"))
            assert (await house.generate("m", size="1024x1024")).headers["X-Upstream"] == "kie"
            kie.always(b.Overloaded())
            assert (await house.generate("m", size="1024x1024")).headers["X-Upstream"] == "apimart"
            apimart.always(b.Error(status=200, body='{"code": 402, "message": "Insufficient balance"}'))
            assert (await house.generate("m", size="1024x1024")).status == 503
        assert (house.settled.paid_microusd("apimart"), house.settled.paid_microusd("kie")) == (6_000, 30_000)


async def test_a_card_of_ones_own_costs_nothing(tmp_path: Path) -> None:
    """An offer for nothing is the cheapest, and nothing is held or charged for it; another stands in where the card has no memory left."""
    async with A1111Emulator() as card, APIMartEmulator() as apimart:
        free: Settings = {"upstream": "card", "model": "default", "extra": {"steps": 20}, "cost": {"per_image_usd": 0}}
        config = write_config(
            tmp_path,
            f"sqlite:///{tmp_path}/gateway.db",
            {"card": upstream("a1111", card), "apimart": upstream("apimart", apimart)},
            models={"m": model(offer("apimart"), free)},
        )
        async with serving(config, {"card": card, "apimart": apimart}) as house:
            answer = await house.generate("m", size="1024x1024", n=2)
            assert (answer.status, answer.headers["X-Upstream"], answer.headers["X-Credits-Used"]) == (200, "card", "0")
            assert (card.billed_images, apimart.requests) == (2, [])
            card.next(b.Overloaded())
            assert (await house.generate("m", size="1024x1024")).headers["X-Upstream"] == "apimart"
        assert house.settled.charged() == Decimal("0.006") * 72
