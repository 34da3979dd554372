"""From a request to the body and the addresses that a described task API wants. Pure."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from gateway.domain.catalog import Offer
from gateway.domain.images import ImageRequest
from gateway.domain.sizes import Sizes, fit
from gateway.upstreams.base import Inputs
from gateway.upstreams.bodies import data_url, given_link
from gateway.upstreams.params import extra_params, fixed_params, optional_params
from gateway.upstreams.task_description import IN_TEXT, Poll, Submit, placeholders

_LEFT_OUT = object()
_NO_PICTURES: Mapping[str, object] = {}


def submit_body(
    submit: Submit,
    sizes: Sizes | None,
    request: ImageRequest,
    offer: Offer,
    pictures: Mapping[str, object] = _NO_PICTURES,
) -> dict[str, object]:
    """The template filled in; `pictures` is what `picture_values` says.

    Fixed parameters without a placeholder, and then the offer's `extra`, are put over `extra_in`.
    """
    named, fixed = placeholders(submit.body), fixed_params(offer.params)
    values: dict[str, object] = {"model": offer.upstream_model, "prompt": request.prompt, "n": request.n}
    values |= optional_params(request, named) | _size(sizes, request)
    values |= pictures
    values |= {name: value for name, value in fixed.items() if name in named}
    body = _filled(submit.body, values)
    assert isinstance(body, dict)
    more = {name: value for name, value in fixed.items() if name not in named} | extra_params(offer)
    if more:
        _place(body, submit.extra_in).update(more)
    return body


def picture_values(inputs: Inputs, *, as_links: bool) -> dict[str, object]:
    """What placeholders say of the caller's pictures; none without pictures. Raises UpstreamFailure where a link is wanted and there is none."""
    urls: list[object] = [given_link(picture) if as_links else data_url(picture) for picture in inputs.images]
    values: dict[str, object] = {"image_urls": urls, "image_url": urls[0]} if urls else {}
    if inputs.mask is not None:
        values["mask_url"] = given_link(inputs.mask) if as_links else data_url(inputs.mask)
    return values


def submit_path(submit: Submit, model: str) -> str:
    """A model's name may have slashes; everything else in it is quoted."""
    return submit.path.replace("{model}", _quoted(model))


def task_path(path: str, model: str, task_id: str) -> str:
    """Where one task is asked for, or cancelled."""
    return path.replace("{model}", _quoted(model)).replace("{task_id}", quote(task_id, safe=""))


def poll_path(poll: Poll, model: str, task_id: str) -> str:
    """The same with the query."""
    values = {"model": model, "task_id": task_id}
    query = {name: IN_TEXT.sub(lambda found: values[found[1]], text) for name, text in poll.query.items()}
    path = task_path(poll.path, model, task_id)
    return f"{path}?{urlencode(query)}" if query else path


def _place(body: dict[str, object], path: str | None) -> dict[str, object]:
    """The object at a path of the body, made where there is none."""
    for name in path.split(".") if path else ():
        inner = body.get(name)
        if not isinstance(inner, dict):
            inner = body[name] = {}
        body = inner
    return body


def _quoted(model: str) -> str:
    """Without steps upwards: a name is no way to another path."""
    return "/".join(quote(part, safe="") for part in model.split("/") if part not in ("", ".", ".."))


def _size(sizes: Sizes | None, request: ImageRequest) -> dict[str, object]:
    if request.pixels is None:
        return {}
    made = fit(sizes, request.size, request.pixels)
    if made is None:  # routing asks for nothing that does not fit; for whoever does, as it was asked for
        return {"size": str(request.pixels), "width": request.pixels.width, "height": request.pixels.height}
    size = {"size": made.text, "width": made.pixels.width, "height": made.pixels.height}
    return size if made.step is None else size | {"step": made.step}


def _filled(template: object, values: Mapping[str, object]) -> object:
    """_LEFT_OUT where a placeholder has no value. What is filled in is not looked at again: a prompt may hold braces."""
    match template:
        case str():
            if whole := IN_TEXT.fullmatch(template):
                return values.get(whole[1], _LEFT_OUT)
            if any(name not in values for name in IN_TEXT.findall(template)):
                return _LEFT_OUT
            return IN_TEXT.sub(lambda found: str(values[found[1]]), template)
        case dict():
            filled = {name: _filled(value, values) for name, value in template.items()}
            return {name: value for name, value in filled.items() if value is not _LEFT_OUT}
        case list():
            return [value for item in template if (value := _filled(item, values)) is not _LEFT_OUT]
        case _:
            return template
