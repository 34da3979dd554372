"""The sections about what the gateway says of itself as it works: where traces go, and how log lines look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from gateway.config_sections import HttpUrl, OrNone, Section
from gateway.config_text import Problems

EXTRA = "image-gateway[otel]"
_PATH = "/v1/traces"
_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Incoming(StrEnum):
    """What a caller's `traceparent` is taken for."""

    FOLLOW = "follow"  # the parent of the call's trace, and it decides whether the call is recorded
    LINK = "link"  # each call begins a trace of its own, which names the caller's


class LogFormat(StrEnum):
    AUTO = "auto"  # text where the lines go to a terminal, else JSON
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"  # without the lines of requests
    ERROR = "error"


def _without_login(value: str) -> str:
    if "@" in urlsplit(value).netloc:
        raise ValueError("has a login in it, which would show in logs")
    return value


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,4096}$")]


class TracingSection(Section):
    endpoint: Annotated[Annotated[HttpUrl, AfterValidator(_without_login)] | None, OrNone] = Field(
        None,
        description="Write the collector's URL for OTLP over HTTP, such as http://collector:4318, its login under tracing.headers; or leave it out.",
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        description='Write what the collector is sent besides, such as {authorization: "Bearer ${COLLECTOR_TOKEN}"}.',
    )
    ca_file: Annotated[str | None, OrNone] = Field(None, description="Write the path of a PEM file, or null.")
    sample: Annotated[Annotated[Decimal, Field(ge=0, le=1)] | None, OrNone] = Field(
        None, description="Write the share of traces that is recorded, 0 to 1, or leave it out."
    )
    incoming: Incoming = Field(Incoming.FOLLOW, description="Write follow or link.")
    service: Annotated[str | None, OrNone] = Field(
        None, min_length=1, max_length=128, description="Write this service's name in traces, or leave it out."
    )


class LogSection(Section):
    format: LogFormat = Field(LogFormat.AUTO, description="Write auto, json or text.")
    level: LogLevel = Field(LogLevel.INFO, description="Write debug, info, warning or error.")


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """Tracing is on."""

    endpoint: str | None
    """Whole, with its path; None: the standard variables say it."""
    headers: Mapping[str, str] = field(repr=False)
    ca_file: str | None
    sample: float | None
    follow: bool
    service: str | None


@dataclass(frozen=True, slots=True)
class LogConfig:
    format: LogFormat
    level: LogLevel
    colours: bool
    """Whether a terminal may be written to in colours."""


def tracing_of(
    section: TracingSection, environ: Mapping[str, str], problems: Problems
) -> tuple[TracingConfig | None, tuple[str, ...]]:
    """None: it is off. And notes. A collector that the variables alone name keeps no gateway from its start: they may be everybody's."""
    by_variable = next((name for name in _VARIABLES if environ.get(name, "").strip()), None)
    if section.endpoint is None and by_variable is None:
        return None, ()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None, ("tracing is off: OTEL_SDK_DISABLED is true",)
    if section.endpoint is None and environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() not in ("otlp", ""):
        return None, ("tracing is off: OTEL_TRACES_EXPORTER is not otlp",)
    if not is_installed():
        if section.endpoint is None:
            return None, (f"tracing is off: {by_variable} is set, but {EXTRA} is not installed",)
        fix = f'Install them: pip install "{EXTRA}", or leave the section tracing out.'
        problems.add("tracing.endpoint", section.endpoint, "needs optional packages that are not installed", fix)
        return None, ()
    endpoint = section.endpoint
    if endpoint is not None and not endpoint.endswith(_PATH):
        endpoint += _PATH
    sample = None if section.sample is None else float(section.sample)
    follow = section.incoming is Incoming.FOLLOW
    return TracingConfig(endpoint, section.headers, section.ca_file, sample, follow, section.service), ()


def is_installed() -> bool:
    """Whether the optional packages are here; imports none of them."""
    try:
        return bool(find_spec("opentelemetry.sdk.trace") and find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:
        return False


def log_of(section: LogSection, environ: Mapping[str, str]) -> LogConfig:
    """No colours where NO_COLOR says so (https://no-color.org), or the terminal has none."""
    colours = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return LogConfig(section.format, section.level, colours)
