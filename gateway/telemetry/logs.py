"""Logs as JSON lines (docs/logs.md), redacted, written by a thread of their own so that a slow reader of our output never blocks the event loop.

Plain `logging` with an orjson formatter, and for the one canonical line of a request not even that: `CanonicalLog` makes its bytes directly.
structlog was measured at 50 µs a line, a twelfth of a whole request; a batched orjson line costs two or three.

Everything that leaves passes `redact`, whichever logger it came from, and stays one line: what could end a line or steer a terminal is escaped. Lines
written inside a call carry its `request_id`, and where it is traced `trace_id` and `span_id`. How it fails: when the output stands still, LINES_MAX
lines wait and further ones are dropped and counted; the count is logged when writing goes on. At a kill -9, the lines of the last 50 ms are lost.
"""

import atexit
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import BinaryIO

import orjson
from aiohttp.http_exceptions import HttpProcessingError

from gateway.domain.clock import Clock
from gateway.telemetry.redaction import redact
from gateway.telemetry.traces import current

LINES_MAX = 20_000
_BATCH_S = 0.05
_TEXT_CHARS_MAX = 8_000
"""Of one message or traceback: nothing image-sized enters a log."""

LogValue = str | int | float | bool | None

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineWriter:
    """Collects lines and writes them in batches from a daemon thread."""

    def __init__(
        self, stream: BinaryIO, lines_max: int = LINES_MAX, shown: Callable[[bytes], bytes] | None = None
    ) -> None:
        """`shown` makes of a line what people read; None: JSON goes out."""
        self._stream = stream
        self._shown = shown
        self._lines: deque[bytes] = deque()
        self._lines_max = lines_max
        self._dropped = 0
        self._wake = threading.Event()
        self._closed = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        """Takes one line without its line end; never blocks, never raises."""
        if len(self._lines) >= self._lines_max:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Writes what is waiting, from the calling thread. For the end of the process and for tests."""
        with self._writing:
            batch: list[bytes] = []
            while self._lines:
                batch.append(self._lines.popleft())
            text = b"\n".join(batch)
            if not text.isascii() or b"\x7f" in text:
                batch = [*map(_steerless, batch)]
                text = b"\n".join(batch)
            if (
                redact(text) is not text
            ):  # seldom: then each line by itself, since what hides a secret may not reach into the next line
                batch = [*map(redact, batch)]
            if self._dropped:
                batch.append(b'{"level":"warning","event":"log lines dropped","count":%d}' % self._dropped)
                self._dropped = 0
            if batch and self._shown is not None:
                batch = [self._shown(line) for line in batch]
            if batch:
                try:
                    self._stream.write(b"\n".join(batch) + b"\n")
                    self._stream.flush()
                except (OSError, ValueError):
                    pass  # nobody reads any more: there is no place left to say so

    def close(self) -> None:
        """Writes what is waiting and ends the thread."""
        self._closed = True
        self._wake.set()
        self.flush()
        atexit.unregister(self.close)

    def _run(self) -> None:
        pause = threading.Event()  # never set: a wait that needs no clock
        while not self._closed:
            self._wake.wait()
            pause.wait(_BATCH_S)  # lets a batch gather: at most twenty wake-ups a second
            self._wake.clear()
            self.flush()


class CanonicalLog:
    """Writes the one line that says everything about a request."""

    def __init__(self, writer: LineWriter, clock: Clock, level: str = "info") -> None:
        """`level`: the lowest that is written; above info these lines are not."""
        self._writer = writer
        self._clock = clock
        self._is_off = level in ("warning", "error")

    def __call__(self, fields: Mapping[str, LogValue]) -> None:
        if self._is_off:
            return
        present: dict[str, LogValue] = {"ts_ms": self._clock.now_ms(), "level": "info", "event": "request"}
        opened = current()
        if opened is not None and opened.trace_id:
            present["trace_id"], present["span_id"] = opened.trace_id, opened.span_id
        for name, value in fields.items():
            if value is not None:
                present[name] = value
        try:
            encoded = orjson.dumps(present)
        except TypeError:  # a header with bytes that are no UTF-8 came through as lone surrogates
            encoded = orjson.dumps({name: _printable(value) for name, value in present.items()})
        self._writer.write(encoded)


class JsonHandler(logging.Handler):
    """Turns log records into lines: time, level, logger, event, the record's `extra`, and a traceback where there is one."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer
        self._tracebacks = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line: dict[str, object] = {
                "ts_ms": int(record.created * 1000),
                "level": record.levelname.lower(),
                "logger": record.name,
                "event": record.getMessage()[:_TEXT_CHARS_MAX],
            }
            line.update(_ids())
            line.update({name: _bounded(value) for name, value in vars(record).items() if name not in _STANDARD})
            if record.exc_info:
                line["traceback"] = self._tracebacks.formatException(record.exc_info)[-_TEXT_CHARS_MAX:]
            try:
                encoded = orjson.dumps(line, default=str)
            except TypeError:
                encoded = orjson.dumps(
                    {
                        name: value if isinstance(value, int | float) else _printable(str(value))
                        for name, value in line.items()
                    }
                )
            self._writer.write(encoded)
        except Exception:  # noqa: BLE001 - a record that cannot be written must not break the caller; logging's own way to say so
            self.handleError(record)


_request: ContextVar[str] = ContextVar("request", default="")


class within:
    """Lines that are written in this block, and in the tasks that it starts, say to which request they belong."""

    __slots__ = ("_request_id", "_token")

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __enter__(self) -> None:
        self._token = _request.set(self._request_id)

    def __exit__(self, *_: object) -> None:
        _request.reset(self._token)


def _ids() -> dict[str, str]:
    request_id, opened = _request.get(), current()
    ids = {"request_id": request_id} if request_id else {}
    if opened is not None and opened.trace_id:
        ids |= {"trace_id": opened.trace_id, "span_id": opened.span_id}
    return ids


# Deletion, the second set of control characters (one of them begins a terminal's commands), line and paragraph separators, marks of direction.
_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _steerless(line: bytes) -> bytes:
    """JSON escapes what is below a space; the rest that a terminal or a reader of lines may obey is escaped here, as JSON would."""
    text = line.decode("utf-8", "replace")
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _bounded(value: object) -> object:
    return value[:_TEXT_CHARS_MAX] if isinstance(value, str) else value


def _printable(value: LogValue) -> LogValue:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class ParserNoise(logging.Filter):
    """Shortens aiohttp's reports of malformed requests: whoever can connect could fill the log with tracebacks that quote his bytes."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "malformed HTTP request refused: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def configure(writer: LineWriter, level: int = logging.INFO) -> None:
    """Sends all of `logging` through one handler: handlers that others installed are removed, so nothing gets round the redaction."""
    handler = JsonHandler(writer)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    server = logging.getLogger("aiohttp.server")
    if not any(isinstance(existing, ParserNoise) for existing in server.filters):
        server.addFilter(ParserNoise())
    logging.captureWarnings(True)
