"""Whom pictures are made for, without saying who that is."""

from gateway.domain.images import ImageRequest
from gateway.pipeline.callers import Callers
from tests.limits import SetClock


def request(**options: str) -> ImageRequest:
    return ImageRequest("m", "p", options=tuple((name, f'"{text}"') for name, text in sorted(options.items())))


def test_the_safety_identifier_goes_before_the_user() -> None:
    """Sixteen hex digits that depend on the key and the value alone; nothing where neither is given."""
    callers, others = Callers(b"key", SetClock()), Callers(b"another key", SetClock())
    alice = callers.of(request(user="alice"))
    assert len(alice) == 16
    assert "alice" not in alice
    assert callers.of(request(safety_identifier="alice", user="bob")) == alice
    assert callers.of(request(user="bob")) != alice
    assert others.of(request(user="alice")) != alice
    assert callers.of(request()) == ""
    assert callers.of(request(style="vivid")) == ""


def test_further_callers_of_a_day_count_together() -> None:
    """Those known keep their names; the next day (UTC) begins anew."""
    clock = SetClock()
    callers = Callers(b"key", clock, distinct_max=2)
    names = [callers.of(request(user=user)) for user in ("a", "b", "c", "a")]
    assert names[2] == "other"
    assert names[3] == names[0] != "other"
    clock.value_s += 24 * 3600
    assert callers.of(request(user="c")) != "other"
