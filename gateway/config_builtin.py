"""The upstreams that are there without a config: one for each provider, on where its usual variable is set, and the sandbox.

Data alone: substitution of the variables, and everything that can be wrong with them, is config.py's.
"""

from collections.abc import Mapping

from gateway.config_text import Plain
from gateway.upstreams.openai_profiles import DEFAULT_PROFILE, PROFILES

PROVIDER_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "apimart": "APIMART_API_KEY",
    "ark": "ARK_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "deepinfra": "DEEPINFRA_TOKEN",
    "evolink": "EVOLINK_API_KEY",
    "fal": "FAL_KEY",
    "gemini": "GEMINI_API_KEY",
    "kie": "KIE_API_KEY",
    "recraft": "RECRAFT_API_TOKEN",
    "replicate": "REPLICATE_API_TOKEN",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
}
"""The usual variable of each provider; set, it turns the built-in upstream of that name on. The name is a kind, or a profile of kind openai."""
AZURE_ADDRESS = "AZURE_OPENAI_ENDPOINT"
"""Of the resource; without it the built-in upstream azure does not exist."""
SANDBOX = "sandbox"


def _built_in_upstream(name: str) -> dict[str, Plain]:
    how: dict[str, Plain] = {"kind": name}
    if name in PROFILES and name != DEFAULT_PROFILE:
        how = {"kind": "openai", "profile": name}
    if name == "azure":
        how["base_url"] = f"${{{AZURE_ADDRESS}:-}}"
    return {**how, "api_key": f"${{{PROVIDER_VARIABLES[name]}:-}}"}


BUILT_IN_UPSTREAMS: Mapping[str, Plain] = {
    **{name: _built_in_upstream(name) for name in PROVIDER_VARIABLES},
    SANDBOX: {"kind": SANDBOX},
}


def built_in_upstreams(environ: Mapping[str, str]) -> dict[str, Plain]:
    """Those that this environment can have: without its address Azure is left out, whatever else is set."""
    left_out = set() if environ.get(AZURE_ADDRESS) else {"azure"}
    return {name: upstream for name, upstream in BUILT_IN_UPSTREAMS.items() if name not in left_out}
