"""The body of `POST /v1/images/generations`, for both contracts: every parameter of OpenAI's SDK and of the task contract. Most of it is that of
every call that makes pictures.

Types and enumerations are checked here; what depends on a model (sizes, n, prompt length) is checked by admission. Null means absent, as
in OpenAI's contract. Unknown fields are tolerated, because real clients send many, and reported as dropped.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.api.body import JsonObject
from gateway.api.contract import BodyHints
from gateway.api.errors import error_of_validation
from gateway.domain.errors import InvalidRequest, UnsupportedParameter
from gateway.domain.files import INPUTS_MAX, MASK_BYTES_MAX, URL_BYTES_MAX
from gateway.domain.images import Operation, ResponseFormat
from gateway.pipeline.admission import RequestDraft

_LEGACY_QUALITIES = {"standard": "medium", "hd": "high"}
_DROPPED_MAX = 20
_PLAIN = frozenset({"prompt", "model", "n", "size", "quality", "response_format"})
"""What most bodies have alone: nothing in them to refuse, to pass on as an option, or to drop."""
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.\-\[\]]")


class SvgReasoning(BaseModel):
    effort: str | None = None


class Svg(BaseModel):
    model: str | None = None
    reasoning: SvgReasoning | None = None


class DrawingBody(BaseModel):
    """The parameters of every call that makes pictures."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: Annotated[
        str | None, Field(max_length=200, description="A model of GET /v1/models; the configured default where absent.")
    ] = None
    n: Annotated[
        int | None,
        Field(ge=1, le=10, description="How many pictures; the counts allowed depend on the model. 1 where absent."),
    ] = None
    size: Annotated[
        str | None,
        Field(
            max_length=32,
            description="`auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.",
        ),
    ] = None
    quality: Annotated[
        Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None,
        Field(description="`standard` means medium and `hd` high."),
    ] = None
    background: Annotated[
        Literal["auto", "opaque", "transparent"] | None, Field(description="`transparent` needs png or webp.")
    ] = None
    moderation: Literal["low", "auto"] | None = None
    output_format: Annotated[
        Literal["png", "webp", "jpeg", "gif", "svg"] | None, Field(description="gif and svg are not served.")
    ] = None
    output_compression: Annotated[int | None, Field(ge=0, le=100, description="Only with webp and jpeg.")] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None, Field(description="What an item carries; both where absent.")
    ] = None
    user: str | None = None
    safety_identifier: str | None = None
    style: str | None = None
    complexity: Literal["low", "medium", "high"] | None = None
    input_fidelity: Annotated[
        Literal["low", "high"] | None, Field(description="How closely an edit keeps to its pictures; advisory.")
    ] = None
    seed: Annotated[
        int | None,
        Field(
            ge=0,
            le=2**31 - 1,
            description="Ours: for the same picture again, from upstreams that take one and make all pictures in one call.",
        ),
    ] = None
    stream: Annotated[
        bool | None,
        Field(description="The answer is a stream of server-sent events: partial pictures, then the finished ones."),
    ] = None
    partial_images: Annotated[
        int | None,
        Field(
            ge=0, le=3, description="With `stream`: how many partial pictures to send, where the upstream makes any."
        ),
    ] = None
    frame_count: Annotated[int | None, Field(description="Only for gif, so it is dropped.")] = None
    frame_duration_ms: Annotated[int | None, Field(description="Only for gif, so it is dropped.")] = None
    svg: Annotated[Svg | None, Field(description="Only for svg, so it is dropped.")] = None
    callback_url: Annotated[
        str | None,
        Field(
            description="A public https URL of at most 2048 characters that is told the task's end by a signed POST. "
            "The answer is a task then."
        ),
    ] = None


