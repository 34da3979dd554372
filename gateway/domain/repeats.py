"""Calls that are made again: how one is told from a new call, and how long the first one's task answers it."""

from dataclasses import dataclass
from enum import StrEnum

KEPT_MS = 86_400_000
"""24 hours, the task contract's word: so long the task of a key answers the calls that come with it."""
TAKEN_WITHIN_MS = 900_000
"""An SDK's first call may hang for 600 s before it tries again, and it waits at most 8 s between tries."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a call may be told by when it comes again."""

    body_sha256: str
    """Of the route and the canonical body."""
    key: str = ""
    """The caller's own; empty: the call of an SDK, which tries again without one."""
    is_retry: bool = False
    """An SDK's own second try: it takes up what the first one left behind."""


class Replay(StrEnum):
    """How a repeat was met."""

    REPLAYED = "replayed"  # the task had ended, or its caller asked for the task alone
    JOINED = "joined"  # waits for the first call's pictures
    TAKEN_UP = "taken_up"  # an SDK's retry got the task of the call before it
    CONFLICT = "conflict"  # the key was used for another body
