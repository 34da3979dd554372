"""The gateway as its operators run it: `gateway serve` in a process and a folder of its own, with a config file, on a free port.

A process forked from one that has imported everything (tests/fork_server.py), unless a test asks for the installed command: that is the right one
for what an installation, an import or the memory of a process has a part in. test_first_run.py and test_commands.py show that both do the same.

Owns the process, its two outputs (files in its folder) and a small HTTP client; knows nothing of what is tested. Every wait is bounded: a gateway
that does not start, stop or answer in time raises AssertionError with what it printed. No provider key of the caller's environment reaches it.
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self, TypeVar

from gateway.app_office import open_office
from gateway.config import load
from gateway.db.migrate import migrate
from gateway.domain.clock import SystemClock
from gateway.domain.errors import GatewayError
from gateway.telemetry.redaction import without_keys
from tests.fork_server import die_with_parent
from tests.forked import fork_server

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = Path(sys.executable).with_name("gateway")
"""The installed command."""
MODULES = (
    "gateway.cli.main", "gateway.cli.welcome", "gateway.app", "uvloop", "alembic.command", "rich.console", "rich.table",
    "gateway.upstreams.openai", "gateway.upstreams.evolink", "gateway.upstreams.sandbox", "tests.acceptance.warm",
    "tests.acceptance.forked_gateway", "tests.acceptance.hurried", "tests.acceptance.probed_gateway",
)  # fmt: skip
"""What a gateway, or a command of it, comes to import; and the other gateways of the tests, which need not have servers of their own."""
MAIN = "gateway.cli.main:main"
START_S_MAX = 30.0
STOP_S_MAX = 30.0
ANSWER_S_MAX = 60.0
COMMAND_S_MAX = 60.0
POLL_S = 0.05
LOG_S_MAX = 30.0
ENVIRONMENT_LEFT_OUT = re.compile(r"(OPENAI|EVOLINK|APIMART|KIE|GATEWAY|GEMINI|FAL|PG|PYTEST|COLUMNS)")
"""Variables whose names begin so would change what is started, or what it prints."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Process(Protocol):
    """What is needed of a process: subprocess.Popen has it, and ForkedProcess."""

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...

    def send_signal(self, sig: signal.Signals, /) -> None: ...


