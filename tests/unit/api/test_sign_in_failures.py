"""How failed sign-ins are counted: by address, for a while, in a bounded table."""

import pytest

from gateway.api import sign_in_failures
from gateway.api.sign_in_failures import FAILURES_MAX, WINDOW_S, SignInFailures
from gateway.domain.clock import SystemClock


class SetClock(SystemClock):
    now_s = 1_000.0

    def monotonic_s(self) -> float:
        return self.now_s


def failed(failures: SignInFailures, address: str, times: int = FAILURES_MAX) -> None:
    for _ in range(times):
        failures.note(address)


def test_after_so_many_the_address_waits_until_the_window_ends() -> None:
    """Others do not; the wait is of the first failure, and further ones do not prolong it."""
    clock = SetClock()
    failures = SignInFailures(clock)
    failed(failures, "203.0.113.9", FAILURES_MAX - 1)
    assert failures.wait_s("203.0.113.9") is None
    clock.now_s += 100
    failures.note("203.0.113.9")
    assert failures.wait_s("203.0.113.9") == WINDOW_S - 100 + 1
    assert failures.wait_s("203.0.113.8") is None
    clock.now_s += WINDOW_S - 101
    failures.note("203.0.113.9")
    assert failures.wait_s("203.0.113.9") == 2
    clock.now_s += 1
    assert failures.wait_s("203.0.113.9") is None
    failures.note("203.0.113.9")
    assert failures.wait_s("203.0.113.9") is None


def test_an_ipv6_neighbour_is_the_same_machine() -> None:
    """A /64 is what one gets; what is no address is taken as it is."""
    failures = SignInFailures(SetClock())
    for number in range(FAILURES_MAX):
        failures.note(f"2001:db8:1:2::{number:x}")
    assert failures.wait_s("2001:db8:1:2:ffff::1") is not None
    assert failures.wait_s("2001:db8:1:3::1") is None
    failed(failures, "local")
    assert failures.wait_s("local") is not None


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that failed longest ago are forgotten."""
    monkeypatch.setattr(sign_in_failures, "ADDRESSES_MAX", 3)
    failures = SignInFailures(SetClock())
    for number in range(5):
        failed(failures, f"192.0.2.{number}")
    assert [failures.wait_s(f"192.0.2.{number}") is not None for number in range(5)] == [False, False, True, True, True]
