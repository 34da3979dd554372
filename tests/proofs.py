"""Figures that a test has proved, printed at the end of the run, so that an operator of the project can quote them.

A test takes the fixture `proof` and says a title and a line; lines of one title are printed together, also when the tests ran in several workers.
"""

from collections.abc import Callable

import pytest

Proof = Callable[[str, str], None]


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Proof:
    """`proof(title, line)`."""

    def say(title: str, line: str) -> None:
        request.node.user_properties.append(("proof", (title, line)))

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """All that passed tests have said, by title, in the order of their text."""
    said: dict[str, set[str]] = {}
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == "proof":
                title, line = value
                said.setdefault(title, set()).add(line)
    for title in sorted(said):
        terminalreporter.section(title)
        for line in sorted(said[title]):
            terminalreporter.write_line(line)