class GenerationBody(DrawingBody):
    """A text-to-image call, or an edit of pictures behind links."""

    model_config = ConfigDict(title="ImageGeneration")

    prompt: Annotated[
        str,
        Field(
            description="What to draw. The longest prompt depends on the model.", examples=["A red fox in fresh snow"]
        ),
    ]
    image_urls: Annotated[
        list[str] | None,
        Field(
            max_length=INPUTS_MAX,
            description="Reference pictures (png, jpeg, webp) of at most 10 MB each: public https URLs, `data:` URLs, "
            "files of POST /v1/files by id or URL, links of this gateway. How many depends on the model.",
        ),
    ] = None
    mask_url: Annotated[
        str | None,
        Field(
            description="A PNG below 4 MB of the picture's size: what is transparent in it is made anew. With one picture alone."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture as a body names it: a URL, a `data:` URL, or a file's id."""

    field: str
    """For errors: `image_urls[1]`, `mask`."""
    value: str
    bytes_max: int
    is_id: bool = False
    """It must be a file's id."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A checked body, split into what the pipeline, the choice of contract and the answer each need."""

    draft: RequestDraft
    hints: BodyHints
    response_format: ResponseFormat | None
    dropped: tuple[str, ...]
    """Names that no part of this gateway knows, or that mean nothing here."""
    images: tuple[Reference, ...] = ()
    mask: Reference | None = None


def parse_generation(body: JsonObject, default_model: str) -> Generation:
    """Checks a body. Raises InvalidRequest or UnsupportedParameter with the name of the field."""
    try:
        fields = GenerationBody.model_validate(body)
    except ValidationError as exc:
        raise error_of_validation(exc) from exc
    return generation_of(fields, fields.prompt, default_model, *_references(fields))


def generation_of(
    fields: DrawingBody,
    prompt: str,
    default_model: str,
    images: tuple[Reference, ...] = (),
    mask: Reference | None = None,
    operation: Operation | None = None,
) -> Generation:
    """A body of the right types, split. Without an operation it is an edit where there are pictures. Raises as `parse_generation` does."""
    if operation is not Operation.VARIATION:
        _check_prompt(prompt)
    given = fields.model_fields_set
    if not given <= _PLAIN:
        _refuse_unserved(fields)
    options, dropped = ((), ()) if given <= _PLAIN else _options(fields)
    draft = RequestDraft(
        model=fields.model or default_model,
        prompt=prompt,
        n=1 if fields.n is None else fields.n,
        size=fields.size or None,
        quality=_LEGACY_QUALITIES.get(fields.quality, fields.quality) if fields.quality else None,
        background=fields.background,
        output_format=fields.output_format,
        options=options,
        model_given=bool(fields.model),
        callback_url=fields.callback_url or None,
        partial_images=fields.partial_images or 0,
        operation=operation or (Operation.EDIT if images else Operation.GENERATE),
    )
    wish = ResponseFormat(fields.response_format) if fields.response_format else None
    hints = BodyHints(
        callback=draft.callback_url is not None, stream=bool(fields.stream), response_format=wish is not None
    )
    return Generation(draft, hints, wish, dropped, images, mask)


def _references(fields: GenerationBody) -> tuple[tuple[Reference, ...], Reference | None]:
    urls = fields.image_urls or []
    images = tuple(Reference(f"image_urls[{at}]", url, URL_BYTES_MAX) for at, url in enumerate(urls))
    if not fields.mask_url:
        return images, None
    if len(images) != 1:
        raise InvalidRequest(
            f"mask_url: goes with exactly one picture in image_urls; there are {len(images)}.", param="mask_url"
        )
    return images, Reference("mask_url", fields.mask_url, MASK_BYTES_MAX)


def _check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise InvalidRequest("prompt: is blank; say in words what to draw.", param="prompt")
    if "\0" in prompt:
        # PostgreSQL has no such text.
        raise InvalidRequest("prompt: has a NUL character; leave it out.", param="prompt")


def _refuse_unserved(fields: DrawingBody) -> None:
    """Parameters that would change the answer and that this gateway cannot serve: to ignore them would be to bill for something else."""
    if fields.partial_images and not fields.stream:
        raise InvalidRequest(
            "partial_images: comes only with stream; set stream to true, or leave it out.", param="partial_images"
        )
    if fields.output_format in ("gif", "svg"):
        raise UnsupportedParameter(
            f"output_format: {fields.output_format} is not served; use png, webp or jpeg.", param="output_format"
        )
    if fields.background == "transparent" and fields.output_format == "jpeg":
        raise InvalidRequest("background: transparent needs output_format png or webp, not jpeg.", param="background")


def _options(fields: DrawingBody) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Advisory parameters for the upstreams, and the names of those that go nowhere."""
    dropped = {_shown(name) for name, value in (fields.model_extra or {}).items() if value is not None}
    for name in ("frame_count", "frame_duration_ms", "svg"):
        if getattr(fields, name) is not None:
            dropped.add(name)
    options: dict[str, str | int] = {}
    if fields.moderation == "low":
        options["moderation"] = "low"
    if fields.output_compression is not None:
        if fields.output_format in ("webp", "jpeg"):
            options["output_compression"] = fields.output_compression
        else:  # png has no levels of loss; upstreams refuse the pair, clients send it by habit
            dropped.add("output_compression")
    if fields.seed is not None:
        options["seed"] = fields.seed
    texts = {
        "complexity": fields.complexity,
        "input_fidelity": fields.input_fidelity,
        "safety_identifier": fields.safety_identifier,
        "style": fields.style,
        "user": fields.user,
    }
    options.update({name: text for name, text in texts.items() if text})
    encoded = tuple((name, orjson.dumps(options[name]).decode()) for name in sorted(options))
    return encoded, tuple(sorted(dropped))[:_DROPPED_MAX]


def _shown(name: str) -> str:
    """A caller's field name as it may stand in a header."""
    return _UNPRINTABLE.sub("_", name)[:64]
