"""The writer alone: how many calls a second it accepts and finishes, one in ten refused for its budget. `python -m bench.ledger_pairs URL CALLERS S`.

A pair is what a call costs the database: hold, task and attempt in one commit; settle, attempt, task and result in a second. All callers share one
org, team and key, which is the worst case: their balance rows are the same three. With `--on-word` it says `ready` and begins when it is told to,
so that several processes are measured in the same seconds.
"""

import asyncio
import sys
import time

import orjson
import uvloop

from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import Accepted, Finished
from tests.books import (
    KEY,
    ORG,
    TEAM,
    Gateway,
    accept,
    completed,
    new_attempt,
    new_task,
    opened,
    set_budgets,
    succeeded,
)

BUDGET = "1000000000credits/total"
TOO_MUCH = 2_000_000_000
REFUSED_EVERY = 10
WARM_UP_S = 0.5


class Counts:
    """Pairs and refusals after the warm-up."""

    def __init__(self) -> None:
        self.pairs = 0
        self.refused = 0
        self.counting = False


async def call_until(database: Gateway, until_s: float, counts: Counts, number: int) -> None:
    """One caller: accept, finish, again; every tenth call asks for more than the budget has."""
    while time.monotonic() < until_s:
        number += 1
        task = new_task()
        attempt = new_attempt(task)
        refused = number % REFUSED_EVERY == 0
        outcome = await database.write(accept(task, TOO_MUCH if refused else 2, attempts=(attempt,)))
        if refused:
            if not isinstance(outcome, BudgetRefusal):
                raise AssertionError(f"{outcome} where the budget had to refuse")
            counts.refused += counts.counting
            continue
        if not isinstance(outcome, Accepted):
            raise AssertionError(f"an acceptance was answered with {outcome}")
        ended = await database.write(completed(outcome.task, 1, succeeded(attempt)))
        if not isinstance(ended, Finished):
            raise AssertionError(f"an end was answered with {ended}")
        counts.pairs += counts.counting


async def main(url: str, callers: int, seconds: float, *, on_word: bool) -> None:
    database = await opened(url)
    try:
        for account in (KEY, TEAM, ORG):
            await set_budgets(database, account, BUDGET)
        counts = Counts()
        if on_word:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)
        until_s = time.monotonic() + WARM_UP_S + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(call_until(database, until_s, counts, number))
            await asyncio.sleep(WARM_UP_S)
            counts.counting = True
            await asyncio.sleep(seconds)
            counts.counting = False
    finally:
        await database.close()
    sys.stdout.buffer.write(
        orjson.dumps({"pairs_per_second": counts.pairs / seconds, "refused_per_second": counts.refused / seconds})
    )


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), on_word="--on-word" in sys.argv))
