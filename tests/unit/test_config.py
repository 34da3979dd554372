"""The operator's config: every promised key arrives, and text is read as promised."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.blobs.bucket_url import BucketPlace, Cloud
from gateway.config import Config, load
from gateway.config_cache import Cache
from gateway.config_schema import ConfigFile
from gateway.config_sections import UPSTREAM_OPTIONS, ModelSection, OfferSection, UpstreamSection
from gateway.config_text import Problems, parse_duration_s, read_file
from gateway.domain.accounts import Budget, Limits, Unit
from gateway.domain.catalog import OnUnknown, PerImage, PriceFormula, TokenPrice
from gateway.domain.images import Contract, Pixels, Quality
from gateway.domain.sharing import CacheScope, SingleFlight
from gateway.files.quota import Quota
from gateway.imaging.decode import DecoderLimits
from gateway.limits.outage import OnStoreFailure
from gateway.upstreams.registry import KINDS
from tests.unit.config_files import SetClock, problems, read, write

PROMISED_KEYS = {  # docs: the operator's interface
    "server", "metrics", "secret_key", "database", "state", "blobs", "catalog", "credits_per_usd", "markup", "deadline", "admin_token",
    "default_model", "egress", "cache", "console", "aliases", "retention", "upstreams", "models", "accounts", "s3_endpoint",
    "s3_region", "s3_path_style", "blob_links", "lease", "limits", "alerts",
    "usage", "files", "images", "tracing", "log",
}  # fmt: skip

EVERYTHING = """
server:    {host: 0.0.0.0, port: 8081, public_url: "https://img.example.com/", drain: 60s, accept_after_term: 15s, keep_alive_bytes: 20s,
            trusted_proxies: [10.0.0.0/8, "::1"]}
metrics:   {port: 9090, public: true}
secret_key: ${SECRET}
database:  sqlite:////srv/gateway.db
state:     memory
blobs:     file:////srv/images
s3_endpoint: http://minio:9000
catalog:   own.yaml
credits_per_usd: 68.5
markup: 1.25
deadline: 5m
admin_token: ${ADMIN:-none given}
default_model: picture
egress:    {allow: [10.1.0.0/16, minio.internal], allow_http: true, ports: [443, 8443], ca_file: null}
limits:    {on_store_failure: refuse}
cache:     {enabled: true, ttl: 24h, scope: team, charge: 0.5, single_flight: always, entries_max: 500, picture_bytes_max: 0}
aliases:   {old-picture: picture}
retention: {results: 2h, uploads: 72h, tasks: 30d, prompts: 90m}
files:     {quota: {mb: 50, files: 20}}
images:    {workers: 2, pixels: 40_000_000, memory: 2048, timeout: 60s}
upstreams:
  main:   {kind: openai, base_url: "https://eu.example.com/v1/", api_key: " ${OPENAI}", timeout: 90s, connect_timeout: 2s, concurrency: 8,
           queue: {max: 20, wait: 500ms},
           on_unknown: next, budget: 500usd/month, proxy: "http://proxy:3128", ca_file: null}
  spare:  {kind: evolink, api_key: "${EVOLINK:-}", poll_interval: 2s, credits_per_usd: 68}
  draw:   {kind: sandbox, latency: 200ms, failure_rate: 0.25}
models:
  picture:
    response: task
    prompt_tokens_max: 2000
    sizes: [auto, 1:1, 2:3, 1024x1024, 1024x1536]
    n: [1, 2, 4]
    image_urls_max: 5
    estimated_time: 45
    charge: {credits: 1.5}
    markup: 1.5
    qualities: [auto, high]
    created_at: 1970-01-02
    owned_by: acme
    cache: false
    offers:
      - {upstream: main, model: a, cost: {per_image_usd: 0.0208}}
      - {upstream: main, model: a, params: {quality: medium, output_compression: 80}, cost: {formula: gpt-image-2}, on_unknown: next, n_max: 2}
      - {upstream: spare, model: b, cost: {table: [{size: 1024x1024, quality: low, usd: 0.01}, {usd: 0.02}]}}
      - {upstream: draw, model: sandbox, cost: {per_image_usd: 0.02}}
accounts:
  - org: acme
    timezone: Europe/Berlin
    markup: 1.1
    budgets: ["1000usd/total"]
    rpm: 6000
    models: [old-picture, other]
    keys: [{name: root key, secret: "with some spaces"}]
    teams:
      - team: design
        budgets: ["50usd/total", "500credits/total", "1000images/total"]
        concurrency: 64
        sizes: [1024x1024, 2:3, auto]
        n_max: 4
        keys:
          - {name: ci, secret: "${CI_KEY}", budgets: ["5usd/total"], rpm: 600, concurrency: 32, models: [old-picture], response: image,
             expires: 2027-01-31, choose_upstream: true, cache: false, callback_secret: "a secret of the ci"}
