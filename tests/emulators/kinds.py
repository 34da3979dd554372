"""Every vendor's emulator by its name, with the plainest request for one picture: for tests that go over all of them.

A name is also the module that runs the emulator as a process (`emulator_process(name)`). Tasks are done at once unless `work_s` says otherwise.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.emulators.a1111 import A1111Emulator
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.ark import ArkEmulator
from tests.emulators.azure import API_VERSION, AzureEmulator
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

Json = Mapping[str, object]


def _bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _basic(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One vendor. `path` follows the emulator's origin."""

    make: Callable[[], Emulator]
    path: str
    body: Callable[[str], Json]
    """The request for one picture of this prompt."""
    headers: Callable[[str], Mapping[str, str]] = _bearer
    """How the vendor's key is presented."""
    has_tasks: bool = False


KINDS: Mapping[str, Kind] = {
    "openai": Kind(
        make=OpenAIEmulator,
        path="/v1/images/generations",
        body=lambda prompt: {"model": "gpt-image-2", "prompt": prompt},
    ),
    "azure": Kind(
        make=AzureEmulator,
        path=f"/openai/deployments/pictures/images/generations?api-version={API_VERSION}",
        body=lambda prompt: {"prompt": prompt},
        headers=lambda key: {"api-key": key},
    ),
    "evolink": Kind(
        make=lambda: EvolinkEmulator(work_s=0),
        path="/v1/images/generations",
        body=lambda prompt: {"model": "gpt-4o-image", "prompt": prompt},
        has_tasks=True,
    ),
    "gemini": Kind(
        make=GeminiEmulator,
        path="/v1beta/models/gemini-2.5-flash-image:generateContent",
        body=lambda prompt: {"contents": [{"parts": [{"text": prompt}]}]},
        headers=lambda key: {"x-goog-api-key": key},
    ),
    "fal": Kind(
        make=lambda: FalEmulator(work_s=0),
        path="/fal-ai/flux/schnell",
        body=lambda prompt: {"prompt": prompt},
        headers=lambda key: {"Authorization": f"Key {key}"},
        has_tasks=True,
    ),
    "replicate": Kind(
        make=lambda: ReplicateEmulator(work_s=0),
        path="/v1/models/black-forest-labs/flux-schnell/predictions",
        body=lambda prompt: {"input": {"prompt": prompt}},
        has_tasks=True,
    ),
    "a1111": Kind(
        make=A1111Emulator,
        path="/sdapi/v1/txt2img",
        body=lambda prompt: {"prompt": prompt},
        headers=_basic,
    ),
    "together": Kind(
        make=TogetherEmulator,
        path="/v1/images/generations",
        body=lambda prompt: {"model": "black-forest-labs/FLUX.1-schnell", "prompt": prompt},
    ),
    "xai": Kind(
        make=XAIEmulator,
        path="/v1/images/generations",
        body=lambda prompt: {"model": "grok-imagine-image", "prompt": prompt},
    ),
    "ark": Kind(
        make=ArkEmulator,
        path="/api/v3/images/generations",
        body=lambda prompt: {"model": "seedream-4-0-250828", "prompt": prompt},
    ),
    "recraft": Kind(
        make=RecraftEmulator,
        path="/v1/images/generations",
        body=lambda prompt: {"model": "recraftv3", "prompt": prompt},
    ),
    "servers": Kind(
        make=ServerEmulator,
        path="/v1/images/generations",
        body=lambda prompt: {"model": "Qwen/Qwen-Image", "prompt": prompt},
    ),
    "apimart": Kind(
        make=lambda: APIMartEmulator(work_s=0),
        path="/v1/images/generations",
        body=lambda prompt: {"model": "gpt-image-2", "prompt": prompt},
        has_tasks=True,
    ),
    "kie": Kind(
        make=lambda: KieEmulator(work_s=0),
        path="/api/v1/jobs/createTask",
        body=lambda prompt: {"model": "gpt-image-2", "input": {"prompt": prompt}},
        has_tasks=True,
    ),
}
