"""What the crash matrix shows in sum, printed when it has run: how many kills, and what they did to money and pictures.

Each case hands in its toll, as counted and before anything is asserted, as a property of its test: so it reaches the process that prints, whichever
worker ran it. How it fails: a case that broke before it could count is named as not counted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import pytest

PROPERTY = "toll of a kill"


@dataclass(frozen=True, slots=True)
class Toll:
    """Of one case, in pictures unless it says otherwise."""

    kind: str
    contract: str
    database: str
    kills: int
    paid_twice: int
    """Billed beyond what was asked for."""
    charged_for_nothing: int
    """Tasks that cost their caller something and delivered nothing."""
    holds_left: int
    """Accounts of the caller that still have something held."""
    lost: int
    """Billed, and not delivered."""
    unknown: bool
    """The task says outcome_unknown."""
    in_doubt: int
    """Attempts that the books have in doubt."""
    callbacks_lost: int
    """Ended tasks that nobody was told of."""
    callbacks_repeated: int
    """Messages that came again, under the id that they had."""


def hand_in(record_property: Callable[[str, object], None], toll: Toll) -> None:
    """From the test of a case."""
    record_property(PROPERTY, asdict(toll))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In the process that prints."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if "test_crash_matrix.py::test_killed_at[" in report.nodeid
    ]
    found = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if reports:
        terminalreporter.section("crash matrix")
        for line in lines([Toll(**toll) for toll in found], len(reports)):
            terminalreporter.write_line(line)


def lines(tolls: Sequence[Toll], cases: int) -> list[str]:
    """The summary of so many cases, of which some have handed in no toll."""
    from tests.acceptance.crash_cases import ALL, CASES, SEED  # not at the start of every test run

    silent = [toll for toll in tolls if toll.lost and not (toll.unknown and toll.in_doubt)]
    told = [toll for toll in tolls if toll.lost and toll.unknown and toll.in_doubt]
    points = {case.point for case in CASES} | {case.again for case in CASES if case.again}
    return [
        f"{sum(toll.kills for toll in tolls)} kills in {len(tolls)} cases at {len(points)} points, {_named(tolls)}",
        f"seed {SEED}, {'every case' if ALL else 'a sample with all that occurs'}; bound: one call a case, one kill or two",
        f"paid twice {_sum(tolls, 'paid_twice')}, charged without a result {_sum(tolls, 'charged_for_nothing')}, "
        f"holds left {_sum(tolls, 'holds_left')}, results lost unsaid {_sum(silent, 'lost')}",
        f"results lost and said so (outcome_unknown, in doubt) {_sum(told, 'lost')}: {_by_kind(told, 'lost')}",
        f"callbacks lost {_sum(tolls, 'callbacks_lost')}, told again under the same id {_sum(tolls, 'callbacks_repeated')}",
        f"attempts in doubt {_sum(tolls, 'in_doubt')}: {_by_kind(tolls, 'in_doubt')}",
        *([f"NOT COUNTED: {cases - len(tolls)} cases failed before they could be"] if cases > len(tolls) else []),
    ]


def _named(tolls: Sequence[Toll]) -> str:
    kinds, contracts, databases = ({getattr(toll, name) for toll in tolls} for name in ("kind", "contract", "database"))
    return f"{len(kinds)} kinds x {len(contracts)} contracts x {len(databases)} databases"


def _sum(tolls: Sequence[Toll], name: str) -> int:
    return sum(int(getattr(toll, name)) for toll in tolls)


def _by_kind(tolls: Sequence[Toll], name: str) -> str:
    counts: Counter[str] = Counter()
    for toll in tolls:
        counts[toll.kind] += int(getattr(toll, name))
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if count) or "none"
