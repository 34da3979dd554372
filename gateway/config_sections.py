"""The sections of the config file: which keys each has, of which type, with which defaults. Every field's description is the fix an error names.

Knows nothing of the environment, of files, or of what the values mean together (config.py and config_catalog.py do).
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from gateway.config_accounts import LimitFields
from gateway.config_text import parse_duration_s
from gateway.domain.accounts import Budget, Unit, parse_budget, parse_expiry
from gateway.domain.catalog import REFERENCE_TOKENS_MAX, MaskPolarity, OnUnknown
from gateway.domain.images import Contract, Quality
from gateway.keys.secrets import SECRET_CHARS_MAX, SECRET_CHARS_MIN, is_mistyped
from gateway.limits.outage import OnStoreFailure
from gateway.upstreams.openai_profiles import PROFILES
from gateway.upstreams.registry import KINDS
from gateway.upstreams.task_description import TaskApi
from gateway.webhooks.signing import any_secret_bytes


def _counts(value: object) -> object:
    """`{max: 10}` means 1 to 10."""
    if isinstance(value, dict) and set(value) == {"max"} and isinstance(value["max"], int) and 0 < value["max"] <= 100:
        return list(range(1, value["max"] + 1))
    return value


def json_text(value: object) -> str:
    """As JSON, so that a number stays a number where it is sent."""
    return orjson.dumps(value, default=float).decode()


def text_of_any(value: object) -> object:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def option_duration(value: object) -> str:
    if parse_duration_s(value) > 3600 or str(value).endswith(("h", "d")):
        raise ValueError("is no duration of at most an hour in ms, s or m")
    return str(value)


def usd_budget(value: object) -> Budget:
    """What we may spend at an upstream is counted in USD alone."""
    budget = parse_budget(str(value))
    if budget.unit is not Unit.USD:
        raise ValueError("is no budget in USD")
    return budget


def expiry(value: object) -> int:
    return parse_expiry(str(value))


def http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is no http or https URL")
    return value.rstrip("/")


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is no address or network ({exc})") from exc
    return value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"is no kind of upstream in this version; there are {', '.join(KINDS)}")
    return value


def _profile(value: str) -> str:
    if value not in PROFILES:
        raise ValueError(f"is no profile; there are {', '.join(PROFILES)}")
    return value


def _timezone(value: str) -> str:
    try:
        if value != "UTC":  # known without a time zone database
            ZoneInfo(value)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError("is no time zone") from exc
    return value


def _callback_secret(value: str) -> str:
    if len(value) > SECRET_CHARS_MAX or not value.isprintable():
        raise ValueError(f"is longer than {SECRET_CHARS_MAX} characters, or has line breaks or control characters")
    try:
        any_secret_bytes(value)
    except ValueError:
        raise ValueError("begins with whsec_, but is no secret of Standard Webhooks") from None
    return value


def _secret(value: str) -> str:
    if len(value.strip()) < SECRET_CHARS_MIN:
        raise ValueError(f"is shorter than {SECRET_CHARS_MIN} characters")
    if len(value) > SECRET_CHARS_MAX or not value.isprintable():
        raise ValueError(f"is longer than {SECRET_CHARS_MAX} characters, or has line breaks or control characters")
    if is_mistyped(value.strip()):
        raise ValueError("looks like a key made by this gateway, with a typing error in it")
    return value


def _names(value: str) -> str:
    if not 0 < len(value) <= 64 or value != value.strip() or "/" in value or not value.isprintable():
        raise ValueError("is no name")
    return value


Duration = Annotated[float, BeforeValidator(parse_duration_s)]
Positive = Annotated[Decimal, Field(gt=0, le=1_000_000)]
Usd = Annotated[Decimal, Field(ge=0, le=1000)]
OrNone = BeforeValidator(lambda value: None if value == "" else value)
HttpUrl = Annotated[str, AfterValidator(http_url)]
AccountBudget = Annotated[Budget, PlainValidator(lambda value: parse_budget(str(value)))]
Name = Annotated[str, BeforeValidator(lambda value: _names(value) if isinstance(value, str) else value)]
OptionDuration = Annotated[str, BeforeValidator(option_duration)]
ParamText = Annotated[str, BeforeValidator(text_of_any)]
ExtraText = Annotated[str, BeforeValidator(json_text), Field(max_length=2_000)]

DURATION_FIX = "Write a duration such as 240s, 5m, 24h or 30d."
_BUDGETS_FIX = "Write a list such as [20usd/day, 500credits/month]: AMOUNT(usd|credits|images)/(day|week|month|total)."
_NAME_FIX = "Write a name of 1 to 64 characters without a slash or spaces around it."


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSection(Section):
    host: str = Field(
        "127.0.0.1", min_length=1, description="Write the address to listen on: 127.0.0.1, or 0.0.0.0 for all."
    )
    port: int = Field(
        8080, ge=0, le=65_535, description="Write a port number from 1 to 65535 (0 lets the system choose)."
    )
    public_url: Annotated[HttpUrl | None, OrNone] = Field(
        None,
        description="Write the URL that callers use, such as https://images.example.com, without a path's final slash.",
    )
    drain: Duration = Field(240.0, description=DURATION_FIX)
    accept_after_term: Duration = Field(1.0, description="Write a duration below server.drain, such as 1s.")
    keep_alive_bytes: Annotated[Annotated[Duration, Field(ge=1, le=300)] | None, OrNone] = Field(
        None, description="Write a duration from 1s to 5m, such as 20s, or null for none."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Write a list of addresses or networks such as [10.0.0.0/8]."
    )


class MetricsSection(Section):
    port: Annotated[int | None, OrNone] = Field(
        None, ge=1, le=65_535, description="Write a port number, or null for /metrics on the main port."
    )
    public: bool = Field(False, description="Write true or false.")


class EgressSection(Section):
    allow: tuple[str, ...] = Field(
        (), description="Write a list of networks or host names such as [10.1.0.0/16, minio.internal]."
    )
    allow_http: bool = Field(False, description="Write true or false.")
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = Field(
        (443,), min_length=1, description="Write a list of port numbers such as [443]."
    )
    ca_file: Annotated[str | None, OrNone] = Field(None, description="Write the path of a PEM file, or null.")


class RetentionSection(Section):
    results: Duration = Field(86_400.0, gt=0, description=DURATION_FIX)
    uploads: Duration = Field(259_200.0, gt=0, description=DURATION_FIX)
    tasks: Duration = Field(2_592_000.0, gt=0, description=DURATION_FIX)
    prompts: Duration = Field(86_400.0, ge=0, description=DURATION_FIX)


class QueueSection(Section):
    max: int = Field(10_000, ge=1, le=100_000, description="Write the most tasks that wait for a place, 1 to 100000.")
    wait: Duration = Field(5.0, ge=0, description=DURATION_FIX)


class UpstreamSection(Section):
    kind: Annotated[str, AfterValidator(_kind)] = Field(description="Write the kind of upstream, such as kind: openai.")
    base_url: Annotated[HttpUrl | None, OrNone] = Field(
        None, description="Write the API's base URL, such as https://api.openai.com/v1."
    )
    api_key: str = Field(
        "",
        description="Write the provider's key as text, best as ${NAME:-}; empty turns the upstream off, unless it needs none.",
    )
    timeout: Duration = Field(180.0, gt=0, description=DURATION_FIX)
    connect_timeout: Duration = Field(5.0, gt=0, description=DURATION_FIX)
    concurrency: int = Field(64, ge=1, le=10_000, description="Write the most calls in flight, 1 to 10000.")
    queue: QueueSection = Field(default_factory=QueueSection, description="Write {max: 10000, wait: 5s}.")
    on_unknown: OnUnknown | None = Field(None, description="Write stop or next.")
    budget: Annotated[Budget, PlainValidator(usd_budget)] | None = Field(
        None, description="Write AMOUNTusd/(day|week|month|total), such as 500usd/month."
    )
    proxy: Annotated[HttpUrl | None, OrNone] = Field(
        None, description="Write a proxy's URL such as http://proxy:3128, or null."
    )
    ca_file: Annotated[str | None, OrNone] = Field(None, description="Write the path of a PEM file, or null.")
    # What only one kind understands, handed on as text: UPSTREAM_OPTIONS.
    latency: OptionDuration | None = Field(
        None, description="For kind sandbox: write how long a drawing takes, such as 200ms."
    )
    failure_rate: Annotated[Decimal, Field(ge=0, le=1)] | None = Field(
        None, description="For kind sandbox: write the share of calls that fail, 0 to 1."
    )
    poll_interval: OptionDuration | None = Field(
        None, description="For kinds that poll: write the time between two polls, such as 3s."
    )
    credits_per_usd: Positive | None = Field(
        None, description="For kind evolink: write how many of its credits one USD is."
    )
    mask: MaskPolarity | None = Field(
        None, description="For kind evolink: write which part of a mask it makes anew, transparent or white."
    )
    files_url: HttpUrl | None = Field(
        None,
        description="For kind evolink: write the address of its file service, such as https://files-api.evolink.ai.",
    )
    profile: Annotated[str, AfterValidator(_profile)] | None = Field(
        None,
        description="For kind openai: write whose copy of OpenAI's API it is, such as together; leave it out for OpenAI.",
    )
    surface: Literal["deployments", "v1"] | None = Field(None, description="For kind azure: write deployments or v1.")
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,39}$")] | None = Field(
        None,
        description="For kind azure: write the api-version of deployments' paths, such as 2025-04-01-preview; for kind gemini v1beta or v1.",
    )
    params: str | None = Field(
        None, description="For kinds openai and azure: write the parameters understood, such as quality,user."
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="For kind openai: write b64_json or url."
    )
    task_api: TaskApi | None = Field(
        None, description="For kind task_api: write what its API is like: {submit: …, poll: …, answer: …}."
    )


UPSTREAM_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "azure": ("api_version", "params", "surface"),
    "openai": ("params", "profile", "response_format"),
    "evolink": ("poll_interval", "credits_per_usd", "mask", "files_url"),
    "fal": ("poll_interval",),
    "replicate": ("poll_interval",),
    "gemini": ("api_version",),
    "a1111": (),
    "apimart": ("poll_interval",),
    "kie": ("poll_interval",),
    "task_api": ("poll_interval", "task_api"),
    "sandbox": ("latency", "failure_rate"),
}


class TableRowSection(Section):
    size: str | None = Field(None, description="Write a size such as 1024x1024, or leave it out for every size.")
    quality: Quality | None = Field(None, description="Write a quality such as low, or leave it out for every quality.")
    step: str | None = Field(
        None, description="Write the upstream's resolution step, such as 2K, or leave it out for all."
    )
    usd: Usd = Field(description="Write the price of one picture in USD.")


class TokensSection(Section):
    text_in: Usd = Field(description="Write USD per million text input tokens.")
    image_in: Usd = Field(description="Write USD per million image input tokens.")
    image_out: Usd = Field(description="Write USD per million image output tokens.")
    image_out_tokens_max: int = Field(
        ge=1, le=1_000_000, description="Write the most output tokens of one picture: it is held for."
    )
    image_out_tokens: dict[str, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict,
        description="Write the output tokens of one picture by resolution step, such as {1K: 1120, 4K: 2000}.",
    )
    text_out: Usd = Field(Decimal(0), description="Write USD per million text output tokens, thoughts included.")
    text_out_tokens_max: int = Field(
        0, ge=0, le=1_000_000, description="Write the most text output tokens of one call: they are held for."
    )
    own_tokenizer: bool = Field(
        False,
        description="Write true where the upstream counts a prompt's tokens in its own way: its bytes are held for.",
    )
    image_in_tokens_max: int = Field(
        REFERENCE_TOKENS_MAX,
        ge=0,
        le=1_000_000,
        description="Write the most input tokens of one reference picture: they are held for.",
    )


PRICE_FORMS = ("per_image_usd", "per_megapixel_usd", "table", "formula", "tokens")
_COST_FIX = f"Write one of {', '.join(PRICE_FORMS)}, such as cost: {{per_image_usd: 0.02}}."


class CostSection(Section):
    per_image_usd: Usd | None = Field(None, description="Write USD per picture, such as 0.0208.")
    per_megapixel_usd: Usd | None = Field(None, description="Write USD per million pixels.")
    whole_megapixels: bool = Field(
        False, description="Write true where the upstream charges every begun 1024x1024; only with per_megapixel_usd."
    )
    table: tuple[TableRowSection, ...] | None = Field(
        None, min_length=1, description="Write a list of rows such as [{size: 1024x1024, quality: low, usd: 0.005}]."
    )
    formula: str | None = Field(None, description="Write the name of a published formula, such as gpt-image-2.")
    round_up_usd: Annotated[Decimal, Field(gt=0, le=1)] | None = Field(
        None, description="Write the step in USD to which the upstream rounds a picture's price up; only with formula."
    )
    tokens: TokensSection | None = Field(
        None, description="Write {text_in, image_in, image_out, image_out_tokens_max}."
    )
    per_reference_usd: Usd = Field(
        Decimal(0),
        description="Write USD that each reference picture of an edit adds to a picture; only with per_image_usd, per_megapixel_usd and table.",
    )
    source: str | None = Field(None, description="Write where the price was read.")
    as_of: date | None = Field(None, description="Write the day on which the price was read, such as 2026-11-23.")

    @model_validator(mode="after")
    def _one_form(self) -> "CostSection":
        given = [name for name in PRICE_FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"names {' and '.join(given) or 'no price'}")
        if self.whole_megapixels and self.per_megapixel_usd is None:
            raise ValueError("has whole_megapixels without per_megapixel_usd")
        if self.round_up_usd is not None and self.formula is None:
            raise ValueError("has round_up_usd without formula")
        if self.per_reference_usd and (self.formula is not None or self.tokens is not None):
            raise ValueError("has per_reference_usd with a price by tokens, which counts references itself")
        return self


class OfferSection(Section):
    upstream: str = Field(description="Write the name of an upstream.")
    model: str = Field(min_length=1, description="Write the upstream's name for the model.")
    params: dict[str, ParamText] = Field(
        default_factory=dict, description="Write fixed parameters such as {quality: medium}."
    )
    extra: dict[str, ExtraText] = Field(
        default_factory=dict,
        max_length=20,
        description="Write what only this upstream knows, by its own names, such as {num_inference_steps: 4}.",
    )
    cost: CostSection = Field(description=_COST_FIX)
    on_unknown: OnUnknown | None = Field(None, description="Write stop or next.")
    n_max: int | None = Field(None, ge=1, le=100, description="Write the most pictures that one call may ask for.")


class ChargeSection(Section):
    credits: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)] = Field(
        description="Write the credits that one picture costs the caller, such as 1.5."
    )


class SizeRangeSection(Section):
    multiple_of: int = Field(ge=1, description="Write what both sides are multiples of, in pixels.")
    ratio_max: int = Field(ge=1, description="Write the largest ratio of the long to the short side.")
    edge_max: int = Field(ge=1, le=99_999, description="Write the longest side in pixels.")
    area_min: int = Field(ge=1, description="Write the smallest area in pixels.")
    area_max: int = Field(ge=1, description="Write the largest area in pixels.")


class ModelSection(Section):
    response: Contract = Field(Contract.IMAGE, description="Write task or image.")
    prompt_tokens_max: int = Field(ge=1, le=1_000_000, description="Write the longest prompt in tokens, such as 2000.")
    sizes: tuple[str, ...] = Field(min_length=1, description="Write a list of sizes such as [auto, 1024x1024, 2:3].")
    size_range: SizeRangeSection | None = Field(
        None,
        description="Write {multiple_of, ratio_max, edge_max, area_min, area_max} for any size within, or leave it out.",
    )
    qualities: tuple[Quality, ...] = Field(
        (Quality.AUTO, Quality.LOW, Quality.MEDIUM, Quality.HIGH),
        min_length=1,
        description="Write a list of auto, low, medium, high, xhigh, max.",
    )
    n: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], BeforeValidator(_counts)] = Field(
        (1,), min_length=1, description="Write a list such as [1, 2, 4], or {max: 10}."
    )
    image_urls_max: int = Field(0, ge=0, le=16, description="Write the most reference pictures, 0 to 16.")
    convert: bool = Field(
        False,
        description="Write true to have this gateway convert pictures where an upstream makes another format, or false.",
    )
    cache: bool = Field(True, description="Write false where no two calls are to share its pictures, or true.")
    estimated_time: Duration = Field(30.0, gt=0, description="Write the usual seconds of one picture, such as 45.")
    charge: ChargeSection | None = Field(
        None, description="Write a fixed charge such as {credits: 1.5}, or leave it out."
    )
    markup: Positive | None = Field(None, description="Write a factor above 0, such as 1.2.")
    created_at: date | None = Field(
        None, description="Write the day on which the model became known, such as 2026-04-21."
    )
    owned_by: str = Field(
        "gateway", min_length=1, description="Write who owns the model, as `GET /v1/models` should say."
    )
    until: date | None = Field(None, description="Write the first day on which the model is no longer served.")
    offers: tuple[OfferSection, ...] = Field(
        min_length=1,
        description="Write a list of offers such as [{upstream: openai, model: gpt-image-2, cost: {formula: gpt-image-2}}].",
    )


class KeySection(LimitFields, Section):
    name: Name = Field(description=_NAME_FIX)
    secret: Annotated[str, AfterValidator(_secret)] = Field(
        description="Write the key as text of at least 8 characters, best as ${NAME}; put a number in quotes."
    )
    budgets: tuple[AccountBudget, ...] = Field((), description=_BUDGETS_FIX)
    response: Contract | None = Field(None, description="Write task or image, or leave it out.")
    expires: Annotated[int, BeforeValidator(expiry)] | None = Field(
        None,
        description="Write the first day (in UTC) or moment on which it is refused: 2027-01-31, 2027-01-31T18:00:00Z.",
    )
    choose_upstream: bool = Field(False, description="Write true where its calls may choose upstreams, or false.")
    cache: bool = Field(True, description="Write false where its calls are not to share pictures, or true.")
    callback_secret: Annotated[str, Field(min_length=8), AfterValidator(_callback_secret)] | None = Field(
        None, description="Write whsec_ and 24 to 64 bytes as base64, or any other text of at least 8 characters."
    )


class TeamSection(LimitFields, Section):
    team: Name = Field(description=_NAME_FIX)
    budgets: tuple[AccountBudget, ...] = Field((), description=_BUDGETS_FIX)
    timezone: Annotated[str, AfterValidator(_timezone)] | None = Field(
        None, description="Write a time zone's name such as Europe/Berlin, or leave it out for the org's."
    )
    keys: tuple[KeySection, ...] = Field((), description="Write a list of keys, each with name and secret.")


class OrgSection(LimitFields, Section):
    org: Name = Field(description=_NAME_FIX)
    budgets: tuple[AccountBudget, ...] = Field((), description=_BUDGETS_FIX)
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "UTC", description="Write a time zone's name such as Europe/Berlin."
    )
    markup: Positive | None = Field(None, description="Write a factor above 0, such as 1.2.")
    teams: tuple[TeamSection, ...] = Field((), description="Write a list of teams, each with team and keys.")
    keys: tuple[KeySection, ...] = Field((), description="Write a list of keys, each with name and secret.")


class LimitsSection(Section):
    on_store_failure: OnStoreFailure = Field(OnStoreFailure.ALLOW, description="Write allow or refuse.")


class AlertsSection(Section):
    url: Annotated[str | None, OrNone] = Field(
        None, description="Write the https URL that is told when a budget is nearly used up, or leave it out."
    )
    secret: str = Field(
        "", description="Write what alerts are signed with, best as ${NAME}: whsec_ and at least 24 bytes as base64."
    )
    thresholds: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (50, 80, 100), min_length=1, max_length=10, description="Write percentages such as [50, 80, 100]."
    )


class UsageSection(Section):
    callers: bool = Field(False, description="Write true to keep usage by callers' own users, hashed, or false.")
