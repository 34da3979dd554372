"""A decoding worker with faults: `compression` of a job says which. The pool runs it instead of the real one, and it confines itself like that."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from gateway.imaging.protocol import Job
from gateway.imaging.worker import __main__ as worker
from gateway.imaging.worker import jobs

MODULE = "tests.planted_worker"
PNG_MAGIC = b"\x89PNG"
FOREVER_S = 3_600


class Fault(IntEnum):
    """What goes wrong. Any other compression: nothing."""

    SLEEP = 0
    SPIN = 1
    SEGFAULT = 2
    KILLED = 3
    EXIT = 4
    LIE = 5  # another format than asked for
    TOO_MUCH = 6  # more bytes than allowed
    TALK = 7  # an answer that is none
    HANG_UP = 8  # closes the socket and lives on
    BREAK_OUT = 9  # tries what a worker may not, and tells what it could
    SLOW = 10
    TELL = 11  # what it knows
    ECHO = 12  # the file as it came


def planted(job: Job, data: bytes, pixels_max: int) -> bytes:
    match job.compression:
        case Fault.SLEEP:
            time.sleep(FOREVER_S)
        case Fault.SPIN:
            while True:
                pass
        case Fault.SEGFAULT | Fault.KILLED:
            os.kill(os.getpid(), signal.SIGSEGV if job.compression == Fault.SEGFAULT else signal.SIGKILL)
        case Fault.EXIT:
            os._exit(7)
        case Fault.LIE:
            return b"<script>alert(1)</script>"
        case Fault.TOO_MUCH:
            return PNG_MAGIC + bytes(job.bytes_max)
        case Fault.TALK:
            os.write(0, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_000))
        case Fault.HANG_UP:
            os.close(0)
            time.sleep(FOREVER_S)
        case Fault.BREAK_OUT:
            return PNG_MAGIC + ",".join(name for name, attempt in ATTEMPTS.items() if _works(attempt)).encode()
        case Fault.ECHO:
            return data
        case Fault.SLOW:
            time.sleep(0.05)
        case Fault.TELL:
            return PNG_MAGIC + repr((sorted(os.environ), os.getcwd(), _descriptors(), sorted(sys.modules))).encode()
    return _perform(job, data, pixels_max)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read": lambda: Path("/etc/passwd").read_bytes(),
    "list": lambda: os.listdir("/"),
    "socket": socket.socket,
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "pipe": os.pipe,
    "duplicate": lambda: os.dup(0),
    "memory": lambda: bytearray(3 << 30),
    "mathematics": lambda: 1 + 1,
}
"""Only the last may work. Children are left out: root, as which some containers run, is not bound by that limit."""
_perform = jobs.perform


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True


def _descriptors() -> list[int]:
    return [number for number in range(1_024) if _works(lambda: os.fstat(number))]  # noqa: B023 - called at once


if __name__ == "__main__":
    jobs.perform = planted
    worker.main(sys.argv[1:])
