"""Runs the parts: starts targets, puts load on them in turn, times starts, drives the writer."""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from bench import loop_probe, setup
from bench.databases import Maker
from bench.load import Measurement, Plan
from bench.processes import ROOT, BenchFailed, Child, free_port, running, wait_until_ready
from bench.results import BARE, Comparison, Pairs, Run, StartUp

OUTPUT_TIMEOUT_S = 120.0
LARGE_CONNECTIONS = 16
SMALL, LARGE = "small", "large"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that load is put on."""

    name: str
    child: Child
    url: str
    blocks: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, where its upstream is, and what its gateways run on."""

    folder: Path
    upstream_port: int
    databases: Mapping[str, Maker]

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


def compare(place: Place, size: str, connections: tuple[int, ...], rounds: int, seconds: float) -> Comparison:
    """The bare pass-through and each gateway in turn, round after round, so that whatever else the machine does meets all of them."""
    found = Comparison()
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(_passthrough(place, size))]
        targets += [stack.enter_context(_gateway(place, name, size)) for name in place.databases]
        for count in connections:
            for _ in range(rounds):
                for target in targets:
                    found.add(count, target.name, _measure(target, count, seconds))
        found.peaks_mb = {target.name: target.child.memory_mb("VmHWM") for target in targets}
    return found


def start_up(place: Place, name: str, times: int) -> StartUp:
    """Medians; the database is new at every other start."""
    new_s: list[float] = []
    again_s: list[float] = []
    idle_mb: list[float] = []
    for number in range(times):
        port = free_port()
        config = _configured(place, f"start-{name}-{number}", name, port, SMALL)
        for seconds in (new_s, again_s):
            began_s = time.monotonic()
            with running(f"start-{name}", _serve(config), place.folder) as child:
                wait_until_ready(child, _ready(port), pause_s=0.002)
                seconds.append(time.monotonic() - began_s)
                time.sleep(0.5)
                idle_mb.append(child.memory_mb("VmRSS"))
    return StartUp(name, statistics.median(new_s), statistics.median(again_s), statistics.median(idle_mb))


def writer_pairs(place: Place, name: str, callers: int, seconds: float) -> Pairs:
    folder = place.folder / f"pairs-{name}-{callers}"
    folder.mkdir()
    url = place.databases[name](folder)
    found = orjson.loads(_output_of(["-m", "bench.ledger_pairs", url, str(callers), str(seconds)]))
    return Pairs(name, callers, found["pairs_per_second"], found["refused_per_second"])


def load(url: str, connections: int, seconds: float) -> Measurement:
    """One measurement by a load generator of its own."""
    plan = orjson.dumps(Plan(url, connections, seconds, setup.BODY, setup.AUTHORIZATION)).decode()
    return TypeAdapter(Measurement).validate_json(_output_of(["-m", "bench.load", plan]))


def _measure(target: Target, connections: int, seconds: float) -> Run:
    loop_probe.clear(target.blocks)
    before_s = target.child.cpu_s()
    try:
        measurement = load(target.url, connections, seconds)
    except BenchFailed as exc:
        raise BenchFailed(f"{target.name}, {connections} connections: {exc}\n{target.child.tail()}") from exc
    cpu_us = (target.child.cpu_s() - before_s) / measurement.answered * 1e6
    return Run(measurement, cpu_us, loop_probe.longest_block_s(target.blocks) * 1000)


@contextlib.contextmanager
def _passthrough(place: Place, size: str) -> Iterator[Target]:
    port, blocks = free_port(), place.folder / f"blocks-bare-{size}"
    loop_probe.clear(blocks)
    arguments = ["-m", "bench.passthrough", str(port), f"{place.upstream}/{size}", str(blocks)]
    with running(f"bare-{size}", arguments, place.folder) as child:
        wait_until_ready(child, _ready(port))
        yield Target(BARE, child, _generations(port), blocks)


@contextlib.contextmanager
def _gateway(place: Place, database: str, size: str) -> Iterator[Target]:
    """As `gateway serve` runs it; for large answers with the loop probe beside it."""
    port, blocks = free_port(), place.folder / f"blocks-{database}-{size}"
    loop_probe.clear(blocks)
    config = _configured(place, f"gateway-{database}-{size}", database, port, size)
    arguments = ["-m", "bench.watched", str(config), str(blocks)] if size == LARGE else _serve(config)
    with running(f"gateway-{database}-{size}", arguments, place.folder) as child:
        wait_until_ready(child, _ready(port))
        yield Target(f"gateway, {database}", child, _generations(port), blocks)


def _configured(place: Place, name: str, database: str, port: int, size: str) -> Path:
    """A config on a new database. PostgreSQL is migrated beforehand, as an operator does; a gateway migrates its SQLite file itself."""
    folder = place.folder / name
    folder.mkdir()
    url = place.databases[database](folder)
    config = setup.write_config(folder, database=url, port=port, upstream=f"{place.upstream}/{size}/v1")
    if url.startswith("postgresql:"):
        _output_of(["-m", "gateway", "migrate", "--config", str(config)])
    return config


def _serve(config: Path) -> list[str]:
    return ["-m", "gateway", "serve", "--config", str(config)]


def _ready(port: int) -> str:
    return f"http://127.0.0.1:{port}/readyz"


def _generations(port: int) -> str:
    return f"http://127.0.0.1:{port}{setup.PATH}"


def _output_of(arguments: list[str]) -> bytes:
    """What `python ARGUMENTS` prints. Raises BenchFailed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=OUTPUT_TIMEOUT_S, check=False)
    if done.returncode:
        raise BenchFailed(f"{arguments[1]}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout
