"""What the admin routes read from a request."""

from enum import StrEnum
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.api.body import read_json
from gateway.api.errors import error_of_validation
from gateway.domain.errors import InvalidRequest

B = TypeVar("B", bound=BaseModel)
E = TypeVar("E", bound=StrEnum)


async def read_body(request: web.Request, schema: type[B]) -> B:
    """The checked body. Raises InvalidRequest with the field at fault."""
    try:
        return schema.model_validate(await read_json(request))
    except ValidationError as exc:
        raise error_of_validation(exc) from exc


def whole(request: web.Request, name: str, default: int, most: int) -> int:
    """A whole number of the query, from 1. Raises InvalidRequest."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most):
        raise InvalidRequest(f"{name}: must be a whole number from 1 to {most}.", param=name)
    return int(text)


def choice(request: web.Request, name: str, kind: type[E]) -> E | None:
    """One of several words of the query; None where it is absent. Raises InvalidRequest."""
    text = request.query.get(name)
    if text is None or text == "":
        return None
    try:
        return kind(text)
    except ValueError as exc:
        raise InvalidRequest(f"{name}: must be one of {', '.join(kind)}.", param=name) from exc