"""
OWN_CATALOG = """
models:
  picture: {prompt_tokens_max: 1, sizes: [auto], offers: [{upstream: main, model: x, cost: {per_megapixel_usd: 1}}]}
  other:
    prompt_tokens_max: 32000
    sizes: [1024x1024]
    size_range: {multiple_of: 16, ratio_max: 3, edge_max: 3840, area_min: 655360, area_max: 8294400}
    n: {max: 3}
    offers:
      - {upstream: main, model: y, cost: {tokens: {text_in: 5, image_in: 8, image_out: 30, image_out_tokens_max: 100}, source: s, as_of: 2026-11-23}}
"""
VARIABLES = {"SECRET": "s" * 32, "OPENAI": "sk-1", "CI_KEY": "ci-secret-1"}


@pytest.fixture
def full(tmp_path: Path) -> Config:
    write(tmp_path, OWN_CATALOG, "own.yaml")
    return read(tmp_path, EVERYTHING, VARIABLES)


def test_the_schema_knows_exactly_the_promised_keys() -> None:
    """Operators rely on these names; none may go, and a new one belongs into the documentation and this list."""
    assert set(ConfigFile.model_fields) == PROMISED_KEYS
    assert {
        "kind",
        "base_url",
        "api_key",
        "timeout",
        "connect_timeout",
        "concurrency",
        "on_unknown",
        "budget",
        "proxy",
        "ca_file",
    } <= set(UpstreamSection.model_fields)
    assert {
        "response",
        "prompt_tokens_max",
        "sizes",
        "n",
        "image_urls_max",
        "estimated_time",
        "charge",
        "markup",
        "offers",
    } <= set(ModelSection.model_fields)
    assert {"upstream", "model", "params", "cost", "on_unknown"} <= set(OfferSection.model_fields)


def test_every_kind_of_upstream_has_its_own_settings() -> None:
    """Each kind's settings are keys of the schema, and no kind is forgotten."""
    assert set(UPSTREAM_OPTIONS) == set(KINDS)
    for names in UPSTREAM_OPTIONS.values():
        assert set(names) <= set(UpstreamSection.model_fields)


def test_every_key_of_the_top_level_arrives(full: Config) -> None:
    """Values, units and variables as the operator wrote them."""
    assert (full.server.host, full.server.port, full.server.public_url) == ("0.0.0.0", 8081, "https://img.example.com")
    assert (full.server.drain_s, full.server.accept_after_term_s) == (60.0, 15.0)
    assert full.server.keep_alive_s == 20
    assert full.server.trusted_proxies == ("10.0.0.0/8", "::1")
    assert (full.metrics.port, full.metrics.public) == (9090, True)
    assert (full.secret_key, full.admin_token) == ("s" * 32, "none given")
    assert full.database.path == Path("/srv/gateway.db")
    assert (full.blobs, full.bucket, full.blob_links) == (Path("/srv/images"), None, "gateway")
    assert full.state is None
    assert (full.credits_per_usd, full.markup, full.deadline_s) == (Decimal("68.5"), Decimal("1.25"), 300.0)
    assert (full.egress.allow, full.egress.allow_http, full.egress.ports) == (
        ("10.1.0.0/16", "minio.internal"),
        True,
        (443, 8443),
    )
    retention = full.retention
    assert (retention.results_s, retention.uploads_s, retention.tasks_s, retention.prompts_s) == (
        7200,
        259_200,
        2_592_000,
        5400,
    )
    assert full.cache == Cache(
        enabled=True,
        ttl_s=7200,
        scope=CacheScope.TEAM,
        charge=Decimal("0.5"),
        single_flight=SingleFlight.ALWAYS,
        entries_max=500,
        picture_bytes_max=0,
    )
    assert full.quota == Quota(50_000_000, 20)
    assert full.decoder == DecoderLimits(workers=2, job_s=60.0, cpu_s=40, memory_bytes=2 << 30, pixels_max=40_000_000)
    assert (full.catalog.default_model, full.catalog.aliases) == ("picture", {"old-picture": "picture"})


