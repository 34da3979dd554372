"""What of a task only this process can bring on, and what any process can as well, from the rows alone.

A stopping process lets go of a task where nothing else is left of it here: parts that wait for a place, parts whose job at an upstream is in the
books and is merely asked for, and pictures that are stored with their manifest. Pure; it decides nothing by itself, and cannot fail.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from gateway.domain.catalog import Recovery
from gateway.domain.ids import AttemptId
from gateway.domain.tasks import Attempt, AttemptState


class InHand:
    """Kept by the walk over one task's attempts."""

    def __init__(self, known: Sequence[Attempt]) -> None:
        """`known`: their rows, of which those with a job's id can be asked for by anybody."""
        self._jobs = {attempt.id for attempt in known if attempt.upstream_ref is not None}
        self._asking: set[AttemptId] = set()
        self._writing = 0

    def submitted(self, attempt_id: AttemptId, recovery: Recovery) -> None:
        """Its job's id is durable."""
        if recovery is not Recovery.NONE:  # else nobody would ask
            self._jobs.add(attempt_id)

    @contextmanager
    def asking(self, attempt_id: AttemptId) -> Iterator[None]:
        """For as long as the attempt is at its upstream; what comes back is to be stored by who got it."""
        self._asking.add(attempt_id)
        try:
            yield
        finally:
            self._asking.discard(attempt_id)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """An attempt's row is being written, and the attempt sent right after."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1

    def is_nothing(self, out: Collection[AttemptId], unrecorded: Sequence[Attempt]) -> bool:
        """`out`: the attempts that have a place at an upstream; `unrecorded`: those whose end is known here alone. A failure's end is written nowhere
        else, a success has its manifest."""
        if self._writing or any(attempt.state is not AttemptState.SUCCEEDED for attempt in unrecorded):
            return False
        return all(attempt_id in self._jobs and attempt_id in self._asking for attempt_id in out)
