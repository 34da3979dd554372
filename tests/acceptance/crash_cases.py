"""Every case of the crash matrix, generated: where a call is killed, at which kind of upstream, by which contract; and what must become of it.

Pure. A life is the order in which a call of one kind and contract passes the crash points; what must happen follows from which durable steps lie
before the point: the acceptance, the attempt's row, the job's id, the manifest, the end.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.pipeline.crash_points import CrashPoint as P

SEED = "20261124"
ALL = os.environ.get("SOAK") == "1"
"""`make soak` runs every case, `make test` a sample."""
DATABASES = ("sqlite", "postgresql")


class Kind(StrEnum):
    """How an upstream's lost answer can be found again, and what happens besides."""

    IDEMPOTENCY_KEY = "idempotency-key"
    ASYNC_JOB = "async-job"
    LOOKUP = "lookup"
    """Can be asked by our reference, and pays for what is sent twice."""
    NONE = "none"
    FAIL_OVER = "fail-over"
    """Of kind none, and busy: the next upstream has idempotency keys."""
    FAILURE = "failure"
    """Of kind none, and busy, and there is no other."""
    TWO_PICTURES = "two-pictures"
    """Of kind none, and asked for two at once."""
    PARTS = "parts"
    """With idempotency keys, and asked for three, which it makes in two calls side by side."""
    CANCEL = "cancel"
    """Can cancel, and its caller cancels what waits there: by the task contract alone."""

    @property
    def contracts(self) -> tuple[str, ...]:
        return ("task",) if self is Kind.CANCEL else ("image", "task")


class Outcome(StrEnum):
    """What the restarted gateway must have made of the call."""

    NOTHING = "nothing"
    """It was never accepted."""
    COMPLETED = "completed"
    UNKNOWN = "outcome_unknown"
    BUSY = "resource_exhausted"
    CANCELLED = "request_cancelled"


@dataclass(frozen=True, slots=True)
class Case:
    """`again` is where the recovering process is killed, too."""

    kind: Kind
    contract: str
    point: P
    nth: int
    outcome: Outcome
    bills: int
    """Calls that the vendors bill in the end: never one twice, and none without its pictures but where the outcome is unknown."""
    again: P | None = None
    stopped: bool = False
    """By SIGTERM, while its job at an upstream is asked for: it dies in the hand-over."""
    databases: tuple[str, ...] = DATABASES

    @property
    def handed_over(self) -> bool:
        """The hand-over is in the database: nobody waits for the end of a lease."""
        return self.point in (P.HAND_BACK_COMMITTED, P.HANDED_BACK)

    @property
    def id(self) -> str:
        again = f"+{self.again}" if self.again else ""
        return f"{self.kind}-{self.contract}-{self.point}{f'.{self.nth}' if self.nth > 1 else ''}{again}"

    @property
    def n(self) -> int:
        return {Kind.TWO_PICTURES: 2, Kind.PARTS: 3}.get(self.kind, 1)

    @property
    def crash_at(self) -> str:
        return f"{self.point}:{self.nth}"


def chosen(*parts: str) -> bool:
    """Whether a case belongs to a tenth that the seed chooses."""
    return _drawn(*parts)[0] % 10 == 0


def _drawn(*parts: str) -> bytes:
    return hashlib.sha256("|".join((SEED, *parts)).encode()).digest()


ACCEPT = (
    P.BEFORE_ACCEPT,
    P.ACCEPT_BEGUN,
    P.ACCEPT_APPLIED,
    P.ACCEPT_COMMITTED,
    P.ACCEPTED,
    P.ACCEPT_ANSWER,
    P.TASK_STARTED,
)
ATTEMPT = (P.SLOT_TAKEN, P.BEFORE_ATTEMPT, P.ATTEMPT_BEGUN, P.ATTEMPT_APPLIED, P.ATTEMPT_COMMITTED, P.ATTEMPT_RECORDED)
JOB = (P.JOB_KNOWN, P.JOB_BEGUN, P.JOB_APPLIED, P.JOB_COMMITTED, P.JOB_RECORDED)
RESULT = (P.ANSWER_RECEIVED, P.PICTURE_RECEIVED, P.PICTURE_EXAMINED, P.BEFORE_STORE, P.STORED, P.SUCCESS_KNOWN)
CANCEL = (P.CANCEL_BEGUN, P.CANCEL_APPLIED, P.CANCEL_COMMITTED, P.CANCEL_NOTED, P.BEFORE_CANCEL, P.CANCEL_TOLD)
FAILED = (P.FAILURE_CLASSIFIED, P.FAILURE_BOOKED)
FINISH = (P.BEFORE_FINISH, P.FINISH_BEGUN, P.FINISH_APPLIED, P.FINISH_COMMITTED, P.FINISHED)
CALLBACK = (P.CALLBACK_DUE, P.CALLBACK_CLAIMED, P.CALLBACK_SENT, P.CALLBACK_NOTED)
"""After the end of every task: each of the matrix has a callback."""
HAND_BACK = (P.HAND_BACK_BEGUN, P.HAND_BACK_APPLIED, P.HAND_BACK_COMMITTED, P.HANDED_BACK)
"""On PostgreSQL; on SQLite the next start takes up everything."""
CLAIM = (P.CLAIM_BEGUN, P.CLAIM_APPLIED, P.CLAIM_COMMITTED, P.CLAIMED)


