"""Runs of the state machines that are drawn from a number each, beside those that hypothesis draws.

Of hypothesis' runs most are others over again, with a step less or more: many are needed until every pair of a state and an operation was there.
These are all different. One that fails says its number, and fails again when it is run alone.
"""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from tests.property.machines import run

SEEKING_RUNS = 25
"""Most bugs are found by the first."""
M = TypeVar("M", bound=RuleBasedStateMachine)


def drive(machine: type[M], once: Callable[[M, Random], None], *, runs: int) -> None:
    """So many runs, numbered from 0, each as `once` draws it."""
    for number in range(runs):
        one = machine()
        try:
            once(one, Random(number))
            one.teardown()
        except BaseException as exc:
            exc.add_note(f"in run {number}")
            raise


def seek(machine: type[M], once: Callable[[M, Random], None], *, examples: int, steps: int) -> None:
    """What finds a planted bug: some numbered runs, and after them hypothesis. The first failure is enough."""
    drive(machine, once, runs=SEEKING_RUNS)
    run(machine, examples=examples, steps=steps, shrinking=False)
