"""The operator's config: YAML or JSON, environment and secret files -> one frozen Config.

The only reader of the process environment. Fails with ConfigError, which carries every problem as key, value, why and fix; nothing starts with
half a config. What is accepted for a later version and has no effect yet is said in `Config.notes`.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gateway.blobs.bucket_url import BucketPlace
from gateway.config_accounts import KeyDeclaration, OrgDeclaration, TeamDeclaration
from gateway.config_blobs import BlobLinks, blob_notes, blobs_of
from gateway.config_builtin import BUILT_IN_UPSTREAMS, PROVIDER_VARIABLES, SANDBOX, built_in_upstreams
from gateway.config_cache import Cache, cache_of
from gateway.config_catalog import (
    ModelsFound,
    UpstreamNames,
    build_catalog,
    build_models,
    read_models,
    shipped_catalog_path,
)
from gateway.config_console import ConsoleConfig, console_of
from gateway.config_declarations import Declarations
from gateway.config_findings import Finding, PriceOrigin, findings_of_markups, findings_of_models
from gateway.config_pictures import decoder_limits_of, quota_of
from gateway.config_schema import ConfigFile, check
from gateway.config_sections import UPSTREAM_OPTIONS
from gateway.config_state import notes_of_state, state_of
from gateway.config_text import ConfigError, Plain, Problem, Problems, join, read_file, substitute
from gateway.config_tracing import LogConfig, TracingConfig, log_of, tracing_of
from gateway.config_upstreams import check_described, options_of, settings_of
from gateway.db.url import DatabaseUrl, Dialect, parse_database_url
from gateway.domain.accounts import Budget
from gateway.domain.catalog import Catalog
from gateway.domain.clock import Clock, SystemClock
from gateway.egress.errors import EgressRefused
from gateway.egress.guard import EgressPolicy, check_url
from gateway.files.quota import Quota
from gateway.imaging.decode import DecoderLimits
from gateway.limits.outage import OnStoreFailure
from gateway.state.address import StateAddress
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.registry import needs_base_url, needs_key
from gateway.webhooks.signing import secret_bytes

__all__ = [
    "Config",
    "ConfigError",
    "KeyDeclaration",
    "OrgDeclaration",
    "Problem",
    "TeamDeclaration",
    "load",
]

OFF_LINES_MAX = 3
"""More upstreams that are off share a line."""
SECRET_KEY_CHARS_MIN = 32
"""Below 128 bits as hex a note says that the key could be guessed."""

DRAIN_MARGIN_S = 30.0
"""What a stop needs beyond the longest attempt: pictures are fetched and stored, and their callers answered."""

_BUILT_IN: dict[str, Plain] = {
    "secret_key": "${GATEWAY_SECRET_KEY:-}",
    "admin_token": "${GATEWAY_ADMIN_TOKEN:-}",
}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str
    port: int
    public_url: str
    """Without a final slash."""
    public_url_given: bool
    """False where it only says what host and port say, so that it may follow them."""
    drain_s: float
    accept_after_term_s: float
    keep_alive_s: float | None
    """None: no signs of life before an image answer."""
    trusted_proxies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    port: int | None
    public: bool


@dataclass(frozen=True, slots=True)
class Retention:
    results_s: int
    uploads_s: int
    tasks_s: int
    prompts_s: int


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    url: str
    secret: str = field(repr=False)
    thresholds: tuple[int, ...] = (50, 80, 100)
    """Percent of a budget, rising."""


@dataclass(frozen=True, slots=True)
class UpstreamOff:
    """A configured upstream that is not used, and why."""

    name: str
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """Everything that the operator decided, checked. No repr: it holds secrets."""

    path: Path | None
    """The file it came from; None: built-in defaults."""
    server: ServerConfig
    metrics: MetricsConfig
    secret_key: str | None
    """None: made and kept beside the database (embedded only)."""
    admin_token: str | None
    database: DatabaseUrl
    state: StateAddress | None
    """Where processes share limits and more; None: in each one's memory."""
    blobs: Path
    bucket: BucketPlace | None
    """Where pictures are kept; None: in files below `blobs`."""
    blob_links: BlobLinks
    catalog: Catalog
    catalog_path: Path
    """The file that it came from."""
    credits_per_usd: Decimal
    markup: Decimal
    deadline_s: float
    lease_s: float
    """How long a task belongs to a process that gives no sign of life."""
    egress: EgressPolicy
    retention: Retention
    cache: Cache
    console: ConsoleConfig
    quota: Quota
    """Of each key's uploads."""
    decoder: DecoderLimits
    upstreams: tuple[UpstreamSettings, ...]
    """Those that are on."""
    upstreams_off: tuple[UpstreamOff, ...]
    upstream_budgets: Mapping[str, Budget]
    """What may be spent at an upstream, by its name."""
    accounts: tuple[OrgDeclaration, ...]
    limits_on_store_failure: OnStoreFailure
    alerts: AlertsConfig | None
    tracing: TracingConfig | None
    """None: off."""
    log: LogConfig
    usage_callers: bool
    """Whether usage is kept by callers' own users, too."""
    findings: tuple[Finding, ...]
    """What is wrong, or may be, with the catalogue as it is served now."""
    price_origins: tuple[PriceOrigin, ...]
    notes: tuple[str, ...]
    """What an operator should know: settings without effect in this version, models not served, charges below cost."""
    crash_at: str | None = None
    """For tests only: see pipeline/crash_points.py."""

    def beside_database(self, name: str) -> Path:
        """A file of an embedded gateway, in the folder of its database."""
        return self.database.path.with_name(name)

    def listening_on(self, host: str | None, port: int | None) -> "Config":
        """With the command line's host and port; the public URL follows unless it was given."""
        server = replace(self.server, host=host or self.server.host, port=self.server.port if port is None else port)
        if not server.public_url_given:
            server = replace(server, public_url=_local_url(server.host, server.port))
        return replace(self, server=server)

    def summary(self) -> tuple[str, ...]:
        """A few lines for start-up and check-config: which upstream serves what, and every note."""
        kinds = {upstream.name: upstream.kind for upstream in self.upstreams}
        lines = [f"upstream {off.name} is off: {off.reason}" for off in self.upstreams_off]
        if self.path is None and lines:  # built-in ones, for want of their variables: not worth a line each
            names = ", ".join(f"{off.name} ({PROVIDER_VARIABLES[off.name]})" for off in self.upstreams_off)
            lines = [f"upstreams that are off, each until its variable is set: {names}"]
        elif len(lines) > OFF_LINES_MAX:
            lines = [
                f"upstreams that are off, their api_key is empty: {', '.join(off.name for off in self.upstreams_off)}"
            ]
        if self.catalog.models and set(kinds.values()) == {SANDBOX}:
            lines.append(
                "no provider credential found: the sandbox draws every model; set a provider's variable, such as "
                f"{PROVIDER_VARIABLES['openai']}, for real pictures"
            )
        for model in self.catalog.models.values():
            lines.append(f"model {model.name}: {', '.join(offer.id for offer in model.offers)}")
        if not self.catalog.models:
            lines.append("no model is served: every upstream of the catalogue is off")
        return (*lines, *self.notes)


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    *,
    running: Collection[str] | None = None,
    strict: bool = False,
) -> Config:
    """Reads a file, or the built-in defaults where `path` is None. Raises ConfigError with every problem found.

    `strict`: what works and will hurt is a problem, too, and no note: a gateway that serves with it must not be kept from its next start.
    `running`: the catalogue is of these upstreams alone, since others do not run until a restart; None: of all that are on.
    """
    variables = os.environ if environ is None else environ
    problems = Problems()
    raw: Mapping[str, Plain]
    folder = path.parent if path is not None else Path()
    built_in = substitute({**_BUILT_IN, "upstreams": built_in_upstreams(variables)}, variables, folder, problems)
    assert isinstance(built_in, dict)
    if path is None:
        raw = built_in
    else:
        given = read_file(path, variables, problems, "file")
        raw = {"upstreams": built_in["upstreams"]} | {key: value for key, value in given.items() if value is not None}
    file = _check_file(raw, problems)
    now = datetime.fromtimestamp((clock or SystemClock()).now_ms() / 1000, UTC)
    config = _Resolver(file, raw, path, variables, problems, running, strict).resolve(now)
    debugging = variables.get("GATEWAY_DEBUG") == "crash-points"
    return replace(config, crash_at=variables.get("GATEWAY_CRASH_AT") if debugging else None)


