"""Which adapter serves which `kind:` of the config. A new vendor is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.upstreams.base import Adapter, UpstreamSettings
from gateway.upstreams.evolink import EvoLinkAdapter
from gateway.upstreams.openai import OpenAIAdapter
from gateway.upstreams.sandbox import SandboxAdapter
from gateway.upstreams.wire import Resources

_ADAPTERS: Mapping[str, Callable[[UpstreamSettings, Resources], Adapter]] = {
    OpenAIAdapter.kind: OpenAIAdapter,
    EvoLinkAdapter.kind: EvoLinkAdapter,
    SandboxAdapter.kind: SandboxAdapter,
}

KINDS = tuple(_ADAPTERS)
KINDS_WITHOUT_KEY = frozenset({SandboxAdapter.kind})
"""On without an `api_key`."""
DEFAULT_BASE_URLS: Mapping[str, str] = {
    OpenAIAdapter.kind: "https://api.openai.com/v1",
    EvoLinkAdapter.kind: "https://api.evolink.ai",
}


def build(settings: UpstreamSettings, resources: Resources) -> Adapter:
    """The adapter for one upstream of the config; opens nothing. ValueError for an unknown kind or an option that cannot be read."""
    adapter = _ADAPTERS.get(settings.kind)
    if adapter is None:
        raise ValueError(
            f"upstreams.{settings.name}.kind: {settings.kind!r} is unknown; write one of {', '.join(KINDS)}"
        )
    if not settings.base_url:
        settings = replace(settings, base_url=DEFAULT_BASE_URLS.get(settings.kind, ""))
    return adapter(settings, resources)
