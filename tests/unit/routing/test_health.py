"""Circuits: what opens one, for how long, and who may probe."""

import pytest

from gateway.domain.tasks import Fault
from gateway.routing.health import OPEN_LONG_S, PROBE_S_MAX, Circuits
from gateway.routing.last_resort import Resort

A, B, OTHER = "up/a", "up/b", "other/a"


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def circuits(clock: SetClock) -> Circuits:
    return Circuits(clock)


def fail(circuits: Circuits, times: int, fault: Fault = Fault.FAILED) -> None:
    for _ in range(times):
        circuits.failed(A, fault)


def test_fifth_failure_in_a_row_opens(circuits: Circuits) -> None:
    """Four failures do not open, a success between starts the count again, the fifth in a row opens that offer only."""
    fail(circuits, 4)
    circuits.succeeded(A)
    fail(circuits, 4)
    assert circuits.allows(A)
    fail(circuits, 1)
    assert not circuits.allows(A)
    assert circuits.allows(B)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BAD_REQUEST, Fault.CANCELLED, Fault.LOCAL])
def test_refusals_never_count(circuits: Circuits, fault: Fault) -> None:
    """A refused prompt, a bad request or a cancel says nothing about the upstream."""
    fail(circuits, 50, fault)
    assert circuits.allows(A)


def test_bad_ratio_opens(circuits: Circuits, clock: SetClock) -> None:
    """Half of twenty within thirty seconds opens; the same failures spread wider do not."""
    for index in range(19):
        circuits.failed(A, Fault.FAILED) if index % 2 == 0 else circuits.succeeded(A)
        circuits.failed(B, Fault.FAILED) if index % 2 == 0 else circuits.succeeded(B)
        clock.now_s += 1
        assert not circuits.is_open(A)
    circuits.failed(A, Fault.FAILED)
    assert circuits.is_open(A)
    clock.now_s += 20
    circuits.failed(B, Fault.FAILED)
    assert not circuits.is_open(B)


def test_half_open_lets_one_probe_through(circuits: Circuits, clock: SetClock) -> None:
    """After five seconds one call decides: its success closes, its failure opens for ten more, the others wait for neither."""
    fail(circuits, 5)
    clock.now_s += 4.9
    assert not circuits.allows(A)
    clock.now_s += 0.1
    assert not circuits.is_open(A)
    assert circuits.allows(A)
    assert not circuits.allows(A)
    circuits.failed(A, Fault.OVERLOADED)
    clock.now_s += 9.9
    assert not circuits.allows(A)
    clock.now_s += 0.1
    assert circuits.allows(A)
    circuits.succeeded(A)
    assert circuits.allows(A)
    fail(circuits, 4)
    assert circuits.allows(A)


@pytest.mark.parametrize(
    ("fault", "open_s"), [(Fault.UNREACHABLE, [5, 10, 20, 40, 80, 120, 120]), (Fault.NO_ANSWER, [30, 60, 120, 120])]
)
def test_every_failed_probe_doubles_the_wait(
    circuits: Circuits, clock: SetClock, fault: Fault, open_s: list[int]
) -> None:
    """Up to two minutes; a silent upstream is left alone for longer from the start, and after a success the wait begins anew."""
    fail(circuits, 4, fault)
    for seconds in open_s:
        circuits.failed(A, fault)
        assert circuits.open_offers()[A].reopens_in_s == seconds
        clock.now_s += seconds
        assert circuits.allows(A)
    circuits.succeeded(A)
    fail(circuits, 5, fault)
    assert circuits.open_offers()[A].reopens_in_s == open_s[0]


def test_probe_without_verdict_is_given_up(circuits: Circuits, clock: SetClock) -> None:
    """A refused probe frees the place at once, a lost one after the longest deadline."""
    fail(circuits, 5)
    clock.now_s += 5
    assert circuits.allows(A)
    circuits.failed(A, Fault.REFUSED)
    assert circuits.allows(A)
    clock.now_s += PROBE_S_MAX
    assert circuits.allows(A)


