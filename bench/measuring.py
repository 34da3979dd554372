"""Runs the parts: starts targets, puts load on them in turn, lets calls wait, times starts, drives the writer."""

import contextlib
import statistics
import time

import orjson
from pydantic import TypeAdapter

from bench import loop_probe, setup, targets
from bench.databases import POSTGRESQL
from bench.load import Measurement, Plan
from bench.processes import (
    BenchFailed,
    free_port,
    python_output_of,
    running,
    wait_until_quiet,
    wait_until_ready,
)
from bench.results import Comparison, Pairs, Run, StartUp
from bench.targets import LARGE, SMALL, Place, Target

LARGE_CONNECTIONS = 16
HIT_CONNECTIONS = 32
IDLE_AFTER_S = 0.5
"""From ready to idle: what start-up leaves to do is done."""
PROCESSES = 3
SHARED = f"{POSTGRESQL}, {PROCESSES} processes"
"""As a database's name in the table of the writers."""


def compare(place: Place, size: str, connections: tuple[int, ...], rounds: int, seconds: float) -> Comparison:
    """The bare pass-through and each gateway in turn, round after round, so that whatever else the machine does meets all of them."""
    found = Comparison()
    with contextlib.ExitStack() as stack:
        compared = [stack.enter_context(targets.passthrough(place, size, size))]
        for name in place.databases:
            compared.append(stack.enter_context(targets.gateway(place, name, size, size, probed=size == LARGE)))
        time.sleep(IDLE_AFTER_S)
        found.idle_mb = {target.name: target.child.memory_mb("VmRSS") for target in compared}
        for target in compared:
            targets.check_answer(target.name, target.url, size)
        for count in connections:
            for _ in range(rounds):
                for target in compared:
                    found.add(count, target.name, _measure(place, target, count, seconds))
        found.peaks_mb = {target.name: target.child.memory_mb("VmHWM") for target in compared}
    return found


def cached_hits(place: Place, rounds: int, seconds: float) -> Comparison:
    """Gateways whose every call but the first finds its picture, against a server that only reads the call. Raises BenchFailed where one did not."""
    found = Comparison()
    with contextlib.ExitStack() as stack:
        compared = [stack.enter_context(targets.hello(place))]
        for name in place.databases:
            compared.append(stack.enter_context(targets.gateway(place, name, SMALL, "hits", probed=False, cached=True)))
        time.sleep(IDLE_AFTER_S)
        for target in compared[1:]:
            targets.check_answer(target.name, target.url, SMALL)
        for _ in range(rounds):
            for target in compared:
                before = targets.hits(target) if target in compared[1:] else 0
                run = _measure(place, target, HIT_CONNECTIONS, seconds)
                if target in compared[1:] and targets.hits(target) - before < run.load.answered:
                    raise BenchFailed(f"{target.name}: some of {run.load.answered} calls were no hits")
                found.add(HIT_CONNECTIONS, target.name, run)
    return found


def start_up(place: Place, name: str, times: int) -> StartUp:
    """Medians; the database is new at every other start."""
    new_s: list[float] = []
    again_s: list[float] = []
    idle_mb: list[float] = []
    for number in range(times):
        port = free_port()
        config = targets.configured(place, f"start-{name}-{number}", name, port, SMALL)
        for seconds in (new_s, again_s):
            began_s = time.monotonic()
            with running(f"start-{name}", targets.serve(config), place.folder) as child:
                wait_until_ready(child, targets.ready(port), pause_s=0.002)
                seconds.append(time.monotonic() - began_s)
                time.sleep(IDLE_AFTER_S)
                idle_mb.append(child.memory_mb("VmRSS"))
    return StartUp(name, statistics.median(new_s), statistics.median(again_s), statistics.median(idle_mb))


def writer_pairs(place: Place, callers: tuple[int, ...], rounds: int, seconds: float) -> list[Pairs]:
    """Each database with each number of callers in turn, round after round; every time on a new database."""
    cases = [(name, count) for name in place.databases for count in callers]
    if POSTGRESQL in place.databases:
        cases.append((SHARED, max(callers)))
    found: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(rounds):
        for name, count in cases:
            folder = place.folder / f"pairs-{name}-{count}-{number}"
            folder.mkdir()
            url = place.databases[POSTGRESQL if name == SHARED else name](folder)
            program = ("bench.shared_pairs", str(PROCESSES)) if name == SHARED else ("bench.ledger_pairs",)
            printed = python_output_of(["-m", program[0], url, str(count), str(seconds), *program[1:]])
            found[name, count].append(orjson.loads(printed))
    return [
        Pairs(
            name,
            count,
            [run["pairs_per_second"] for run in runs],
            [run["refused_per_second"] for run in runs],
        )
        for (name, count), runs in found.items()
    ]


def plan(url: str, connections: int, seconds: float, warm_up_s: float = 0.5) -> Plan:
    return Plan(url, connections, seconds, setup.BODY, setup.AUTHORIZATION, warm_up_s)


def own_load(what: Plan) -> Measurement:
    """One measurement by our own load generator, in a process of its own. Raises BenchFailed."""
    return TypeAdapter(Measurement).validate_json(python_output_of(["-m", "bench.load", orjson.dumps(what).decode()]))


def _measure(place: Place, target: Target, connections: int, seconds: float) -> Run:
    loop_probe.clear(target.blocks)
    before_s = target.child.cpu_s()
    try:
        measurement = place.generate(plan(target.url, connections, seconds))
    except BenchFailed as exc:
        raise BenchFailed(f"{target.name}, {connections} connections: {exc}\n{target.child.tail()}") from exc
    wait_until_quiet(target.child)
    cpu_us = (target.child.cpu_s() - before_s) / measurement.answered * 1e6
    return Run(measurement, cpu_us, loop_probe.longest_block_s(target.blocks) * 1000)
