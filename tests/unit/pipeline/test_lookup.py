"""Asking an upstream of kind lookup: what is asked, how often, and what comes of it. A scripted upstream, a clock that a question moves."""

from collections import deque
from dataclasses import dataclass

import pytest

from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.ids import new_attempt_id
from gateway.domain.tasks import Billed, Fault, Heard
from gateway.pipeline.lookup import NeverArrived, sent_or_found
from gateway.upstreams.base import (
    Adapter,
    Found,
    Generated,
    LinkedImage,
    OnSubmitted,
    RawImage,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from tests.unit.upstreams.calls import A_REQUEST, an_offer, nothing_submitted

PICTURE = Generated((RawImage(b"picture"),))
FAILED = UpstreamFailure(Fault.FAILED, Billed.NO, "out of order")
DENIED = UpstreamFailure(Fault.CREDENTIALS, Billed.NO, "whatever it says")
TIMEOUT_S, GRACE_S = 100.0, 60.0
QUESTION_S = 10.0


@dataclass
class HandClock:
    time_s: float = 1000.0

    def monotonic_s(self) -> float:
        return self.time_s

    def now_ms(self) -> int:
        return int(self.time_s * 1000)


class Asked(Adapter):
    """Answers questions by script, the last answer for ever; each takes QUESTION_S."""

    kind = "asked"

    def __init__(self, clock: HandClock, *answers: Found | Exception, recovery: Recovery = Recovery.LOOKUP) -> None:
        super().__init__(UpstreamSettings("asked", "asked", timeout_s=TIMEOUT_S))
        self._clock = clock
        self._answers = deque(answers)
        self._recovery = recovery
        self.asked_at_s: list[float] = []
        self.sent = 0

    def capabilities(self, upstream_model: str) -> Capabilities:
        return Capabilities(recovery=self._recovery)

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        self.sent += 1
        return PICTURE

    async def find(self, call: UpstreamCall) -> Found:
        self.asked_at_s.append(self._clock.time_s)
        assert call.deadline_s > self._clock.time_s  # a question has time for its answer, even the last one
        self._clock.time_s += QUESTION_S
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception) and answer is not FAILED:
            raise answer
        return answer

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise AssertionError("nothing here is linked")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.lookup.LOOK_PAUSE_S", 0.0)


async def answer(
    adapter: Asked,
    clock: HandClock,
    *,
    sent_before: bool = True,
    age_s: float = 0.0,
    seconds: float = 50.0,
    on_submitted: OnSubmitted = nothing_submitted,
) -> Generated:
    call = UpstreamCall(new_attempt_id(), A_REQUEST, an_offer(), clock.time_s + seconds)
    return await sent_or_found(
        adapter, call, on_submitted, clock, sent_before=sent_before, age_s=age_s, grace_s=GRACE_S
    )


async def test_what_was_not_sent_is_sent_without_a_question() -> None:
    """The usual case costs nothing more."""
    clock = HandClock()
    adapter = Asked(clock, Heard.NOTHING)
    assert await answer(adapter, clock, sent_before=False) is PICTURE
    assert (adapter.sent, adapter.asked_at_s) == (1, [])


async def test_other_kinds_are_sent_again() -> None:
    """A key or a job id makes that safe: they have no question."""
    clock = HandClock()
    adapter = Asked(clock, Heard.NOTHING, recovery=Recovery.IDEMPOTENCY_KEY)
    assert await answer(adapter, clock, age_s=10_000) is PICTURE
    assert (adapter.sent, adapter.asked_at_s) == (1, [])


async def test_what_was_sent_is_asked_for_until_it_is_made() -> None:
    """Working, not to be asked, unknown while it may be on its way: all are waited for, and nothing is sent."""
    clock = HandClock()
    adapter = Asked(clock, Heard.NOTHING, DENIED, Heard.WORKING, PICTURE)
    assert await answer(adapter, clock) is PICTURE
    assert (adapter.sent, len(adapter.asked_at_s)) == (0, 4)


async def test_its_failure_ends_it() -> None:
    """As the upstream tells it, with its verdict."""
    clock = HandClock()
    adapter = Asked(clock, Heard.WORKING, FAILED)
    with pytest.raises(UpstreamFailure) as caught:
        await answer(adapter, clock)
    assert caught.value is FAILED


