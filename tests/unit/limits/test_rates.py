"""Requests a minute: exact, never more than the limit in any 60 seconds, on the whole path or not at all, and nothing kept for ever."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ids import AccountId
from gateway.limits.outage import LimitStoreDown
from gateway.limits.rates import WINDOW_S, RateVerdict, SlidingWindows
from tests.limits import SetClock

KEY, TEAM, ORG, OTHER = (AccountId(name) for name in ("key:a/t/k", "team:a/t", "org:a", "key:a//o"))
Limits = Sequence[tuple[AccountId, int]]


def take(windows: SlidingWindows, *limits: tuple[AccountId, int]) -> RateVerdict:
    """The in-memory limiter never waits, so it is driven by hand."""
    with pytest.raises(StopIteration) as done:
        windows.take(limits).send(None)
    verdict = done.value.value
    assert isinstance(verdict, RateVerdict)
    return verdict


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def windows(clock: SetClock) -> SlidingWindows:
    return SlidingWindows(clock)


def test_exactly_the_limit_is_admitted(windows: SlidingWindows, clock: SetClock) -> None:
    """Of a hundred at one moment sixty; the next one exactly 60 s later, and not a moment before."""
    verdicts = [take(windows, (KEY, 60)) for _ in range(100)]
    assert [verdict.wait_s is None for verdict in verdicts] == [True] * 60 + [False] * 40
    assert [verdict.state.remaining for verdict in verdicts[:60]] == list(range(59, -1, -1))
    assert verdicts[-1].wait_s == WINDOW_S
    clock.value_s += WINDOW_S - 1 / 1024
    assert take(windows, (KEY, 60)).wait_s == 1 / 1024
    clock.value_s += 1 / 1024
    verdicts = [take(windows, (KEY, 60)) for _ in range(61)]
    assert [verdict.wait_s is None for verdict in verdicts] == [True] * 60 + [False]
    assert verdicts[0].state.remaining == 59, "what is exactly 60 s old is gone"


def test_the_window_slides(windows: SlidingWindows, clock: SetClock) -> None:
    """No burst at the turn of a minute: what was taken at second 50 is missing until second 110; the wait ends with the oldest request."""
    clock.value_s = 0.0
    assert take(windows, (KEY, 2)).wait_s is None
    clock.value_s = 50.0
    assert take(windows, (KEY, 2)).wait_s is None
    clock.value_s = 55.0
    assert take(windows, (KEY, 2)).wait_s == 5.0
    clock.value_s = 60.0
    assert asyncio.run(windows.look([(KEY, 2)])).state.remaining == 1
    assert take(windows, (KEY, 2)).wait_s is None
    clock.value_s = 61.0
    refused = take(windows, (KEY, 2))
    assert refused.wait_s == 49.0
    assert refused.state.reset_s == 59.0, "the youngest request is one second old"


def test_a_refused_request_counts_nowhere(windows: SlidingWindows) -> None:
    """All or nothing along a path: the team's refusal leaves key and org as they were, and the longest wait names its account."""
    assert take(windows, (OTHER, 9), (TEAM, 1), (ORG, 3)).wait_s is None
    for _ in range(5):
        refused = take(windows, (KEY, 9), (TEAM, 1), (ORG, 3))
        assert refused.wait_s is not None
        assert refused.state.account == TEAM
    state = take(windows, (KEY, 9)).state
    assert (state.account, state.remaining) == (KEY, 8), "none of the five was counted"
    assert take(windows, (ORG, 3)).state.remaining == 1


def test_the_tightest_account_is_shown(windows: SlidingWindows) -> None:
    """The one with the fewest left; of equals the nearest; looking counts nothing."""
    assert take(windows, (KEY, 10), (TEAM, 4), (ORG, 4)).state.account == TEAM
    for _ in range(3):
        state = asyncio.run(windows.look([(KEY, 10), (TEAM, 4)])).state
        assert (state.account, state.limit, state.remaining) == (TEAM, 4, 3)
    assert asyncio.run(windows.look([(OTHER, 5)])).state.remaining == 5


def test_a_lowered_limit_waits_until_enough_is_old(windows: SlidingWindows, clock: SetClock) -> None:
    """Five within five seconds; with a new limit of two, the fourth must be old before there is room; a raised one gives room at once."""
    clock.value_s = 0.0
    for second in range(5):
        clock.value_s = float(second)
        take(windows, (KEY, 5))
    assert take(windows, (KEY, 2)).wait_s == 3 + WINDOW_S - 4
    assert take(windows, (KEY, 6)).wait_s is None


def test_idle_accounts_are_forgotten(windows: SlidingWindows, clock: SetClock) -> None:
    """A minute after their last request, as others come; also one that a refusal had looked at meanwhile."""
    for number in range(50):
        take(windows, (AccountId(f"key:a//{number}"), 1))
    assert len(windows) == 50
    clock.value_s += WINDOW_S
    asyncio.run(windows.look([(AccountId("key:a//30"), 1)]))
    for _ in range(10):
        take(windows, (KEY, 100))
    assert len(windows) == 1


def test_there_is_a_most_of_accounts(clock: SetClock) -> None:
    """A full memory is a store that is down; known accounts go on; an idle one makes room."""
    windows = SlidingWindows(clock, accounts_max=2)
    take(windows, (KEY, 5), (ORG, 5))
    with pytest.raises(LimitStoreDown):
        take(windows, (OTHER, 5))
    assert take(windows, (KEY, 5), (ORG, 5)).wait_s is None
    clock.value_s += WINDOW_S
    assert take(windows, (OTHER, 5)).wait_s is None


MINUTE = 60 * 1024
"""In 1/1024 s, so that floats are exact."""
pauses = st.one_of(
    st.integers(0, MINUTE // 3), st.sampled_from([0, 1, MINUTE // 2, MINUTE - 512, MINUTE - 1, MINUTE, MINUTE + 1])
)
steps = st.lists(st.tuples(pauses, st.integers(1, 12)), min_size=20, max_size=120)
"""Each with the org's limit at that moment."""


@settings(max_examples=150, deadline=None)
@given(steps=steps, limit=st.integers(1, 12))
def test_never_more_than_the_limit_in_any_minute(steps: list[tuple[int, int]], limit: int) -> None:
    """In every window of 60 s, wherever it begins, at most the limit; and a call is refused only when it would be one too many."""
    clock = SetClock()
    windows, admitted = SlidingWindows(clock), list[float]()
    for pause, org_limit in steps:
        clock.value_s += pause / 1024
        recent = [at_s for at_s in admitted if clock.value_s - at_s < WINDOW_S]
        verdict = take(windows, (KEY, limit), (ORG, org_limit))
        assert (verdict.wait_s is None) == (len(recent) < min(limit, org_limit))
        if verdict.wait_s is None:
            admitted.append(clock.value_s)
        else:
            assert 0 < verdict.wait_s <= WINDOW_S
            assert sum(at_s > clock.value_s + verdict.wait_s - WINDOW_S for at_s in admitted) < min(limit, org_limit)
    for begin_s in admitted:
        assert sum(begin_s <= at_s < begin_s + WINDOW_S for at_s in admitted) <= limit
