"""A task API as data: where things stand in its requests and answers, and what its words mean. One description drives the whole adapter.

Presets are made here in code; an operator writes the same under `task_api:` of an upstream. Everything is bounded, and no address but the
operator's `base_url` can be named: paths are paths. ValidationError names the field.

Texts of `submit.body` may hold placeholders (PLACEHOLDERS). A text that is one placeholder becomes its value; a field whose placeholder has no
value, such as the size of `auto`, is left out. What the template names of OpenAI's parameters is what the upstream understands.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from gateway.domain.catalog import MaskPolarity
from gateway.domain.images import OutputFormat, Quality, parse_ratio
from gateway.domain.sizes import PixelBounds, Ratios, Sizes, Step, listed
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.faults import Row
from gateway.upstreams.options import parse_seconds

PARAMS = frozenset(
    {"quality", "background", "output_format", "output_compression", "moderation", "user", "safety_identifier", "style"}
)
"""OpenAI's optional parameters that a template may name."""
PLACEHOLDERS = PARAMS | {
    "model",
    "prompt",
    "n",
    "size",
    "step",
    "width",
    "height",
    "image_urls",
    "image_url",
    "mask_url",
}
"""`size` is in the upstream's words: a ratio or pixels; `step` is its resolution step; `image_urls` is a list, `image_url` the first of it."""
_PICTURES = frozenset({"image_urls", "image_url"})
BODY_BYTES_MAX = 8_192
IN_TEXT = re.compile(r"\{([a-z_]+)\}")

State = Literal["pending", "done", "failed"]
FaultName = Literal[
    "refused", "bad_request", "credentials", "no_money", "rate_limited", "overloaded", "failed", "no_image"
]


def placeholders(template: object) -> frozenset[str]:
    """The names in all texts of a template."""
    return frozenset(name for text in _texts(template) for name in IN_TEXT.findall(text))


def _texts(template: object) -> Iterator[str]:
    match template:
        case str():
            yield template
        case dict():
            for value in template.values():
                yield from _texts(value)
        case list():
            for value in template:
                yield from _texts(value)


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str | int) else value


