"""What becomes of the retries of refused calls: as many as were refused are new calls, for a while, within bounds; and which refusals count."""

import pytest

from gateway.api import refusals as refusals_module
from gateway.api.refusals import KEPT_S, Refusals
from gateway.domain.clock import SystemClock
from gateway.domain.errors import (
    AllUpstreamsUnavailable,
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    RateLimited,
    StorageUnavailable,
)
from gateway.domain.ids import AccountId
from gateway.domain.tasks import Billed, Fault, TaskErrorCode
from tests.unit.api.conftest import MakeEdge
from tests.unit.api.fake_pipeline import FakePipeline, attempt, failed_view

KEY, OTHER = AccountId("key:acme//ci"), AccountId("key:acme//other")


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.value_s = 100.0

    def monotonic_s(self) -> float:
        return self.value_s


def test_a_refusal_is_taken_once() -> None:
    """Two refusals for two retries; not for another body or another key."""
    refusals = Refusals(SetClock())
    refusals.note(KEY, "a")
    refusals.note(KEY, "a")
    assert (refusals.take(KEY, "b"), refusals.take(OTHER, "a")) == (False, False)
    assert [refusals.take(KEY, "a") for _ in range(3)] == [True, True, False]


def test_a_refusal_is_forgotten_in_time() -> None:
    """Each by itself, also where others were taken before."""
    clock = SetClock()
    refusals = Refusals(clock)
    refusals.note(KEY, "a")
    assert refusals.take(KEY, "a")
    clock.value_s += 1
    refusals.note(KEY, "a")
    clock.value_s += KEPT_S - 1
    assert refusals.take(KEY, "a"), "the one that was taken does not end the later one's time"
    refusals.note(KEY, "a")
    clock.value_s += KEPT_S
    assert not refusals.take(KEY, "a")
    assert (refusals._of, len(refusals._all)) == ({}, 0)


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls are refused."""
    monkeypatch.setattr(refusals_module, "REFUSED_MAX", 3)
    refusals = Refusals(SetClock())
    for body in "abcde":
        refusals.note(KEY, body)
    assert (len(refusals._all), len(refusals._of)) == (3, 3)
    assert [refusals.take(KEY, body) for body in "abcde"] == [False, False, False, True, True]


def sdk(count: int) -> dict[str, str]:
    return {"X-Stainless-Lang": "python", "X-Stainless-Retry-Count": str(count)}


@pytest.mark.parametrize(
    ("error", "count", "is_new"),
    [
        (RateLimited("slower", retry_after_s=5), 0, True),
        (RateLimited("slower", retry_after_s=5), 1, True),
        (AllUpstreamsUnavailable("none"), 0, True),
        (StorageUnavailable("no answer"), 0, True),
        (RateLimited("slower", retry_after_s=5), 2, False),
        (RateLimited("much slower", retry_after_s=600), 0, False),
        (InsufficientQuota("no money"), 0, False),
        (InvalidRequest("wrong"), 0, False),
    ],
    ids=[
        "a limit",
        "its retry",
        "no upstream",
        "no database",
        "the last try",
        "no retry asked",
        "no money",
        "a mistake",
    ],
)
async def test_which_refusals_make_their_retry_a_new_call(
    make_edge: MakeEdge, error: GatewayError, count: int, is_new: bool
) -> None:
    """Those that an SDK tries again; the retry after that one is a retry as ever."""
    edge = await make_edge(FakePipeline(error=error))
    assert (await edge.generate(sdk(count), model="gpt-image-2")).status == (
        429 if isinstance(error, InsufficientQuota) else error.status
    )
    edge.pipeline.error = None
    kinds = []
    for _ in range(2):
        await edge.generate(sdk(count + 1), model="gpt-image-2")
        assert edge.pipeline.repeat is not None
        kinds.append(edge.pipeline.repeat.is_retry)
    assert kinds == [not is_new, True]


@pytest.mark.parametrize(("billed", "is_new"), [(Billed.NO, True), (Billed.YES, False), (Billed.UNKNOWN, False)])
async def test_a_failure_counts_where_nothing_was_billed(make_edge: MakeEdge, billed: Billed, is_new: bool) -> None:
    """Else its retry is told the same again, and pays nothing."""
    final = failed_view(TaskErrorCode.SERVICE_ERROR)
    final.attempts = (attempt(fault=Fault.FAILED, billed=billed),)
    edge = await make_edge(FakePipeline(final=final))
    assert (await edge.generate(sdk(0), model="gpt-image-2")).status == 502
    await edge.generate(sdk(1), model="gpt-image-2")
    assert edge.pipeline.repeat is not None
    assert edge.pipeline.repeat.is_retry is not is_new


async def test_a_call_with_a_key_of_its_own_is_not_concerned(make_edge: MakeEdge) -> None:
    """Its key tells all there is to know."""
    edge = await make_edge(FakePipeline(error=RateLimited("slower", retry_after_s=5)))
    await edge.generate({**sdk(0), "Idempotency-Key": "order 7"}, model="gpt-image-2")
    edge.pipeline.error = None
    await edge.generate(sdk(1), model="gpt-image-2")
    assert edge.pipeline.repeat is not None
    assert edge.pipeline.repeat.is_retry
