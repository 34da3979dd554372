"""A config section and an offer for each kind of upstream, over its emulator: for tests of the whole gateway with many vendors behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.emulators.azure import AzureEmulator
from tests.emulators.base import Emulator
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.fal import FalEmulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.replicate import ReplicateEmulator

Settings = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One kind of upstream. `cost` is what its emulator bills, in the catalogue's words."""

    make: Callable[[], Emulator]
    kind: str
    model: str
    cost: Settings
    options: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


_POLLING: Mapping[str, object] = {"poll_interval": "100ms"}

SECTIONS: Mapping[str, Section] = {
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
    return {"kind": section.kind, "base_url": emulator.base_url, "api_key": emulator.api_key, **section.options, **more}


def an_offer(name: str) -> Settings:
    """An offer of the upstream of that name."""
    section = SECTIONS[name]
    return {"upstream": name, "model": section.model, "params": dict(section.params), "cost": dict(section.cost)}
