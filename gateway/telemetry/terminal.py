"""Log lines for people at a terminal: time, level, what happened, and the rest as name=value. Made from the JSON lines, after their redaction.

Whatever is in a line, it stays one line, and no byte of it steers the terminal: what cannot be printed is shown as JSON would escape it. It never
fails: what is no JSON object is shown as it is, escaped.
"""

from datetime import UTC, datetime

import orjson

_RESET, _DIM = "\x1b[0m", "\x1b[2m"
_COLOURS = {"debug": _DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
_STATUS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_LEADS = ("ts_ms", "level", "event", "traceback")
_FIRST = ("method", "route", "status", "ms")
"""Of a request's line: what one looks for comes first."""


class Terminal:
    """Turns one line into what is shown. Without its line end."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, line: bytes) -> bytes:
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            return printable(line.decode("utf-8", "replace")).encode("utf-8", "replace")
        return self._text(fields).encode("utf-8", "replace")

    def _text(self, fields: dict[str, object]) -> str:
        level = str(fields.get("level", "info"))
        parts = [
            self._painted(_DIM, _clock_time(fields.get("ts_ms"))),
            self._painted(_COLOURS.get(level, ""), f"{printable(level):<7}"),
            printable(str(fields.get("event", ""))),
        ]
        names = [*(name for name in _FIRST if name in fields), *(name for name in fields if name not in _FIRST)]
        for name in names:
            if name not in _LEADS:
                colour = _STATUS.get(_hundreds(fields[name]), "") if name == "status" else ""
                shown = self._painted(colour, _value(fields[name]))
                parts.append(self._painted(_DIM, f"{printable(name)}=") + shown)
        traceback = fields.get("traceback")
        below = "" if traceback is None else "".join(f"\n    {printable(part)}" for part in str(traceback).split("\n"))
        return " ".join(parts) + below

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours and colour else text


def printable(text: str) -> str:
    """Control characters, line ends of every kind, marks of direction and the like as escapes."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(letter, f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _value(value: object) -> str:
    """Quoted where it could be taken for something else: with spaces, quotes or equal signs in it."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    shown = printable(text)
    if isinstance(value, str) and (not shown or any(sign in shown for sign in ' "=')):
        return '"' + shown.replace('"', '\\"') + '"'
    return shown


def _clock_time(ts_ms: object) -> str:
    if not isinstance(ts_ms, int):
        return "--:--:--.---"
    seconds, rest_ms = divmod(ts_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest_ms:03d}"


def _hundreds(status: object) -> int:
    return status // 100 if isinstance(status, int) else 0
