"""Which adapter serves which `kind:` of the config. A new vendor is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.upstreams.base import Adapter, UpstreamSettings

if TYPE_CHECKING:
    from gateway.upstreams.wire import Resources

_ADAPTERS: Mapping[str, str] = {
    "openai": "openai.OpenAIAdapter",
    "evolink": "evolink.EvoLinkAdapter",
    "a1111": "a1111.A1111Adapter",
    "apimart": "apimart.APIMartAdapter",
    "fal": "fal.FalAdapter",
    "replicate": "replicate.ReplicateAdapter",
    "gemini": "gemini.GeminiAdapter",
    "kie": "kie.KieAdapter",
    "task_api": "task_api.TaskApiAdapter",
    "sandbox": "sandbox.SandboxAdapter",
}
"""Module and class. Imported only where one is built: the config, and with it every command, needs no more than the names."""

KINDS = tuple(_ADAPTERS)
KINDS_WITHOUT_KEY = frozenset({"a1111", "sandbox"})
"""On without an `api_key`."""
DEFAULT_BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "evolink": "https://api.evolink.ai",
    "a1111": "http://127.0.0.1:7860",
    "apimart": "https://api.apimart.ai",
    "fal": "https://queue.fal.run",
    "replicate": "https://api.replicate.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "kie": "https://api.kie.ai",
}


def build(settings: UpstreamSettings, resources: "Resources") -> Adapter:
    """The adapter for one upstream of the config; opens nothing. ValueError for an unknown kind or an option that cannot be read."""
    if settings.kind not in _ADAPTERS:
        raise ValueError(
            f"upstreams.{settings.name}.kind: {settings.kind!r} is unknown; write one of {', '.join(KINDS)}"
        )
    if not settings.base_url:
        settings = replace(settings, base_url=DEFAULT_BASE_URLS.get(settings.kind, ""))
    return adapter_class(settings.kind)(settings, resources)


def adapter_class(kind: str) -> "Callable[[UpstreamSettings, Resources], Adapter]":
    """The class that serves a kind, of KINDS."""
    module, name = _ADAPTERS[kind].split(".")
    found: type[Adapter] = getattr(import_module(f"gateway.upstreams.{module}"), name)
    return found