@pytest.mark.parametrize("age_s", [0.0, 35.0, 160.0, 1000.0])
async def test_nothing_is_believed_when_nothing_can_arrive(age_s: float) -> None:
    """Asked after the upstream's time-out and the grace, counted from the attempt's row; not one question earlier, and whoever waits."""
    clock = HandClock()
    believed_s = clock.time_s + TIMEOUT_S + GRACE_S - age_s
    adapter = Asked(clock, Heard.NOTHING)
    with pytest.raises(NeverArrived) as caught:
        await answer(adapter, clock, age_s=age_s)
    assert (caught.value.fault, caught.value.billed) == (Fault.UNREACHABLE, Billed.NO)
    assert adapter.sent == 0
    *early, last = adapter.asked_at_s
    assert last >= believed_s
    assert all(asked_s < believed_s for asked_s in early)


@pytest.mark.parametrize("word", [Heard.WORKING, DENIED])
async def test_a_doubt_that_stays_is_one(word: Found | Exception) -> None:
    """At the deadline, where nothing can arrive any more: unknown, whatever verdict a failed question had."""
    clock = HandClock()
    deadline_s = clock.time_s + 50.0
    adapter = Asked(clock, word)
    with pytest.raises(UpstreamFailure) as caught:
        await answer(adapter, clock, age_s=1000.0)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert not isinstance(caught.value, NeverArrived)
    assert adapter.asked_at_s[-1] >= deadline_s


async def test_a_sender_that_slept_sends_no_more() -> None:
    """Its row is older than the grace: whoever took its task over may have believed that nothing can arrive."""
    clock = HandClock()
    adapter = Asked(clock, PICTURE)
    assert await answer(adapter, clock, sent_before=False, age_s=GRACE_S) is PICTURE
    with pytest.raises(NeverArrived):
        await answer(adapter, clock, sent_before=False, age_s=GRACE_S + 1)
    assert adapter.sent == 1


class Keyed(Asked):
    """Its first answer is lost; then it fails as it is told, perhaps after it named a job."""

    def __init__(self, failure: UpstreamFailure, job: str | None = None) -> None:
        super().__init__(HandClock(), Heard.NOTHING, recovery=Recovery.IDEMPOTENCY_KEY)
        self._failure, self._job = failure, job

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        self.sent += 1
        if self._job is not None:
            await on_submitted(self._job)
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "job", "sent_before", "billed"),
    [
        (UpstreamFailure(Fault.UNREACHABLE, Billed.NO, "not sent"), None, True, Billed.UNKNOWN),
        (UpstreamFailure(Fault.RATE_LIMITED, Billed.NO, "later", retry_after_s=3), None, True, Billed.UNKNOWN),
        (UpstreamFailure(Fault.BAD_REQUEST, Billed.NO, "no such size"), None, True, Billed.UNKNOWN),
        (UpstreamFailure(Fault.UNREACHABLE, Billed.NO, "not sent"), None, False, Billed.NO),
        (UpstreamFailure(Fault.REFUSED, Billed.NO, "not this"), None, True, Billed.NO),
        (UpstreamFailure(Fault.FAILED, Billed.NO, "the job failed"), "job-7", True, Billed.NO),
        (UpstreamFailure(Fault.FAILED, Billed.YES, "failed, and billed"), None, True, Billed.YES),
    ],
)
async def test_a_second_sending_in_vain_leaves_the_first_in_doubt(
    failure: UpstreamFailure, job: str | None, sent_before: bool, billed: Billed
) -> None:
    """Under one key: a connection refused now says nothing of what arrived before. The job's own end does, and so does a refusal of the request."""
    adapter, jobs = Keyed(failure, job), list[str]()

    async def note(upstream_ref: str) -> None:
        jobs.append(upstream_ref)

    with pytest.raises(UpstreamFailure) as failed:
        await answer(adapter, HandClock(), sent_before=sent_before, on_submitted=note)
    assert jobs == ([] if job is None else [job])
    assert (failed.value.fault, failed.value.billed, adapter.sent) == (failure.fault, billed, 1)
    assert failed.value.retry_after_s == failure.retry_after_s
