"""Endpoints that fail are left alone: when they open, for how long, who probes, and that nobody waits for more than ten minutes."""

from dataclasses import replace

from gateway.callbacks.circuits import (
    ENDPOINTS_MAX,
    FAILURES,
    OPEN_MS,
    OPEN_MS_MAX,
    POSTPONED_MS_MAX,
    PROBE_MS,
    EndpointCircuits,
)
from gateway.domain.callbacks import Callback, CallbackState
from gateway.domain.ids import AccountId, TaskId

URL = "https://hooks.example.com/a?token=1"
NOW = 1_000_000
ONE = Callback(
    "msg_1", TaskId("task-1"), AccountId("key:acme//ci"), URL, "hooks.example.com:443", CallbackState.DUE, 0, NOW, NOW
)


def opened() -> EndpointCircuits:
    circuits = EndpointCircuits()
    for _ in range(FAILURES):
        assert circuits.postponed_until_ms(ONE, NOW) is None
        circuits.failed(ONE, NOW)
    return circuits


def test_five_failures_in_a_row_open_it() -> None:
    """For this key and this path alone, whatever the query is; a success in between begins anew."""
    circuits = opened()
    assert circuits.postponed_until_ms(ONE, NOW + 1) == NOW + OPEN_MS
    assert circuits.postponed_until_ms(replace(ONE, url="https://hooks.example.com/a?other"), NOW + 1) is not None
    for other in (replace(ONE, url="https://hooks.example.com/b"), replace(ONE, account=AccountId("key:globex//ci"))):
        assert circuits.postponed_until_ms(other, NOW + 1) is None
    circuits = EndpointCircuits()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            circuits.failed(ONE, NOW)
        circuits.succeeded(ONE)
    assert circuits.postponed_until_ms(ONE, NOW) is None


def test_one_probe_decides() -> None:
    """When its time is over one goes and the rest waits; it fails: twice as long, up to two minutes; it succeeds: closed."""
    circuits, now_ms, open_ms = opened(), NOW, OPEN_MS
    for _ in range(6):
        waiting = replace(ONE, created_at_ms=now_ms)
        assert circuits.postponed_until_ms(waiting, now_ms) == now_ms + open_ms
        now_ms += open_ms
        fresh = replace(ONE, created_at_ms=now_ms)
        assert circuits.postponed_until_ms(fresh, now_ms) is None, "the probe"
        assert circuits.postponed_until_ms(fresh, now_ms) == now_ms + PROBE_MS
        circuits.failed(fresh, now_ms)
        open_ms = min(open_ms * 2, OPEN_MS_MAX)
    assert open_ms == OPEN_MS_MAX
    circuits.succeeded(ONE)
    assert circuits.postponed_until_ms(replace(ONE, created_at_ms=now_ms), now_ms) is None


def test_late_failures_do_not_lengthen_it() -> None:
    """What was on its way when it opened says nothing new."""
    circuits = opened()
    for _ in range(20):
        circuits.failed(ONE, NOW + 5)
    assert circuits.postponed_until_ms(ONE, NOW + 6) == NOW + OPEN_MS


def test_nobody_waits_for_more_than_ten_minutes() -> None:
    """Then it is tried, however open the circuit is."""
    circuits = opened()
    old = replace(ONE, created_at_ms=NOW - POSTPONED_MS_MAX + 10)
    assert circuits.postponed_until_ms(old, NOW) == NOW + 10
    assert circuits.postponed_until_ms(old, NOW + 10) is None


def test_so_many_are_remembered() -> None:
    """The one that failed longest ago is forgotten."""
    circuits = EndpointCircuits()
    for number in range(ENDPOINTS_MAX + 50):
        circuits.failed(replace(ONE, url=f"https://hooks.example.com/{number}"), NOW)
    assert len(circuits._endpoints) == ENDPOINTS_MAX