def life(kind: Kind, contract: str) -> list[tuple[P, int]]:
    """The points of a call in order, each with its how-manieth passing."""
    # A call of the image contract takes its slot first, and its attempt's row is part of its acceptance.
    begin = (P.ADMITTED, P.SLOT_TAKEN, *ACCEPT) if contract == "image" else (P.ADMITTED, *ACCEPT, *ATTEMPT)
    end = (*FINISH, P.BEFORE_ANSWER, P.PICTURES_READ) if contract == "image" else FINISH
    match kind:
        case Kind.NONE | Kind.LOOKUP:
            points = (*begin, P.BEFORE_SEND, *RESULT, *end)
        case Kind.FAIL_OVER:
            points = (*begin, P.BEFORE_SEND, *FAILED, *ATTEMPT, P.BEFORE_SEND, *JOB, *RESULT, *end)
        case Kind.FAILURE:
            points = (*begin, P.BEFORE_SEND, *FAILED, *[point for point in end if point is not P.PICTURES_READ])
        case Kind.CANCEL:
            points = (*begin, P.BEFORE_SEND, *JOB, *CANCEL, *FAILED, *end)
        case Kind.TWO_PICTURES:
            pictures = (P.PICTURE_RECEIVED, P.PICTURE_EXAMINED)
            points = (*begin, P.BEFORE_SEND, P.ANSWER_RECEIVED, *pictures, *pictures, *RESULT[3:], *end)
        case Kind.PARTS:
            rows = () if contract == "image" else ATTEMPT
            call = (P.BEFORE_SEND, *JOB, *RESULT)
            points = (*begin, *rows, *call, *call, *end)
        case _:
            points = (*begin, P.BEFORE_SEND, *JOB, *RESULT, *end)
    points = (*points, *CALLBACK)
    return [(point, points[: index + 1].count(point)) for index, point in enumerate(points)]


def expected(kind: Kind, before: set[tuple[P, int]], contract: str) -> tuple[Outcome, int]:
    """What becomes of a call that died at the last of these points, and how many calls are billed in the end."""
    first_row = (P.ACCEPT_COMMITTED, 1) if contract == "image" else (P.ATTEMPT_COMMITTED, 1)
    second_row = (P.ATTEMPT_COMMITTED, 1) if contract == "image" else (P.ATTEMPT_COMMITTED, 2)
    if (P.ACCEPT_COMMITTED, 1) not in before:
        return Outcome.NOTHING, 0
    if kind is Kind.CANCEL:
        return Outcome.CANCELLED, 0
    if kind is Kind.FAILURE:
        sent_for_nothing = first_row in before and (P.FINISH_COMMITTED, 1) not in before
        return (Outcome.UNKNOWN if sent_for_nothing else Outcome.BUSY), 0
    if kind is Kind.FAIL_OVER:
        lost = first_row in before and second_row not in before
        return (Outcome.UNKNOWN, 0) if lost else (Outcome.COMPLETED, 1)
    if kind is Kind.PARTS:
        return Outcome.COMPLETED, 2
    if first_row not in before or (P.STORED, 1) in before or kind in (Kind.IDEMPOTENCY_KEY, Kind.LOOKUP):
        return Outcome.COMPLETED, 1
    if kind is Kind.ASYNC_JOB and (P.JOB_COMMITTED, 1) in before:
        return Outcome.COMPLETED, 1
    sent = (P.JOB_KNOWN, 1) in before or (P.ANSWER_RECEIVED, 1) in before
    return Outcome.UNKNOWN, int(sent)


def first_kills() -> Iterator[Case]:
    """One kill, anywhere in the life of a call."""
    for kind in Kind:
        for contract in kind.contracts:
            passed: set[tuple[P, int]] = set()
            for point, nth in life(kind, contract):
                passed.add((point, nth))
                if kind in (Kind.TWO_PICTURES, Kind.PARTS) and nth == 1:
                    continue  # as where there is only one
                if kind is Kind.CANCEL and (P.CANCEL_BEGUN, 1) not in passed:
                    continue  # as where nobody cancels
                yield Case(kind, contract, point, nth, *expected(kind, passed, contract))


