"""A config section and an offer for each kind of upstream, over its emulator: for tests of the whole gateway with many vendors behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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

Settings = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One kind of upstream. `cost` is what its emulator bills, in the catalogue's words."""

    make: Callable[[], Emulator]
    kind: str
    model: str
    cost: Settings
    options: Mapping[str, object] = field(default_factory=dict)
    path: str = ""
    """What the address has beyond the emulator's own."""
    params: Mapping[str, str] = field(default_factory=dict)


_POLLING: Mapping[str, object] = {"poll_interval": "100ms"}

SECTIONS: Mapping[str, Section] = {
    "a1111": Section(make=A1111Emulator, kind="a1111", model="default", cost={"per_image_usd": 0}),
    "apimart": Section(
        make=lambda: APIMartEmulator(work_s=0.05),
        kind="apimart",
        model="gpt-image-2",
        cost={"table": [{"step": "1k", "usd": 0.006}]},
        options=_POLLING,
    ),
    "ark": Section(
        make=ArkEmulator,
        kind="openai",
        model="seedream-4-0-250828",
        cost={"per_image_usd": 0.03},
        options={"profile": "ark"},
    ),
    "deepinfra": Section(
        make=lambda: ServerEmulator("deepinfra"),
        kind="openai",
        model="a-model",
        cost={"per_megapixel_usd": 0.014, "whole_megapixels": True},
        options={"profile": "deepinfra"},
    ),
    "kie": Section(
        make=lambda: KieEmulator(work_s=0.05),
        kind="kie",
        model="gpt-image-2",
        cost={"table": [{"step": "1K", "usd": 0.03}]},
        options=_POLLING,
    ),
    "litellm": Section(
        make=lambda: ServerEmulator("litellm"),
        kind="openai",
        model="flux",
        cost={"per_megapixel_usd": 0.04, "whole_megapixels": True},
        options={"profile": "litellm"},
    ),
    "new-api": Section(
        make=lambda: ServerEmulator("new-api"),
        kind="openai",
        model="flux",
        cost={"per_megapixel_usd": 0.04, "whole_megapixels": True},
        options={"profile": "new-api"},
    ),
    "recraft": Section(
        make=RecraftEmulator,
        kind="openai",
        model="recraftv3",
        cost={"per_image_usd": 0.04},
        options={"profile": "recraft"},
    ),
    "together": Section(
        make=TogetherEmulator,
        kind="openai",
        model="black-forest-labs/FLUX.1-schnell",
        cost={"per_megapixel_usd": 0.0027, "whole_megapixels": True},
        options={"profile": "together"},
        path="/v1",
    ),
    "localai": Section(
        make=lambda: ServerEmulator("localai", api_key=""),
        kind="openai",
        model="Qwen/Qwen-Image",
        cost={"per_image_usd": 0},
        options={"profile": "localai"},
    ),
    "ollama": Section(
        make=lambda: ServerEmulator("ollama", api_key=""),
        kind="openai",
        model="Qwen/Qwen-Image",
        cost={"per_image_usd": 0},
        options={"profile": "ollama"},
    ),
    "sglang": Section(
        make=lambda: ServerEmulator("sglang", api_key=""),
        kind="openai",
        model="Qwen/Qwen-Image",
        cost={"per_image_usd": 0},
        options={"profile": "sglang"},
    ),
    "vllm-omni": Section(
        make=lambda: ServerEmulator("vllm", api_key=""),
        kind="openai",
        model="Qwen/Qwen-Image",
        cost={"per_image_usd": 0},
        options={"profile": "vllm-omni"},
    ),
    "xai": Section(
        make=XAIEmulator,
        kind="openai",
        model="grok-imagine-image",
        cost={"per_image_usd": 0.02},
        options={"profile": "xai"},
    ),
    "openai": Section(
        make=OpenAIEmulator,
        kind="openai",
        model="gpt-image-2",
        cost={"formula": "gpt-image-2"},
        params={"quality": "low"},
    ),
    "azure": Section(
        make=AzureEmulator,
        kind="azure",
        model="pictures",
        cost={"formula": "gpt-image-2"},
        params={"quality": "medium"},
    ),
    "evolink": Section(
        make=lambda: EvolinkEmulator(work_s=0.05),
        kind="evolink",
        model="gpt-4o-image",
        cost={"per_image_usd": 0.0208},
        options=_POLLING,
    ),
    "fal": Section(
        make=lambda: FalEmulator(work_s=0.05),
        kind="fal",
        model="fal-ai/flux/schnell",
        cost={"per_megapixel_usd": 0.003, "whole_megapixels": True},
        options=_POLLING,
    ),
    "gemini": Section(
        make=GeminiEmulator,
        kind="gemini",
        model="gemini-2.5-flash-image",
        cost={
            "tokens": {"text_in": 0.3, "image_in": 0.3, "image_out": 30, "text_out": 2.5, "image_out_tokens_max": 1290}
        },
    ),
    "replicate": Section(
        make=lambda: ReplicateEmulator(work_s=0.05),
        kind="replicate",
        model="black-forest-labs/flux-schnell",
        cost={"per_image_usd": 0.003},
        options=_POLLING,
    ),
}


def a_section(name: str, emulator: Emulator, **more: object) -> Settings:
    """The upstream's section of the config."""
    section = SECTIONS[name]
    return {
        "kind": section.kind,
        "base_url": emulator.base_url + section.path,
        "api_key": emulator.api_key,
        **section.options,
        **more,
    }


def an_offer(name: str) -> Settings:
    """An offer of the upstream of that name."""
    section = SECTIONS[name]
    return {"upstream": name, "model": section.model, "params": dict(section.params), "cost": dict(section.cost)}
