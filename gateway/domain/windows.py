"""Calendar windows: when the day, week and month began that a moment lies in, in an account's time zone. Pure.

A day begins at its first instant there: where clocks skip midnight, that is the moment of the skip. Weeks begin on Monday (ISO 8601). How it fails:
ValueError for a zone that is none, which the config and the administration refuse before.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.domain.accounts import Window

_STEP_MS = 15 * 60 * 1000
"""Every offset from UTC in use is a multiple of a quarter of an hour, and so is every change of one: within a quarter no window begins."""


@dataclass(frozen=True, slots=True)
class WindowStarts:
    """When the windows of one moment began, in ms since 1970 UTC. The total window began at 0."""

    day_ms: int
    week_ms: int
    month_ms: int

    def of(self, window: Window) -> int:
        match window:
            case Window.DAY:
                return self.day_ms
            case Window.WEEK:
                return self.week_ms
            case Window.MONTH:
                return self.month_ms
            case Window.TOTAL | Window.GRANTED:
                return 0


NO_WINDOWS = WindowStarts(0, 0, 0)
"""Of what counts in an account's total alone: our own losses, and what was booked before windows were kept."""


def zone(name: str) -> tzinfo:
    """The zone of a name such as `Europe/Berlin`. Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; write one such as UTC or Europe/Berlin") from exc


def starts_at(moment_ms: int, zone_name: str) -> WindowStarts:
    """The windows that a moment lies in."""
    return _starts(moment_ms // _STEP_MS, zone_name)


def day_of(moment_ms: int, zone_name: str) -> str:
    """The date of a moment there: `2026-11-26`."""
    return _date(moment_ms // _STEP_MS, zone_name)


def ends_at_ms(window: Window, moment_ms: int, zone_name: str) -> int | None:
    """When the window that a moment lies in ends; None for the total, which never does."""
    day = datetime.fromtimestamp(moment_ms / 1000, zone(zone_name)).date()
    if window is Window.DAY:
        following = day + timedelta(days=1)
    elif window is Window.WEEK:
        following = day + timedelta(days=7 - day.weekday())
    elif window is Window.MONTH:
        following = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    else:
        return None
    return _first_ms(following, zone(zone_name))


@lru_cache(maxsize=4096)
def _starts(step: int, zone_name: str) -> WindowStarts:
    where = zone(zone_name)
    day = datetime.fromtimestamp(step * _STEP_MS / 1000, where).date()
    return WindowStarts(
        _first_ms(day, where),
        _first_ms(day - timedelta(days=day.weekday()), where),
        _first_ms(day.replace(day=1), where),
    )


@lru_cache(maxsize=4096)
def _date(step: int, zone_name: str) -> str:
    return datetime.fromtimestamp(step * _STEP_MS / 1000, zone(zone_name)).date().isoformat()


def _first_ms(day: date, where: tzinfo) -> int:
    # fold=0: of a midnight that comes twice the first; of one that is skipped the moment of the skip.
    return int(datetime(day.year, day.month, day.day, tzinfo=where).timestamp() * 1000)
