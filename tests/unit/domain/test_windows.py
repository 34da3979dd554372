"""Calendar windows: where days, weeks and months begin in a time zone, on the days on which clocks change too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.accounts import Window
from gateway.domain.windows import WindowStarts, ends_at_ms, starts_at, zone

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/St_Johns",
)
MOMENTS = st.integers(1_600_000_000_000, 2_000_000_000_000)


def ms(text: str, zone_name: str) -> int:
    """A local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone_name)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone_name", "moment", "day", "week", "month"),
    [
        ("UTC", "2026-11-24 12:00", "2026-11-24", "2026-11-23", "2026-11-01"),
        ("UTC", "2026-11-30 23:59:59.999", "2026-11-30", "2026-11-30", "2026-11-01"),
        ("UTC", "2026-12-01 00:00", "2026-12-01", "2026-11-30", "2026-12-01"),
        ("Asia/Tokyo", "2027-01-01 00:00", "2027-01-01", "2026-12-28", "2027-01-01"),
        ("Europe/Berlin", "2026-03-29 12:00", "2026-03-29", "2026-03-23", "2026-03-01"),
        ("Europe/Berlin", "2026-10-25 12:00", "2026-10-25", "2026-10-19", "2026-10-01"),
    ],
)
def test_windows_begin_at_local_midnight(zone_name: str, moment: str, day: str, week: str, month: str) -> None:
    """Weeks on Monday, months on the first."""
    wanted = WindowStarts(*(ms(text, zone_name) for text in (day, week, month)))
    assert starts_at(ms(moment, zone_name), zone_name) == wanted


def test_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    """Berlin, spring and autumn 2026."""
    for text, hours in (("2026-03-29 12:00", 23), ("2026-10-25 12:00", 25)):
        moment = ms(text, "Europe/Berlin")
        end = ends_at_ms(Window.DAY, moment, "Europe/Berlin")
        assert end is not None
        assert end - starts_at(moment, "Europe/Berlin").day_ms == hours * 3_600_000


def test_a_midnight_that_is_skipped() -> None:
    """Cairo, 2026-04-24: 23:59:59 is followed by 01:00, and there the day begins."""
    first = datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert first.astimezone(ZoneInfo("Africa/Cairo")).hour == 1
    moment = int(first.timestamp() * 1000)
    assert starts_at(moment, "Africa/Cairo").day_ms == moment
    assert ends_at_ms(Window.DAY, moment - 1, "Africa/Cairo") == moment


@given(
    moment_ms=MOMENTS, zone_name=st.sampled_from(ZONES), window=st.sampled_from([Window.DAY, Window.WEEK, Window.MONTH])
)
def test_windows_follow_each_other_without_a_gap(moment_ms: int, zone_name: str, window: Window) -> None:
    """Start <= moment < end; the last millisecond is of this window, the next one begins another."""
    start, end = starts_at(moment_ms, zone_name).of(window), ends_at_ms(window, moment_ms, zone_name)
    assert end is not None
    assert start <= moment_ms < end
    assert starts_at(end - 1, zone_name).of(window) == start
    assert starts_at(end, zone_name).of(window) == end
    assert starts_at(start, zone_name).of(window) == start


@given(moment_ms=MOMENTS, zone_name=st.sampled_from(ZONES))
def test_a_window_is_its_calendar_day(moment_ms: int, zone_name: str) -> None:
    """The start has the same local date as the moment, and a quarter of an hour earlier it was another day."""
    start_ms = starts_at(moment_ms, zone_name).day_ms
    start, moment, before = (
        datetime.fromtimestamp(value / 1000, ZoneInfo(zone_name)) for value in (start_ms, moment_ms, start_ms - 900_000)
    )
    assert start.date() == moment.date()
    assert before.date() == start.date() - timedelta(days=1)


def test_the_total_never_ends() -> None:
    assert ends_at_ms(Window.TOTAL, 5, "UTC") is None
    assert starts_at(5, "UTC").of(Window.TOTAL) == 0


def test_no_zone() -> None:
    """Named, with what may be written."""
    with pytest.raises(ValueError, match="'Europe/Nowhere' is no time zone; write one such as UTC or Europe/Berlin"):
        zone("Europe/Nowhere")
