"""The two things around a target: the stub that is its upstream, and the generator that puts load on it. Ours, or nginx and wrk."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import measuring, nginx, wrk
from bench.load import Measurement, Plan
from bench.processes import BenchFailed, free_port, running, wait_until_listening

AUTO, OWN, NGINX, WRK = "auto", "own", "nginx", "wrk"
Generator = Callable[[Plan], Measurement]


@contextlib.contextmanager
def stub(choice: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Its description and port. Raises BenchFailed where nginx is asked for and not to be had."""
    found = None if choice == OWN else nginx.program() or nginx.fetched_program(folder)
    if choice == NGINX and found is None:
        raise BenchFailed("--stub nginx: nginx is not installed")
    port = free_port()
    if found is not None:
        started = running("nginx", nginx.arguments(folder, port), folder, program=found)
        description = f"nginx {_version([found, '-v'], 'nginx/')} with one worker"
    else:
        started = running("stub", ["-m", "bench.stub", str(port)], folder)
        description = "our own stub" if choice == OWN else "our own stub, because nginx is not installed"
    with started as child:
        wait_until_listening(child, port)
        yield description, port


def generator(choice: str, folder: Path) -> tuple[str, Generator]:
    """Its description, and what makes a measurement. Raises BenchFailed where wrk is asked for and not installed."""
    found = None if choice == OWN else wrk.program()
    if choice == WRK and found is None:
        raise BenchFailed("--load wrk: wrk is not installed")
    if found is not None:
        return f"wrk {_version([found, '-v'], 'wrk ')} with one thread", partial(wrk.generate, found, folder)
    description = "our own" if choice == OWN else "our own, because wrk is not installed"
    return description, measuring.own_load


def _version(command: list[str], before: str) -> str:
    """The word after `before` in what a program prints about itself. Both print it where errors go, and wrk calls it a failure."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False)
    return (done.stdout.decode(errors="replace").partition(before)[2].split() or ["of an unknown version"])[0]
