"""The config file as a whole, and how what is wrong in it is said: key, value, why, fix. A key that is not here is an error."""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from gateway.config_blobs import DEFAULT_BLOBS, BlobLinks
from gateway.config_cache import CacheSection
from gateway.config_console import ConsoleSection
from gateway.config_pictures import FilesSection, ImagesSection
from gateway.config_sections import (
    DURATION_FIX,
    AlertsSection,
    Duration,
    EgressSection,
    HttpUrl,
    LimitsSection,
    MetricsSection,
    Name,
    OrgSection,
    OrNone,
    Positive,
    RetentionSection,
    Section,
    ServerSection,
    UpstreamSection,
    UsageSection,
)
from gateway.config_socket import DEFAULT_DATABASE
from gateway.config_text import Plain, Problems, join
from gateway.config_tracing import LogSection, TracingSection


class ConfigFile(Section):
    server: ServerSection = Field(ServerSection.model_construct(), description="Write server: {host: …, port: …}.")
    metrics: MetricsSection = Field(
        MetricsSection.model_construct(), description="Write metrics: {port: …, public: …}."
    )
    secret_key: str = Field(
        "", description="Write a long random text, best as ${GATEWAY_SECRET_KEY}; put a number in quotes."
    )
    database: str = Field(
        DEFAULT_DATABASE, description="Write sqlite:///var/gateway.db or postgresql://user:pass@host/db."
    )
    state: str = Field("memory", description="Write memory or redis://host:6379/0.")
    blobs: str = Field(DEFAULT_BLOBS, description="Write file:///var/images, or a bucket such as s3://BUCKET/FOLDER.")
    s3_endpoint: Annotated[HttpUrl | None, OrNone] = Field(
        None, description="Write the URL of the object storage, such as https://minio:9000, or leave it out."
    )
    s3_region: Annotated[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None, OrNone] = Field(
        None, description="Write the bucket's region, such as eu-central-1, or leave it out for that of AWS_REGION."
    )
    s3_path_style: Annotated[bool | None, OrNone] = Field(
        None, description="Write true for the bucket in the path of URLs, false for their host, or leave it out."
    )
    blob_links: BlobLinks = Field(BlobLinks.GATEWAY, description="Write gateway or presigned.")
    catalog: Annotated[str | None, OrNone] = Field(
        None,
        description="Write the path of a catalogue, relative to the config file, or leave it out for the shipped one.",
    )
    credits_per_usd: Positive = Field(Decimal(72), description="Write how many credits one USD is, such as 72.")
    markup: Positive = Field(Decimal(1), description="Write a factor above 0, such as 1.0.")
    deadline: Duration = Field(240.0, ge=1, description=DURATION_FIX)
    lease: Duration = Field(45.0, ge=2, le=3600, description="Write a duration from 2s to 1h, such as 45s.")
    admin_token: str = Field(
        "", description="Write a long random text, best as ${GATEWAY_ADMIN_TOKEN:-}; put a number in quotes."
    )
    default_model: Annotated[str | None, OrNone] = Field(None, description="Write the name of a model.")
    egress: EgressSection = Field(
        EgressSection.model_construct(), description="Write egress: {allow: […], ports: […]}."
    )
    limits: LimitsSection = Field(
        LimitsSection.model_construct(), description="Write limits: {on_store_failure: allow}."
    )
    alerts: AlertsSection = Field(AlertsSection.model_construct(), description="Write alerts: {url: …, secret: …}.")
    tracing: TracingSection = Field(
        TracingSection.model_construct(), description="Write tracing: {endpoint: …, sample: …}."
    )
    log: LogSection = Field(LogSection.model_construct(), description="Write log: {format: auto, level: info}.")
    usage: UsageSection = Field(UsageSection.model_construct(), description="Write usage: {callers: false}.")
    cache: CacheSection = Field(CacheSection.model_construct(), description="Write cache: {enabled: true, ttl: 24h}.")
    console: ConsoleSection = Field(
        ConsoleSection.model_construct(), description="Write console: {enabled: true, idle: 8h, absolute: 7d}."
    )
    models: dict[str, object] = Field(
        default_factory=dict, description="Write the models by name, as in the shipped catalogue."
    )
    aliases: dict[str, str] | None = Field(None, description="Write aliases: {old-name: model}.")
    retention: RetentionSection = Field(
        RetentionSection.model_construct(), description="Write retention: {results: 24h}."
    )
    files: FilesSection = Field(FilesSection.model_construct(), description="Write files: {quota: {mb: …, files: …}}.")
    images: ImagesSection = Field(
        ImagesSection.model_construct(), description="Write images: {workers: …, pixels: …, memory: …, timeout: …}."
    )
    upstreams: dict[Name, UpstreamSection] = Field(
        default_factory=dict, description="Write upstreams: {name: {kind: …, api_key: …}}."
    )
    accounts: tuple[OrgSection, ...] = Field((), description="Write a list of orgs, each with org, teams and keys.")


S = TypeVar("S", bound=Section)


def check(schema: type[S], data: Mapping[str, Plain], problems: Problems, prefix: str = "") -> S | None:
    """The checked section, or None with every problem added under `prefix`."""
    try:
        return schema.model_validate(data)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            _report(schema, error["type"], error["loc"], error["msg"], _at(data, error["loc"]), problems, prefix)
        return None


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """`Did you mean X? Known are: …` for a fix."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"Did you mean {close[0]}? " if close else "") + f"Known are: {', '.join(known)}."


def _report(
    schema: type[Section],
    kind: str,
    loc: tuple[int | str, ...],
    message: str,
    value: object,
    problems: Problems,
    prefix: str,
) -> None:
    key = prefix
    for part in loc:
        if part != "[key]":
            key = join(key, part)
    hint, siblings = _hint(schema, loc)
    if kind == "extra_forbidden":
        problems.add(
            key,
            None if isinstance(value, dict | list) else value,
            "is no key of this section",
            nearest(str(loc[-1]), siblings),
        )
    elif kind == "missing":
        problems.add(key, None, "is missing", hint)
    else:
        why = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
        problems.add(key, value, why, hint)


def _at(data: Mapping[str, Plain], loc: tuple[int | str, ...]) -> object:
    """The value as the operator wrote it; None where there is none."""
    current: object = data
    for part in loc:
        if part == "[key]":
            return loc[-2]
        if isinstance(current, Mapping):
            current = current.get(str(part))
        else:
            current = current[part] if isinstance(current, list) and isinstance(part, int) else None
    return current


def _hint(schema: type[Section], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The description of the field at (or nearest above) a place, and the names of its section's fields."""
    current: Any = schema
    hint, siblings = "Correct it.", list(schema.model_fields)
    for part in loc:
        current = _stripped(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            siblings = list(current.model_fields)
            info = current.model_fields.get(str(part))
            if info is None:
                break
            hint, current = info.description or hint, info.annotation
        else:
            current = get_args(current)[1 if get_origin(current) is dict else 0] if get_args(current) else None
    return hint, siblings


def _stripped(annotation: Any) -> Any:
    """Without Annotated and `| None`."""
    while True:
        if get_origin(annotation) is Annotated or type(None) in get_args(annotation):
            annotation = next(item for item in get_args(annotation) if item is not type(None))
        else:
            return annotation
