"""How long pictures took lately: an average that forgets, and is bounded."""

import pytest

from gateway.routing import latency as latency_module
from gateway.routing.latency import KEPT_S, Latencies


class Clock:
    now_s = 100.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def latencies(clock: Clock) -> Latencies:
    return Latencies(clock)


def test_slower_is_later_and_unknown_is_first(latencies: Latencies) -> None:
    """A doubling is two steps; what nobody knows gets its try."""
    latencies.took("fast/m", 1.0)
    latencies.took("slow/m", 2.0)
    assert latencies.step("new/m") == 0 < latencies.step("fast/m")
    assert latencies.step("slow/m") == latencies.step("fast/m") + 2


def test_a_small_difference_is_none(latencies: Latencies) -> None:
    """Else two equal upstreams would change places with every call."""
    latencies.took("a/m", 10.0)
    latencies.took("b/m", 10.3)
    assert latencies.step("a/m") == latencies.step("b/m")


def test_one_slow_call_weighs_a_fifth_and_many_decide(latencies: Latencies) -> None:
    """1.1 s, then 2 s: 1.28 s, the same step; after twenty more it is nearly 2 s."""
    latencies.took("a/m", 1.1)
    before = latencies.step("a/m")
    latencies.took("a/m", 2.0)
    assert latencies.step("a/m") == before
    for _ in range(20):
        latencies.took("a/m", 2.0)
    assert latencies.step("a/m") == before + 1


def test_what_was_not_used_for_long_is_unknown_again(latencies: Latencies, clock: Clock) -> None:
    """A slow hour is not held against an offer for ever, and the next call begins a new average."""
    latencies.took("a/m", 60.0)
    clock.now_s += KEPT_S
    assert latencies.step("a/m") > 0
    clock.now_s += 1
    assert latencies.step("a/m") == 0
    latencies.took("a/m", 1.0)
    latencies.took("b/m", 1.0)
    assert latencies.step("a/m") == latencies.step("b/m")


def test_what_is_remembered_is_bounded(latencies: Latencies, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offers used longest ago go; a call of nothing at all is still known."""
    monkeypatch.setattr(latency_module, "OFFERS_MAX", 2)
    for name in ("a/m", "b/m", "a/m", "c/m"):
        latencies.took(name, 0.0)
    assert [latencies.step(name) for name in ("a/m", "b/m", "c/m")] == [1, 0, 1]


def test_what_only_fails_does_not_look_new(latencies: Latencies, clock: Clock) -> None:
    """An offer that fails at once is tried after all that work, until it brings a picture, or nobody tried it for long."""
    latencies.missed("broken/m")
    latencies.took("slow/m", 600.0)
    assert latencies.step("new/m") < latencies.step("slow/m") < latencies.step("broken/m")
    latencies.took("broken/m", 1.0)
    latencies.missed("broken/m")
    assert 0 < latencies.step("broken/m") < latencies.step("slow/m")
    latencies.missed("other/m")
    clock.now_s += KEPT_S + 1
    assert latencies.step("other/m") == 0
