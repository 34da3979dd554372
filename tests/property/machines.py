"""Runs a state machine on a database, counts what it visited, and says what caught a planted bug."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from gateway.db.connection import StatementFailed
from tests.proofs import Proof

Plant = Callable[[pytest.MonkeyPatch], None]
"""Plants one bug; its docstring says what it breaks."""
SOAK = os.environ.get("SOAK") == "1"
VISITS_MIN = 20


def run(machine: type[RuleBasedStateMachine], *, examples: int, steps: int, shrinking: bool = True) -> None:
    """So many runs of so many steps. Without shrinking the first failure is enough."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            report_multiple_bugs=False,
            phases=tuple(Phase) if shrinking else (Phase.generate,),
        ),
    )


def show_visits(proof: Proof, title: str, visits: Counter[tuple[str, str]], pairs: set[tuple[str, str]]) -> None:
    """Every pair often enough, and none that nobody thought of. In full only where everything is run in full."""
    rare = {pair: visits[pair] for pair in pairs if visits[pair] < VISITS_MIN}
    assert rare == {}, rare
    assert {pair for pair, count in visits.items() if count} <= pairs, "a pair that nobody thought of"
    rarest = min(pairs, key=lambda pair: visits[pair])
    total = sum(visits[pair] for pair in pairs)
    proof(
        "visits",
        f"{title}: {len(pairs)} pairs, {total} visits, the rarest {visits[rarest]} times ({' / '.join(rarest)})",
    )
    if SOAK:
        for operation in {operation for _, operation in pairs}:
            counts = {state: visits[state, operation] for state, name in sorted(pairs) if name == operation}
            proof(f"visits: {title}", f"{operation:18} {', '.join(f'{state} {n}' for state, n in counts.items())}")


def caught(work: Callable[[], None]) -> str | None:
    """How a run failed: at a check of the machine or the code, or at a constraint of the database. None where nothing was noticed.

    A planted bug that no longer fits the code (TypeError and the like) is no proof: it is raised.
    """
    try:
        work()
    except Exception as exc:  # hypothesis wraps what a step raised in groups of its own
        cause: BaseException = exc
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, AssertionError):
            return "assertion"
        if isinstance(cause, StatementFailed):
            return "constraint"
        raise
    return None


def cases(plants: Mapping[str, object], in_the_store: Collection[str]) -> list[tuple[str, str]]:
    """Database and planted bug: all on SQLite, and those of the store on PostgreSQL; in full all on both."""
    return [
        (kind, name)
        for kind in ("sqlite", "postgresql")
        for name in plants
        if SOAK or kind == "sqlite" or name in in_the_store
    ]


def show_mutants(proof: Proof, title: str, plants: Mapping[str, object], how: str, name: str) -> None:
    proof(f"planted bugs caught: {title}", f"{list(plants).index(name) + 1:2} of {len(plants)} {name} ({how})")


class Plants:
    """Planted bugs by name."""

    def __init__(self) -> None:
        self.all: dict[str, Plant] = {}
        self.in_the_store: set[str] = set()
        """In what talks to the database: on both databases in every run. The others are the same Python on either; `make soak` runs all on both."""

    def add(self, function: Plant) -> Plant:
        self.all[function.__name__] = function
        return function

    def add_in_the_store(self, function: Plant) -> Plant:
        self.in_the_store.add(function.__name__)
        return self.add(function)
