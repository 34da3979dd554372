"""The named moments of a call at which a test may have the process killed: between any two steps of which one is durable.

Off unless the root arms one (`GATEWAY_CRASH_AT=<point>[:<nth>]` with `GATEWAY_DEBUG=crash-points`, read by the config): then the process kills
itself with SIGKILL when it reaches that point for the nth time, so that nothing of it gets to run again. Unarmed it costs one look at a
module's variable. It must never decide anything. How it fails: a name that is no point keeps the gateway from starting.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.db.connection import Connection
from gateway.db.writer import Apply, Now
from gateway.pipeline.commands import (
    Accept,
    Cancel,
    Claim,
    Command,
    Finish,
    HandBack,
    Lead,
    Outcome,
    RecordAttempts,
    RecordSubmitted,
    Serve,
)


class CrashPoint(StrEnum):
    """In the order of a call's life. What commits has three moments of its own, inside the writer."""

    ADMITTED = "admitted"
    SLOT_TAKEN = "slot-taken"
    BEFORE_ACCEPT = "before-accept"
    ACCEPT_BEGUN = "accept-begun"
    ACCEPT_APPLIED = "accept-applied"
    ACCEPT_COMMITTED = "accept-committed"
    """The writer knows it, nobody else does."""
    ACCEPTED = "accepted"
    TASK_STARTED = "task-started"
    ACCEPT_ANSWER = "accept-answer"
    """Before a caller of the task contract hears of its task."""
    BEFORE_ATTEMPT = "before-attempt"
    ATTEMPT_BEGUN = "attempt-begun"
    ATTEMPT_APPLIED = "attempt-applied"
    ATTEMPT_COMMITTED = "attempt-committed"
    ATTEMPT_RECORDED = "attempt-recorded"
    BEFORE_SEND = "before-send"
    JOB_KNOWN = "job-known"
    """An asynchronous upstream answered with its job's id."""
    JOB_BEGUN = "job-begun"
    JOB_APPLIED = "job-applied"
    JOB_COMMITTED = "job-committed"
    JOB_RECORDED = "job-recorded"
    """Before the first poll."""
    ANSWER_RECEIVED = "answer-received"
    PICTURE_RECEIVED = "picture-received"
    """Each picture, decoded or downloaded."""
    PICTURE_EXAMINED = "picture-examined"
    BEFORE_STORE = "before-store"
    STORED = "stored"
    """Pictures and manifest are durable."""
    SUCCESS_KNOWN = "success-known"
    FAILURE_CLASSIFIED = "failure-classified"
    FAILURE_BOOKED = "failure-booked"
    """In memory: the failure waits for the next commit, and what follows it is about to begin."""
    BEFORE_FINISH = "before-finish"
    FINISH_BEGUN = "finish-begun"
    FINISH_APPLIED = "finish-applied"
    FINISH_COMMITTED = "finish-committed"
    FINISHED = "finished"
    SERVE_BEGUN = "serve-begun"
    SERVE_APPLIED = "serve-applied"
    SERVE_COMMITTED = "serve-committed"
    SERVED = "served"
    """A call is answered with another task's pictures, and has not heard of it."""
    FOLLOWING = "following"
    """A task is about to wait for another's pictures."""
    LEAD_BEGUN = "lead-begun"
    LEAD_APPLIED = "lead-applied"
    LEAD_COMMITTED = "lead-committed"
    LED = "led"
    """It has waited in vain, holds the whole price, and is about to make its own."""
    BEFORE_ANSWER = "before-answer"
    PICTURES_READ = "pictures-read"
    """The answer of the image contract is about to be rendered."""
    CANCEL_BEGUN = "cancel-begun"
    CANCEL_APPLIED = "cancel-applied"
    CANCEL_COMMITTED = "cancel-committed"
    """Nobody has heard of the wish, neither its caller nor the task's worker."""
    CANCEL_NOTED = "cancel-noted"
    """The worker is about to hear of it."""
    CLAIM_BEGUN = "claim-begun"
    CLAIM_APPLIED = "claim-applied"
    CLAIM_COMMITTED = "claim-committed"
    CLAIMED = "claimed"
    """A recovering process has read what it took over, and not begun."""
    RESUMING = "resuming"
    """An attempt whose end is not in the books is about to be looked into."""
    LEFT = "left"
    """A stopping process has let go of tasks, and nobody else knows."""
    HAND_BACK_BEGUN = "hand-back-begun"
    HAND_BACK_APPLIED = "hand-back-applied"
    HAND_BACK_COMMITTED = "hand-back-committed"
    HANDED_BACK = "handed-back"
    BEFORE_CANCEL = "before-cancel"
    """An upstream is about to be told to stop a call."""
    CANCEL_TOLD = "cancel-told"
    """It has answered; the call's own end is still to come."""
    ASKED = "asked"
    """An upstream has said what it knows of an attempt that may have been sent."""
    CALLBACK_DUE = "callback-due"
    """Found, and not claimed."""
    CALLBACK_CLAIMED = "callback-claimed"
    CALLBACK_SENT = "callback-sent"
    """The receiver has answered, and nobody knows."""
    CALLBACK_NOTED = "callback-noted"


