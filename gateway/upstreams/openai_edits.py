"""How an edit is written for those who speak OpenAI's Images API: by the `Edits` of a profile. Pure."""

from collections.abc import Mapping
from typing import TypeAlias

from gateway.upstreams.base import Inputs, Picture
from gateway.upstreams.bodies import Body, data_url, json_body, multipart_body
from gateway.upstreams.openai_profiles import EditForm, Edits

Fields: TypeAlias = Mapping[str, object]


def edit_path(edits: Edits, inputs: Inputs) -> str:
    """Where this edit goes."""
    return edits.path if inputs.mask is None or edits.masked_path is None else edits.masked_path


def edit_body(edits: Edits, fields: Fields, inputs: Inputs) -> Body:
    """`fields` are those of the same call without pictures, the offer's own among them: these go over what every edit has."""
    kept = dict(edits.fixed) | {name: value for name, value in fields.items() if name not in edits.leaves_out}
    one = len(inputs.images) == 1
    name = edits.one if one else edits.several
    match edits.form:
        case EditForm.MULTIPART:
            files = [(name, picture) for picture in inputs.images]
            files += [("mask", inputs.mask)] if inputs.mask is not None else []
            return multipart_body(kept, files)
        case EditForm.OBJECTS:
            items: list[object] = [_object(picture) for picture in inputs.images]
            mask = {"mask": _object(inputs.mask)} if inputs.mask is not None else {}
            return json_body({**kept, name: items[0] if one else items, **mask})
        case EditForm.TEXTS:
            urls: list[object] = [data_url(picture) for picture in inputs.images]
            return json_body({**kept, name: urls[0] if one else urls})


def _object(picture: Picture) -> dict[str, object]:
    return {"url": data_url(picture)}
