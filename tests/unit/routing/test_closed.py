"""What is remembered of upstreams whose own budget is used up."""

from gateway.domain.accounts import parse_budget
from gateway.routing.closed import RELOOK_S, ClosedUpstreams
from tests.unit.routing.test_health import SetClock

BUDGET = parse_budget("1usd/day")


def closed(clock: SetClock) -> ClosedUpstreams:
    return ClosedUpstreams(clock)


def test_what_needs_as_much_as_was_refused_is_left_out_and_less_is_not() -> None:
    """A refused dear call says nothing of a cheap one."""
    upstreams = closed(SetClock())
    upstreams.refused("openai", BUDGET, 40_000, None)
    assert upstreams.is_closed("openai", 40_000)
    assert upstreams.is_closed("openai", 50_000)
    assert not upstreams.is_closed("openai", 39_999)
    assert not upstreams.is_closed("evolink", 40_000)
    assert upstreams.all()["openai"].budget == BUDGET


def test_the_books_are_asked_again_after_five_seconds() -> None:
    """A raised budget is noticed; a refusal that was on its way meanwhile does not put that off, a smaller one does."""
    clock = SetClock()
    upstreams = closed(clock)
    upstreams.refused("openai", BUDGET, 40_000, None)
    clock.now_s += RELOOK_S - 1
    upstreams.refused("openai", BUDGET, 60_000, None)
    clock.now_s += 1
    assert not upstreams.is_closed("openai", 60_000)
    assert upstreams.all() == {}
    upstreams.refused("openai", BUDGET, 40_000, None)
    clock.now_s += 1
    upstreams.refused("openai", BUDGET, 20_000, None)
    clock.now_s += RELOOK_S - 1
    assert upstreams.is_closed("openai", 20_000)


def test_a_windows_end_comes_first() -> None:
    """At midnight the offers are there again."""
    clock = SetClock()
    upstreams = closed(clock)
    upstreams.refused("openai", BUDGET, 40_000, clock.now_ms() + 2_000)
    clock.now_s += 1.9
    assert upstreams.is_closed("openai", 40_000)
    clock.now_s += 0.2
    assert not upstreams.is_closed("openai", 40_000)
