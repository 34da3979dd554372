"""`python -m bench [--quick] [--strict] …`: everything in one run, because only ratios within a run mean something."""

import argparse
import contextlib
import datetime
import os
import platform
import signal
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from bench import databases, measuring, report, setup, targets, tools, waiting
from bench.processes import BenchFailed, output_of
from bench.results import Findings, HeldCalls, Machine
from bench.verdicts import verdicts

SMALL_CONNECTIONS = (1, 32, 256)
RUN_S_MAX = 20 * 60
"""Far above the longest run: for what hangs although each part has its own limit."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often is measured."""

    rounds: int
    small_s: float
    large_s: float
    held_calls: int
    hold_s: float
    pairs_s: float
    pair_callers: tuple[int, ...]
    starts: int


FULL = Effort(rounds=3, small_s=3, large_s=3, held_calls=4_000, hold_s=20, pairs_s=3, pair_callers=(32, 256), starts=3)
QUICK = Effort(rounds=1, small_s=2, large_s=2, held_calls=500, hold_s=4, pairs_s=0.8, pair_callers=(256,), starts=0)


def run(folder: Path, effort: Effort, options: argparse.Namespace) -> Findings:
    """All measurements, one after the other. Raises BenchFailed."""
    load_average = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        makers = stack.enter_context(databases.makers(with_postgresql=not options.no_postgresql))
        stub, port = stack.enter_context(tools.stub(options.stub, folder))
        load, generate = tools.generator(options.load, folder)
        place = targets.Place(folder, port, makers, generate)
        say(f"upstream: {stub}; load generator: {load}")
        machine = look_at_machine(place, stub, load, load_average)
        fsyncs_p50_ms = [databases.fsync_p50_ms(folder)]
        say("small answers")
        small = measuring.compare(place, targets.SMALL, SMALL_CONNECTIONS, effort.rounds, effort.small_s)
        fsyncs_p50_ms.append(databases.fsync_p50_ms(folder))
        say("large answers")
        large = measuring.compare(place, targets.LARGE, (measuring.LARGE_CONNECTIONS,), effort.rounds, effort.large_s)
        say("cached hits")
        hits = measuring.cached_hits(place, effort.rounds, effort.small_s)
        say("held calls")
        held, not_held = hold(place, effort)
        say("start-up")
        starts = [measuring.start_up(place, name, effort.starts) for name in makers if effort.starts]
        say("the writer alone")
        pairs = measuring.writer_pairs(place, effort.pair_callers, effort.rounds, effort.pairs_s)
        fsyncs_p50_ms.append(databases.fsync_p50_ms(folder))
    return Findings(machine, fsyncs_p50_ms, small, large, hits, held, not_held, starts, pairs)


def look_at_machine(place: targets.Place, stub: str, load: str, load_average: float) -> Machine:
    """What the figures depend on; and that the upstream answers what it should."""
    url = f"{place.upstream}/{{}}{setup.PATH}".format
    for size in targets.ANSWERS:
        targets.check_answer("the upstream", url(size), size)
    straight = measuring.plan(url(targets.SMALL), connections=32, seconds=0.5, warm_up_s=0)
    try:
        commit = output_of(["git", "describe", "--always", "--dirty", "--exclude=*"]).decode().strip()
    except BenchFailed:  # not every copy is a clone
        commit = "unknown"
    return Machine(
        date=datetime.datetime.now().astimezone().date().isoformat(),
        commit=commit,
        stub=stub,
        load=load,
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        aiohttp=version("aiohttp"),
        load_average=load_average,
        stub_per_second=min(place.generate(straight).per_second for _ in range(3)),
    )


def hold(place: targets.Place, effort: Effort) -> tuple[list[HeldCalls], str]:
    """The bare pass-through once, for comparison; the gateway in every round."""
    why_not = waiting.too_few_files(effort.held_calls)
    if why_not:
        say(f"not measured: {why_not}")
        return [], why_not
    databases_held = (None, *([databases.SQLITE] * effort.rounds))
    held = [
        waiting.held_calls(place, database, effort.held_calls, effort.hold_s, number)
        for number, database in enumerate(databases_held)
    ]
    return held, ""


def say(text: str) -> None:
    """Progress, apart from the report."""
    print(f"... {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="The gateway against a bare pass-through.")
    parser.add_argument("--quick", action="store_true", help="about a minute: one short round, no start-up; noisy")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a promised figure is missed")
    parser.add_argument("--no-postgresql", action="store_true", help="SQLite alone")
    parser.add_argument("--stub", choices=(tools.AUTO, tools.OWN, tools.NGINX), default=tools.AUTO, help="the upstream")
    parser.add_argument("--load", choices=(tools.AUTO, tools.OWN, tools.WRK), default=tools.AUTO, help="the generator")
    parser.add_argument(
        "--folder", type=Path, help="where databases and pictures are written (gigabytes, removed afterwards)"
    )
    return parser.parse_args()


def end(number: int, _: FrameType | None) -> None:
    """Leaves by an exception, so that the processes of the run end with us."""
    if number == signal.SIGALRM:
        print(f"bench: not done after {RUN_S_MAX} s", file=sys.stderr)
    sys.exit(128 + number)


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(RUN_S_MAX)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=options.folder) as name:
        try:
            found = run(Path(name), QUICK if options.quick else FULL, options)
        except BenchFailed as exc:
            print(f"bench: {exc}", file=sys.stderr)
            return 1
    print(report.markdown(found))
    missed = [verdict for verdict in verdicts(found) if not verdict.holds]
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