# The kind, where the first process dies, and what its successor passes for certain.
SECOND_KILLS: dict[Kind, dict[tuple[P, int], tuple[P, ...]]] = {
    Kind.IDEMPOTENCY_KEY: {
        (P.BEFORE_SEND, 1): (*CLAIM, P.RESUMING, P.BEFORE_SEND, *JOB, *RESULT, *FINISH),
        (P.JOB_RECORDED, 1): (*CLAIM, P.RESUMING, P.BEFORE_SEND, *RESULT, *FINISH),
    },
    Kind.ASYNC_JOB: {(P.JOB_RECORDED, 1): (*CLAIM, P.RESUMING, P.BEFORE_SEND, *RESULT, *FINISH)},
    Kind.LOOKUP: {
        # Never sent: found out, and sent as another attempt.
        (P.BEFORE_SEND, 1): (
            *CLAIM, P.RESUMING, P.ASKED, P.FAILURE_CLASSIFIED, *ATTEMPT[1:], P.BEFORE_SEND, *RESULT, *FINISH,
        ),
        (P.ANSWER_RECEIVED, 1): (*CLAIM, P.RESUMING, P.ASKED, *RESULT, *FINISH),
    },
    Kind.NONE: {
        (P.BEFORE_SEND, 1): (*CLAIM, P.RESUMING, P.FAILURE_BOOKED, *FINISH),
        (P.STORED, 1): (*CLAIM, P.RESUMING, *FINISH, *CALLBACK),
        (P.CALLBACK_SENT, 1): CALLBACK,
    },
    Kind.FAIL_OVER: {
        # Nobody knows that the first upstream was busy; and after the second one's row.
        (P.FAILURE_BOOKED, 1): (P.CLAIMED, P.RESUMING, P.FAILURE_BOOKED, P.FINISH_APPLIED, P.FINISH_COMMITTED),
        (P.BEFORE_SEND, 2): (*CLAIM, P.FAILURE_BOOKED, P.RESUMING, P.BEFORE_SEND, *JOB, *RESULT, *FINISH),
    },
    Kind.CANCEL: {
        (P.CANCEL_COMMITTED, 1): (*CLAIM, P.RESUMING, P.BEFORE_SEND, P.BEFORE_CANCEL, P.CANCEL_TOLD, *FAILED, *FINISH),
        (P.CANCEL_TOLD, 1): (P.CLAIMED, P.RESUMING, P.CANCEL_TOLD, P.FINISH_APPLIED, P.FINISH_COMMITTED),
    },
    Kind.PARTS: {
        (P.BEFORE_SEND, 2): (*CLAIM, P.RESUMING, P.BEFORE_SEND, *RESULT, *FINISH),
        (P.STORED, 1): (P.CLAIMED, P.RESUMING, P.FINISH_APPLIED, P.FINISH_COMMITTED),
    },
}  # fmt: skip


def second_kills() -> Iterator[Case]:
    """Two kills: the second while the first one's call is recovered. The outcome is that of the first."""
    for kind, firsts in SECOND_KILLS.items():
        for contract in kind.contracts:
            points = life(kind, contract)
            for first, seconds in firsts.items():
                outcome, bills = expected(kind, set(points[: points.index(first) + 1]), contract)
                for second in seconds:
                    yield Case(kind, contract, *first, outcome, bills, second)


def hand_overs() -> Iterator[Case]:
    """A stopping process dies while it hands its jobs over; and so does the one that takes them up."""
    for kind in (Kind.ASYNC_JOB, Kind.IDEMPOTENCY_KEY, Kind.PARTS):
        bills = 2 if kind is Kind.PARTS else 1
        yield Case(kind, "task", P.LEFT, 1, Outcome.COMPLETED, bills, stopped=True)
        for point in HAND_BACK:
            yield Case(kind, "task", point, 1, Outcome.COMPLETED, bills, stopped=True, databases=("postgresql",))
        for again in (*CLAIM, P.RESUMING, P.STORED, P.FINISH_APPLIED, P.FINISH_COMMITTED):
            yield Case(
                kind, "task", P.HANDED_BACK, 1, Outcome.COMPLETED, bills, again, stopped=True, databases=("postgresql",)
            )  # fmt: skip


CASES = (*first_kills(), *second_kills(), *hand_overs())


def covering(runs: Sequence[tuple[str, Case]]) -> list[tuple[str, Case]]:
    """Few of many runs, each of a database and a case, that together have everything that any of them has; in the order of the seed, most first."""
    left = {run: _features(*run) for run in sorted(runs, key=lambda run: _drawn(run[0], run[1].id))}
    covered: set[tuple[object, ...]] = set()
    found: list[tuple[str, Case]] = []
    while left:
        best = max(left, key=lambda run: len(left[run] - covered))
        added = left.pop(best) - covered
        if not added:
            break
        covered |= added
        found.append(best)
    return found


def _features(database: str, case: Case) -> set[tuple[object, ...]]:
    """The points of its kills; its kind, with what else it is; and what becomes of it."""
    return {
        ("first", case.point),
        ("again", case.again),
        ("life", database, case.kind, case.contract, case.stopped),
        ("end", case.kind, case.outcome),
    }
