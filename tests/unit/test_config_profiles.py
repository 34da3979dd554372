"""Copies of OpenAI's API and Azure in the config: which are on, where they are, and what is said of a missing address."""

from pathlib import Path

import pytest

from gateway.config import load
from gateway.config_builtin import AZURE_ADDRESS, PROVIDER_VARIABLES
from tests.unit.config_files import SetClock, problems, read


@pytest.mark.parametrize(
    ("name", "base_url"),
    [
        ("ark", "https://ark.ap-southeast.bytepluses.com/api/v3"),
        ("deepinfra", "https://api.deepinfra.com/v1/openai"),
        ("recraft", "https://external.api.recraft.ai/v1"),
        ("together", "https://api.together.xyz/v1"),
        ("xai", "https://api.x.ai/v1"),
    ],
)
def test_a_usual_variable_turns_a_profile_on(name: str, base_url: str) -> None:
    """Without a config: kind openai, the vendor's address, its profile."""
    config = load(None, {PROVIDER_VARIABLES[name]: " key "}, SetClock())
    [upstream] = [up for up in config.upstreams if up.kind != "sandbox"]
    assert (upstream.name, upstream.kind, upstream.api_key) == (name, "openai", "key")
    assert (upstream.base_url, upstream.options) == (base_url, {"profile": name})


def test_azure_is_on_with_key_and_address() -> None:
    """The key alone stands on many machines for other programs: without an address there is no such upstream, and no error."""
    both = {PROVIDER_VARIABLES["azure"]: "key", AZURE_ADDRESS: "https://acme.openai.azure.com/"}
    config = load(None, both, SetClock())
    assert [(up.name, up.base_url) for up in config.upstreams if up.kind == "azure"] == [
        ("azure", "https://acme.openai.azure.com")
    ]
    alone = load(None, {PROVIDER_VARIABLES["azure"]: "key"}, SetClock())
    assert "azure" not in {*(up.name for up in alone.upstreams), *(off.name for off in alone.upstreams_off)}
    waiting = load(None, {AZURE_ADDRESS: "https://acme.openai.azure.com/"}, SetClock())
    assert [off.reason for off in waiting.upstreams_off if off.name == "azure"] == [
        "its api_key is empty (set AZURE_OPENAI_API_KEY)"
    ]


def test_the_built_in_ones_that_are_off_take_one_line() -> None:
    """Each with its variable; a config's own take a line each."""
    lines = load(None, {}, SetClock()).summary()
    [line] = [line for line in lines if "off" in line]
    assert "together (TOGETHER_API_KEY)" in line
    assert "openai (OPENAI_API_KEY)" in line


def test_servers_of_ones_own_need_no_key(tmp_path: Path) -> None:
    """On without a key where the server asks for none; a gateway, or OpenAI's API without a profile, is off."""
    text = """
upstreams:
  local: {kind: openai, profile: ollama}
  gpu: {kind: openai, profile: vllm-omni, base_url: "http://10.0.0.5:8091/v1"}
  proxy: {kind: openai, profile: litellm, base_url: "http://10.0.0.6:4000/v1"}
  plain: {kind: openai, base_url: "http://10.0.0.7/v1"}
"""
    config = read(tmp_path, text)
    assert [(up.name, up.base_url) for up in config.upstreams] == [
        ("local", "http://127.0.0.1:11434/v1"),
        ("gpu", "http://10.0.0.5:8091/v1"),
    ]
    assert [off.name for off in config.upstreams_off] == ["proxy", "plain"]


def test_an_address_that_only_the_operator_knows_is_required(tmp_path: Path) -> None:
    """Azure's resource and some servers: the problem names the setting and what to write; for an upstream that is off it does not matter."""
    text = """
upstreams:
  cloud: {kind: azure, api_key: x}
  home: {kind: openai, profile: localai}
  later: {kind: azure}
"""
    found = problems(tmp_path, text)
    assert found.keys() == {"upstreams.cloud.base_url", "upstreams.home.base_url"}
    assert found["upstreams.cloud.base_url"].why == "is required for kind azure"
    assert "openai.azure.com" in found["upstreams.cloud.base_url"].fix
    assert found["upstreams.home.base_url"].why == "is required for profile localai"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("{kind: openai, api_key: x, profile: togehter}", "profile"),
        ("{kind: openai, api_key: x, surface: v1}", "surface"),
        ("{kind: azure, api_key: x, base_url: 'https://a.example', profile: xai}", "profile"),
        ("{kind: azure, api_key: x, base_url: 'https://a.example', surface: v2}", "surface"),
        ("{kind: azure, api_key: x, base_url: 'https://a.example', api_version: 'x&y=z'}", "api_version"),
    ],
)
def test_options_that_are_wrong(tmp_path: Path, section: str, key: str) -> None:
    """Each is named: a profile or surface that there is not, a version that could not stand in a query, an option of another kind."""
    assert problems(tmp_path, f"upstreams: {{u: {section}}}").keys() == {f"upstreams.u.{key}"}


def test_options_of_azure(tmp_path: Path) -> None:
    """They reach the adapter as text."""
    section = "{kind: azure, api_key: x, base_url: 'https://a.example/openai/v1', surface: deployments, api_version: 2026-01-01}"
    [upstream] = read(tmp_path, f"upstreams: {{u: {section}}}").upstreams
    assert upstream.options == {"surface": "deployments", "api_version": "2026-01-01"}
