"""Every adapter with its emulator and offers at the emulator's own prices: what the tests that compare plans with bills go over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.domain.catalog import Offer, PerImage, PerMegapixel, Price, PriceFormula, PriceRow, PriceTable, TokenPrice
from gateway.domain.images import Quality
from gateway.upstreams.base import UpstreamSettings
from tests.emulators import gemini_rules
from tests.emulators.a1111 import A1111Emulator
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.ark import ArkEmulator
from tests.emulators.azure import AzureEmulator
from tests.emulators.base import Emulator
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.fal import FalEmulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.kie import KieEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.recraft import RecraftEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.servers import ServerEmulator
from tests.emulators.together import TogetherEmulator
from tests.emulators.xai import XAIEmulator


def per_image(usd: str) -> Price:
    return PerImage(Decimal(usd))


def per_begun_megapixel(usd: str) -> Price:
    return PerMegapixel(Decimal(usd), whole=True)


def by_quality(**usd: str) -> Price:
    return PriceTable(tuple(PriceRow(Decimal(amount), quality=Quality(quality)) for quality, amount in usd.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One kind of upstream. `prices` has the models that its emulator serves."""

    make: Callable[[], Emulator]
    kind: str
    prices: Mapping[str, Price]
    options: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    """What the base URL has beyond the emulator's own."""
    extra: tuple[tuple[str, str], ...] = ()

    def settings(self, emulator: Emulator) -> UpstreamSettings:
        return UpstreamSettings(
            "lane",
            self.kind,
            base_url=emulator.base_url + self.path,
            api_key=emulator.api_key,
            options=self.options,
        )

    def offers(self) -> list[Offer]:
        return [Offer(f"lane/{model}", "lane", model, price, extra=self.extra) for model, price in self.prices.items()]


THOUGHTS = 50


def by_tokens(model: str) -> Price:
    known = gemini_rules.MODELS[model]
    return TokenPrice(
        known.text_in_usd,
        known.text_in_usd,
        known.image_out_usd,
        max(known.tokens.values()),
        image_out_tokens=tuple(known.tokens.items()),
        text_out=known.text_out_usd,
        text_out_tokens_max=THOUGHTS,
        own_tokenizer=True,
    )


def by_step(**usd: str) -> Price:
    """`_1k="0.006"`: by the upstream's resolution step."""
    return PriceTable(tuple(PriceRow(Decimal(amount), step=step.removeprefix("_")) for step, amount in usd.items()))


FAST = {"poll_interval": "30ms"}

LANES: Mapping[str, Lane] = {
    "a1111": Lane(make=A1111Emulator, kind="a1111", prices={"default": per_image("0")}),
    "apimart": Lane(
        make=lambda: APIMartEmulator(work_s=0),
        kind="apimart",
        prices={
            "gpt-image-2": by_step(_1k="0.006", _2k="0.012", _4k="0.018"),
            "flux-2-pro": by_step(_1k="0.024", _2k="0.048"),
        },
        options=FAST,
    ),
    "kie": Lane(
        make=lambda: KieEmulator(work_s=0),
        kind="kie",
        prices={"gpt-image-2": by_step(_1K="0.03", _2K="0.05", _4K="0.08")},
        options=FAST,
    ),
    "vllm-omni": Lane(
        make=lambda: ServerEmulator("vllm", api_key=""),
        kind="openai",
        options={"profile": "vllm-omni"},
        prices={"Qwen/Qwen-Image": per_image("0")},
    ),
    "openai": Lane(
        make=OpenAIEmulator,
        kind="openai",
        prices={
            "gpt-image-2": PriceFormula("gpt-image-2"),
            "gpt-image-2.5-flare": PriceFormula("gpt-image-2.5"),
        },
    ),
    "gemini": Lane(
        make=lambda: GeminiEmulator(thoughts=THOUGHTS),
        kind="gemini",
        prices={model: by_tokens(model) for model in gemini_rules.MODELS},
    ),
    "evolink": Lane(
        make=lambda: EvolinkEmulator(work_s=0),
        kind="evolink",
        prices={
            "gpt-4o-image": per_image("0.0208"),
            "gpt-image-2": by_quality(low="0.0054", medium="0.0477", high="0.1899"),
        },
        options=FAST,
    ),
    "fal": Lane(
        make=lambda: FalEmulator(work_s=0),
        kind="fal",
        prices={
            "fal-ai/flux/schnell": per_begun_megapixel("0.003"),
            "fal-ai/flux-pro/v1.1": per_begun_megapixel("0.04"),
            "fal-ai/nano-banana": per_image("0.039"),
            "openai/gpt-image-2": PriceFormula("gpt-image-2", round_up_usd=Decimal("0.001")),
            "openai/gpt-image-2/edit": PriceFormula("gpt-image-2", round_up_usd=Decimal("0.001")),
            "fal-ai/nano-banana/edit": per_image("0.039"),
        },
        options=FAST,
    ),
    "replicate": Lane(
        make=lambda: ReplicateEmulator(work_s=0),
        kind="replicate",
        prices={
            "black-forest-labs/flux-schnell": per_image("0.003"),
            "black-forest-labs/flux-dev": per_image("0.025"),
            "black-forest-labs/flux-1.1-pro": per_image("0.04"),
            "black-forest-labs/flux-kontext-pro": per_image("0.04"),
            "black-forest-labs/flux-fill-pro": per_image("0.05"),
        },
        options=FAST,
    ),
    "ark": Lane(
        make=ArkEmulator,
        kind="openai",
        options={"profile": "ark"},
        prices={"seedream-4-0-250828": per_image("0.03"), "seedream-4-5-251128": per_image("0.04")},
    ),
    "azure": Lane(
        make=lambda: AzureEmulator(deployments={"gpt-image-2": "gpt-image-2"}),
        kind="azure",
        prices={"gpt-image-2": PriceFormula("gpt-image-2")},
    ),
    "deepinfra": Lane(
        make=lambda: ServerEmulator("deepinfra"),
        kind="openai",
        options={"profile": "deepinfra"},
        prices={"a-model": per_begun_megapixel("0.014")},
    ),
    "recraft": Lane(
        make=RecraftEmulator,
        kind="openai",
        options={"profile": "recraft"},
        prices={"recraftv3": per_image("0.04")},
    ),
    "together": Lane(
        make=TogetherEmulator,
        kind="openai",
        options={"profile": "together"},
        path="/v1",
        prices={"black-forest-labs/FLUX.1-schnell": per_begun_megapixel("0.0027")},
    ),
    "xai": Lane(
        make=XAIEmulator,
        kind="openai",
        options={"profile": "xai"},
        prices={
            "grok-imagine-image": per_image("0.02"),
            "grok-imagine-image-2.0": by_quality(low="0.04", medium="0.06"),
        },
    ),
}
