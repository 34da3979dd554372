"""Processes of a program that a fork server has imported already (tests/fork_server.py), with the verbs of subprocess.

One server for each list of modules and test process, started by the first who asks and gone with the test process. How it fails: where the server
died, RuntimeError; what it said is on this process's error output.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from select import select
from typing import IO

from tests.fork_server import FDS, NUMBER, Request

ROOT = Path(__file__).parents[1]


class ForkedProcess:
    """What subprocess.Popen is to a started program."""

    def __init__(self, report: socket.socket, argv: Sequence[str]) -> None:
        self.args = argv
        self.returncode: int | None = None
        self._report = report
        self._lock = threading.Lock()
        self.pid = self._number(None) or 0

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Raises subprocess.TimeoutExpired."""
        code = self._exit_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _exit_code(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None:
                self.returncode = self._number(timeout)
                if self.returncode is not None:
                    self._report.close()
            return self.returncode

    def _number(self, timeout: float | None) -> int | None:
        """The next word of the server, if it comes in time."""
        if not select([self._report], [], [], timeout)[0]:
            return None
        data = self._report.recv(NUMBER.size)
        if len(data) < NUMBER.size:
            self._report.close()
            raise RuntimeError("the fork server died")
        number: int = NUMBER.unpack(data)[0]
        return number


class ForkServer:
    """The server's other end; may be used by several threads."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._requests, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(fd), *modules],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # no terminal, whatever ours is
                pass_fds=(fd,),
                start_new_session=True,
            )
        atexit.register(self._close)

    def start(
        self,
        target: str,
        arguments: Sequence[object] = (),
        *,
        argv: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        stdin: IO[bytes] | int | None = None,
        stdout: IO[bytes],
        stderr: IO[bytes] | None = None,
    ) -> ForkedProcess:
        """A process that calls the target (`module:function`). Without `stdin` it has nothing to read; without `stderr` it has ours."""
        data = pickle.dumps(Request(target, arguments, argv, dict(environ), folder))
        ours, theirs = socket.socketpair()
        with theirs, open(os.devnull, "rb") as nothing:
            files = (nothing if stdin is None else stdin, stdout, sys.__stderr__ if stderr is None else stderr, theirs)
            fds = [file if isinstance(file, int) else file.fileno() for file in files if file is not None]
            assert len(fds) == FDS
            with self._lock:
                socket.send_fds(self._requests, [NUMBER.pack(len(data))], fds)
                self._requests.sendall(data)
        return ForkedProcess(ours, argv)

    def run(
        self, target: str, *, argv: Sequence[str], environ: Mapping[str, str], folder: Path, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        """What subprocess.run(capture_output=True, text=True) does."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(target, argv=argv, environ=environ, folder=folder, stdout=out, stderr=err)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            return subprocess.CompletedProcess(argv, code, *(_text(file) for file in (out, err)))

    def _close(self) -> None:
        self._requests.close()
        self._process.wait()


@cache
def fork_server(*modules: str) -> ForkServer:
    """The one that has imported these."""
    return ForkServer(modules)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")