def test_upstreams_arrive_and_an_empty_key_is_off(full: Config) -> None:
    """Every setting, the key trimmed; an upstream without one is named with the reason."""
    main, draw = full.upstreams
    assert (main.name, main.kind, main.base_url, main.api_key) == (
        "main",
        "openai",
        "https://eu.example.com/v1",
        "sk-1",
    )
    assert (main.timeout_s, main.connect_timeout_s, main.concurrency) == (90.0, 2.0, 8)
    assert (main.queue_max, main.queue_wait_s) == (20, 0.5)
    assert (main.on_unknown, main.proxy, main.ca_file) == (OnUnknown.NEXT, "http://proxy:3128", None)
    assert (draw.kind, draw.options) == ("sandbox", {"latency": "200ms", "failure_rate": "0.25"})
    assert [(off.name, off.reason) for off in full.upstreams_off] == [("spare", "its api_key is empty")]


def test_models_arrive_with_their_offers(full: Config) -> None:
    """All limits and every form of price; a repeated offer gets an id of its own; the sandbox gives way."""
    picture, other = full.catalog.models["picture"], full.catalog.models["other"]
    assert (picture.response, picture.prompt_tokens_max, picture.n) == (Contract.TASK, 2000, (1, 2, 4))
    assert (picture.image_urls_max, picture.estimated_time_s, picture.charge_microcredits) == (5, 45, 1_500_000)
    assert (picture.markup, picture.qualities, picture.created_at_s) == (
        Decimal("1.5"),
        (Quality.AUTO, Quality.HIGH),
        86_400,
    )
    assert (picture.owned_by, picture.cache, other.cache) == ("acme", False, True)
    assert picture.sizes.resolve("2:3") == Pixels(1024, 1536)
    assert [offer.id for offer in picture.offers] == ["main/a", "main/a#2"]
    assert picture.offers[0].price == PerImage(Decimal("0.0208"))
    second = picture.offers[1]
    assert second.params == (("output_compression", "80"), ("quality", "medium"))
    assert (second.price, second.on_unknown, second.n_max) == (PriceFormula("gpt-image-2"), OnUnknown.NEXT, 2)
    assert other.sizes.resolve("1280x720") == Pixels(1280, 720)
    assert (other.n, other.response) == ((1, 2, 3), Contract.IMAGE)
    assert other.offers[0].price == TokenPrice(Decimal(5), Decimal(8), Decimal(30), 100)


def test_accounts_arrive_as_a_tree(full: Config) -> None:
    """Orgs, teams and keys with budgets parsed and aliases resolved; a key may hang on the org itself; secrets are not printed."""
    (acme,) = full.accounts
    (design,) = acme.teams
    (ci,) = design.keys
    assert (acme.name, acme.budgets) == ("acme", (Budget(1_000_000_000, Unit.USD),))
    assert (acme.keys[0].name, acme.keys[0].secret, acme.keys[0].models) == ("root key", "with some spaces", ("*",))
    assert [budget.unit for budget in design.budgets] == [Unit.USD, Unit.CREDITS, Unit.IMAGES]
    assert (ci.secret, ci.models, ci.response) == ("ci-secret-1", ("picture",), Contract.IMAGE)
    assert acme.limits == Limits(requests_per_minute=6000, models=("picture", "other"))
    assert design.limits == Limits(concurrent_tasks=64, sizes=("1024x1024", "2:3", "auto"), n_max=4)
    assert ci.limits == Limits(requests_per_minute=600, concurrent_tasks=32)
    assert (acme.zone, design.zone) == ("Europe/Berlin", "Europe/Berlin")
    assert (ci.choose_upstream, acme.keys[0].choose_upstream) == (True, False)
    assert (ci.cache, acme.keys[0].cache) == (False, True)
    assert (ci.expires_at_ms, acme.keys[0].expires_at_ms) == (1_801_353_600_000, None)
    assert full.limits_on_store_failure is OnStoreFailure.REFUSE
    assert "ci-secret-1" not in repr(full.accounts) + repr(full)


def test_settings_without_effect_are_said_aloud(full: Config) -> None:
    """What is promised for later is accepted, and named, so that nobody relies on it."""
    text = "\n".join(full.notes)
    assert "s3_endpoint" in text
    assert "trusted_proxies" not in text
    assert "cache has no effect" not in text
    assert set(full.notes) < set(full.summary())


