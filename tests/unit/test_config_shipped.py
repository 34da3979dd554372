"""What is served: built-in defaults, the shipped files and catalogue, the sandbox rule, overrides."""

import json
from pathlib import Path

import pytest

from gateway.config import load
from gateway.config_builtin import PROVIDER_VARIABLES
from gateway.config_sections import ModelSection
from gateway.config_socket import default_path
from gateway.config_text import Problems, read_file
from gateway.domain.catalog import PriceTable, TokenPrice
from tests.unit.config_files import MODEL, OFFER, ROOT, SHIPPED, SetClock, problems, read, write


def test_without_config_and_credentials_the_sandbox_draws_everything() -> None:
    """SQLite, memory and files under var, the shipped models, one clear line."""
    config = load(None, {}, SetClock())
    assert config.path is None
    assert (config.database.path, config.blobs, config.state) == (Path("var/gateway.db"), Path("var/images"), None)
    assert (config.secret_key, config.admin_token) == (None, None)
    assert config.server.public_url == "http://127.0.0.1:8080"
    assert {offer.upstream for model in config.catalog.models.values() for offer in model.offers} == {"sandbox"}
    assert {"gpt-4o-image", "gpt-image-2"} <= set(config.catalog.models)
    assert sum("the sandbox draws every model" in line for line in config.summary()) == 1
    assert any("OPENAI_API_KEY" in off.reason for off in config.upstreams_off)


@pytest.mark.parametrize(
    ("environ", "on", "gpt_4o", "sunburst"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, ["openai", "sandbox"], {"openai"}, {"openai"}),
        ({"EVOLINK_API_KEY": "evo"}, ["evolink", "sandbox"], {"evolink"}, {"sandbox"}),
        ({"FAL_KEY": "f", "REPLICATE_API_TOKEN": "r8"}, ["fal", "replicate", "sandbox"], {"sandbox"}, {"sandbox"}),
        ({"APIMART_API_KEY": "a", "KIE_API_KEY": "k"}, ["apimart", "kie", "sandbox"], {"sandbox"}, {"sandbox"}),
        (
            {"OPENAI_API_KEY": "sk-1", "EVOLINK_API_KEY": "evo"},
            ["openai", "evolink", "sandbox"],
            {"openai", "evolink"},
            {"openai"},
        ),
    ],
)
@pytest.mark.parametrize("path", [None, SHIPPED / "gateway.yaml"])
def test_a_usual_variable_turns_its_provider_on(
    path: Path | None, environ: dict[str, str], on: list[str], gpt_4o: set[str], sunburst: set[str]
) -> None:
    """With built-in defaults and with the shipped file: real offers where there are any, and a drawing only where there is none."""
    config = load(path, environ, SetClock())
    assert [upstream.name for upstream in config.upstreams] == on
    assert {offer.upstream for offer in config.catalog.models["gpt-4o-image"].offers} == gpt_4o
    assert {offer.upstream for offer in config.catalog.models["gpt-image-2.5-sunburst"].offers} == sunburst
    assert not any("the sandbox draws every model" in line for line in config.summary())


@pytest.mark.parametrize(("variable", "upstream"), [("APIMART_API_KEY", "apimart"), ("KIE_API_KEY", "kie")])
def test_resellers_of_gpt_image_2(variable: str, upstream: str) -> None:
    """Their variable puts a real offer, priced by resolution, in the sandbox's place."""
    (offer,) = load(None, {variable: "k"}, SetClock()).catalog.models["gpt-image-2"].offers
    assert offer.upstream == upstream
    assert isinstance(offer.price, PriceTable)
    assert [row.step.upper() for row in offer.price.table if row.step] == ["1K", "2K", "4K"]