def _check_file(raw: Mapping[str, Plain], problems: Problems) -> ConfigFile:
    """The file's form. Where it has problems, the sections without any are kept, so that what is wrong between them is found as well."""
    file = check(ConfigFile, raw, problems)
    if file is None:
        broken = {key.split(".")[0].split("[")[0] for key in problems.found}
        sound = {key: value for key, value in raw.items() if key not in broken}
        file = check(ConfigFile, sound, problems)
    return file or ConfigFile()


@dataclass(slots=True)
class _Resolver:
    """Turns the checked file into a Config, collecting problems and notes on the way."""

    file: ConfigFile
    raw: Mapping[str, Plain]
    path: Path | None
    environ: Mapping[str, str]
    problems: Problems
    running: Collection[str] | None = None
    strict: bool = False
    known_models: tuple[str, ...] = ()
    catalog_path: Path = Path()

    def resolve(self, now: datetime) -> Config:
        file, problems = self.file, self.problems
        upstreams, off = self._upstreams()
        catalog, found = self._catalog(upstreams, now)
        database, blobs = self._database(), blobs_of(file, self.environ, problems)
        state = state_of(file.state, problems)
        accounts = Declarations(catalog, self.known_models, problems).orgs(file.accounts)
        egress, server, alerts = self._egress(), self._server(), self._alerts()
        self._check_file_exists("tracing.ca_file", file.tracing.ca_file)
        tracing, tracing_notes = tracing_of(file.tracing, self.environ, problems)
        short = _short_drain(server, upstreams)
        if short is not None and self.strict:
            problems.found.setdefault(short.key, short)
        problems.raise_if_any()
        assert catalog is not None
        assert egress is not None
        assert database is not None
        markups = {org.name: org.markup for org in accounts if org.markup is not None}
        findings = (
            *found.findings,
            *findings_of_models(catalog.models, upstreams, file.credits_per_usd),
            *findings_of_markups(catalog.models, file.markup, markups),
        )
        return Config(
            path=self.path,
            server=server,
            metrics=MetricsConfig(file.metrics.port, file.metrics.public),
            secret_key=file.secret_key or None,
            admin_token=file.admin_token or None,
            database=database,
            state=state,
            blobs=blobs.folder,
            bucket=blobs.bucket,
            blob_links=blobs.links,
            catalog=catalog,
            catalog_path=self.catalog_path,
            credits_per_usd=file.credits_per_usd,
            markup=file.markup,
            deadline_s=file.deadline,
            lease_s=file.lease,
            egress=egress,
            retention=Retention(
                results_s=round(file.retention.results),
                uploads_s=round(file.retention.uploads),
                tasks_s=round(file.retention.tasks),
                prompts_s=round(file.retention.prompts),
            ),
            cache=cache_of(file.cache, file.retention),
            console=console_of(file.console),
            quota=quota_of(file.files),
            decoder=decoder_limits_of(file.images),
            upstreams=upstreams,
            upstreams_off=off,
            upstream_budgets={name: up.budget for name, up in file.upstreams.items() if up.budget is not None},
            accounts=accounts,
            limits_on_store_failure=file.limits.on_store_failure,
            alerts=alerts,
            tracing=tracing,
            log=log_of(file.log, self.environ),
            usage_callers=file.usage.callers,
            findings=findings,
            price_origins=tuple(found.origins),
            notes=(
                *(finding.text for finding in findings),
                *_notes_without_effect(file),
                *tracing_notes,
                *notes_of_state(file.state, file.database),
                *(() if short is None else (str(short),)),
            ),
        )

    def _upstreams(self) -> tuple[tuple[UpstreamSettings, ...], tuple[UpstreamOff, ...]]:
        on: list[UpstreamSettings] = []
        off: list[UpstreamOff] = []
        for name, section in self.file.upstreams.items():
            options = options_of(section)
            for option in sorted(options.keys() - UPSTREAM_OPTIONS[section.kind]):
                key = join(join("upstreams", name), option)
                self.problems.add(key, options[option], f"is no setting of kind {section.kind}", "Leave it out.")
            check_described(name, section, self.problems)
            self._check_file_exists(join(join("upstreams", name), "ca_file"), section.ca_file)
            if needs_key(section.kind, options) and not section.api_key.strip():
                variable = PROVIDER_VARIABLES.get(name)
                hint = f" (set {variable})" if variable and self.path is None else ""
                off.append(UpstreamOff(name, f"its api_key is empty{hint}", section.kind))
                continue
            if section.base_url is None and section.kind != "task_api" and needs_base_url(section.kind, options):
                what = f"profile {options['profile']}" if "profile" in options else f"kind {section.kind}"
                fix = "Write where it is, such as https://NAME.openai.azure.com or http://10.0.0.5:8080/v1."
                self.problems.add(join(join("upstreams", name), "base_url"), None, f"is required for {what}", fix)
            on.append(settings_of(name, section, options))
        return tuple(on), tuple(off)

    def _catalog(self, upstreams: tuple[UpstreamSettings, ...], now: datetime) -> tuple[Catalog | None, ModelsFound]:
        inline = self.raw.get("models")
        folder = self.path.parent if self.path is not None else Path()
        self.catalog_path = shipped_catalog_path() if self.file.catalog is None else folder / self.file.catalog
        sections = read_models(
            self.catalog_path, inline if isinstance(inline, dict) else {}, self.environ, self.problems
        )
        given = self.raw.get("upstreams")
        usable = [upstream for upstream in upstreams if self.running is None or upstream.name in self.running]
        names = UpstreamNames(
            on=frozenset(upstream.name for upstream in usable),
            sandboxes=frozenset(upstream.name for upstream in usable if upstream.kind == SANDBOX),
            # The built-in names are always known: the shipped catalogue has offers for upstreams that a config leaves out.
            known=frozenset({*BUILT_IN_UPSTREAMS, *(given if isinstance(given, dict) else ())}),
        )
        found = build_models(sections, names, now.date(), self.problems)
        self.known_models = tuple(sorted(found.known))
        if any(
            key.partition(": ")[2].startswith("models") or key.startswith(("models", "catalog"))
            for key in self.problems.found
        ):
            return None, found  # what is said about aliases would be guesswork
        return build_catalog(found, self.file.aliases, self.file.default_model, self.problems), found

    def _server(self) -> ServerConfig:
        server = self.file.server
        if 0 < server.accept_after_term >= server.drain:
            shown = f"{server.accept_after_term:g}s"
            why = f"must be less than server.drain ({server.drain:g}s)"
            self.problems.add("server.accept_after_term", shown, why, "Write a shorter one, or a longer drain.")
        local_url = _local_url(server.host, server.port)
        return ServerConfig(
            host=server.host,
            port=server.port,
            public_url=server.public_url or local_url,
            public_url_given=server.public_url not in (None, local_url),
            drain_s=server.drain,
            accept_after_term_s=server.accept_after_term,
            keep_alive_s=server.keep_alive_bytes,
            trusted_proxies=server.trusted_proxies,
        )

    def _database(self) -> DatabaseUrl | None:
        try:
            url = parse_database_url(self.file.database)
        except ValueError as exc:
            fix = str(exc)
            self.problems.add("database", self.file.database, "is no database URL", fix[0].upper() + fix[1:] + ".")
            return None
        if url.dialect is Dialect.POSTGRESQL and not self.file.secret_key:
            why = "is required with PostgreSQL, where several processes must share it"
            self.problems.add(
                "secret_key", None, why, "Set GATEWAY_SECRET_KEY to a long random text, the same everywhere."
            )
        return url

    def _egress(self) -> EgressPolicy | None:
        egress = self.file.egress
        self._check_file_exists("egress.ca_file", egress.ca_file)
        try:
            return EgressPolicy(egress.allow, egress.allow_http, egress.ports, egress.ca_file)
        except ValueError as exc:
            self.problems.add(
                "egress.allow", egress.allow, str(exc).removeprefix("egress.allow: "), "Write networks or host names."
            )
            return None

    def _alerts(self) -> AlertsConfig | None:
        alerts = self.file.alerts
        if alerts.url is None:
            return None
        scheme = alerts.url.partition(":")[0].lower()
        try:
            check_url(alerts.url, EgressPolicy().for_upstream(alerts.url))
        except (EgressRefused, ValueError):
            scheme = ""
        if scheme not in ("https", "http") or (scheme == "http" and not self.file.egress.allow_http):
            fix = "Write an https URL; with egress.allow_http an http URL is one, too."
            self.problems.add("alerts.url", alerts.url, "is no https URL", fix)
        try:
            secret_bytes(alerts.secret)
        except ValueError:
            why = "is missing" if not alerts.secret else "is no secret of Standard Webhooks"
            fix = "Write whsec_ and 24 to 64 random bytes as base64: echo whsec_$(openssl rand -base64 24)."
            self.problems.add("alerts.secret", alerts.secret or None, why, fix)
        return AlertsConfig(alerts.url, alerts.secret, tuple(sorted(set(alerts.thresholds))))

    def _check_file_exists(self, key: str, path: str | None) -> None:
        if path is not None and not Path(path).is_file():
            self.problems.add(key, path, "there is no such file", "Write the path of a PEM file, or null.")