class GatewayProcess:
    """One gateway: may be started, killed or terminated, and started again in the same folder."""

    target = MAIN
    """What its forked processes run."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, object] | Path | None,
        *,
        key: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.key = key
        self.base_url = ""
        """As printed at the start, with `/v1`."""
        self.environ = environment(environ)
        self._process: Process | None = None
        self._number = next(_NUMBERS)
        self._starts = 0
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(config, Mapping):
            path = folder / "gateway.yaml"
            path.write_text(json.dumps(config), encoding="utf-8")  # noqa: TID251 - YAML is a superset of JSON
            config = path
        self.config_path = config
        self.arguments = () if config is None else ("--config", str(config))

    # --- the process

    def start(self, *arguments: str, command: Sequence[str | Path] = ()) -> Self:
        """`gateway serve`, until it says where it serves. With a command, that one instead of a forked process."""
        self.launch(*arguments, command=command)
        self.base_url = until(self._announced, START_S_MAX, f"the gateway does not start\n{self.output}\n{self.log}")
        until(lambda: self.request("GET", "/readyz").status == 200, START_S_MAX, "the gateway does not become ready")
        return self

    def launch(self, *arguments: str, command: Sequence[str | Path] = ()) -> None:
        """`gateway serve` without waiting for anything."""
        assert self._process is None, "this gateway runs already"
        self._starts += 1
        serve = ("serve", *self.arguments, *arguments)
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            if not command:
                self._process = self._fork(("gateway", *serve), out, err)
                return
            self._process = subprocess.Popen(
                [*command, *serve],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only prctl is called between fork and exec
            )

    def _fork(self, argv: Sequence[str], out: IO[bytes], err: IO[bytes]) -> Process:
        return fork_server(*MODULES).start(
            self.target, argv=argv, environ=self.environ, folder=self.folder, stdout=out, stderr=err
        )

    def kill(self) -> None:
        """kill -9: nothing in the process gets to run again."""
        process = self._running()
        process.kill()
        process.wait(STOP_S_MAX)
        self._process = None

    def send(self, number: signal.Signals) -> None:
        """A signal, without waiting for what follows."""
        self._running().send_signal(number)

    def wait(self, timeout_s: float = STOP_S_MAX) -> int:
        """The exit code, once the process has ended by itself."""
        process = self._running()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway does not end within {timeout_s} s\n{self.log}") from None
        self._process = None
        return code

    def terminate(self) -> int:
        """SIGTERM and the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def stop(self) -> None:
        """For the end of a test: however it is, it is gone afterwards."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.kill()

    @property
    def output(self) -> str:
        """What the last start printed for people."""
        return self._file("out").read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        """What the last start logged."""
        return self._file("err").read_text(encoding="utf-8")

    def log_lines(self, level: str | None = None) -> list[dict[str, Any]]:
        """The log as objects; with a level, only such lines."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if level is None or line.get("level") == level]

    def logged(self, event: str, timeout_s: float = LOG_S_MAX) -> dict[str, Any]:
        """The first line of the last start whose event contains this; the log is written a moment behind."""

        def look() -> dict[str, Any] | None:
            return next((line for line in self.log_lines() if event in line["event"]), None)

        return until(look, timeout_s, f"nothing is logged about {event!r}")

    # --- commands of the operator

    def command(self, *arguments: str, installed: bool = False) -> "subprocess.CompletedProcess[str]":
        """`gateway …` in the same folder with the same config, running or not. `installed`: the command itself."""
        arguments = (*arguments, *self.arguments)
        if not installed:
            return fork_server(*MODULES).run(
                MAIN, argv=("gateway", *arguments), environ=self.environ, folder=self.folder, timeout=COMMAND_S_MAX
            )
        return subprocess.run(
            [GATEWAY, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_S_MAX,
        )

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """The rows that a command answers to programs."""
        done = self.command(*arguments, "--format", "json")
        assert done.returncode == 0, (done.stdout, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        assert isinstance(rows, list)
        return rows

    def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        """The answer of a command, without a process for it: through the socket, or from the database itself (PostgreSQL).

        A process for every question takes a second of one core; that commands answer the same is shown by test_commands.py.
        """
        path = self.folder / "var/gateway.sock"
        if not path.exists():
            return asyncio.run(_ask_database(self.config_path, command, arguments))
        connection = http.client.HTTPConnection("localhost", timeout=ANSWER_S_MAX)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        body = json.dumps({"command": command, "arguments": arguments})  # noqa: TID251 - a small command
        connection.request("POST", "/command", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert isinstance(answer, dict)
        return answer

    def migrate(self) -> Self:
        """What `gateway migrate` does, without a process for it."""
        asyncio.run(migrate(load(self.config_path).database))
        return self

    # --- HTTP

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S_MAX,
    ) -> Answer:
        """One call on a connection of its own. Raises OSError or HTTPException where the connection breaks."""
        host, port = self.base_url.removeprefix("http://").partition("/")[0].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
        sent = {"Authorization": f"Bearer {self.key if key is None else key}", **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body)  # noqa: TID251 - a test's request
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, received, answer.read())
        finally:
            connection.close()

    def generate(
        self, model: str, prompt: str, *, idempotency_key: str = "", prefer: str = "wait=600", **more: object
    ) -> Answer:
        """OpenAI's call: answered when the picture is there."""
        return self._call(model, prompt, prefer, idempotency_key, more)

    def submit(self, model: str, prompt: str, *, idempotency_key: str = "", **more: object) -> str:
        """The task contract's call: the task's id."""
        answer = self._call(model, prompt, "respond-async", idempotency_key, more)
        assert answer.status == 202, answer.body
        task_id = answer.json["id"]
        assert isinstance(task_id, str)
        return task_id

    def _call(self, model: str, prompt: str, prefer: str, key: str, more: Mapping[str, object]) -> Answer:
        body = {"model": model, "prompt": prompt, "size": "1024x1024", "quality": "low", **more}
        headers = {name: text for name, text in (("Prefer", prefer), ("Idempotency-Key", key)) if text}
        return self.request("POST", "/v1/images/generations", body, headers=headers)

    def task(self, task_id: str) -> dict[str, Any]:
        """One task, as its caller sees it."""
        answer = self.request("GET", f"/v1/tasks/{task_id}")
        assert answer.status == 200, answer.body
        task = answer.json
        assert isinstance(task, dict)
        return task

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of the key."""
        found: list[dict[str, Any]] = []
        for page in range(1, 1000):
            answer = self.request("GET", f"/v1/tasks?page_size=100&page={page}")
            assert answer.status == 200, answer.body
            found += answer.json["data"]
            if len(found) >= answer.json["total"]:
                return found
        raise AssertionError("the list of tasks has no end")

    def tasks_in_full(self) -> list[dict[str, Any]]:
        """All tasks of the key, with results and attempts."""
        ids = [task["id"] for task in self.tasks()]
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), 50):
            found += self.tasks_by_id(ids[start : start + 50])
        return found

    def tasks_by_id(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Up to fifty of them, in full."""
        answer = self.request("POST", "/v1/tasks/batch", {"task_ids": ids})
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["data"]
        assert len(found) == len(ids)
        return found

    def download(self, link: str) -> bytes:
        """The bytes behind a result's link, which is of this gateway; no key is sent."""
        origin = self.base_url.removesuffix("/v1")
        assert link.startswith(origin + "/"), link
        answer = self.request("GET", link.removeprefix(origin), key="")
        assert answer.status == 200, answer.body
        return answer.body

    # --- inside

    def _announced(self) -> str | None:
        process = self._running()
        if process.poll() is not None:
            raise AssertionError(f"the gateway ended with {process.returncode}\n{self.output}\n{self.log}")
        match = re.search(r"serves at (http://\S+)\n", self.output)
        return match and match[1]

    def _running(self) -> Process:
        assert self._process is not None, "this gateway does not run"
        return self._process

    def _file(self, kind: str) -> Path:
        return self.folder / f"gateway{self._number}.{self._starts}.{kind}"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without anything that would configure a gateway."""
    kept = {name: value for name, value in os.environ.items() if ENVIRONMENT_LEFT_OUT.match(name) is None}
    return kept | dict(more or {})


def until(look: Callable[[], T | None], timeout_s: float, what: str, *, pause_s: float = POLL_S) -> T:
    """Look again and again until there is something true to see; AssertionError with `what` if there never is."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline_s:
            raise AssertionError(f"after {timeout_s} s: {what}")
        time.sleep(pause_s)


async def _ask_database(config: Path | None, command: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    async with open_office(load(config), SystemClock(), migrating=False) as office:
        try:
            report = await office.operator.run(command, arguments)
        except GatewayError as exc:
            return {"error": without_keys(str(exc))}
    return {"rows": list(report.rows), "message": report.message, "failed": report.failed}
