"""How a database fares, for whoever watches it: what waits, how transactions go, what fails. Asked and told on the event loop's thread."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gateway.db.connection import StatementFailed
from gateway.domain.errors import GatewayError, StorageUnavailable


class Watcher(Protocol):
    """Must not raise."""

    def batch(self, commands: int, took_s: float, failures: Mapping[str, int]) -> None:
        """One transaction of writes, from its BEGIN on; `failures` by kind, as of `failures_by_kind`."""
        ...

    def read_failed(self, kind: str) -> None: ...


class Pulse:
    """Of one database. `queued` says how many commands wait, `connections` how many there are for reads, by use; empty: one for everything."""

    def __init__(self, queued: Callable[[], int], connections: Callable[[], Mapping[str, int]] = dict) -> None:
        self.queued = queued
        self.connections = connections
        self.watcher: Watcher | None = None

    def batch(self, outcomes: Iterable[object], commands: int, took_s: float) -> None:
        if self.watcher is not None:
            self.watcher.batch(commands, took_s, failures_by_kind(outcomes))

    def read_failed(self, exc: BaseException) -> None:
        if self.watcher is not None:
            for kind in failures_by_kind([exc]):
                self.watcher.read_failed(kind)


def failures_by_kind(outcomes: Iterable[object]) -> Mapping[str, int]:
    """`unavailable`: the database did not take it; `statement`: it took exception to a statement; `other`: a fault of ours. What only answers
    whoever asked, a refusal, is none."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    return Counter(_kind(exc) for exc in failed if not _is_answer(exc)) if failed else {}


def _kind(exc: Exception) -> str:
    if isinstance(exc, StorageUnavailable):
        return "unavailable"
    return "statement" if isinstance(exc, StatementFailed) else "other"


def _is_answer(exc: Exception) -> bool:
    return isinstance(exc, GatewayError) and exc.status < 500