def _local_url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"


def _short_drain(server: ServerConfig, upstreams: Collection[UpstreamSettings]) -> Problem | None:
    """A call that was sent right before the signal must have its answer, and time to store it."""
    longest = max(upstreams, key=lambda upstream: upstream.timeout_s, default=None)
    if longest is None or server.drain_s >= longest.timeout_s + DRAIN_MARGIN_S:
        return None
    least_s, timeout = longest.timeout_s + DRAIN_MARGIN_S, f"upstreams.{longest.name}.timeout"
    return Problem(
        "server.drain",
        f"{server.drain_s:g}s",
        f"is shorter than the longest upstream timeout ({timeout}, {longest.timeout_s:g}s) and 30s: calls that are paid for would be cut off",
        f"Write {least_s:g}s or more, or a shorter {timeout}.",
    )


def _notes_without_effect(file: ConfigFile) -> list[str]:
    """Settings of the promised interface that this version accepts and does not act on yet."""
    notes = [*blob_notes(file)]
    if file.retention.tasks < file.retention.results:
        notes.append("retention.tasks is shorter than retention.results: pictures and their links go with their tasks")
    if file.cache.ttl > file.retention.results:
        notes.append("cache.ttl is longer than retention.results: no call is answered with pictures that are gone")
    if file.secret_key and len(file.secret_key) < SECRET_KEY_CHARS_MIN:
        notes.append(
            f"secret_key is shorter than {SECRET_KEY_CHARS_MIN} characters: make one with `openssl rand -hex 32`"
        )
    return notes
