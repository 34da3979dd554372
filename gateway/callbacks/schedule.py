"""What follows a try, by the task contract: 2xx is success, 410 stops, everything else is tried again, at most three times. Pure."""

from dataclasses import dataclass

from gateway.domain.callbacks import CallbackState
from gateway.webhooks.sending import Reply

RETRY_PAUSES_S = (1, 2, 4)
WAIT_S_MAX = 60
"""Of what a receiver asks for in `Retry-After`."""
GONE = 410


@dataclass(frozen=True, slots=True)
class Step:
    state: CallbackState
    pause_s: int = 0
    """Until the next try of one that stays due."""


def next_step(tries_before: int, reply: Reply) -> Step:
    """After a try; `tries_before` is how many there were before it."""
    if reply.accepted:
        return Step(CallbackState.SENT)
    if reply.status == GONE or tries_before >= len(RETRY_PAUSES_S):
        return Step(CallbackState.DEAD)
    return Step(CallbackState.DUE, max(RETRY_PAUSES_S[tries_before], min(reply.wait_s, WAIT_S_MAX)))
