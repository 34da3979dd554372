"""What follows a try: the task contract's table, and what a receiver may ask for."""

import pytest

from gateway.callbacks.schedule import Step, next_step
from gateway.domain.callbacks import CallbackState
from gateway.webhooks.sending import Reply

DUE, SENT, DEAD = CallbackState.DUE, CallbackState.SENT, CallbackState.DEAD


@pytest.mark.parametrize(
    ("tries_before", "status", "wait_s", "expected"),
    [
        (0, 200, 0, Step(SENT)), (3, 204, 9, Step(SENT)), (0, 299, 0, Step(SENT)),
        (0, 199, 0, Step(DUE, 1)), (0, 300, 0, Step(DUE, 1)), (1, 302, 0, Step(DUE, 2)), (2, 308, 0, Step(DUE, 4)), (3, 301, 0, Step(DEAD)),
        (0, 410, 0, Step(DEAD)), (2, 410, 30, Step(DEAD)),
        (0, None, 0, Step(DUE, 1)), (1, None, 0, Step(DUE, 2)), (2, None, 0, Step(DUE, 4)), (3, None, 0, Step(DEAD)),
        (0, 429, 30, Step(DUE, 30)), (2, 503, 3, Step(DUE, 4)), (1, 503, 60, Step(DUE, 60)), (0, 429, 3_600, Step(DUE, 60)),
        (9, 500, 0, Step(DEAD)),
    ],
)  # fmt: skip
def test_the_next_step(tries_before: int, status: int | None, wait_s: int, expected: Step) -> None:
    """2xx is success, 410 stops, all else is tried again after max(1, 2, 4 s; Retry-After up to a minute), three times."""
    assert next_step(tries_before, Reply("", status, wait_s)) == expected
