"""`python -m bench [--quick] [--no-postgresql] [--folder DIR]`: everything in one run, because only ratios within a run mean something."""

import argparse
import os
import platform
import signal
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench import databases, measuring, report, setup
from bench.processes import BenchFailed, free_port, running, wait_until_listening
from bench.results import Findings, Machine

SMALL_CONNECTIONS = (1, 32, 256)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often is measured."""

    rounds: int
    small_s: float
    large_rounds: int
    large_s: float
    pairs_s: float
    pair_callers: tuple[int, ...]
    starts: int


FULL = Effort(rounds=3, small_s=2.5, large_rounds=3, large_s=2.5, pairs_s=3.0, pair_callers=(32, 256), starts=3)
QUICK = Effort(rounds=1, small_s=0.8, large_rounds=1, large_s=1.0, pairs_s=0.8, pair_callers=(256,), starts=0)


def run(folder: Path, effort: Effort, *, with_postgresql: bool) -> Findings:
    """All measurements, one after the other. Raises BenchFailed."""
    cores = len(os.sched_getaffinity(0))
    load_average = os.getloadavg()[0]
    port = free_port()
    with (
        databases.makers(with_postgresql=with_postgresql) as makers,
        running("stub", ["-m", "bench.stub", str(port)], folder) as stub,
    ):
        wait_until_listening(stub, port)
        place = measuring.Place(folder, port, makers)
        say(f"{cores} cores; the stub and the load generator take part of them")
        stub_url = f"{place.upstream}/small{setup.PATH}"
        stub_per_second = min(measuring.load(stub_url, 32, 0.5).per_second for _ in range(3))
        machine = Machine(
            cores,
            platform.python_version(),
            version("aiohttp"),
            load_average,
            databases.fsync_p50_ms(folder),
            stub_per_second,
        )
        say("small answers")
        small = measuring.compare(place, measuring.SMALL, SMALL_CONNECTIONS, effort.rounds, effort.small_s)
        say("large answers")
        large = measuring.compare(
            place, measuring.LARGE, (measuring.LARGE_CONNECTIONS,), effort.large_rounds, effort.large_s
        )
        say("start-up")
        starts = [measuring.start_up(place, name, effort.starts) for name in makers if effort.starts]
        say("the writer alone")
        pairs = [measuring.writer_pairs(place, name, n, effort.pairs_s) for name in makers for n in effort.pair_callers]
    return Findings(machine, small, large, starts, pairs)


def say(text: str) -> None:
    """Progress, apart from the report."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="The gateway against a bare pass-through.")
    parser.add_argument("--quick", action="store_true", help="under a minute: one short round, no start-up; noisy")
    parser.add_argument("--no-postgresql", action="store_true", help="SQLite alone")
    parser.add_argument(
        "--folder", type=Path, help="where databases and pictures are written (gigabytes, removed afterwards)"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the processes below end with us
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=options.folder) as name:
        try:
            found = run(Path(name), QUICK if options.quick else FULL, with_postgresql=not options.no_postgresql)
        except BenchFailed as exc:
            print(f"bench: {exc}", file=sys.stderr)
            return 1
    print(report.markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
