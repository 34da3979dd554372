"""How long an upstream wants to be left alone, in every form that the vendors use. Pure: dates are measured from the answer's own Date.

Nonsense counts as no wish. What is too long is cut to a day.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

RETRY_AFTER_S_MAX = 86_400.0
"""A day: whatever is longer is an operator's matter, and a header may hold any number."""
_EPOCH_S = 1_000_000_000.0
"""A number above this is a moment, not a span."""
_NUMBER = re.compile(r"\s*\d{1,12}(\.\d{0,9})?\s*")
_SPAN = r"(?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)(?![a-z])\s*)"
_SPANS = re.compile(rf"\s*{_SPAN}+", re.IGNORECASE)
_SPANS_IN_TEXT = re.compile(
    rf"(?:again|retry|after|wait|in|out for|~)\W{{0,3}}(?:after|in|about|for|~)?\s*~?({_SPAN}+)", re.IGNORECASE
)
_COMPACT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|s|m|h)", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def retry_after_s(headers: Mapping[str, str], message: str, in_body_s: float | None = None) -> float | None:
    """The first of `retry-after-ms`, `Retry-After` (seconds or a date), a field of the body, headers that name a reset, and the message."""
    for value in (
        _number(headers.get("Retry-After-Ms"), 0.001),
        _number(headers.get("Retry-After"), 1.0),
        _until(headers),
        in_body_s,
        _reset(headers),
        _in_text(message),
    ):
        if value is not None:
            return min(value, RETRY_AFTER_S_MAX)
    return None


def stated_s(value: object) -> float | None:
    """A field of a body: seconds, or a span such as `1.17s`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    return _number(text, 1.0) if _NUMBER.fullmatch(text) else _span(text) if _SPANS.fullmatch(text) else None


def _number(text: str | None, scale: float) -> float | None:
    return float(text) * scale if text is not None and _NUMBER.fullmatch(text) else None


def _until(headers: Mapping[str, str]) -> float | None:
    """Retry-After as a date, measured from the answer's own Date, so that the clocks need not agree."""
    try:
        until, now = (parsedate_to_datetime(headers[name]) for name in ("Retry-After", "Date"))
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """OpenAI's pairs, of which the exhausted ones count, the latest of them; or the one reset that others send."""
    waits = [
        stated_s(headers.get(f"X-Ratelimit-Reset-{what}"))
        for what in ("Requests", "Tokens", "Images")
        if headers.get(f"X-Ratelimit-Remaining-{what}") == "0"
    ]
    found = max((wait for wait in waits if wait is not None), default=None)
    if found is not None:
        return found
    alone = stated_s(headers.get("X-Ratelimit-Reset") or headers.get("Ratelimit-Reset"))
    if alone is None or alone < _EPOCH_S:
        return alone
    try:
        return max(0.0, alone - parsedate_to_datetime(headers["Date"]).timestamp())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _in_text(message: str) -> float | None:
    found = _SPANS_IN_TEXT.search(message)
    return _span(found[1]) if found else None


def _span(text: str) -> float | None:
    """`6m0s`, `500ms`, `20 seconds` -> seconds."""
    parts = _COMPACT.findall(text)
    return sum(float(number) * _UNIT_S[unit.lower()] for number, unit in parts) if parts else None
