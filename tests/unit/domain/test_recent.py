"""What is remembered lately, and what is forgotten."""

from gateway.domain.recent import Recent
from tests.limits import SetClock


def test_what_is_asked_for_stays() -> None:
    """However many others come; those that nobody asks for go, and never are there more than twice the size."""
    recent: Recent[int, str] = Recent(SetClock(), size=10, kept_s=60)
    recent.put(0, "asked for")
    for number in range(1, 100):
        recent.put(number, str(number))
        assert recent.get(0) == "asked for"
        assert len(recent) <= 20
    assert recent.get(99) == "99"
    assert recent.get(50) is None


def test_it_has_its_time() -> None:
    """Twice the time after it was last asked for it is gone, also where nothing else happened meanwhile."""
    clock = SetClock()
    recent: Recent[str, str] = Recent(clock, size=10, kept_s=60)
    recent.put("a", "value")
    for _ in range(5):
        clock.value_s += 59
        assert recent.get("a") == "value"
    clock.value_s += 120
    assert recent.get("a") is None
    assert len(recent) == 0


def test_the_newest_value_counts() -> None:
    """Of one key that was put twice, whichever half it was in."""
    clock = SetClock()
    recent: Recent[str, int] = Recent(clock, size=10, kept_s=60)
    recent.put("a", 1)
    clock.value_s += 61
    recent.put("b", 1)
    recent.put("a", 2)
    assert recent.get("a") == 2