def test_late_answers_do_not_move_an_open_circuit(circuits: Circuits, clock: SetClock) -> None:
    """Calls begun before it opened neither close nor prolong it."""
    fail(circuits, 5)
    clock.now_s += 4
    circuits.succeeded(A)
    fail(circuits, 5)
    assert not circuits.allows(A)
    clock.now_s += 1
    assert circuits.allows(A)


def test_a_late_failure_is_not_a_probes(circuits: Circuits, clock: SetClock) -> None:
    """Calls of before the opening may time out minutes later, beside a probe or before it: they neither prolong it nor outvote the probe."""
    begun_s = clock.now_s - 100
    fail(circuits, 5)
    clock.now_s += 5
    circuits.failed(A, Fault.NO_ANSWER, begun_s=begun_s)
    assert circuits.allows(A)
    circuits.failed(A, Fault.NO_ANSWER, begun_s=begun_s)
    assert not circuits.allows(A)  # the probe is still out
    circuits.succeeded(A)
    assert circuits.allows(A)
    fail(circuits, 5)
    clock.now_s += 5
    assert circuits.allows(A)
    circuits.failed(A, Fault.FAILED, begun_s=clock.now_s)
    assert circuits.open_offers()[A].reopens_in_s == 10


def test_empty_account_opens_the_whole_upstream(circuits: Circuits, clock: SetClock) -> None:
    """No money closes every offer of the upstream for ten minutes and asks for an operator; other upstreams go on."""
    fail(circuits, 1, Fault.NO_MONEY)
    assert [circuits.allows(name) for name in (A, B, OTHER)] == [False, False, True]
    assert circuits.open_offers()["up"].alert
    clock.now_s += OPEN_LONG_S
    assert circuits.allows(B)
    circuits.succeeded(B)
    assert circuits.allows(A)


def test_bad_credentials_open_one_offer_for_long(circuits: Circuits, clock: SetClock) -> None:
    """An unknown model looks like bad credentials, so only that offer is closed."""
    fail(circuits, 1, Fault.CREDENTIALS)
    clock.now_s += OPEN_LONG_S - 1
    assert not circuits.allows(A)
    assert circuits.allows(B)
    assert circuits.open_offers()[A].fault is Fault.CREDENTIALS


@pytest.mark.parametrize(
    ("retry_after_s", "blocked_s"), [(None, 10.0), (3.0, 3.0), (86_400.0, OPEN_LONG_S), (-5.0, 0.0)]
)
def test_rate_limit_leaves_the_offer_alone(
    circuits: Circuits, clock: SetClock, retry_after_s: float | None, blocked_s: float
) -> None:
    """Until the upstream's own time, ten seconds without one, ten minutes at most; it is no failure."""
    circuits.failed(A, Fault.RATE_LIMITED, retry_after_s)
    assert circuits.is_open(A) == (blocked_s > 0)
    clock.now_s += blocked_s
    assert circuits.allows(A)
    for _ in range(10):
        circuits.failed(A, Fault.RATE_LIMITED, 0)
    assert circuits.allows(A)


@pytest.mark.parametrize(
    ("fault", "retry_after_s", "resort"),
    [
        (Fault.FAILED, None, Resort.FAILING),
        (Fault.UNREACHABLE, None, Resort.FAILING),
        (Fault.NO_ANSWER, None, Resort.SILENT),
        (Fault.OVERLOADED, 60.0, None),
        (Fault.RATE_LIMITED, None, Resort.FAILING),
        (Fault.RATE_LIMITED, 60.0, None),
        (Fault.CREDENTIALS, None, None),
        (Fault.NO_MONEY, None, None),
    ],
)
def test_who_may_be_tried_with_nothing_else_left(
    circuits: Circuits, clock: SetClock, fault: Fault, retry_after_s: float | None, resort: Resort | None
) -> None:
    """What only an operator can mend, and who named a time, are left alone by all; nothing is a last resort while its circuit is closed."""
    assert circuits.resort(A) is None
    for _ in range(5):
        circuits.failed(A, fault, retry_after_s)
    assert circuits.is_open(A)
    assert circuits.resort(A) is resort
    clock.now_s += OPEN_LONG_S
    assert circuits.resort(A) is None
    assert circuits.allows(A)


