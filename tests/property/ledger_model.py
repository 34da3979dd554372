"""What must stand in the books: sums by (account, window, start) in plain integers, with a calendar of its own.

The calendar asks only which local date a moment has, and finds where a window begins by halving: it shares no arithmetic with the gateway's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

Triple = tuple[int, int, int]
"""Microcredits, microusd, images."""
Row = tuple[str, str, int]
"""Account, window, its start in ms."""
ZERO: Triple = (0, 0, 0)
MICRO = 1_000_000
CALENDAR = ("day", "week", "month")
UNITS = ("credits", "usd", "images")
LONGEST_MS = 33 * 86_400_000
"""A month and a little."""


def plus(a: Triple, b: Triple, sign: int = 1) -> Triple:
    return a[0] + sign * b[0], a[1] + sign * b[1], a[2] + sign * b[2]


def label(moment_ms: int, zone: str, window: str) -> tuple[int, ...]:
    """What the window that a moment lies in is called there; later windows have greater labels."""
    local = datetime.fromtimestamp(moment_ms // 1000, ZoneInfo(zone))
    if window == "week":
        return tuple(local.isocalendar())[:2]
    return (local.year, local.month, local.day)[: 3 if window == "day" else 2]


@lru_cache(maxsize=100_000)
def began(moment_ms: int, zone: str, window: str) -> int:
    """The first millisecond with the label of this one."""
    if window not in CALENDAR:
        return 0
    wanted, before, within = label(moment_ms, zone, window), moment_ms - LONGEST_MS, moment_ms
    while within - before > 1:
        middle = (before + within) // 2
        before, within = (before, middle) if label(middle, zone, window) == wanted else (middle, within)
    return within


@lru_cache(maxsize=100_000)
def ends(moment_ms: int, zone: str, window: str) -> int | None:
    """The first millisecond with another label."""
    if window not in CALENDAR:
        return None
    wanted, within, after = label(moment_ms, zone, window), moment_ms, moment_ms + LONGEST_MS
    while after - within > 1:
        middle = (within + after) // 2
        within, after = (middle, after) if label(middle, zone, window) == wanted else (within, middle)
    return after


@lru_cache(maxsize=10_000)
def clocks_change(moment_ms: int, zone: str) -> int | None:
    """The next hour at which this zone's clocks are changed; None where they never are."""
    place, hour = ZoneInfo(zone), moment_ms // 3_600_000 * 3_600
    before = datetime.fromtimestamp(hour, place).utcoffset()
    for day in range(hour, hour + 370 * 86_400, 86_400):
        if datetime.fromtimestamp(day + 86_400, place).utcoffset() == before:
            continue
        for later in range(day + 3_600, day + 86_401, 3_600):
            if datetime.fromtimestamp(later, place).utcoffset() != before:
                return later * 1000
    return None


@dataclass(frozen=True)
class Limit:
    """A budget: `number` in whole credits, hundredths of a dollar, or images."""

    number: int
    unit: str
    window: str

    @property
    def micro(self) -> int:
        return self.number * {"credits": MICRO, "usd": MICRO // 100, "images": 1}[self.unit]

    def __str__(self) -> str:
        number = f"{self.number // 100}.{self.number % 100:02}" if self.unit == "usd" else str(self.number)
        return f"{number}{self.unit}/{self.window}"


@dataclass
class Terms:
    """What limits an account, and where its windows begin."""

    limits: tuple[Limit, ...] = ()
    zone: str = "UTC"
    prepaid: bool = False
    granted: int = 0


@dataclass(frozen=True)
class Refused:
    """By which account and budget, with what is left, needed, and when it begins anew."""

    account: str
    unit: str
    window: str
    left: int
    needed: int
    resets_at_ms: int | None


Windows = Mapping[str, int]
"""The start of each calendar window."""


class LedgerModel:
    """Sums and terms of every account."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self.terms = {account: Terms() for account in accounts}
        self.posted: dict[Row, Triple] = {}
        self.pending: dict[Row, Triple] = {}

    def windows(self, account: str, moment_ms: int) -> Windows:
        zone = self.terms[account].zone
        return {window: began(moment_ms, zone, window) for window in CALENDAR}

    def book(self, account: str, windows: Windows, posted: Triple = ZERO, pending: Triple = ZERO) -> None:
        """In the total and in these windows."""
        for window, start in (("total", 0), *windows.items()):
            row = (account, window, start)
            self.posted[row] = plus(self.posted.get(row, ZERO), posted)
            self.pending[row] = plus(self.pending.get(row, ZERO), pending)
            assert min(*self.posted[row], *self.pending[row]) >= 0, row

    def grant(self, account: str, microcredits: int) -> int | None:
        """What is left then; None where it is refused. The first makes it prepaid, and what was used before does not count against it."""
        terms = self.terms[account]
        used = self.posted.get((account, "total", 0), ZERO)[0] + self.pending.get((account, "total", 0), ZERO)[0]
        before = terms.granted if terms.prepaid or terms.granted > used else used
        if before + microcredits < 0:
            return None
        terms.granted, terms.prepaid = before + microcredits, True
        return max(0, terms.granted - used)

    def left(self, account: str, moment_ms: int) -> list[tuple[str, str, int]]:
        """(unit, window, left) of all that limits an account; lowered limits leave nothing."""
        terms = self.terms[account]
        found = []
        for limit in terms.limits:
            row = (account, limit.window, began(moment_ms, terms.zone, limit.window))
            part = UNITS.index(limit.unit)
            used = self.posted.get(row, ZERO)[part] + self.pending.get(row, ZERO)[part]
            found.append((limit.unit, limit.window, max(0, limit.micro - used)))
        if terms.prepaid:
            row = (account, "total", 0)
            used = self.posted.get(row, ZERO)[0] + self.pending.get(row, ZERO)[0]
            found.append(("credits", "granted", max(0, terms.granted - used)))
        return found

    def refusal(self, path: Sequence[str], amount: Triple, moment_ms: int) -> Refused | None:
        for account in path:
            for unit, window, left in self.left(account, moment_ms):
                needed = amount[UNITS.index(unit)]
                if needed > left:
                    return Refused(
                        account, unit, window, left, needed, ends(moment_ms, self.terms[account].zone, window)
                    )
        return None

    def remaining(self, path: Sequence[str], rate: int, moment_ms: int) -> int | None:
        """In microcredits; images say nothing about money."""
        left = [
            value * (rate if unit == "usd" else 1)
            for account in path
            for unit, _, value in self.left(account, moment_ms)
            if unit != "images"
        ]
        return min(left, default=None)

    def rows(self) -> dict[Row, tuple[Triple, Triple]]:
        """Every row that is not zero."""
        found = {row: (posted, self.pending[row]) for row, posted in self.posted.items()}
        found |= {(a, "granted", 0): ((terms.granted, 0, 0), ZERO) for a, terms in self.terms.items()}
        return {row: sums for row, sums in found.items() if sums != (ZERO, ZERO)}


def moment(text: str, zone: str = "UTC") -> int:
    """Of a local time, in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000
