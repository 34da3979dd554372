"""How long a server that failed is left alone."""

from gateway.state.circuit import Circuit
from tests.limits import SetClock


def test_pauses_grow_up_to_ten_seconds() -> None:
    """While it goes on failing."""
    circuit = Circuit(SetClock())
    assert not circuit.is_open
    assert circuit.fail()
    assert not circuit.fail(), "it was open already"
    assert [circuit.pause_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    circuit.close()
    assert not circuit.is_open


def test_a_server_that_comes_and_goes_is_asked_less_and_less() -> None:
    """One that has been steady for ten seconds begins anew."""
    clock = SetClock()
    circuit = Circuit(clock)
    circuit.fail()
    assert circuit.pause_s() == 1
    circuit.close()
    clock.value_s += 9
    circuit.fail()
    assert circuit.pause_s() == 2
    circuit.close()
    clock.value_s += 10
    circuit.fail()
    assert circuit.pause_s() == 1