_WRITER_POINTS: dict[type[object], tuple[CrashPoint, CrashPoint, CrashPoint]] = {
    Accept: (CrashPoint.ACCEPT_BEGUN, CrashPoint.ACCEPT_APPLIED, CrashPoint.ACCEPT_COMMITTED),
    Serve: (CrashPoint.SERVE_BEGUN, CrashPoint.SERVE_APPLIED, CrashPoint.SERVE_COMMITTED),
    Lead: (CrashPoint.LEAD_BEGUN, CrashPoint.LEAD_APPLIED, CrashPoint.LEAD_COMMITTED),
    RecordAttempts: (CrashPoint.ATTEMPT_BEGUN, CrashPoint.ATTEMPT_APPLIED, CrashPoint.ATTEMPT_COMMITTED),
    RecordSubmitted: (CrashPoint.JOB_BEGUN, CrashPoint.JOB_APPLIED, CrashPoint.JOB_COMMITTED),
    Finish: (CrashPoint.FINISH_BEGUN, CrashPoint.FINISH_APPLIED, CrashPoint.FINISH_COMMITTED),
    Cancel: (CrashPoint.CANCEL_BEGUN, CrashPoint.CANCEL_APPLIED, CrashPoint.CANCEL_COMMITTED),
    Claim: (CrashPoint.CLAIM_BEGUN, CrashPoint.CLAIM_APPLIED, CrashPoint.CLAIM_COMMITTED),
    HandBack: (CrashPoint.HAND_BACK_BEGUN, CrashPoint.HAND_BACK_APPLIED, CrashPoint.HAND_BACK_COMMITTED),
}


@dataclass(slots=True)
class _Armed:
    point: CrashPoint
    left: int


_armed: _Armed | None = None


def arm(text: str | None) -> None:
    """`<point>` or `<point>:<nth>`; None disarms. Raises ValueError for anything else."""
    global _armed  # noqa: PLW0603 - one a process, like the process that it kills
    if text is None:
        _armed = None
        return
    name, _, nth = text.partition(":")
    _armed = _Armed(CrashPoint(name), int(nth or 1))


def reached(point: CrashPoint) -> None:
    """Kills this process where it was armed for this point."""
    if _armed is not None and _armed.point is point:
        _armed.left -= 1
        if _armed.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def watched(apply: Apply[Command, Outcome]) -> Apply[Command, Outcome]:
    """What the writer applies, with its moments after BEGIN and before COMMIT; the very same where nothing is armed."""
    if _armed is None:
        return apply

    async def watched_apply(connection: Connection, commands: Sequence[Command], now: Now) -> Sequence[Outcome]:
        _reached_by(commands, 0)
        outcomes = await apply(connection, commands, now)
        _reached_by(commands, 1)
        return outcomes

    return watched_apply


def committed(commands: Sequence[object]) -> None:
    """For the writer: after COMMIT, before anybody hears of it."""
    if _armed is not None:
        _reached_by(commands, 2)


def _reached_by(commands: Sequence[object], moment: int) -> None:
    for command in commands:
        points = _WRITER_POINTS.get(type(command))
        if points is not None:
            reached(points[moment])
