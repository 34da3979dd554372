"""`gateway healthcheck` against a server that answers as told: what it asks, where, and what its exit code says."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.config_socket import served_at


class Health(ThreadingHTTPServer):
    """Answers each path with the status given for it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses = {"/healthz": 200, "/readyz": 200}
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Health)
        self.server.asked.append(self.path)
        self.send_response(self.server.statuses[self.path])
        self.end_headers()
        self.wfile.write(b"shutting down")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `asked`."""


@pytest.fixture
def health() -> Iterator[Health]:
    with Health() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(*arguments: str, config: Path | None = None) -> Result:
    return CliRunner().invoke(
        app, ["healthcheck", *arguments], env={"GATEWAY_CONFIG": None if config is None else str(config)}
    )


def config_file(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_living_gateway_is_healthy_and_need_not_be_ready(health: Health, tmp_path: Path) -> None:
    """The config named in the environment says where it serves; 200 is 0, anything else is 1 with what was answered."""
    path = config_file(tmp_path, f"server: {{host: 0.0.0.0, port: {health.server_port}}}")
    health.statuses["/readyz"] = 503
    assert run(config=path).exit_code == 0
    done = run("--ready", config=path)
    assert (done.exit_code, health.asked) == (1, ["/healthz", "/readyz"])
    assert f"127.0.0.1:{health.server_port}/readyz answers 503: shutting down" in done.stderr


def test_the_command_line_goes_before_the_config(health: Health, tmp_path: Path) -> None:
    """--host and --port as at `serve`; a config broken since the start is none of its business."""
    path = config_file(tmp_path, "server: {port: [broken")
    done = run("--host", "127.0.0.1", "--port", str(health.server_port), "--config", str(path))
    assert (done.exit_code, health.asked) == (0, ["/healthz"])


def test_nobody_there_is_sick(health: Health) -> None:
    """A refused connection is 1 and one sentence, not a traceback."""
    port = health.server_port
    health.server_close()
    done = run("--port", str(port))
    assert done.exit_code == 1
    assert f"no answer from 127.0.0.1:{port}/healthz" in done.stderr
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: {host: 0.0.0.0, port: 9000}", ("127.0.0.1", 9000)),
        ("server: {host: '::', port: '${PORT_NOT_SET:-9001}'}", ("::1", 9001)),
        ("server: {host: 10.0.0.5}", ("10.0.0.5", 8080)),
        ("database: x", ("127.0.0.1", 8080)),
        ("server: [1]", ("127.0.0.1", 8080)),
        ("server: {port: many}", ("127.0.0.1", 8080)),
        ("server: {port: [", ("127.0.0.1", 8080)),
    ],
)
def test_where_a_config_serves(tmp_path: Path, text: str, expected: tuple[str, int]) -> None:
    """Loopback of the family that all addresses were taken of; the defaults where the config does not tell."""
    assert served_at(config_file(tmp_path, text)) == expected
    assert served_at(None) == ("127.0.0.1", 8080)
