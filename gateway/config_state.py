"""`state` of the config: where processes share limits and more. How it fails: a problem at `state`."""

from collections.abc import Iterator

from gateway.config_text import Problems
from gateway.state.address import MEMORY, StateAddress, parse_state


def state_of(text: str, problems: Problems) -> StateAddress | None:
    """None: in each process's memory, or a problem."""
    try:
        return parse_state(text)
    except ValueError as exc:
        fix = str(exc)
        problems.add("state", text, "is no address of a shared state", fix[0].upper() + fix[1:] + ".")
        return None


def notes_of_state(text: str, database: str) -> Iterator[str]:
    """What an operator should know about it."""
    if text == MEMORY and not database.startswith("sqlite"):
        yield (
            "state is memory: with several processes on this database, each counts limits for itself, "
            "and hears of revoked keys within 30 s; write state: redis://host:6379/0"
        )
