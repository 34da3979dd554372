"""Whether a call is answered with pictures that another call had made: the words for it."""

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
