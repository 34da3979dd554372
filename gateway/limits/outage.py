"""What happens to calls while the store behind a limiter is down: each process counts for itself, or they are refused. The operator decides.

Limits protect upstreams and colleagues; money has its own guard in the ledger, which needs no limiter. So by default calls go on, within what
each process grants by itself. How it fails: not at all when calls go on; StorageUnavailable, with a time to come back, when refusing.
"""

import logging
from collections.abc import Callable
from enum import StrEnum

from gateway.domain.clock import Clock
from gateway.domain.errors import StorageUnavailable

log = logging.getLogger(__name__)

WARN_EVERY_S = 60.0
"""A store that is down fails every call: one line a minute says so, the metric how often."""
RETRY_AFTER_S = 5


class LimitStoreDown(Exception):
    """A limiter's store did not answer, or cannot take another account. The text is for the log."""


class OnStoreFailure(StrEnum):
    """ALLOW: calls go on within the limit that this process keeps by itself. REFUSE: they get 503 until the store is back."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Outage:
    """The policy, for all limiters of a process. `count` is told the kind of limit each time."""

    def __init__(self, clock: Clock, on_failure: Callable[[], OnStoreFailure], count: Callable[[str], None]) -> None:
        """`on_failure` is asked each time."""
        self._clock = clock
        self._on_failure = on_failure
        self._count = count
        self._warned_s: float | None = None

    def met(self, kind: str, exc: LimitStoreDown) -> None:
        """A limiter failed. Returns where the call may go on; raises StorageUnavailable where not."""
        self._count(kind)
        now_s = self._clock.monotonic_s()
        if self._warned_s is None or now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            log.warning(
                "the store of limits is down", extra={"kind": kind, "calls": self._on_failure().value}, exc_info=exc
            )
        if self._on_failure() is OnStoreFailure.REFUSE:
            raise StorageUnavailable(
                "The gateway cannot count calls now. Try again shortly.", log=str(exc), retry_after_s=RETRY_AFTER_S
            ) from exc