def _as_text(value: object) -> object:
    """Numbers and booleans as they are compared with answers."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).lower() if isinstance(value, str | int) else value


def _text_keys(value: object) -> object:
    return {_as_text(key): item for key, item in value.items()} if isinstance(value, Mapping) else value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        seconds = parse_seconds(value)
        if seconds is None:
            raise ValueError("is no duration")
        return seconds
    return value


def _url_path(value: str) -> str:
    if (
        not re.fullmatch(r"(/[\w.~{}:@!$&'()+,;=-]+)+", value, re.ASCII)
        or "/../" in f"{value}/"
        or "/./" in f"{value}/"
    ):
        raise ValueError("is no path below the base URL")
    return value


def _json_path(value: str) -> str:
    if not re.fullmatch(r"[\w-]{1,64}(\.([\w-]{1,64}|\*)){0,9}", value, re.ASCII):
        raise ValueError("is no path of names with dots between them")
    return value


def _json(value: object) -> object:
    """As JSON has it: decimals of the config become numbers."""
    try:
        text = orjson.dumps(value, default=float)
    except TypeError as exc:
        raise ValueError("cannot be written as JSON") from exc
    if len(text) > BODY_BYTES_MAX:
        raise ValueError(f"has more than {BODY_BYTES_MAX} bytes")
    return orjson.loads(text)


def _ratio(value: str) -> str:
    if parse_ratio(value) is None:
        raise ValueError("is no ratio")
    return value


_PATH_FIX = "Write where it stands, such as data.task_id; several are tried in order; * is every item of a list."
_URL_FIX = "Write a path such as /v1/tasks/{task_id}; the host comes from base_url."
_DURATION_FIX = "Write a duration of at most an hour, such as 3s or 500ms."

JsonPath = Annotated[str, AfterValidator(_json_path)]
Paths = Annotated[tuple[JsonPath, ...], BeforeValidator(_as_list), Field(max_length=8)]
Word = Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=100)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_as_list), Field(max_length=50)]
UrlPath = Annotated[str, Field(max_length=200), AfterValidator(_url_path)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.01, le=3600)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,200}$")]
Edge = Annotated[int, Field(ge=1, le=99_999)]


class Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Auth(Described):
    """How the key is presented."""

    header: Header = Field("Authorization", description="Write the header that carries the key, such as x-api-key.")
    prefix: HeaderValue = Field("Bearer ", description='Write what stands before the key, such as "Bearer ", or "".')


class Submit(Described):
    """The POST that makes a task. There is no other method: HTTP clients send an idempotent one again by themselves, and it may be paid twice."""

    path: UrlPath = Field(description=_URL_FIX)
    body: Annotated[dict[str, object], BeforeValidator(_json)] = Field(
        description='Write the JSON body, with placeholders such as {model: "{model}", prompt: "{prompt}"}.'
    )
    extra_in: JsonPath | None = Field(
        None, description="Write the object of the body into which an offer's params and extra go, such as input."
    )
    task_id: Paths = Field(min_length=1, description=_PATH_FIX)

    @model_validator(mode="after")
    def _placeholders_known(self) -> "Submit":
        unknown = placeholders(self.body) - PLACEHOLDERS | placeholders(self.path) - {"model"}
        if unknown:
            names = ", ".join(sorted(PLACEHOLDERS))
            raise ValueError(
                f"has the unknown placeholder {{{min(unknown)}}}; the body may have {names}, the path model"
            )
        if "prompt" not in placeholders(self.body):
            raise ValueError("sends no {prompt}")
        return self


class Poll(Described):
    """The question after a task."""

    path: UrlPath = Field(description=_URL_FIX)
    query: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], HeaderValue] = Field(
        default_factory=dict, max_length=10, description='Write the query, such as {taskId: "{task_id}"}.'
    )
    interval: Seconds = Field(3.0, description=_DURATION_FIX)
    first_after: Seconds = Field(1.0, description=_DURATION_FIX)

    @model_validator(mode="after")
    def _asks_for_the_task(self) -> "Poll":
        names = placeholders(self.path) | placeholders(self.query)
        if "task_id" not in names or names - {"task_id", "model"}:
            raise ValueError("needs {task_id} in its path or query, and may have {model} besides")
        return self


class Cost(Described):
    """Where an ended task says what it took."""

    at: Paths = Field(min_length=1, description=_PATH_FIX)
    usd_per_unit: Annotated[Decimal, Field(gt=0, le=1000)] = Field(
        Decimal(1), description="Write what one of its units is in USD: 1 for dollars, 0.01 for cents."
    )


class Answer(Described):
    """What an answer about a task holds."""

    status: Paths = Field(min_length=1, description=_PATH_FIX)
    statuses: Annotated[dict[Word, State], BeforeValidator(_text_keys)] = Field(
        min_length=2, max_length=50, description="Write what each status means: pending, done or failed."
    )
    results: Paths = Field(min_length=1, description=_PATH_FIX)
    error_code: Paths = Field((), description=_PATH_FIX)
    error_message: Paths = Field((), description=_PATH_FIX)
    cost: Cost | None = Field(None, description="Write {at: data.cost, usd_per_unit: 1}, or leave it out.")

    @model_validator(mode="after")
    def _has_ends(self) -> "Answer":
        if not {"done", "failed"} <= set(self.statuses.values()):
            raise ValueError("names no status that means done, or none that means failed")
        return self


class BodyCode(Described):
    """A code in the body that tells errors apart under HTTP 200. One from 100 to 599 is read as the HTTP status it looks like."""

    at: Paths = Field(min_length=1, description=_PATH_FIX)
    good: Words = Field(("0", "200"), min_length=1, description="Write the codes that are no error, such as [0, 200].")


class ErrorRow(Described):
    """What an error means, by its code or by words in its message; read before the general table."""

    codes: Words = Field((), description="Write codes such as [1401, sensitive].")
    texts: Words = Field((), description="Write words of messages such as [content polic].")
    fault: FaultName = Field(
        description="Write refused, bad_request, credentials, no_money, rate_limited, overloaded, failed or no_image."
    )
    in_doubt: bool = Field(False, description="Write true where such an error may have been billed.")

    @model_validator(mode="after")
    def _matches_something(self) -> "ErrorRow":
        if not self.codes and not self.texts:
            raise ValueError("has neither codes nor texts")
        return self

    def rows(self) -> tuple[Row, ...]:
        fault, billed = Fault(self.fault), Billed.UNKNOWN if self.in_doubt else Billed.NO
        codes, texts = ("|".join(map(re.escape, words)) for words in (self.codes, self.texts))
        by_code = (Row(fault, billed, words=codes),) if codes else ()
        return (*by_code, Row(fault, billed, message=texts)) if texts else by_code


class PixelSizes(Described):
    multiple_of: Edge = Field(1, description="Write what both sides are multiples of, in pixels.")
    edge_min: Edge = Field(1, description="Write the shortest side in pixels.")
    edge_max: Edge = Field(99_999, description="Write the longest side in pixels.")
    area_min: int = Field(1, ge=1, description="Write the smallest area in pixels.")
    area_max: int = Field(99_999**2, ge=1, description="Write the largest area in pixels.")


class SizesDescribed(Described):
    """How sizes are written: exactly one of the first three."""

    listed: tuple[Annotated[str, Field(max_length=20)], ...] = Field(
        (), max_length=100, description="Write the sizes there are, such as [1024x1024, 1536x1024]."
    )
    ratios: tuple[Annotated[str, AfterValidator(_ratio)], ...] = Field(
        (), max_length=100, description='Write the ratios there are, such as ["1:1", "3:2"].'
    )
    pixels: PixelSizes | None = Field(None, description="Write bounds such as {multiple_of: 8, edge_max: 2048}.")
    steps: dict[Annotated[str, Field(min_length=1, max_length=20)], Edge] = Field(
        default_factory=dict,
        max_length=10,
        description="With ratios: write the square's edge by step, such as {1K: 1024}.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> "SizesDescribed":
        if sum(map(bool, (self.listed, self.ratios, self.pixels))) != 1:
            raise ValueError("needs one of listed, ratios and pixels")
        if self.steps and not self.ratios:
            raise ValueError("has steps without ratios")
        self.made()
        return self

    def made(self) -> Sizes:
        if self.pixels is not None:
            return PixelBounds(**self.pixels.model_dump())
        if self.listed:
            return listed(*self.listed)
        steps = tuple(Step(name, edge) for name, edge in self.steps.items())
        return Ratios(self.ratios, steps) if steps else Ratios(self.ratios)


class TaskApi(Described):
    """One vendor's task API."""

    auth: Auth = Field(Auth.model_construct(), description="Write {header: …, prefix: …}.")
    headers: dict[Header, HeaderValue] = Field(
        default_factory=dict, max_length=10, description="Write further headers of every call, such as {X-Version: v2}."
    )
    submit: Submit = Field(description="Write {path: …, body: {…}, task_id: …}.")
    poll: Poll = Field(description="Write {path: /v1/tasks/{task_id}}.")
    answer: Answer = Field(description="Write {status: …, statuses: {…}, results: …}.")
    body_code: BodyCode | None = Field(None, description="Write {at: code, good: [200]}, or leave it out.")
    errors: tuple[ErrorRow, ...] = Field(
        (), max_length=50, description="Write a list of rows such as [{codes: [1401], fault: refused}]."
    )
    failures_are_free: bool = Field(
        False, description="Write true where the vendor says that failed tasks cost nothing, else false."
    )
    n: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (1,), min_length=1, max_length=100, description="Write the counts that one call may ask for, such as [1, 2, 4]."
    )
    sizes: SizesDescribed | None = Field(
        None, description="Write {ratios: […], steps: {…}}, {listed: […]} or {pixels: {…}}; left out, any WxH is sent."
    )
    output_formats: tuple[OutputFormat, ...] = Field(
        (OutputFormat.PNG,), min_length=1, description="Write a list of png, jpeg, webp."
    )
    qualities: tuple[Quality, ...] | None = Field(
        None, min_length=1, description="Write a list of low, medium, high, xhigh, max, or leave it out for all."
    )
    references_max: int = Field(0, ge=0, le=100, description="Write how many reference pictures a call may carry.")
    references_as: Literal["links", "data_urls"] = Field(
        "links", description="Write links, or data_urls where the vendor takes pictures inside the body, too."
    )
    mask: MaskPolarity | None = Field(
        None, description="Write which part of a mask the vendor makes anew, transparent or white, or leave it out."
    )
    links_live: Annotated[float, BeforeValidator(_seconds), Field(gt=0)] | None = Field(
        None, description="Write how many seconds links of results live, such as 86400."
    )
    cancel: UrlPath | None = Field(
        None, description="Write the path of the POST that cancels a task, such as /v1/tasks/{task_id}/cancel."
    )
    check: UrlPath | None = Field(
        None, description="Write the path of a GET that costs nothing and needs the key, or leave it out."
    )

    @field_validator("cancel")
    @classmethod
    def _cancels_the_task(cls, value: str | None) -> str | None:
        names = placeholders(value)
        if value is not None and ("task_id" not in names or names - {"task_id", "model"}):
            raise ValueError("needs {task_id}, and may have {model} besides")
        return value

    @model_validator(mode="after")
    def _pictures_have_a_place(self) -> "TaskApi":
        names = placeholders(self.submit.body)
        if names & _PICTURES and self.references_max == 0:
            raise ValueError("has a place for pictures in submit.body, and takes none: write references_max")
        if ("mask_url" in names) is not (self.mask is not None):
            raise ValueError("has mask without {mask_url} in submit.body, or {mask_url} without mask")
        return self

    @property
    def references(self) -> int:
        """How many pictures a call really carries: none where the template has no place for them."""
        names = placeholders(self.submit.body)
        return self.references_max if "image_urls" in names else min(self.references_max, 1 if names & _PICTURES else 0)

    @property
    def params(self) -> frozenset[str]:
        """OpenAI's parameters that the template sends on."""
        return placeholders(self.submit.body) & PARAMS

    def rows(self) -> tuple[Row, ...]:
        return tuple(row for error in self.errors for row in error.rows())
