"""Configs for gateways under test, each a whole file: one org, one team, one key, and a model for each kind of upstream."""

from collections.abc import Mapping

from tests.emulators.process import EmulatorProcess

KEY = "a-key-of-the-ci"
SECRET_KEY = "0123456789abcdef0123456789abcdef"
ACCOUNT = "key:acme/design/ci"
PATH = (ACCOUNT, "team:acme/design", "org:acme")
BY_OPENAI, BY_EVOLINK, BY_SANDBOX = "by-openai", "by-evolink", "by-sandbox"
SQLITE = "sqlite:///var/gateway.db"
"""Relative to the gateway's own folder: the command socket beside it has a short name, too."""

Section = Mapping[str, object]

_MODEL = {"prompt_tokens_max": 2000, "sizes": ["1024x1024"]}
MODELS: Section = {
    BY_OPENAI: {
        **_MODEL,
        "n": {"max": 10},
        "offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}],
    },
    BY_EVOLINK: {
        **_MODEL,
        "n": [1, 2, 4],
        "offers": [{"upstream": "evolink", "model": "gpt-4o-image", "cost": {"per_image_usd": "0.0208"}}],
    },
    BY_SANDBOX: {
        **_MODEL,
        "n": {"max": 10},
        "offers": [{"upstream": "sandbox", "model": "sandbox", "cost": {"per_image_usd": "0.02"}}],
    },
}


def config(
    database: str = SQLITE,
    *,
    openai: EmulatorProcess | None = None,
    evolink: EmulatorProcess | None = None,
    of_openai: Section | None = None,
    of_evolink: Section | None = None,
    of_sandbox: Section | None = None,
    **more: object,
) -> Section:
    """A config that knows these emulators; `of_…` are further settings of an upstream, `more` of the top level."""
    upstreams: dict[str, Section] = {"sandbox": {"kind": "sandbox", **(of_sandbox or {})}}
    if openai is not None:
        upstreams["openai"] = {
            "kind": "openai", "base_url": openai.base_url, "api_key": openai.api_key, **(of_openai or {}),
        }  # fmt: skip
    if evolink is not None:
        upstreams["evolink"] = {
            "kind": "evolink", "base_url": evolink.base_url, "api_key": evolink.api_key, **(of_evolink or {}),
        }  # fmt: skip
    return {
        "server": {"port": 0, "drain": "20s"},
        "database": database,
        "blobs": "file:///var/images",
        "secret_key": SECRET_KEY,
        "cache": {"enabled": False},  # equal calls are counted, one bill each
        "upstreams": upstreams,
        "models": {name: model for name, model in MODELS.items() if name.removeprefix("by-") in upstreams},
        "accounts": [{"org": "acme", "teams": [{"team": "design", "keys": [{"name": "ci", "secret": KEY}]}]}],
        # EvoLink's results are links to the emulator, which listens on loopback only.
        "egress": {
            "allow": ["127.0.0.0/8"],
            "allow_http": True,
            "ports": [int(evolink.origin.rpartition(":")[2])] if evolink is not None else [443],
        },
        **more,
    }
