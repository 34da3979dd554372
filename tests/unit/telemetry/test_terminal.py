"""What people read at a terminal."""

import io

import orjson
import pytest

from gateway import app_telemetry
from gateway.config_tracing import LogConfig, LogFormat, LogLevel
from gateway.telemetry.terminal import Terminal

LINE = orjson.dumps(
    {
        "ts_ms": 1_795_392_000_123, "level": "info", "event": "request", "request_id": "req_1", "route": "/v1/models", "status": 404,
        "method": "GET", "user_agent": "curl 8", "ms": 1.5,
    }
)  # fmt: skip


def test_a_line_for_people() -> None:
    """The time, the level, the event, then what one looks for first; quotes where a value has spaces."""
    shown = Terminal(colours=False)(LINE).decode()
    assert shown == (
        "00:00:00.123 info    request method=GET route=/v1/models status=404 ms=1.5 request_id=req_1 "
        'user_agent="curl 8"'
    )


def test_colours_say_level_and_status() -> None:
    """A 4xx is yellow; without the colours it is the same line."""
    shown = Terminal(colours=True)(LINE).decode()
    assert "\x1b[33m404\x1b[0m" in shown
    bare = shown
    for code in ("\x1b[0m", "\x1b[2m", "\x1b[32m", "\x1b[33m"):
        bare = bare.replace(code, "")
    assert bare == Terminal(colours=False)(LINE).decode()


def test_a_traceback_stands_below() -> None:
    """Indented, so that none of its lines looks like a line of the log."""
    shown = Terminal(colours=False)(orjson.dumps({"event": "broke", "traceback": "Traceback:\n  x\n12:00:00.000 info"}))
    assert shown.decode() == "--:--:--.--- info    broke\n    Traceback:\n      x\n    12:00:00.000 info"


@pytest.mark.parametrize("line", [b"no json \x1b[31m", b"[1]", b'"text"', b"", b"\xff\xfe"])
def test_what_is_no_line_is_shown_all_the_same(line: bytes) -> None:
    """And cannot steer the terminal either."""
    shown = Terminal(colours=True)(line).decode()
    assert shown.isprintable()


class Stderr(io.TextIOWrapper):
    """Standard error that is a terminal, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize(
    ("written", "is_terminal", "colours", "expected"),
    [
        (LogFormat.AUTO, False, True, b"{"),
        (LogFormat.AUTO, True, True, b"\x1b"),
        (LogFormat.AUTO, True, False, b"0"),
        (LogFormat.JSON, True, True, b"{"),
        (LogFormat.TEXT, False, True, b"0"),
    ],
)
def test_the_form_follows_config_and_terminal(
    written: LogFormat, is_terminal: bool, colours: bool, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON into a pipe, text to a terminal, colours to a terminal alone; the config may say which form."""
    stderr = Stderr(is_terminal=is_terminal)
    monkeypatch.setattr("sys.stderr", stderr)
    lines = app_telemetry.open_lines(LogConfig(written, LogLevel.INFO, colours))
    lines.write(LINE)
    lines.close()
    assert stderr.written.getvalue()[:1] == expected
