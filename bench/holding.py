"""The caller of many calls that wait: a process of its own that opens N connections, one call on each. `python -m bench.holding PLAN` (JSON).

One connection is opened at a time and at a steady rate, so neither the listening queue nor the ports can overflow. A call that fails is
counted, and the first is described; nothing is tried twice.
"""

import asyncio
import math
import sys
import time
from dataclasses import dataclass

import orjson
import uvloop
from pydantic import TypeAdapter

from bench.load import Caller, Tally, destination


@dataclass(frozen=True, slots=True)
class HoldingPlan:
    """What to send, and when to give up."""

    url: str
    calls: int
    per_second: float
    timeout_s: float
    body: str
    authorization: str


@dataclass(frozen=True, slots=True)
class Held:
    """What came of it."""

    answered: int
    first_failure: str


async def hold(plan: HoldingPlan) -> Held:
    host, port, request = destination(plan.url, plan.body, plan.authorization)
    tally = Tally(request, math.inf, -math.inf, [])  # over from the start: a caller sends one call and ends
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []
    failures: list[str] = []
    began_s = time.monotonic()
    for number in range(plan.calls):
        await asyncio.sleep(began_s + number / plan.per_second - time.monotonic())
        try:
            _, caller = await loop.create_connection(lambda: Caller(tally), host, port)
            callers.append(caller)
        except OSError as exc:
            failures.append(f"connecting: {exc}")
    if callers:
        ended, unended = await asyncio.wait([caller.done for caller in callers], timeout=plan.timeout_s)
        failures += [repr(failure) for future in ended if (failure := future.exception()) is not None]
        failures += ["no answer within the time"] * len(unended)
    return Held(tally.answered, failures[0] if failures else "")


if __name__ == "__main__":
    found = uvloop.run(hold(TypeAdapter(HoldingPlan).validate_json(sys.argv[1])))
    sys.stdout.buffer.write(orjson.dumps(found))
