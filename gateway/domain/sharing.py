"""Whether a call is answered with pictures that another call had made: the words for it."""

from dataclasses import dataclass
from enum import StrEnum


class CacheResult(StrEnum):
    """What the cache was to a call, as `X-Cache` and the metric say it."""

    HIT = "hit"  # a finished identical request had the pictures
    JOINED = "joined"  # an identical request was in flight, and this one waited for it
    MISS = "miss"  # looked for, not found, made
    BYPASS = "bypass"  # not looked for: switched off, declined by the caller, or not to be told by its words


class SingleFlight(StrEnum):
    """Which identical calls in flight are joined."""

    OTHER_KEYS = "other_keys"  # of different keys; several of one key are taken as a wish for several pictures
    ALWAYS = "always"
    NEVER = "never"


class CacheScope(StrEnum):
    """Who shares pictures: nobody beyond a key, a team or an org."""

    KEY = "key"
    TEAM = "team"
    ORG = "org"


SHARED_MS_MIN = 300_000
"""Pictures that expire sooner are not shared any more: whoever is answered with them has a new promise of a day to keep."""


@dataclass(frozen=True, slots=True)
class CacheWish:
    """What a caller says with `Cache-Control` (RFC 9111, 5.2.1)."""

    looks: bool = True
    """Pictures that another call made will do; `no-cache` and `no-store` decline."""
    keeps: bool = True
    """Other calls may have the pictures that this one makes; `no-store` declines."""
    age_s_max: int | None = None
    """`max-age`: older ones will not do, and an identical call of the same key that is in flight will."""


NO_WISH = CacheWish()
