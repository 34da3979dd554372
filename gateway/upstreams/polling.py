"""Asking for an upstream's job until it is done: bounded by the deadline, patient with a vendor that stumbles, and never a reason to pay again.

Once a job is known, giving up means NO_ANSWER and UNKNOWN: it goes on without us. Polls cost nothing and are repeated.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.domain.clock import Clock
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure

T = TypeVar("T")

PAUSE_S_MAX = 15.0
LAST_POLL_S = 1.5
"""Before the deadline a job is asked for once more, although the pause is not over."""
REJECTED_MAX = 3
"""Answers in a row that reject a poll itself (401, 404, …) before it is believed: a fresh job may not be everywhere yet."""
_HOPELESS = (Fault.CREDENTIALS, Fault.BAD_REQUEST, Fault.NO_MONEY, Fault.REFUSED)
_JOB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,127}")


def is_askable(job_id: str) -> bool:
    """Whether an id from an answer may become part of an address: plain ones only, which lead nowhere else."""
    return _JOB_ID.fullmatch(job_id) is not None


@dataclass(frozen=True, slots=True)
class Polling:
    """How often one upstream is asked. `first_s` comes sooner: a replayed job is long finished, and a fast one nearly."""

    clock: Clock
    interval_s: float
    first_s: float

    async def until(
        self, job: str, poll: Callable[[], Awaitable[T]], is_done: Callable[[T], bool], deadline_s: float
    ) -> T:
        """The job in a final state. `job` names it in messages. Raises UpstreamFailure: NO_ANSWER at the deadline, or what rejects every poll."""
        pause_s, rejected, last = self.first_s, 0, "still running"
        while True:
            left_s = deadline_s - self.clock.monotonic_s()
            if pause_s >= left_s:  # whatever was to be waited for: a paid job may be done by then, and asking is free
                pause_s = left_s - LAST_POLL_S
            if pause_s <= 0:
                raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, f"{job} not finished in time: {last}")
            await asyncio.sleep(pause_s)
            try:
                found = await poll()
            except UpstreamFailure as exc:
                rejected, last = rejected + 1 if exc.fault in _HOPELESS else 0, exc.message
                if rejected >= REJECTED_MAX:
                    # A poll was refused, not the job, and what became of that nobody can say.
                    fault = Fault.NO_ANSWER if exc.fault is Fault.REFUSED else exc.fault
                    raise UpstreamFailure(fault, Billed.UNKNOWN, f"{job}: {last}") from exc
                pause_s = min(max(pause_s * 2, exc.retry_after_s or 0.0), PAUSE_S_MAX)
                continue
            if is_done(found):
                return found
            pause_s, rejected, last = self.interval_s, 0, "still running"
