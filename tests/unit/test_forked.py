"""A forked process is to its program what a started one is: what it gets, what it leaves, and how it ends."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.forked import ForkedProcess, fork_server

PROGRAM = "tests.forked_program"
ENVIRON = {"ONE": "1", "TZ": "Asia/Tokyo"}


def run(function: str, folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    return fork_server(PROGRAM).run(
        f"{PROGRAM}:{function}", argv=("program", *argv), environ=ENVIRON, folder=folder, timeout=60
    )


def started(function: str, folder: Path, arguments: Sequence[object] = ()) -> ForkedProcess:
    with TemporaryFile() as out:
        return fork_server(PROGRAM).start(
            f"{PROGRAM}:{function}",
            arguments,
            argv=("program",),
            environ=ENVIRON,
            folder=folder,
            stdout=out,
            stderr=out,
        )


def test_it_gets_what_it_was_asked_for(tmp_path: Path) -> None:
    """Arguments, an environment and a folder of its own, nothing to read, a session to lead, and no file but the three."""
    done = run("tell", tmp_path, "serve", "--port", "0")
    assert (done.returncode, done.stderr) == (0, "trouble\n")
    assert json.loads(done.stdout) == {
        "argv": ["program", "serve", "--port", "0"], "environ": ENVIRON, "folder": str(tmp_path), "read": "", "files": [0, 1, 2],
        "main": [], "leads": True,
    }  # fmt: skip


@pytest.mark.parametrize(("how", "code"), [(None, 0), (0, 0), (3, 3), ("a word", 1)])
def test_it_ends_with_its_code(tmp_path: Path, how: object, code: int) -> None:
    """As an interpreter does."""
    assert started("leave", tmp_path, (how,)).wait(60) == code


def test_a_mistake_is_printed(tmp_path: Path) -> None:
    """With code 1; the server serves on."""
    done = run("fail", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: a mistake\n")
    assert run("tell", tmp_path).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_signals_reach_it(tmp_path: Path, number: signal.Signals) -> None:
    """It runs until then, and its code says what ended it."""
    process = started("wait", tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(60) == process.poll() == process.returncode == -number
    process.send_signal(number)  # to nobody
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """As subprocess.run does."""
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server(PROGRAM).run(f"{PROGRAM}:wait", argv=("program",), environ=ENVIRON, folder=tmp_path, timeout=0.1)
