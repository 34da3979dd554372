"""Calls that were read before, by exactly what was sent: the same bytes mean the same call, and need not be parsed and checked again.

Only short bodies whose every byte is in the key (no form, no picture that was taken out of it), and only what was valid. Nothing here says who may
make the call. Bounded in number and time; how it fails: what is forgotten is read again.
"""

from typing import Final, NamedTuple

from aiohttp import web

from gateway.api.body import JsonObject
from gateway.api.schemas.generation import Generation
from gateway.domain.clock import Clock
from gateway.domain.recent import Recent

KNOWN_BYTES_MAX: Final = 4 * 1024
CALLS_MAX: Final = 1_000
"""With bodies of the greatest length, 25 MB in all; with usual ones a tenth of that."""
KEPT_S: Final = 60.0

KnownCall = tuple[JsonObject, Generation]


class CallKey(NamedTuple):
    """All that a body's meaning depends on."""

    raw: bytes
    content_type: str | None
    deployment: str | None
    default_model: str


class KnownCalls(Recent[CallKey, KnownCall]):
    """Of one process."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, size=CALLS_MAX, kept_s=KEPT_S)


KNOWN_CALLS = web.AppKey("known_calls", KnownCalls)
