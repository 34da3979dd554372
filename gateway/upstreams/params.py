"""A request's optional parameters as JSON values by OpenAI's names, for the adapters that send JSON. Pure."""

from collections.abc import Iterable

import orjson

from gateway.domain.catalog import Offer
from gateway.domain.images import Background, ImageRequest, Quality

_TEXT_PARAMS = frozenset(
    {"model", "prompt", "size", "quality", "style", "background", "moderation", "output_format", "response_format"}
    | {"user", "safety_identifier", "resolution"}
)


def optional_params(request: ImageRequest, understood: frozenset[str]) -> dict[str, object]:
    """What the caller asked for beyond the defaults, as far as the upstream understands it."""
    params: dict[str, object] = {name: orjson.loads(text) for name, text in request.options}
    if request.quality is not Quality.AUTO:
        params["quality"] = request.quality.value
    if request.background is not Background.AUTO:
        params["background"] = request.background.value
    if request.output_format is not None:
        params["output_format"] = request.output_format.value
    return {name: value for name, value in params.items() if name in understood}


def fixed_params(params: Iterable[tuple[str, str]]) -> dict[str, object]:
    """An offer's own parameters, which the config keeps as text: numbers, booleans and objects get their JSON type back."""
    return {name: text if name in _TEXT_PARAMS else _value(text) for name, text in params}


def extra_params(offer: Offer) -> dict[str, object]:
    """What only the offer's upstream knows, by its own names: goes over everything else, since the operator wrote it for this very upstream."""
    return {name: orjson.loads(text) for name, text in offer.extra}


def _value(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
