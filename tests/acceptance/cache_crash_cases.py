"""The cases of the crash matrix with the cache on: two identical calls, of which the second is answered with the first one's picture, waits for it or
has to make its own; where the process dies; and what must become of both."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.pipeline.crash_points import CrashPoint as P
from tests.acceptance.crash_cases import FINISH, Case, Kind, Outcome

SERVE = (P.SERVE_BEGUN, P.SERVE_APPLIED, P.SERVE_COMMITTED, P.SERVED)
LEAD = (P.LEAD_BEGUN, P.LEAD_APPLIED, P.LEAD_COMMITTED, P.LED)


@dataclass(frozen=True, slots=True)
class CacheCase(Case):
    """`outcome` is of the second call."""

    what: str = "hit"
    """`hit`: the first has ended; `follow`: it is in flight, and makes the picture; `lead`: it is in flight, and fails for nothing."""
    first: Outcome = Outcome.COMPLETED

    @property
    def id(self) -> str:
        return f"{self.what}-{self.kind}-{self.point}{f'.{self.nth}' if self.nth > 1 else ''}"


def _cases() -> Iterator[CacheCase]:
    done, unknown, busy = Outcome.COMPLETED, Outcome.UNKNOWN, Outcome.BUSY
    for point in SERVE:
        outcome = Outcome.NOTHING if point in SERVE[:2] else done
        yield CacheCase(Kind.NONE, "task", point, 1, outcome, 1, what="hit")
    # The first one's picture is found again, or is there: the second has it as well.
    yield CacheCase(Kind.IDEMPOTENCY_KEY, "task", P.FOLLOWING, 1, done, 1, what="follow")
    for point in (P.BEFORE_STORE, P.STORED, *FINISH):
        yield CacheCase(Kind.IDEMPOTENCY_KEY, "task", point, 1, done, 1, what="follow")
    for point in FINISH[1:4]:  # its own end
        yield CacheCase(Kind.NONE, "task", point, 2, done, 1, what="follow")
    # Nobody knows whether the first was paid for: nobody makes the picture again.
    yield CacheCase(Kind.NONE, "task", P.ANSWER_RECEIVED, 1, unknown, 1, what="follow", first=unknown)
    yield CacheCase(Kind.NONE, "task", P.STORED, 1, done, 1, what="follow")
    # The first was refused for nothing: the second makes its own, whether it held for it when it died or not.
    for point in LEAD:
        yield CacheCase(Kind.FAILURE, "task", point, 1, done, 1, what="lead", first=busy)
    yield CacheCase(Kind.FAILURE, "task", P.FINISH_COMMITTED, 1, done, 1, what="lead", first=busy)
    # Its own call is under way, and cannot be asked for.
    yield CacheCase(Kind.FAILURE, "task", P.ANSWER_RECEIVED, 1, unknown, 1, what="lead", first=busy)
    yield CacheCase(Kind.FAILURE, "task", P.STORED, 1, done, 1, what="lead", first=busy)


CACHE_CASES = tuple(_cases())
