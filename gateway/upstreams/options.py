"""Options of one kind of upstream, which the config hands on as text. ValueError names the option, the value and what may stand there."""

import re
from decimal import Decimal, InvalidOperation

from gateway.upstreams.base import UpstreamSettings

_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds_option(settings: UpstreamSettings, name: str, default: float) -> float:
    """`500ms`, `2s`, `1m`, or a plain number of seconds."""
    text = settings.options.get(name)
    if text is None:
        return default
    seconds = parse_seconds(text)
    if seconds is None:
        raise ValueError(f"upstreams.{settings.name}.{name}: {text!r} is not a duration; write 2s, 500ms or 1.5")
    return seconds


def parse_seconds(text: str) -> float | None:
    """The same of a text; None where it is no duration."""
    match = _SECONDS.fullmatch(text.strip())
    return None if match is None else float(match[1]) * _UNIT_S[match[2] or "s"]


def rate_option(settings: UpstreamSettings, name: str) -> float:
    """A share between 0 (the default) and 1."""
    text = settings.options.get(name, "0")
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"upstreams.{settings.name}.{name}: {text!r} is not a share; write a number from 0 to 1")
    return rate


def decimal_option(settings: UpstreamSettings, name: str, default: str) -> Decimal:
    """A positive number, exactly as written."""
    text = settings.options.get(name, default)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise ValueError(f"upstreams.{settings.name}.{name}: {text!r} is not a positive number")
    return value
