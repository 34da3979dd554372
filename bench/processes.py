"""Starts, watches and ends the processes of a run, and reads from /proc what they used. Linux.

How it fails: a process that ends early or is not ready in time raises BenchFailed with the end of its output.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
OUTPUT_TIMEOUT_S = 120.0
ROOT = Path(__file__).parents[1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """A part of the benchmark did not work; the text tells which."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process of ours."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def cpu_s(self) -> float:
        """Processor time so far, all threads, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # proc(5): utime and stime, counted after the name

    def memory_mb(self, field: str) -> float:
        """`VmRSS` now, or `VmHWM` at its highest."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise BenchFailed(f"no {field} in /proc")

    def tail(self) -> str:
        return self.output.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def running(name: str, arguments: list[str], folder: Path, program: str = sys.executable) -> Iterator[Child]:
    """`python ARGUMENTS`, or another program, until the block ends; its output goes to a file."""
    output = folder / f"{name}.log"
    with output.open("ab") as file:
        process = subprocess.Popen([program, *arguments], cwd=ROOT, stdout=file, stderr=file)
    try:
        yield Child(process, output)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_quiet(child: Child, at_most_s: float = 5.0) -> None:
    """Until it uses less than a fifth of a processor: what a load left behind is done, and does not meet the next one measured."""
    deadline_s = time.monotonic() + at_most_s
    used_s = child.cpu_s()
    while time.monotonic() < deadline_s:
        time.sleep(0.1)
        before_s, used_s = used_s, child.cpu_s()
        if used_s - before_s <= 0.02:
            return


def output_of(command: list[str]) -> bytes:
    """What a command prints. Raises BenchFailed."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=OUTPUT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BenchFailed(f"{command[:3]}: {exc}") from exc
    if done.returncode:
        raise BenchFailed(f"{command[:3]}: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
    return done.stdout


def python_output_of(arguments: list[str]) -> bytes:
    """What `python ARGUMENTS` prints. Raises BenchFailed."""
    return output_of([sys.executable, *arguments])


def wait_until_ready(child: Child, url: str, pause_s: float = 0.01) -> None:
    """Until the URL answers 200."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if child.process.poll() is not None:
            raise BenchFailed(f"{child.output.stem} ended: {child.tail()}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(pause_s)
    raise BenchFailed(f"{child.output.stem} is not ready after {READY_TIMEOUT_S} s: {child.tail()}")


def wait_until_listening(child: Child, port: int) -> None:
    """Until the port takes connections."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if child.process.poll() is not None:
            raise BenchFailed(f"{child.output.stem} ended: {child.tail()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise BenchFailed(f"{child.output.stem} does not listen: {child.tail()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
