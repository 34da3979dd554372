"""Tries of offers that are left alone, made because nothing else is left: how many at once, how soon after a failure, and who learns of it.

A caller that finds no place waits for the next verdict: a try that began after it came and failed speaks for it as well, so an upstream that is down
sees a few calls at a time, and not one for each caller. After a failure nobody goes for a while, which doubles with every failure in a row.
Whatever becomes of a try, its ticket must be given back. Losing this memory costs nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.clock import Clock


class Resort(StrEnum):
    """Why an offer that is left alone may be tried at last."""

    FAILING = "failing"  # it answered with failures, or could not be reached: a try costs little
    SILENT = "silent"  # answers did not come: a try may take the whole time-out and leave a doubt, so it comes last


@dataclass(frozen=True, slots=True)
class Pace:
    """How many tries at once, and how long nobody goes after a failure: at first, and at most."""

    at_once: int
    pause_s: float
    pause_s_max: float


PACES = {Resort.FAILING: Pace(2, 0.25, 1.0), Resort.SILENT: Pace(1, 1.0, 8.0)}
"""A circuit's own probes are 5 to 120 s apart; these only happen while callers have nothing else."""
WAITERS_MAX = 1_000
"""Each is woken by every verdict; more are turned away, as all were before there was a last resort."""


@dataclass(slots=True)
class _Place:
    """One offer's. Tries are numbered as they begin."""

    out: int = 0
    begun: int = 0
    failed: int = 0
    """The latest begun of the tries that failed."""
    in_a_row: int = 0
    free_at_s: float = 0.0


class Ticket:
    """One try. To be given back once; later times do nothing."""

    def __init__(self, place: _Place, pace: Pace, clock: Clock, tell: Callable[[], None]) -> None:
        place.out += 1
        place.begun += 1
        self._place: _Place | None = place
        self._number = place.begun
        self._pace, self._clock, self._tell = pace, clock, tell

    def give_back(self, *, worked: bool | None = None) -> None:
        """`worked` None: it was not sent, or says nothing about the upstream."""
        place, self._place = self._place, None
        if place is None:
            return
        place.out -= 1
        if worked:
            place.in_a_row = 0
            place.free_at_s = 0.0
        elif worked is not None:
            pause_s = min(self._pace.pause_s * 2 ** min(place.in_a_row, 10), self._pace.pause_s_max)
            place.failed = max(place.failed, self._number)
            place.in_a_row += 1
            place.free_at_s = self._clock.monotonic_s() + pause_s
        self._tell()


class LastResorts:
    """Of all offers. Not thread-safe: used from the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._changed = asyncio.Event()
        self._waiting = 0

    def asks(self, offer_id: str) -> int:
        """A number to ask `failed_since` with: who asks now is told of tries that begin from now on."""
        return self._place(offer_id).begun

    def failed_since(self, offer_id: str, asked: int) -> bool:
        return self._place(offer_id).failed > asked

    def take(self, offer_id: str, resort: Resort) -> Ticket | None:
        """None: so many are out, or one has just failed."""
        place, pace = self._place(offer_id), PACES[resort]
        if place.out >= pace.at_once or self._clock.monotonic_s() < place.free_at_s:
            return None
        return Ticket(place, pace, self._clock, self.tell)

    def free_at_s(self, offer_id: str, resort: Resort) -> float | None:
        """When a pause ends; None where it is others' tries that are waited for."""
        place = self._place(offer_id)
        return None if place.out >= PACES[resort].at_once else place.free_at_s

    async def change(self, until_s: float) -> bool:
        """Wait until a try ends or a circuit closes, at most until that monotonic time. False: too many wait already."""
        if self._waiting >= WAITERS_MAX:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, until_s - self._clock.monotonic_s())):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return True

    def tell(self) -> None:
        """Something changed that a waiting caller may want to know."""
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    def _place(self, offer_id: str) -> _Place:
        return self._places.setdefault(offer_id, _Place())
