"""wrk as the load generator, where it is installed: the same closed loop as `bench.load`, written in C.

wrk cuts its calls off when its time is over, so each connection leaves one call that the target finishes unheard: those count as answered
where processor time is divided, not in answers/s. Fails with BenchFailed at any answer that is no success, at any error of a socket, and when
nothing is answered.
"""

import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bench.load import Measurement, Plan
from bench.processes import BenchFailed, output_of

TIMEOUT_S = 30
"""For one answer; wrk's own 2 s would count slow answers as errors."""
LONGEST_S = 27.0
"""On a machine so busy that fewer than one answer a connection came in the plan's time, it is measured anew for three times as long, up to this."""
SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Summary:
    """What post.lua prints. `status` counts answers of 400 and above."""

    duration_us: int
    requests: int
    p50_us: int
    p99_us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int


def program() -> str | None:
    return shutil.which("wrk")


def generate(program: str, folder: Path, plan: Plan) -> Measurement:
    """wrk takes whole seconds: the plan's times are rounded up. Raises BenchFailed."""
    body = folder / "wrk-body.json"
    body.write_text(plan.body)
    answered = 0
    if plan.warm_up_s:
        answered = _run(program, body, plan, plan.warm_up_s).requests + plan.connections
    seconds = plan.seconds
    while True:
        found = _run(program, body, plan, seconds)
        answered += found.requests + plan.connections
        if found.requests >= plan.connections or seconds >= LONGEST_S:
            break
        seconds = min(3 * seconds, LONGEST_S)
    if not found.requests:
        raise BenchFailed(f"wrk: not one answer in {seconds} s")
    return Measurement(
        per_second=found.requests / (found.duration_us / 1e6),
        p50_ms=found.p50_us / 1000,
        p99_ms=found.p99_us / 1000,
        answered=answered,
    )


def parse(output: bytes) -> Summary:
    """From everything that wrk printed. Raises BenchFailed unless all answers were successes."""
    found = TypeAdapter(Summary).validate_json(output.strip().rpartition(b"\n")[2])
    errors = {name: count for name, count in asdict(found).items() if count and not name.endswith(("_us", "requests"))}
    if errors:
        raise BenchFailed(f"wrk: failed calls by kind: {errors}")
    return found


def _run(program: str, body: Path, plan: Plan, seconds: float) -> Summary:
    options = ["-t1", f"-c{plan.connections}", f"-d{math.ceil(seconds)}s", "--timeout", f"{TIMEOUT_S}s", "--latency"]
    return parse(output_of([program, *options, "-s", str(SCRIPT), plan.url, "--", str(body), plan.authorization]))
