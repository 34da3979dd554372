"""What becomes of a caller's wish that its task be cancelled. Pure; decided under the lock of the task's row.

A call that is out may be cancelled where its upstream can; then the wish is written down, nothing new is sent from that moment on, and the task's
worker asks the upstream, whose verdict decides. What was paid for is never thrown away by a wish: only the worker knows what it has in hand.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

from gateway.domain.tasks import Attempt, AttemptState, Fault, Task, TaskState


class Wish(StrEnum):
    REFUSED = "refused"  # it has ended, or something is at an upstream that cannot cancel
    HEARD = "heard"  # it was cancelled before: that is what is asked for
    NOTED = "noted"  # its worker must see to it
    GRANTED = "granted"  # nothing is out and nothing is paid for: it ends here and now


def decided(task: Task, attempts: Iterable[Attempt], cancellable: Collection[str]) -> Wish:
    """`cancellable`: the offers that can cancel a call, by their ids."""
    known = tuple(attempts)
    if task.state is TaskState.CANCELLED:
        return Wish.HEARD
    if task.state.is_final or any(one.state.is_open and one.offer_id not in cancellable for one in known):
        return Wish.REFUSED
    if any(one.state.is_open or is_to_be_charged(one) for one in known):
        return Wish.NOTED
    return Wish.GRANTED


def is_to_be_charged(attempt: Attempt) -> bool:
    """Paid for on the caller's behalf: a picture, or one that was billed although the caller had it cancelled."""
    return attempt.state is AttemptState.SUCCEEDED or was_cancelled_and_billed(attempt)


def was_cancelled_and_billed(attempt: Attempt) -> bool:
    """Not our loss, like other failures that cost something: whoever had it cancelled pays for it."""
    return attempt.state is AttemptState.FAILED and attempt.fault is Fault.CANCELLED and attempt.cost_microusd > 0
