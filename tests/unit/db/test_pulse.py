"""Which outcomes of a database count as its failures."""

from gateway.db.connection import StatementFailed
from gateway.db.pulse import Pulse, failures_by_kind
from gateway.db.writer import Collided, CommitUnknown
from gateway.domain.errors import InvalidRequest, StorageUnavailable


def test_failures_have_a_kind() -> None:
    """Unavailable in all its forms, a statement, and what is a fault of ours; an answer to who asked is none, nor is an outcome."""
    outcomes = [
        "done", StorageUnavailable("away"), CommitUnknown("lost"), Collided("again"), StatementFailed("no"), ValueError("bug"), InvalidRequest("no"),
    ]  # fmt: skip
    assert failures_by_kind(outcomes) == {"unavailable": 3, "statement": 1, "other": 1}


def test_nobody_need_watch() -> None:
    """Commands open databases without metrics."""
    pulse = Pulse(lambda: 3)
    pulse.batch([ValueError()], 1, 0.1)
    pulse.read_failed(ValueError())
    assert (pulse.queued(), pulse.connections()) == (3, {})
