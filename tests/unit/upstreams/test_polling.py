"""Asking for a job: patient until the deadline, and to the last moment."""

from types import SimpleNamespace

import pytest

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.polling import Polling


class Clock:
    """Stands still but for pauses."""

    now_s = 0.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("gateway.upstreams.polling.asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


async def asked_at(
    clock: Clock, polling: Polling, *, done_at_s: float, failure: UpstreamFailure | None = None
) -> list[float]:
    """When a job that is done at some time was asked for, until a deadline at 20 s; `failure` is what the first question meets."""
    asked: list[float] = []

    async def poll() -> bool:
        asked.append(clock.now_s)
        if failure is not None and len(asked) == 1:
            raise failure
        return clock.now_s >= done_at_s

    assert await polling.until("job", poll, bool, 20.0)
    return asked


@pytest.mark.parametrize(
    "failure",
    [
        UpstreamFailure(Fault.RATE_LIMITED, Billed.NO, "slow down", retry_after_s=60.0),
        UpstreamFailure(Fault.OVERLOADED, Billed.NO, "later", retry_after_s=15.0),
        UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "reset"),
    ],
    ids=["a wait beyond the deadline", "a wait up to it", "a pause that doubles"],
)
async def test_a_long_wait_does_not_give_a_paid_job_up(clock: Clock, failure: UpstreamFailure) -> None:
    """It is asked for once more shortly before the deadline: it may be done, and the question is free."""
    asked = await asked_at(clock, Polling(clock, 8.0, 6.0), done_at_s=12.0, failure=failure)
    assert asked[0] == 6.0
    assert 12.0 <= asked[-1] < 20.0


async def test_the_last_question_comes_shortly_before_the_deadline(clock: Clock) -> None:
    """Even where the usual pause would end after it."""
    assert await asked_at(clock, Polling(clock, 15.0, 10.0), done_at_s=18.0) == [10.0, 18.5]


@pytest.mark.parametrize("interval_s", [3.0, 15.0])
async def test_after_the_last_question_the_job_is_in_doubt(clock: Clock, interval_s: float) -> None:
    """It goes on without us; what was said last is told."""
    with pytest.raises(UpstreamFailure) as caught:
        await asked_at(clock, Polling(clock, interval_s, 1.0), done_at_s=99.0)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert "still running" in caught.value.message
    assert clock.now_s < 20.0
