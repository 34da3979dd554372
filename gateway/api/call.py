"""Reading a call that makes pictures: its body in either form, its headers, and what tells a repeat. Used by calls and quotes alike.

A form becomes the JSON object that says the same: texts by their names, pictures by the names under which they were received.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from aiohttp import web

from gateway.api.body import BODY_BYTES_MAX, JsonObject, admitted, body_stream, short_body
from gateway.api.idempotency import repeat_of
from gateway.api.known_calls import KNOWN_BYTES_MAX, KNOWN_CALLS, CallKey, KnownCall
from gateway.api.long_strings import read_json_taking
from gateway.api.max_credits import max_microcredits
from gateway.api.multipart import Part, is_form, read_form
from gateway.api.pictures import BodyPictures
from gateway.api.schemas.edit import parse_edit, parse_variation
from gateway.api.schemas.generation import Generation, parse_generation
from gateway.api.state import SETTINGS
from gateway.api.upstream_choice import upstream_choice
from gateway.domain.choice import ANY_UPSTREAM
from gateway.domain.errors import InvalidRequest, RequestTooLarge, UnsupportedParameter
from gateway.domain.files import FILE_BYTES_MAX, INPUTS_MAX, MASK_BYTES_MAX, URL_BYTES_MAX
from gateway.domain.repeats import Repeat
from gateway.pipeline.admission import RequestDraft

GENERATION_BYTES_MAX: Final = BODY_BYTES_MAX + (INPUTS_MAX * URL_BYTES_MAX + MASK_BYTES_MAX) * 4 // 3
"""As many pictures as a call may name, each of the largest size, as base64. None of them is in memory whole."""
EDIT_BYTES_MAX: Final = BODY_BYTES_MAX + INPUTS_MAX * FILE_BYTES_MAX + MASK_BYTES_MAX
"""The same for the pictures of OpenAI's contract, as they are."""

_IMAGE = re.compile(r"image(?:\[[0-9]{0,2}\])?")
"""`image` for one, `image[]` for several; PHP and some others number them."""


class _Before(NamedTuple):
    """Under which key a call is remembered (None: it is not), and what it was read as before."""

    key: CallKey | None
    call: KnownCall | None


NEW = _Before(None, None)
Read = Callable[[web.Request, BodyPictures], Awaitable[tuple[JsonObject, Generation]]]


@dataclass(slots=True)
class Call:
    """A call as it was read."""

    generation: Generation
    draft: RequestDraft
    """Its pictures are not looked up yet."""
    most: int | None
    """The most that may be held for it."""
    repeat: Repeat | None


async def read_call(request: web.Request, pictures: BodyPictures, read: Read) -> Call:
    """Body and headers, checked. Raises InvalidRequest and its kin, RequestTooLarge, RequestTimeout, and what `Uploads` raises."""
    most, choice = max_microcredits(request), upstream_choice(request)
    found = await _before(request) if read is read_generation else NEW
    if found.call is not None:
        body, generation = found.call
    else:
        with admitted(request):
            body, generation = await read(request, pictures)
        pictures.check(generation)
        generation = _of_deployment(request, generation)
        if found.key is not None:
            request.app[KNOWN_CALLS].put(found.key, (body, generation))
    draft = generation.draft if choice is ANY_UPSTREAM else replace(generation.draft, choice=choice)
    return Call(generation, draft, most, repeat_of(request, pictures.hashed(body)))


def _of_deployment(request: web.Request, generation: Generation) -> Generation:
    """As Azure has it: the model is the deployment, whatever the body says."""
    deployment = request.match_info.get("deployment")
    if deployment is None:
        return generation
    return replace(generation, draft=replace(generation.draft, model=deployment, model_given=True))


async def _before(request: web.Request) -> "_Before":
    """What the same bytes were read as before."""
    raw = await short_body(request, KNOWN_BYTES_MAX)
    if raw is None:
        return NEW
    app = request.app
    key = CallKey(
        raw,
        request.headers.get("Content-Type"),
        request.match_info.get("deployment"),
        app[SETTINGS].default_model(),
    )
    return _Before(key, app[KNOWN_CALLS].get(key))


async def read_generation(request: web.Request, pictures: BodyPictures) -> tuple[JsonObject, Generation]:
    source = body_stream(request, GENERATION_BYTES_MAX)
    body = await read_json_taking(request, source, pictures.take)
    return body, parse_generation(body, request.app[SETTINGS].default_model())


async def read_edit(request: web.Request, pictures: BodyPictures) -> tuple[JsonObject, Generation]:
    body = await _read_either(request, pictures)
    return body, parse_edit(body, request.app[SETTINGS].default_model(), is_form=is_form(request))


async def read_variation(request: web.Request, pictures: BodyPictures) -> tuple[JsonObject, Generation]:
    body = await _read_either(request, pictures)
    return body, parse_variation(body, request.app[SETTINGS].default_model(), is_form=is_form(request))


async def read_any(request: web.Request, pictures: BodyPictures) -> tuple[JsonObject, Generation]:
    """A generation or an edit: forms, and bodies with `images`, are edits."""
    if is_form(request):
        return await read_edit(request, pictures)
    source = body_stream(request, EDIT_BYTES_MAX)
    body = await read_json_taking(request, source, pictures.take)
    parse = parse_edit if body.get("images") else parse_generation
    return body, parse(body, request.app[SETTINGS].default_model())


async def _read_either(request: web.Request, pictures: BodyPictures) -> JsonObject:
    source = body_stream(request, EDIT_BYTES_MAX)
    if not is_form(request):
        return await read_json_taking(request, source, pictures.take)
    form, body, images = read_form(request, source), JsonObject(), list[object]()
    text_bytes = 0
    async for part in form.parts():
        if _IMAGE.fullmatch(part.name):
            images.append({"image_url": await pictures.take_part(part, FILE_BYTES_MAX)})
        elif part.name == "mask":
            _once(part, body)
            body["mask"] = {"image_url": await pictures.take_part(part, MASK_BYTES_MAX)}
        else:
            text_bytes += await _take_text(part, body)
            if text_bytes > BODY_BYTES_MAX:
                raise RequestTooLarge(f"The form may have {BODY_BYTES_MAX} bytes besides its pictures.")
    body["images"] = images
    return body


async def _take_text(part: Part, body: JsonObject) -> int:
    """A scalar; gives its size. Nested ones (`svg[model]`) belong to what is not served, so their names alone are kept."""
    if part.name == "markup":
        raise UnsupportedParameter("markup: is not served; draw it into the picture, or use a mask.", param="markup")
    if part.filename is not None:
        raise InvalidRequest(
            f"{part.name}: is no field for a file; send pictures as `image` or `image[]`, and a mask as `mask`.",
            param=part.name,
        )
    outer, bracket, _ = part.name.partition("[")
    text = await part.text()
    if bracket:
        body[outer if outer == "svg" else part.name] = {}
    else:
        _once(part, body)
        # Optional ones that a web form left empty are absent.
        body[part.name] = text if text or part.name == "prompt" else None
    return len(text)


def _once(part: Part, body: JsonObject) -> None:
    if part.name in body or part.name == "images":
        raise InvalidRequest(f"{part.name}: stands in the form twice, or is no field of it.", param=part.name)
