"""Every error of the config names key, value, why and fix, and all come at once."""

import json
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from tests.unit.config_files import MODEL, OFFER, SetClock, problems, read, write


@pytest.mark.parametrize(
    ("text", "key", "value", "why", "fix"),
    [
        ("prot: 1", "prot", "1", "no key", "Known are: server"),
        ("a: \0", "file", "", "not valid YAML: unacceptable character", "Correct the file"),
        ("a: " + "[" * 5_000, "file", "", "nested too deeply", "lists in lists"),
        ('{"a": ' + "[" * 200_000, "file", "", "nested too deeply", "lists in lists"),
        ("aliases: &a {a: *a}", "file", "", "holds itself", "aliases"),
        ("sever: {port: 1}", "sever", "", "no key", "Did you mean server?"),
        ("server: {prt: 1}", "server.prt", "1", "no key", "Did you mean port?"),
        ("server: {port: 70000}", "server.port", "70000", "less than or equal", "port number"),
        ("server: {port: eighty}", "server.port", "eighty", "integer", "port number"),
        ("server: {public_url: example.com}", "server.public_url", "example.com", "URL", "https://"),
        ("server: {drain: 4 minutes}", "server.drain", "4 minutes", "duration", "240s"),
        ("server: {accept_after_term: -1s}", "server.accept_after_term", "-1s", "duration", "such as 1s"),
        ("server: {accept_after_term: 1m, drain: 60s}", "server.accept_after_term", "60s", "less than server.drain (60s)", "longer drain"),
        ("server: {drain: 500ms}", "server.accept_after_term", "1s", "less than server.drain (0.5s)", "shorter one"),
        ("server: {trusted_proxies: [10.0.0.1/8]}", "server.trusted_proxies[0]", "10.0.0.1/8", "network", "10.0.0.0/8"),
        ("server: 8080", "server", "8080", "dictionary", "server: {host"),
        ("metrics: {port: 0}", "metrics.port", "0", "greater", "null"),
        ("database: mysql://root:hunter2@db/x", "database", "mysql://***@db/x", "database URL", "sqlite:///"),
        ("state: redis://valkey:port/0", "state", "redis://valkey:port/0", "no address of a shared state", "Write memory, redis://"),
        ("state: disk", "state", "disk", "no address of a shared state", "Write memory, redis://"),
        ('state: "redis://:hush@valkey/one"', "state", "redis://***@valkey/one", "no address", "The database is a number"),
        ("blobs: s3://Bucket", "blobs", "s3://Bucket", "names no bucket", "s3://BUCKET/FOLDER"),
        ("blobs: s3://b:password@bucket", "blobs", "s3://***@bucket", "names no bucket", "s3://BUCKET/FOLDER"),
        ("blobs: gs://bucket/..", "blobs", "gs://bucket/..", "has a folder", "gs://BUCKET/FOLDER"),
        ("blobs: az://pictures", "blobs", "az://pictures", "no storage account", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("blobs: s3://bucket\ns3_endpoint: minio", "s3_endpoint", "minio", "no http or https URL", "https://minio:9000"),
        ("blobs: s3://bucket\ns3_region: EU", "s3_region", "EU", "pattern", "eu-central-1"),
        ("blobs: s3://bucket\nblob_links: direct", "blob_links", "direct", "'gateway' or 'presigned'", "gateway or presigned"),
        ("blob_links: presigned", "blob_links", "presigned", "needs pictures in a bucket", "a bucket in blobs"),
        ("blobs: gs://bucket\nblob_links: presigned", "blob_links", "presigned", "ask the cloud for each link", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("blobs: /srv", "blobs", "/srv", "no place", "file:///"),
        ("catalog: missing.yaml", "catalog", "missing.yaml", "no such file", "readable"),
        ("credits_per_usd: 0", "credits_per_usd", "0", "greater than 0", "such as 72"),
        ("markup: .inf", "markup", ".inf", "decimal", "factor"),
        ("deadline: 0s", "deadline", "0s", "greater", "240s"),
        ("default_model: gpt-image-3", "default_model", "gpt-image-3", "no model", "Did you mean gpt-image-2?"),
        ("aliases: {a: gpt-imag-2}", "aliases.a", "gpt-imag-2", "no model", "Did you mean gpt-image-2?"),
        ("aliases: {gpt-image-2: gpt-4o-image}", "aliases.gpt-image-2", "gpt-4o-image", "has this name", "another alias"),
        ("egress: {allow: [10.0.0.1/8]}", "egress.allow", "a list", "10.0.0.1/8", "networks or host"),
        ("egress: {ca_file: /nowhere.pem}", "egress.ca_file", "/nowhere.pem", "no such file", "PEM"),
        ("egress: {ports: [0]}", "egress.ports[0]", "0", "greater", "[443]"),
        ("cache: {scope: world}", "cache.scope", "world", "'key', 'team' or 'org'", "key, team or org"),
        ("cache: {ttl: 0s}", "cache.ttl", "0s", "greater", "enabled: false"),
        ("cache: {charge: 2}", "cache.charge", "2", "less than", "0 to 1"),
        ("cache: {single_flight: sometimes}", "cache.single_flight", "sometimes", "'never'", "other_keys, always or never"),
        ("cache: {entries_max: 0}", "cache.entries_max", "0", "greater", "1 to 10000000"),
        ("retention: {results: 0s}", "retention.results", "0s", "greater", "24h"),
        ("upstreams: {a: {kind: midjourney}}", "upstreams.a.kind", "midjourney", "no kind", "kind: openai"),
        ("upstreams: {a: {}}", "upstreams.a.kind", "", "missing", "kind: openai"),
        ("upstreams: {a/b: {kind: sandbox}}", "upstreams.a/b", "a/b", "no name", "upstreams"),
        ("upstreams: {a: {kind: openai, timeout: fast}}", "upstreams.a.timeout", "fast", "duration", "240s"),
        ("upstreams: {a: {kind: openai, budget: 5eur}}", "upstreams.a.budget", "5eur", "budget", "usd/"),
        ("upstreams: {a: {kind: openai, latency: 1s}}", "upstreams.a.latency", "1s", "kind openai", "Leave it out"),
        ("upstreams: {a: {kind: openai, api_key: 12345678}}", "upstreams.a.api_key", "(hidden)", "string", "as text"),
        ("upstreams: {a: {kind: openai, api_key: x, ca_file: /no.pem}}", "upstreams.a.ca_file", "/no.pem", "no such file", "PEM"),
        ("upstreams: {a: {kind: openai, on_unknown: retry}}", "upstreams.a.on_unknown", "retry", "'stop' or 'next'", "stop or next"),
        ("upstreams: {a: {kind: sandbox, latency: 2h}}", "upstreams.a.latency", "2h", "hour", "200ms"),
        ("upstreams: {a: {kind: sandbox, failure_rate: 2}}", "upstreams.a.failure_rate", "2", "less than", "0 to 1"),
        ("alerts: {url: 'http://h.com/', secret: SECRET}", "alerts.url", "(hidden)", "no https URL", "egress.allow_http"),
        ("alerts: {url: 'https://a@h.com/', secret: SECRET}", "alerts.url", "(hidden)", "no https URL", "an https URL"),
        ("alerts: {url: hooks, secret: SECRET}", "alerts.url", "(hidden)", "no https URL", "an https URL"),
        ("alerts: {url: 'https://h.com/?token=x'}", "alerts.secret", "", "is missing", "openssl rand -base64 24"),
        ("alerts: {url: 'https://h.com/', secret: whsec_short}", "alerts.secret", "(hidden)", "Standard Webhooks", "24 to 64"),
        ("alerts: {thresholds: [0]}", "alerts.thresholds[0]", "0", "greater", "[50, 80, 100]"),
        ("secret_key: ${NOPE}", "secret_key", "${NOPE}", "NOPE is not set", "Set NOPE"),
        ("secret_key: ${file:/nope}", "secret_key", "${file:/nope}", "no such file", "Create it"),
        ("secret_key: ${not a name}", "secret_key", "${not a name}", "no substitution", "${NAME:-default}"),
        ("secret_key: 12345", "secret_key", "(hidden)", "string", "quotes"),
        ("port: 1\nport: 2", "port", "", "twice in one mapping in line 2", "Keep one"),
        ("- a", "file", "gateway.yaml", "not a mapping", "server:"),
        ("a: [", "file", "", "YAML", "that place"),
        ("models: {x: {offers: []}}", "models.x.sizes", "", "missing", "list of sizes"),
        ("limits: {on_store_failure: panic}", "limits.on_store_failure", "panic", "'allow' or 'refuse'", "allow or refuse"),
        ("models: {x: 1}", "models.x", "", "not a mapping", "model's keys"),
        ("models: {gpt-image-2: {sizs: []}}", "models.gpt-image-2.sizs", "", "no key", "Did you mean sizes?"),
        ("models: {gpt-image-2: {sizes: [big]}}", "models.gpt-image-2.sizes[0]", "big", "no size", "1024x1024"),
        ("models: {gpt-image-2: {sizes: ['16:9']}}", "models.gpt-image-2.sizes[0]", "16:9", "no listed pixel size", "List one"),
        ("models: {gpt-image-2: {n: {max: 0}}}", "models.gpt-image-2.n", "a mapping", "tuple", "{max: 10}"),
        ("models: {gpt-image-2: {charge: {credits: 0.0000001}}}", "models.gpt-image-2.charge.credits", "1E-7", "decimal", "1.5"),
    ],
)  # fmt: skip
def test_an_error_names_key_value_why_and_fix(
    tmp_path: Path, text: str, key: str, value: str, why: str, fix: str
) -> None:
    """One mistake, one problem, with all an operator needs to mend it; passwords and secrets hidden."""
    found = problems(tmp_path, text)
    assert key in found
    assert found[key].value.endswith(value) if value else found[key].value == ""
    assert why in found[key].why
    assert fix in found[key].fix
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("change", "key", "why", "fix"),
    [
        ({"upstream": "opnai"}, "upstream", "no upstream", "Did you mean openai?"),
        ({"cost": {}}, "cost", "names no price", "per_image_usd"),
        ({"cost": {"per_image_usd": 1, "formula": "gpt-image-2"}}, "cost", "per_image_usd and formula", "one of"),
        ({"cost": {"formula": "gpt-image-3"}}, "cost.formula", "no published formula", "Did you mean gpt-image-2"),
        ({"cost": {"per_image_usd": -1}}, "cost.per_image_usd", "greater", "USD per picture"),
        ({"cost": {"tokens": {"text_in": 1}}}, "cost.tokens.image_in", "missing", "image input"),
        ({"cost": {"table": [{"size": "1:1"}]}}, "cost.table[0].usd", "missing", "one picture"),
        ({"params": {"qualty": "low"}}, "params.qualty", "no parameter", "Did you mean quality?"),
        ({"params": {"quality": "best"}}, "params.quality", "no value of quality", "auto, low"),
        ({"params": {"output_compression": 101}}, "params.output_compression", "no value", "0 to 100"),
        ({"n_max": 0}, "n_max", "greater", "most pictures"),
    ],
)
def test_an_error_in_an_offer_names_its_place(
    tmp_path: Path, change: dict[str, object], key: str, why: str, fix: str
) -> None:
    """Deep inside a model the key path still leads to the very value."""
    text = json.dumps({"models": {"x": MODEL | {"offers": [OFFER, OFFER | change]}}})  # noqa: TID251 - a small file for a test
    found = problems(tmp_path, text)[f"models.x.offers[1].{key}"]
    assert why in found.why
    assert fix in found.fix


@pytest.mark.parametrize(
    ("accounts", "key", "why"),
    [
        ("[{teams: []}]", "accounts[0].org", "missing"),
        ("[{org: a}, {org: a}]", "accounts[1].org", "taken"),
        ("[{org: a, teams: [{team: t}, {team: t}]}]", "accounts[0].teams[1].team", "taken"),
        ("[{org: a, keys: [{name: k, secret: 12345678x}, {name: k, secret: 12345678y}]}]", "accounts[0].keys[1].name", "taken"),
        ("[{org: a, keys: [{name: k, secret: same-same}, {name: l, secret: ' same-same'}]}]", "accounts[0].keys[1].secret", "accounts[0].keys[0]"),
        ("[{org: a, keys: [{name: k, secret: 1234567}]}]", "accounts[0].keys[0].secret", "string"),
        ("[{org: a, keys: [{name: k, secret: '1234567'}]}]", "accounts[0].keys[0].secret", "shorter than 8"),
        ("[{org: a, keys: [{name: k, secret: '         '}]}]", "accounts[0].keys[0].secret", "shorter than 8"),
        ("[{org: a, keys: [{name: k, secret: \"line\\nbreak\"}]}]", "accounts[0].keys[0].secret", "line breaks"),
        ("[{org: a, keys: [{name: k, secret: igw_" + "a" * 38 + "}]}]", "accounts[0].keys[0].secret", "typing error"),
        ("[{org: a, keys: [{name: k, secret: ${NOPE}}]}]".replace("${NOPE}", '"${NOPE}"'), "accounts[0].keys[0].secret", "NOPE is not set"),
        ("[{org: a, keys: [{name: k, secret: 12345678x, models: [gpt-image-9]}]}]", "accounts[0].keys[0].models[0]", "no model"),
        ("[{org: a, keys: [{name: k, secret: 12345678x, response: jpeg}]}]", "accounts[0].keys[0].response", "'image' or 'task'"),
        ("[{org: a, budgets: [5usd]}]", "accounts[0].budgets[0]", "not a budget"),
        ("[{org: a, rpm: 0}]", "accounts[0].rpm", "greater than or equal to 1"),
        ("[{org: a, rpm: 100001}]", "accounts[0].rpm", "less than or equal to 100000"),
        ("[{org: a, teams: [{team: t, concurrency: no}]}]", "accounts[0].teams[0].concurrency", "integer"),
        ("[{org: a, teams: [{team: t, models: [gpt-image-9]}]}]", "accounts[0].teams[0].models[0]", "no model"),
        ("[{org: a, models: []}]", "accounts[0].models", "at least 1"),
        ("[{org: a, sizes: [1024x1024, big]}]", "accounts[0].sizes[1]", "is no size"),
        ("[{org: a, n_max: 0}]", "accounts[0].n_max", "greater"),
        ("[{org: a, keys: [{name: k, secret: 12345678x, expires: 2027-13-01}]}]", "accounts[0].keys[0].expires", "no date"),
        ("[{org: a, expires: 2027-12-01}]", "accounts[0].expires", "no key"),
        ("[{org: a, budgets: [5usd/year]}]", "accounts[0].budgets[0]", "not a budget"),
        ("[{org: a, timezone: Mars}]", "accounts[0].timezone", "no time zone"),
        ("[{org: a/b}]", "accounts[0].org", "no name"),
    ],
)  # fmt: skip
def test_an_error_in_the_accounts_names_its_place(tmp_path: Path, accounts: str, key: str, why: str) -> None:
    """Names, secrets, budgets and models of declared accounts; a budget that would not be kept is refused, not ignored."""
    found = problems(tmp_path, f"accounts: {accounts}")
    assert why in found[key].why
    assert "same-same" not in str(found)


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    """Form and meaning, in every section, at once: nobody mends a config one error at a time."""
    text = """
server: {port: x, drain: y}
database: mysql://x
state: disk
admin_token: ${NOPE}
default_model: gpt-9
upstreams: {a: {kind: b}}
accounts: [{org: a}, {org: a}]
"""
    assert set(problems(tmp_path, text)) == {
        "server.port", "server.drain", "database", "state", "admin_token", "default_model", "upstreams.a.kind", "accounts[1].org"
    }  # fmt: skip


def test_postgresql_requires_the_secret_key(tmp_path: Path) -> None:
    """Several processes must share it, so none is made up."""
    found = problems(tmp_path, "database: postgresql://u:hunter2@db/x\nsecret_key: ${GATEWAY_SECRET_KEY:-}")
    assert "required with PostgreSQL" in found["secret_key"].why
    config = read(tmp_path, "database: postgresql://u:p@db/x\nsecret_key: short")
    assert any("secret_key is shorter" in note for note in config.notes)


@pytest.mark.parametrize(
    ("upstreams", "drain", "why", "fix"),
    [
        ("{sandbox: {kind: sandbox}}", "209s", "upstreams.sandbox.timeout, 180s", "Write 210s or more"),
        ("{a: {kind: sandbox, timeout: 10s}, b: {kind: sandbox, timeout: 1m}}", "89s", "upstreams.b.timeout, 60s", "Write 90s"),
        ("{a: {kind: sandbox, timeout: 500ms}}", "30s", "upstreams.a.timeout, 0.5s", "a shorter upstreams.a.timeout"),
    ],
)  # fmt: skip
def test_a_short_drain_is_refused_by_a_check_and_told_by_a_start(
    tmp_path: Path, upstreams: str, drain: str, why: str, fix: str
) -> None:
    """The longest of the upstreams that are on, and 30 s; together with whatever else is wrong. One second more, and all is well."""
    text = f"upstreams: {upstreams}\nserver: {{drain: {drain}}}\n"
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text + "prot: 1"), {}, SetClock(), strict=True)
    found = {problem.key: problem for problem in caught.value.errors}
    problem = found["server.drain"]
    assert set(found) == {"server.drain", "prot"}
    assert (problem.value, why in problem.why, fix in problem.fix) == (drain, True, True)
    served = load(write(tmp_path, text), {}, SetClock())
    assert str(problem) in served.notes
    longer = text.replace(drain, f"{int(drain[:-1]) + 1}s")
    assert not any("server.drain" in note for note in load(write(tmp_path, longer), {}, SetClock(), strict=True).notes)


def test_an_upstream_that_is_off_has_no_part_in_the_drain(tmp_path: Path) -> None:
    """Nothing is sent there."""
    text = (
        "upstreams: {sandbox: {kind: sandbox, timeout: 5s}, openai: {kind: openai, timeout: 10m}}\nserver: {drain: 35s}"
    )
    assert load(write(tmp_path, text), {}, SetClock(), strict=True).server.drain_s == 35
