"""What the table of routes is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp.typedefs import Handler
from pydantic import BaseModel

from gateway.api.body import BODY_BYTES_MAX
from gateway.domain.administrators import Scope


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `answers` are its successes by status; a text stands for a media type that is no JSON."""

    method: str
    path: str
    handler: Handler
    summary: str
    answers: tuple[tuple[int, str | tuple[type[BaseModel], ...]], ...]
    errors: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    """The same as multipart/form-data."""
    body_bytes_max: int = BODY_BYTES_MAX
    query: tuple[tuple[str, str, str], ...] = ()
    """Name, JSON type, meaning."""
    headers: tuple[tuple[str, Mapping[str, str | int], str], ...] = ()
    """Name, JSON schema, meaning."""
    public: bool = False
    scope: Scope | None = None
    """Of the admin token that it needs, in place of an API key."""