def test_no_cached_picture_outlives_its_links(tmp_path: Path) -> None:
    """A longer ttl than results are kept is cut to that, and said; the defaults, which are equal, say nothing."""
    longer = read(tmp_path, "cache: {ttl: 48h}\nretention: {results: 90m}")
    assert longer.cache.ttl_s == 5400
    assert [note.partition(" ")[0] for note in longer.notes if "retention.results" in note] == ["cache.ttl"]
    plain = read(tmp_path, "retention: {results: 24h}")
    assert (plain.cache.enabled, plain.cache.ttl_s, plain.cache.charge) == (True, 86_400, Decimal(0))
    assert not [note for note in plain.notes if "cache.ttl" in note]
    assert read(tmp_path, "cache: {ttl: 100ms}").cache.ttl_s == 1
    assert read(tmp_path, "retention: {tasks: 1h}").cache.ttl_s == 3300, "and is not pointed to when its task goes"


def test_pictures_in_a_bucket(tmp_path: Path) -> None:
    """The bucket with how it is reached; what S3 alone understands is of no use, and said, elsewhere."""
    text = "blobs: s3://pictures/prod/\ns3_endpoint: http://minio:9000\ns3_region: eu-central-1\ns3_path_style: false\nblob_links: presigned\n"
    config = read(tmp_path, text)
    assert config.bucket == BucketPlace(Cloud.S3, "pictures", "prod", "http://minio:9000", "eu-central-1", False)
    assert (config.blob_links, [note for note in config.notes if "s3_" in note]) == ("presigned", [])
    config = read(tmp_path, "blobs: gs://pictures\ns3_region: eu-central-1\n")
    assert config.bucket == BucketPlace(Cloud.GCS, "pictures")
    assert "s3_region has no effect: blobs is no s3:// URL" in config.notes
    key = {"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}
    config = read(tmp_path, "blobs: az://pictures\nblob_links: presigned\n", key)
    assert (config.bucket, config.blob_links) == (BucketPlace(Cloud.AZURE, "pictures"), "presigned")


def test_a_charge_below_cost_is_named(full: Config) -> None:
    """check-config tells which offer costs more than the fixed charge brings in, and which does not."""
    (note,) = [note for note in full.notes if "fixed charge" in note]
    assert "main/a#2 costs 0.05268 USD" in note
    assert "1.5 credits brings in 0.021897 USD" in note


def test_substitution_from_environment_defaults_and_files(tmp_path: Path) -> None:
    """Variables, defaults for unset and empty ones, files relative to the config; numbers may come from variables; nothing is replaced twice."""
    write(tmp_path, "from a file\r\n", "token")
    text = 'server: {port: "${PORT:-8080}", host: "${HOST:-::1}"}\nadmin_token: ${file:token}\nsecret_key: a-${A}-${B:-b}-$${C}\n'
    config = read(tmp_path, text, {"PORT": "9000", "A": "${B}", "B": ""})
    assert (config.server.port, config.server.host) == (9000, "::1")
    assert config.server.public_url == "http://[::1]:9000"
    assert (config.admin_token, config.secret_key) == ("from a file", "a-${B}-b-${C}")


def test_the_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an explicit mapping the process environment counts."""
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", "from the environment")
    assert load(None, clock=SetClock()).admin_token == "from the environment"


def test_json_is_a_config_too(tmp_path: Path) -> None:
    """A JSON file, tabs, escapes and all; money in it stays exact."""
    path = write(tmp_path, '{\n\t"credits_per_usd": 72.1,\n\t"admin_token": "\\ud83d\\ude00 \\/"\n}', "gateway.json")
    config = load(path, {}, SetClock())
    assert (config.credits_per_usd, config.admin_token) == (Decimal("72.1"), "\N{GRINNING FACE} /")
    twice = problems(tmp_path, '{"markup": 1, "markup": 2}')
    assert "twice" in twice["markup"].why


def test_yaml_is_read_by_the_rules_of_1_2(tmp_path: Path) -> None:
    """Ratios, `no` and dates stay text, decimals stay exact, merge keys work and are no repetition."""
    text = "a: [1:1, no, 2026-11-23, 0.1, 1e-3, 08, ~, true]\nb: &b {x: 1}\nc: {<<: *b, x: 2}"
    found = Problems()
    value = read_file(write(tmp_path, text), {}, found, "file")
    assert value["a"] == ["1:1", "no", "2026-11-23", Decimal("0.1"), Decimal("0.001"), 8, None, True]
    assert value["c"] == {"x": 2}
    assert not found.found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("240s", 240), ("5m", 300), ("24h", 86_400), ("30d", 2_592_000), ("500ms", 0.5), (45, 45), ("1.5h", 5400)],
)
def test_durations(text: object, seconds: float) -> None:
    """A number with a unit; a bare number counts seconds."""
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5 m", "-5s", "5y", True, "4000d", None])
def test_no_durations(text: object) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"duration|ten years"):
        parse_duration_s(text)