def test_a_model_without_offers_is_dropped_with_a_note(tmp_path: Path) -> None:
    """Only EvoLink, no sandbox: what it cannot make is not served, nor is an alias to it; keys may name such models all the same."""
    text = """
upstreams: {evolink: {kind: evolink, api_key: x}}
aliases: {fast: gpt-image-2.5-flare, four: gpt-4o-image}
default_model: gpt-image-2.5-flare
accounts: [{org: a, keys: [{name: k, secret: 12345678x, models: [gpt-image-2.5-flare]}]}]
"""
    config = read(tmp_path, text)
    assert set(config.catalog.models) == {"gpt-4o-image", "gpt-image-2"}
    assert config.catalog.aliases == {"four": "gpt-4o-image"}
    assert config.catalog.default_model == "gpt-4o-image"
    text = "\n".join(config.notes)
    assert "model gpt-image-2.5-flare is not served: none of its upstreams is on (azure, openai, sandbox)" in text
    assert "alias fast is not served" in text
    assert "default_model gpt-image-2.5-flare is not served" in text


def test_nothing_served_is_said(tmp_path: Path) -> None:
    """Every upstream off and no sandbox: the gateway may start, and says that it serves nothing."""
    config = read(tmp_path, "upstreams: {openai: {kind: openai}}")
    assert not config.catalog.models
    assert any("no model is served" in line for line in config.summary())


def test_a_retired_model_is_dropped_on_its_day() -> None:
    """Until the day before it is served; from that day on it is gone, not drawn by the sandbox."""
    last_ms = 1_796_083_200_000 - 1  # 2026-12-01 00:00 UTC, less a millisecond
    assert "gpt-image-1-mini" in load(None, {}, SetClock(last_ms)).catalog.models
    config = load(None, {}, SetClock(last_ms + 1))
    assert "gpt-image-1-mini" not in config.catalog.models
    assert "model gpt-image-1-mini is not served: it ended on 2026-12-01" in config.notes


def test_inline_models_override_and_extend_the_catalogue(tmp_path: Path) -> None:
    """Given keys replace the catalogue's, the others stay; a new name is a new model."""
    new = json.dumps(MODEL | {"offers": [OFFER]})  # noqa: TID251 - a small file for a test
    config = read(tmp_path, f"models: {{gpt-image-2: {{charge: {{credits: 3}}, n: [1]}}, mine: {new}}}")
    changed = config.catalog.models["gpt-image-2"]
    assert (changed.charge_microcredits, changed.n, changed.prompt_tokens_max) == (3_000_000, (1,), 32_000)
    assert "mine" in config.catalog.models
    assert "gpt-4o-image" in config.catalog.models


def test_an_own_catalogue_needs_no_default_names(tmp_path: Path) -> None:
    """Without gpt-image-2 the first model is the default, and the usual aliases are silently absent."""
    catalog = json.dumps({"models": {"mine": MODEL | {"offers": [OFFER]}}})  # noqa: TID251 - a small file for a test
    write(tmp_path, catalog, "own.json")
    config = read(tmp_path, "catalog: own.json")
    assert (config.catalog.default_model, dict(config.catalog.aliases), config.notes) == ("mine", {}, ())
    bad = problems(tmp_path, f"catalog: {write(tmp_path, 'modles: {}', 'bad.yaml').name}")
    assert "Did you mean models?" in bad["bad.yaml: modles"].fix


def test_the_command_line_moves_the_public_url(tmp_path: Path) -> None:
    """--host and --port move a derived public URL, also that of the shipped file, and leave a given one alone."""
    moved = load(SHIPPED / "gateway.yaml", {}, SetClock()).listening_on("0.0.0.0", 9000)
    assert (moved.server.host, moved.server.port, moved.server.public_url) == ("0.0.0.0", 9000, "http://127.0.0.1:9000")
    given = read(tmp_path, "server: {public_url: https://img.example.com}").listening_on(None, 9000)
    assert (given.server.host, given.server.public_url) == ("127.0.0.1", "https://img.example.com")


def test_default_path_finds_the_file_of_the_working_folder(tmp_path: Path) -> None:
    """config/gateway.yaml where there is one, else None."""
    assert default_path(ROOT) == SHIPPED / "gateway.yaml"
    assert default_path(tmp_path) is None


