"""Places on the way out: so many in all, so many to a host."""

from gateway.callbacks.lanes import Lanes


def test_a_host_has_its_places_alone() -> None:
    """A full host is named and takes nobody; another one still does; a released place is free again."""
    lanes = Lanes(in_all=10, per_host=2)
    assert [lanes.take("slow:443") for _ in range(3)] == [True, True, False]
    assert (lanes.full(), lanes.free) == (["slow:443"], 8)
    assert lanes.take("quick:443")
    lanes.release("slow:443")
    assert lanes.full() == []
    assert lanes.take("slow:443")


def test_all_have_so_many_together() -> None:
    """Whatever the hosts are; nothing is remembered of those that are done."""
    lanes = Lanes(in_all=3, per_host=2)
    assert [lanes.take(f"{number}:443") for number in range(4)] == [True, True, True, False]
    for number in range(3):
        lanes.release(f"{number}:443")
    assert (lanes.free, lanes.full()) == (3, [])
