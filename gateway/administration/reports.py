"""What commands take and answer: texts by name, and rows that are printed as a table or as JSON."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.domain.accounts import (
    ANY,
    CONCURRENT_TASKS_MAX,
    REQUESTS_PER_MINUTE_MAX,
    Budget,
    Limits,
    parse_budget,
    parse_expiry,
)
from gateway.domain.errors import AdministrationError
from gateway.domain.images import parse_pixels, parse_ratio

ROWS_MAX = 1_000
"""Rows of one answer."""

Value = str | int | float | None
Row = Mapping[str, Value]
Arguments = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a command answers. `failed` makes the command exit with 1."""

    rows: tuple[Row, ...] = ()
    message: str = ""
    failed: bool = False


Command = Callable[[Arguments], Awaitable[Report]]


def read_limits(arguments: Arguments) -> Limits:
    """Of a new key, its models apart. Raises ValueError with the option and what it takes."""
    sizes = read_list(arguments.get("sizes"))
    for size in sizes:
        if size not in ("*", "auto") and parse_pixels(size) is None and parse_ratio(size) is None:
            raise ValueError(f"sizes: {size!r} is no size; write auto, 1024x1024 or 2:3")
    return Limits(
        read_whole(arguments, "rpm", REQUESTS_PER_MINUTE_MAX),
        read_whole(arguments, "concurrency", CONCURRENT_TASKS_MAX),
        sizes=sizes,
        n_max=read_whole(arguments, "n_max", 100),
    )


def read_whole(arguments: Arguments, name: str, most: int) -> int | None:
    text = arguments.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most):
        raise ValueError(f"{name}: {text!r} is not a whole number from 1 to {most}")
    return int(text)


def read_list(text: str | None) -> tuple[str, ...]:
    """`a, b` -> (a, b); nothing is everything."""
    return tuple(item.strip() for item in (text or "*").split(",") if item.strip()) or ANY


def read_budgets(arguments: Arguments) -> tuple[Budget, ...] | None:
    """None where none are named; `none` is for taking all away."""
    given = arguments.get("budgets") or ""
    if not given:
        return None
    try:
        return tuple(parse_budget(text) for text in given.split(",") if text.strip() not in ("", "none"))
    except ValueError as exc:
        raise AdministrationError(str(exc)) from exc


_DURATION = re.compile(r"([0-9]{1,5})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def read_duration_s(text: str) -> int:
    """`0s`, `30m`, `24h`, `7d`. Raises ValueError with what may be written."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write 30m, 24h or 7d, or 0s for none")
    return int(match[1]) * _UNIT_S[match[2]]


def read_expiry(text: str, now_ms: int) -> int:
    """`90d`, `12h` from now, or a date -> ms since 1970. Raises ValueError with what may be written."""
    return now_ms + read_duration_s(text) * 1000 if _DURATION.fullmatch(text.strip()) else parse_expiry(text)


def shown_time(at_ms: int | None) -> str | None:
    """For people: UTC, to the second."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