def test_a_last_resort_may_go_beside_a_probe(circuits: Circuits, clock: SetClock) -> None:
    """But for what an operator must mend: there the probe alone decides."""
    fail(circuits, 5)
    circuits.failed(B, Fault.CREDENTIALS)
    clock.now_s += OPEN_LONG_S
    assert circuits.allows(A)
    assert circuits.allows(B)
    assert [circuits.resort(name) for name in (A, B)] == [Resort.FAILING, None]


def test_a_last_resort_that_succeeds_closes(circuits: Circuits) -> None:
    """At once, unlike a late answer; but not what an operator must mend meanwhile."""
    fail(circuits, 5)
    circuits.succeeded(A)
    assert circuits.is_open(A)
    circuits.succeeded(A, at_last=True)
    assert circuits.allows(A)
    circuits.failed(A, Fault.CREDENTIALS)
    circuits.failed(B, Fault.NO_MONEY)
    circuits.succeeded(A, at_last=True)
    assert circuits.open_offers().keys() == {A, "up"}


@pytest.mark.parametrize("fault", [Fault.FAILED, Fault.NO_ANSWER, Fault.RATE_LIMITED, Fault.BAD_REQUEST])
def test_a_last_resort_that_fails_prolongs_nothing(circuits: Circuits, clock: SetClock, fault: Fault) -> None:
    """Neither before the circuit's time nor after it, where the probe alone decides; whose place it leaves alone, too."""
    fail(circuits, 5)
    clock.now_s += 3
    circuits.failed(A, fault, at_last=True)
    assert circuits.open_offers()[A].reopens_in_s == 2
    clock.now_s += 2
    circuits.failed(A, fault, at_last=True)
    assert circuits.allows(A)
    circuits.failed(A, fault, at_last=True)
    assert not circuits.allows(A), "the probe is still out"
    circuits.failed(A, Fault.FAILED)
    assert circuits.open_offers()[A].reopens_in_s == 10


def test_a_last_resort_tells_whether_answers_come(circuits: Circuits) -> None:
    """One that was not answered puts the offer behind the others, one that was puts it back."""
    fail(circuits, 5)
    circuits.failed(A, Fault.NO_ANSWER, at_last=True)
    assert circuits.resort(A) is Resort.SILENT
    circuits.failed(A, Fault.OVERLOADED, at_last=True)
    assert circuits.resort(A) is Resort.FAILING
    circuits.failed(A, Fault.NO_MONEY, at_last=True)
    assert circuits.resort(A) is None


def test_open_offers_lists_only_what_is_closed_now(circuits: Circuits, clock: SetClock) -> None:
    """The operator's view: fault and remaining time, gone when the time is over."""
    fail(circuits, 5, Fault.UNREACHABLE)
    circuits.failed(OTHER, Fault.RATE_LIMITED, 40)
    clock.now_s += 1
    view = circuits.open_offers()
    assert (view[A].fault, view[A].reopens_in_s, view[A].alert) == (Fault.UNREACHABLE, 4.0, False)
    assert (view[OTHER].fault, view[OTHER].reopens_in_s) == (Fault.RATE_LIMITED, 39.0)
    clock.now_s += 39
    assert not circuits.open_offers()


@pytest.mark.parametrize(
    ("fault", "is_later"),
    [
        (Fault.FAILED, True),
        (Fault.RATE_LIMITED, True),
        (Fault.BAD_REQUEST, True),
        (Fault.REFUSED, False),
        (Fault.LOCAL, False),
    ],
)
def test_failures_are_told_to_the_latencies(circuits: Circuits, fault: Fault, is_later: bool) -> None:
    """All but those of the caller or of this machine: of equal prices, what works goes first."""
    circuits.failed(A, fault)
    assert (circuits.latencies.step(A) > circuits.latencies.step(B)) is is_later
