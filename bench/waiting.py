"""Many calls at once that wait for their upstream: what each costs in memory, and whether all are answered."""

import contextlib
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import orjson
from pydantic import TypeAdapter

from bench import loop_probe, measuring, setup, targets
from bench.holding import Held, HoldingPlan
from bench.processes import ROOT, BenchFailed, free_port, running, wait_until_listening, wait_until_quiet
from bench.results import HeldCalls
from bench.targets import SMALL, Place, Target

CALLS_PER_S = 400.0
"""How fast the calls begin: below what any target accepts, so that all of them wait together for half of the time."""
SPARE_FILES = 300
"""A target's open files beside its two sockets a call."""
ANSWERS_TIMEOUT_S = 60.0
_PAUSE_S = 0.2


def too_few_files(calls: int) -> str:
    """Why this many calls cannot be held here, or nothing. Raises the soft limit of open files for this process and its children."""
    needed = 2 * calls + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"the hard limit of open files (ulimit -Hn) is {hard}; {calls:,} calls need {needed}"
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return ""


def held_calls(place: Place, database: str | None, calls: int, hold_s: float, number: int) -> HeldCalls:
    """A new target (None: the bare pass-through) in front of an upstream of its own. Raises BenchFailed."""
    port = free_port()
    place = replace(place, upstream_port=port)
    purpose = f"held-{number}"
    with running(f"stub-{database}-{purpose}", ["-m", "bench.stub", str(port)], place.folder) as stub:
        wait_until_listening(stub, port)
        target = (
            targets.passthrough(place, SMALL, purpose)
            if database is None
            else targets.gateway(place, database, SMALL, purpose, probed=True)
        )
        with target as started:
            return _hold(started, port, calls, hold_s)


def _hold(target: Target, stub_port: int, calls: int, hold_s: float) -> HeldCalls:
    """Idle is measured after some answered calls, one at a time: what is made once is no part of what a call costs."""
    targets.check_answer(target.name, target.url, SMALL)
    measuring.own_load(measuring.plan(target.url, connections=1, seconds=1.0))
    wait_until_quiet(target.child)
    time.sleep(measuring.IDLE_AFTER_S)
    idle_mb = target.child.memory_mb("VmRSS")
    _ask(stub_port, f"/hold/{hold_s}")
    loop_probe.clear(target.blocks)
    most, most_mb = 0, idle_mb
    timeout_s = hold_s + ANSWERS_TIMEOUT_S
    deadline_s = time.monotonic() + calls / CALLS_PER_S + timeout_s + ANSWERS_TIMEOUT_S
    with _caller(HoldingPlan(target.url, calls, CALLS_PER_S, timeout_s, setup.BODY, setup.AUTHORIZATION)) as caller:
        while caller.poll() is None:
            held, mb = _ask(stub_port, "/held"), target.child.memory_mb("VmRSS")
            if held >= most:
                most, most_mb = held, mb
            if time.monotonic() > deadline_s:
                raise BenchFailed(f"{target.name}: held calls did not end in time\n{target.child.tail()}")
            time.sleep(_PAUSE_S)
        printed, complaint = caller.communicate()
    if caller.returncode:
        raise BenchFailed(f"bench.holding: {complaint.decode(errors='replace')[-2000:]}")
    ended = TypeAdapter(Held).validate_json(printed)
    block_ms = loop_probe.longest_block_s(target.blocks) * 1000
    return HeldCalls(target.name, calls, most, ended.answered, ended.first_failure, idle_mb, most_mb, block_ms)


@contextlib.contextmanager
def _caller(plan: HoldingPlan) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "bench.holding", orjson.dumps(plan).decode()]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _ask(stub_port: int, path: str) -> int:
    """How many calls wait at the stub, after what the path asks of it."""
    # The stub's framing wants a length, and urllib sends none with GET.
    request = urllib.request.Request(f"http://127.0.0.1:{stub_port}{path}", headers={"Content-Length": "0"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.read())
