"""Which adapter serves which `kind:` of the config. A new vendor is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.upstreams.base import Adapter, UpstreamSettings
from gateway.upstreams.openai_profiles import DEFAULT_PROFILE, PROFILES, profile_of

if TYPE_CHECKING:
    from gateway.upstreams.wire import Resources

_ADAPTERS: Mapping[str, str] = {
    "openai": "openai.OpenAIAdapter",
    "azure": "azure.AzureAdapter",
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
    "openai": PROFILES[DEFAULT_PROFILE].base_url,
    "evolink": "https://api.evolink.ai",
    "a1111": "http://127.0.0.1:7860",
    "apimart": "https://api.apimart.ai",
    "fal": "https://queue.fal.run",
    "replicate": "https://api.replicate.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "kie": "https://api.kie.ai",
}


def usual_base_url(kind: str, options: Mapping[str, str]) -> str:
    """Where the vendor is, or a server usually listens; empty where only the operator knows. ValueError for an unknown profile."""
    return profile_of(options).base_url if kind == "openai" else DEFAULT_BASE_URLS.get(kind, "")


def needs_key(kind: str, options: Mapping[str, str]) -> bool:
    """Whether an upstream without an `api_key` is off. ValueError for an unknown profile."""
    return profile_of(options).needs_key if kind == "openai" else kind not in KINDS_WITHOUT_KEY


def needs_base_url(kind: str, options: Mapping[str, str]) -> bool:
    """Whether the operator has to say where it is. ValueError for an unknown profile."""
    return kind != "sandbox" and not usual_base_url(kind, options)


def build(settings: UpstreamSettings, resources: "Resources") -> Adapter:
    """The adapter for one upstream of the config; opens nothing. ValueError for an unknown kind, an option that cannot be read, or no address."""
    if settings.kind not in _ADAPTERS:
        raise ValueError(
            f"upstreams.{settings.name}.kind: {settings.kind!r} is unknown; write one of {', '.join(KINDS)}"
        )
    if not settings.base_url:
        if needs_base_url(settings.kind, settings.options):
            raise ValueError(f"upstreams.{settings.name}.base_url: is required for kind {settings.kind}")
        settings = replace(settings, base_url=usual_base_url(settings.kind, settings.options))
    return adapter_class(settings.kind)(settings, resources)


def adapter_class(kind: str) -> "Callable[[UpstreamSettings, Resources], Adapter]":
    """The class that serves a kind, of KINDS."""
    module, name = _ADAPTERS[kind].split(".")
    found: type[Adapter] = getattr(import_module(f"gateway.upstreams.{module}"), name)
    return found
