"""Whom the owner of a key makes a picture for: `safety_identifier`, else `user`, as a keyed hash that tells nothing about it.

Only where the operator wants usage by callers. The raw value goes to upstreams that understand the parameter and stands in the stored request as long
as that does; it is in no other row and in no log. How it fails: not at all; past DISTINCT_MAX, further callers of the day count together.
"""

import hashlib
import hmac

import orjson

from gateway.domain.clock import Clock
from gateway.domain.images import ImageRequest

DISTINCT_MAX = 1_000
"""Callers that one process tells apart in a day (UTC): each may be a row a day, model and upstream."""
OTHER = "other"
_DAY_MS = 24 * 3600 * 1000


class Callers:
    """The hashes of one process."""

    def __init__(self, key: bytes, clock: Clock, *, distinct_max: int = DISTINCT_MAX) -> None:
        self._key = key
        self._clock = clock
        self._distinct_max = distinct_max
        self._day = 0
        self._seen: set[str] = set()

    def of(self, request: ImageRequest) -> str:
        """16 hex digits, OTHER, or nothing where the call names nobody."""
        given = dict(request.options)
        named = given.get("safety_identifier") or given.get("user")
        if named is None:
            return ""
        caller = hmac.digest(self._key, str(orjson.loads(named)).encode(), hashlib.sha256).hex()[:16]
        day = self._clock.now_ms() // _DAY_MS
        if day != self._day:
            self._day, self._seen = day, set()
        if caller not in self._seen and len(self._seen) >= self._distinct_max:
            return OTHER
        self._seen.add(caller)
        return caller
