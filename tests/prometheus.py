"""Prometheus and promtool for the tests: those of the machine, else Debian's package, unpacked into .cache without installing it.

Nothing is changed in the system and no service is started. Fails loudly: RuntimeError with what the operator of the machine can do.
"""

import contextlib
import ctypes
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.debian import unpacked
from tests.ports import free_port

START_S_MAX = 30
ANSWER_S_MAX = 10


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    return unpacked(name, "prometheus")


def promtool(*arguments: str | Path, stdin: str = "") -> None:
    """Raises AssertionError with everything that promtool says, lint included."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=ANSWER_S_MAX * 6,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def parses(queries: Sequence[str]) -> None:
    """Raises AssertionError where one of them is no PromQL: one start of promtool for all."""
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        promtool("check", "rules", file.name)


class Prometheus:
    """A server that scrapes, as its HTTP API shows it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=ANSWER_S_MAX) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{path} {parameters}: {exc.read().decode()}") from exc

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        data = self.get("query", query=expression)
        result = data["result"]
        assert isinstance(result, list), data
        return result

    def firing(self) -> dict[str, dict[str, str]]:
        """The labels of alerts that fire, one of each name."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"}

    def rules(self) -> list[dict[str, Any]]:
        """All rules of all groups, with their health."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


@contextlib.contextmanager
def prometheus_server(config: Mapping[str, object], rules: str = "") -> Iterator[Prometheus]:
    """A server of the caller's own, ready. `rules` is the text of a file of rules."""
    with tempfile.TemporaryDirectory(prefix="gateway-prometheus-") as folder:
        home, port = Path(folder), free_port()
        (home / "rules.yaml").write_text(rules, encoding="utf-8")
        whole = {**config, "rule_files": [str(home / "rules.yaml")]}
        (home / "prometheus.yaml").write_text(json.dumps(whole), encoding="utf-8")  # noqa: TID251 - YAML is a superset of JSON
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    program("prometheus"), f"--config.file={home}/prometheus.yaml", f"--storage.tsdb.path={home}/data",
                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
                # Single-threaded at this point; without it a killed test run would leave its server behind.
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - only prctl is called between fork and exec
            )  # fmt: skip
        try:
            _await_ready(process, port, home / "log")
            yield Prometheus(port)
        finally:
            process.kill()
            process.wait()


def _await_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_S_MAX
    while process.poll() is None and time.monotonic() < deadline_s:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=ANSWER_S_MAX) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError("Prometheus did not start:\n" + log.read_text(encoding="utf-8"))


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