def test_the_shipped_gateway_file_equals_the_built_in_defaults() -> None:
    """What the comments of the file promise: leaving a key out changes nothing."""
    shipped, built_in = load(SHIPPED / "gateway.yaml", {}, SetClock()), load(None, {}, SetClock())
    for name in ("server", "metrics", "secret_key", "database", "state", "blobs", "catalog", "credits_per_usd", "markup", "deadline_s",
                 "egress", "retention", "accounts", "notes"):  # fmt: skip
        assert getattr(shipped, name) == getattr(built_in, name), name
    assert [upstream.name for upstream in shipped.upstreams] == ["sandbox"]
    assert shipped.notes == ()


@pytest.mark.parametrize("path", [None, SHIPPED / "gateway.yaml"])
@pytest.mark.parametrize("environ", [{}, dict.fromkeys(PROVIDER_VARIABLES.values(), "x")])
def test_what_is_shipped_passes_a_strict_check(path: Path | None, environ: dict[str, str]) -> None:
    """With no provider and with all of them: nothing that `check-config` refuses."""
    assert load(path, environ, SetClock(), strict=True).server.drain_s == 240


def test_the_shipped_production_file_loads(tmp_path: Path) -> None:
    """With its variables and secret files in place it is a whole config: PostgreSQL, declared keys, no sandbox."""
    text = (SHIPPED / "production.yaml").read_text(encoding="utf-8").replace("/run/secrets/gateway", str(tmp_path))
    write(tmp_path, (SHIPPED / "catalog.yaml").read_text(encoding="utf-8"), "catalog.yaml")
    for name in ("secret_key", "admin_token", "openai_api_key", "design_tool_key"):
        write(tmp_path, f"{name} {'x' * 32}\n", name)
    environ = {
        "GATEWAY_PUBLIC_URL": "https://images.example.com",
        "GATEWAY_DATABASE_URL": "postgresql://u:p@db/x",
        "CI_GATEWAY_KEY": "a secret of the pipeline",
    }
    config = read(tmp_path, text, environ)
    assert config.database.text == "postgresql://u:p@db/x"
    assert [upstream.name for upstream in config.upstreams] == ["openai"]
    assert [team.keys[0].name for team in config.accounts[0].teams] == ["design-tool", "ci"]
    assert not any("without effect" in note or "no effect" in note or "server.drain" in note for note in config.notes)


def test_google_has_models_of_its_own() -> None:
    """Its key turns them on, at prices by resolution step that hold for prompts counted in Google's way."""
    config = load(None, {"GEMINI_API_KEY": "x"}, SetClock())
    prices = {
        name: model.offers[0].price for name, model in config.catalog.models.items() if name.startswith("gemini-")
    }
    assert len(prices) == 3
    for price in prices.values():
        assert isinstance(price, TokenPrice)
        assert price.own_tokenizer
        assert max([price.image_out_tokens_max, *dict(price.image_out_tokens).values()]) == price.image_out_tokens_max
    assert {offer.upstream for offer in config.catalog.models["gpt-image-2"].offers} == {"sandbox"}


def test_every_shipped_price_says_where_and_when_it_was_read() -> None:
    """Prices drift; each one carries its source and its day, and each listed size and quality of a table model has one."""
    found = Problems()
    raw = read_file(SHIPPED / "catalog.yaml", {}, found, "catalog")
    models = raw["models"]
    assert isinstance(models, dict)
    assert not found.found
    for name, data in models.items():
        model = ModelSection.model_validate(data)
        for offer in model.offers:
            assert offer.cost.source, name
            assert offer.cost.as_of is not None, name
    served = load(None, {"OPENAI_API_KEY": "x"}, SetClock()).catalog.models
    for name in ("gpt-image-1.5", "gpt-image-1-mini"):
        table = served[name].offers[0].price
        assert isinstance(table, PriceTable)
        assert len(table.table) == 9
