"""Lines are JSON, carry no secret, and never stop the one who writes them."""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
from aiohttp.http_exceptions import BadStatusLine

from gateway.domain.clock import SystemClock
from gateway.telemetry.logs import CanonicalLog, LineWriter, configure, within
from gateway.telemetry.redaction import redact
from gateway.telemetry.terminal import Terminal


class Output:
    """A stream and the writer on it."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.writer = LineWriter(self.stream)

    def lines(self) -> list[dict[str, object]]:
        self.writer.flush()
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output()
    yield made
    made.writer.close()


@pytest.fixture
def configured(output: Output) -> Iterator[Output]:
    """`logging` through our handler, put back afterwards: pytest has handlers of its own."""
    with logging_through(output.writer):
        yield output


@contextmanager
def logging_through(writer: LineWriter) -> Iterator[None]:
    """`logging` through a writer, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(writer)
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        logging.captureWarnings(False)


SECRETS = [
    ("key igw_Abc123Def456Ghi789 used", "Abc123Def456"),
    ("token iga_Abc123Def456Ghi789 used", "Abc123Def456"),
    ("Authorization: Bearer abcdef.ghij", "abcdef"),
    ('{"authorization": "Bearer tok-en_1234"}', "tok-en_1234"),
    ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("openai said: Incorrect API key provided: sk-proj-abc_DEF-1234", "abc_DEF"),
    ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8"),
    ("headers {'api-key': 'azure-secret-1'}", "azure-secret-1"),
    ("X-Api-Key: hunter2hunter2", "hunter2"),
    ("OPENAI_API_KEY=plain-value-1", "plain-value-1"),
    ("GET /v1/results/Abc-_123/att_1-0.png 200", "Abc-_123"),
    ("https://b.example/x?X-Amz-Credential=1&X-Amz-Signature=deadbeef01&y=1", "deadbeef01"),
    ("https://b.example/x?sig=deadbeef02%3D", "deadbeef02"),
    ("cannot connect to postgresql://gateway:hunter3hunter3@db/images", "hunter3"),
    ("redis://:hunter4hunter4@valkey:6379/0 is down", "hunter4"),
    ("https://b.example/x?access_token=deadbeef03", "deadbeef03"),
    ("Cookie: a=b; __Host-igw_session=AbC-_123; c=d", "AbC-_123"),
    ("{'Set-Cookie': 'igw_session=AbC-_124; Path=/'}", "AbC-_124"),
    ("X-CSRF-Token: 0123abcd", "0123abcd"),
    ('{"csrf": "0123abce"}', "0123abce"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_removed(text: str, secret: str) -> None:
    """In plain text, inside a JSON string, and inside JSON inside a JSON string."""
    once = orjson.dumps({"event": text})
    twice = orjson.dumps({"event": once.decode()})
    for line in (text.encode(), once, twice):
        cleaned = redact(line)
        assert secret.encode() not in cleaned
        assert b"[redacted]" in cleaned
    orjson.loads(redact(once))
    orjson.loads(redact(twice))


@pytest.mark.parametrize(
    "text",
    [
        "task-unified-1757165031-uyujaw3d",
        '{"error":"missing_api_key","error_param":null}',
        '{"error":"csrf","session":true}',
        "a basic question",
        "att_abc",
        "risk-free disk-usage",
        "the sky",
        "https://collector:4318/v1/traces answered 503 to somebody@example.org",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Ids and words that only look alike are kept, or the log would be useless."""
    assert redact(text.encode()) == text.encode()


def test_every_logger_passes_the_redaction(configured: Output) -> None:
    """Messages, arguments, extras and tracebacks of whatever logger, also one that had a handler of its own."""
    noisy = logging.getLogger("some.library")
    noisy.addHandler(logging.StreamHandler(sys.stderr))
    configure(configured.writer)
    noisy.warning("key is %s", "igw_Abc123Def456", extra={"upstream": "openai", "header": "Bearer abcdefgh"})
    try:
        raise ValueError("sk-live-1234567890")
    except ValueError:
        noisy.exception("failed")
    first, second = configured.lines()
    assert (first["level"], first["logger"], first["upstream"]) == ("warning", "some.library", "openai")
    assert "Abc123" not in str(first)
    assert "abcdefgh" not in str(first)
    assert "ValueError" in str(second["traceback"])
    assert "1234567890" not in str(second)
    assert noisy.handlers == []


def test_the_canonical_line(output: Output) -> None:
    """Fields without a value are left out; a header that is no text does not break the line."""
    CanonicalLog(output.writer, SystemClock())(
        {"route": "/v1/x", "status": 200, "team": None, "user_agent": "a\udcffb"}
    )
    (line,) = output.lines()
    assert line.pop("ts_ms")
    assert line == {"level": "info", "event": "request", "route": "/v1/x", "status": 200, "user_agent": "a?b"}


HOSTILE = (
    'a line\n{"level":"info","event":"request","status":200}',
    "another\r\nlevel=info",
    "\x1b[2J\x1b]0;title\x07 and \x9b31m red",
    "split\u2028here and\u2029there\x85too",
    "turned \u202egnp.exe\u2066 round",
    "nul \x00, delete \x7f, bell \x07",
    "half a letter \udcff",
    "sk-live-hostile-1234567890",
    '"}, "level": "error", {"x": "',
    "\x1b[31mAuthorization: Bearer abcdefgh.ijkl\x1b[0m",
)


@pytest.mark.parametrize("for_people", [False, True], ids=["json", "text"])
def test_nothing_hostile_gets_out_of_its_line(for_people: bool) -> None:
    """Whatever is in messages, values, names, tracebacks and headers: each is one line, no byte steers a terminal, no secret is left."""
    stream = io.BytesIO()
    writer = LineWriter(stream, shown=Terminal(colours=False) if for_people else None)
    canonical = CanonicalLog(writer, SystemClock())
    with logging_through(writer):
        for text in HOSTILE:
            logging.getLogger(text).warning("%s", text, extra={"upstream_message": text, "list": [text]})
            canonical({"user_agent": text, "error_log": text})
        writer.flush()
        out = stream.getvalue()
        lines = out.splitlines()
        assert len(lines) == 2 * len(HOSTILE)
        try:
            raise ValueError(HOSTILE[0] + HOSTILE[2])
        except ValueError:
            logging.getLogger("x").exception("broke")
        writer.close()
    out = stream.getvalue()
    for secret in (b"hostile-1234567890", b"abcdefgh"):
        assert secret not in out
    text = out.decode()
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []
    if not for_people:
        read = [orjson.loads(line) for line in lines]
        assert [line["level"] for line in read] == ["warning", "info"] * len(HOSTILE)
        assert read[0]["upstream_message"] == HOSTILE[0]
        assert read[8]["event"] == HOSTILE[4]
    else:
        assert all(line[:2].isdigit() for line in text.splitlines()[: 2 * len(HOSTILE)])
        assert '\n{"level"' not in text


def test_an_image_does_not_enter_the_log(configured: Output) -> None:
    """Neither as a message nor as a value beside it."""
    logging.getLogger("x").warning("a" * 1_000_000, extra={"body": "b" * 1_000_000})
    (line,) = configured.lines()
    assert len(orjson.dumps(line)) < 20_000


def test_lines_say_to_which_call_they_belong(configured: Output) -> None:
    """By request id, in the call and in what it started, and nowhere else; what a line says itself stays."""
    with within("req_1"):
        logging.getLogger("x").warning("inside")
        logging.getLogger("x").warning("another's", extra={"request_id": "req_2"})
    logging.getLogger("x").warning("outside")
    assert [line.get("request_id") for line in configured.lines()] == ["req_1", "req_2", None]


def test_above_info_requests_leave_no_line(output: Output) -> None:
    """Their lines are of that level."""
    for level in ("debug", "info", "warning", "error"):
        CanonicalLog(output.writer, SystemClock(), level)({"route": level})
    assert [line["route"] for line in output.lines()] == ["debug", "info"]


def test_malformed_requests_leave_one_short_line(configured: Output) -> None:
    """No traceback and none of the client's bytes."""
    try:
        raise BadStatusLine("GET /?key=very-secret")
    except BadStatusLine:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "203.0.113.9")
    (line,) = configured.lines()
    assert line["level"] == "info"
    assert "traceback" not in line
    assert "very-secret" not in str(line)


def test_a_standing_output_drops_lines_and_says_so() -> None:
    """Whoever logs goes on; what did not fit is counted in the log."""

    class Blocked(io.BytesIO):
        free = threading.Event()

        def write(self, data: object) -> int:
            self.free.wait(5)
            return super().write(data)  # type: ignore[arg-type]  # BytesIO takes any buffer

    stream = Blocked()
    writer = LineWriter(stream, lines_max=10)
    for index in range(25):
        writer.write(b'{"n":%d}' % index)
    stream.free.set()
    writer.close()
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    written = [line for line in lines if "n" in line]
    dropped = sum(line["count"] for line in lines if "count" in line)
    assert len(written) + dropped == 25
    assert dropped >= 1
    assert [line["n"] for line in written] == sorted(line["n"] for line in written)


def test_a_closed_output_harms_nobody() -> None:
    """When nobody reads any more, writing still returns."""
    stream = io.BytesIO()
    writer = LineWriter(stream)
    stream.close()
    writer.write(b"{}")
    writer.close()
