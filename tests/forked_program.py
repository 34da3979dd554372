"""A program for the tests of forked processes: tells what it sees of itself, ends as told, fails, waits."""

import json
import os
import signal
import sys
from pathlib import Path


def tell() -> None:
    """Everything that a program has from whoever starts it."""
    files = [
        fd for fd in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{fd}").exists()
    ]  # not the one of the list
    seen = {
        "argv": sys.argv, "environ": dict(os.environ), "folder": str(Path.cwd()), "read": sys.stdin.read(), "files": sorted(map(int, files)),
        "main": [name for name in vars(sys.modules["__main__"]) if not name.startswith("_")],
        "leads": os.getsid(0) == os.getpgid(0) == os.getpid(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(seen))  # noqa: TID251 - a small answer
    sys.stderr.write("trouble\n")


def leave(how: str | int | None) -> None:
    """End with this code, or in this way."""
    sys.exit(how)


def fail() -> None:
    """Raise what nobody catches."""
    raise ValueError("a mistake")


def wait() -> None:
    """Until a signal comes."""
    signal.pause()
