"""A process that has imported a program and forks for each run of it: a run then begins in hundredths of a second instead of seconds.

`python -m tests.fork_server <descriptor> <module>…` imports the modules, starts neither loop nor thread, and serves the socket at the descriptor
until its other end is closed. Every child is a real process with the arguments, environment, folder, outputs and session it was asked for; it sees a
`__main__` of its own, ends as an interpreter ends, and dies with this process. tests/forked.py is the other end.

How it fails: a request that is not understood ends it with a traceback, and with it every child.
"""

import ctypes
import gc
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from select import select
from types import ModuleType

NUMBER = struct.Struct("!q")
"""The length of a request, a child's process id, and its exit code as subprocess has it."""
FDS = 4
"""Come with a request: standard input, output, error, and the socket that is told process id and exit code."""


@dataclass(frozen=True, slots=True)
class Request:
    """One process."""

    target: str
    """`module:function`, called without a word but `arguments`."""
    arguments: Sequence[object]
    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path


class Server:
    """The parent of all children."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._reports: dict[int, socket.socket] = {}
        self._ended, wakeup = socket.socketpair()
        for end in (self._ended, wakeup):
            end.setblocking(False)
        self._wakeup = wakeup
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)

    def run(self) -> Request | None:
        """In this process None, when nobody asks any more; in every child what it was asked for, everything but that done."""
        while True:
            ready, _, _ = select([self._requests, self._ended], [], [])
            if self._ended in ready:
                self._ended.recv(4096)
                self._reap()
            if self._requests in ready:
                head, fds, _, _ = socket.recv_fds(self._requests, NUMBER.size, FDS)
                if not head:
                    return None
                request = pickle.loads(_received(self._requests, *NUMBER.unpack(head)))
                assert isinstance(request, Request)
                if self._fork(fds):
                    _become(request, fds)
                    return request

    def _fork(self, fds: Sequence[int]) -> bool:
        """Whether this is the child. Nothing that happened to be open here is open there."""
        parent = os.getpid()
        child = os.fork()
        if child:
            report = socket.socket(fileno=fds[-1])
            report.sendall(NUMBER.pack(child))
            self._reports[child] = report
            for fd in fds[:-1]:
                os.close(fd)
            return False
        _die_with(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
        for end in (self._requests, self._ended, self._wakeup, *self._reports.values()):
            end.close()
        os.close(fds[-1])
        return True

    def _reap(self) -> None:
        while self._reports:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            with self._reports.pop(child) as report, suppress(OSError):  # nobody wants to know
                report.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _become(request: Request, fds: Sequence[int]) -> None:
    """Of a child: what an interpreter has from whoever starts it."""
    for number, fd in enumerate(fds[:-1]):
        os.dup2(fd, number)
        os.close(fd)
    os.setsid()
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environ)
    time.tzset()
    sys.argv[:] = request.argv
    sys.modules["__main__"] = ModuleType("__main__")


def die_with_parent() -> None:
    """On Linux: this process gets SIGKILL when the thread that made it ends, so that it never outlives a killed test run."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # linux/prctl.h
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _die_with(parent: int) -> None:
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)  # it went before we could say so


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("half a request")
        data += more
    return data


def main() -> None:
    """Serve; in a child, run what it is for."""
    fd, *modules = sys.argv[1:]
    gc.disable()  # all of it stays: to look for garbage meanwhile took a fifth of the time
    for module in modules:
        import_module(module)
    assert threading.active_count() == 1, f"importing them started threads: {threading.enumerate()}"
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, every page
    gc.enable()
    request = Server(socket.socket(fileno=int(fd))).run()
    if request is not None:
        module, _, function = request.target.partition(":")
        getattr(import_module(module), function)(*request.arguments)


if __name__ == "__main__":
    # Under its own name: what is pickled there is found here.
    import_module("tests.fork_server").main()
