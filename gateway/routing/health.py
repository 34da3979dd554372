"""Which offers are worth trying now: one circuit an offer, in this process's memory.

A circuit opens after 5 failures in a row, or when at least half of at least 20 calls within 30 s failed; then one probe decides. It opens for
5 s, or for 30 s where answers did not come, since a probe of a silent upstream costs its caller the whole time-out; for twice as long after
every probe that failed, up to two minutes.
Bad credentials open it for 10 minutes at once, an empty account does so for every offer of the upstream; both ask for an operator.
A rate limit only leaves the offer alone until the upstream's own time. A content refusal, a bad request, a caller's cancel or
a machine out of descriptors says nothing about health. Losing this memory costs a few failed tries, nothing else.

Callers with nothing else left may try what an ordinary circuit leaves alone (`resort`): such a try closes the circuit when it succeeds and never
prolongs it when it fails. What an operator must mend, and an upstream that named its own time, is not tried.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.clock import Clock
from gateway.domain.tasks import Fault
from gateway.routing.closed import ClosedUpstreams
from gateway.routing.last_resort import LastResorts, Resort
from gateway.routing.latency import Latencies

FAILURES_IN_A_ROW_MAX = 5
RATIO_WINDOW_S = 30
RATIO_CALLS_MIN = 20
OPEN_S = 5.0
OPEN_SILENT_S = 30.0
OPEN_S_MAX = 120.0
OPEN_LONG_S = 600.0
"""For what only an operator can mend; also the longest Retry-After that is believed."""
RATE_LIMIT_DEFAULT_S = 10.0
PROBE_S_MAX = 240.0
"""A probe without a verdict is given up after the longest task's deadline, so that a lost one cannot keep a circuit open."""

_NOT_ITS_OWN = (Fault.REFUSED, Fault.CANCELLED, Fault.LOCAL)
NEUTRAL = (*_NOT_ITS_OWN, Fault.BAD_REQUEST)
"""Faults that say nothing about an offer's health."""


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """Why an offer (or, without a slash in the name, a whole upstream) is left alone, and for how long. `alert`: an operator must act."""

    fault: Fault
    reopens_in_s: float
    alert: bool


@dataclass(slots=True)
class _Circuit:
    in_a_row: int = 0
    calls: deque[tuple[int, int, int]] = field(default_factory=deque)
    """(second, calls, failures) of the last RATIO_WINDOW_S seconds."""
    fault: Fault | None = None
    """What opened it; None while closed."""
    open_until_s: float = 0.0
    opened_at_s: float = 0.0
    openings: int = 0
    """In a row, without a success between."""
    alert: bool = False
    probe_until_s: float | None = None
    blocked_until_s: float = 0.0
    block_was_told: bool = False
    """The upstream named the time."""

    def block(self, until_s: float, *, was_told: bool) -> None:
        if until_s > self.blocked_until_s:
            self.blocked_until_s, self.block_was_told = until_s, was_told

    def count(self, now_s: float, failed: bool) -> None:
        second = int(now_s)
        while self.calls and self.calls[0][0] <= second - RATIO_WINDOW_S:
            self.calls.popleft()
        calls, failures = 0, 0
        if self.calls and self.calls[-1][0] == second:
            _, calls, failures = self.calls.pop()
        self.calls.append((second, calls + 1, failures + failed))
        self.in_a_row = self.in_a_row + 1 if failed else 0

    def is_bad(self) -> bool:
        calls = sum(item[1] for item in self.calls)
        failures = sum(item[2] for item in self.calls)
        return self.in_a_row >= FAILURES_IN_A_ROW_MAX or (calls >= RATIO_CALLS_MIN and failures * 2 >= calls)

    def open(self, fault: Fault, until_s: float, alert: bool) -> None:
        self.fault, self.open_until_s, self.alert, self.probe_until_s = fault, until_s, alert, None

    def open_again(self, fault: Fault, now_s: float) -> None:
        """For a while that grows with every opening without a success between."""
        first_s = OPEN_SILENT_S if fault is Fault.NO_ANSWER else OPEN_S
        self.open(fault, now_s + min(first_s * 2 ** min(self.openings, 10), OPEN_S_MAX), alert=False)
        self.opened_at_s = now_s
        self.openings += 1

    def close(self) -> None:
        self.fault, self.alert, self.probe_until_s, self.in_a_row, self.openings = None, False, None, 0, 0
        self.calls.clear()

    def closed_to(self, now_s: float) -> bool:
        if now_s < self.blocked_until_s:
            return True
        if self.fault is None:
            return False
        return now_s < self.open_until_s or (self.probe_until_s is not None and now_s < self.probe_until_s)

    def is_firm(self, now_s: float) -> bool:
        """Closed, and to those who have nothing else, too."""
        return self.closed_to(now_s) and (self.alert or (self.block_was_told and now_s < self.blocked_until_s))


class Circuits:
    """All circuits of this process. Not thread-safe: used from the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}
        self.closed = ClosedUpstreams(clock)
        """Beside them: who is left alone because of our own budget, not because of how it works."""
        self.latencies = Latencies(clock)
        """And how long pictures took at those that work."""
        self.last_resorts = LastResorts(clock)
        """And who tries those that are left alone, with nothing else left."""

    def is_open(self, offer_id: str) -> bool:
        """For plans and quotes: whether the offer would be left alone now. Takes no probe."""
        now_s = self._clock.monotonic_s()
        return any(circuit.closed_to(now_s) for circuit in self._of(offer_id))

    def allows(self, offer_id: str) -> bool:
        """Ask immediately before sending, and report the outcome: in a half-open circuit the first asker becomes the probe."""
        if self.is_open(offer_id):
            return False
        for circuit in self._of(offer_id):
            if circuit.fault is not None:
                circuit.probe_until_s = self._clock.monotonic_s() + PROBE_S_MAX
        return True

    def resort(self, offer_id: str) -> Resort | None:
        """Whether an offer that is left alone may be tried where nothing else is left; None for one that may not, and for one that is open to all."""
        now_s, circuits = self._clock.monotonic_s(), self._of(offer_id)
        if not any(circuit.closed_to(now_s) for circuit in circuits):
            return None
        if any(circuit.is_firm(now_s) for circuit in circuits):
            return None
        is_silent = any(circuit.fault is Fault.NO_ANSWER for circuit in circuits)
        return Resort.SILENT if is_silent else Resort.FAILING

    def succeeded(self, offer_id: str, *, at_last: bool = False) -> None:
        """A picture came. Closes a half-open circuit, and where it was tried `at_last` an open one that no operator must mend; a late answer
        from before the opening changes nothing while it is open."""
        now_s = self._clock.monotonic_s()
        for circuit in self._of(offer_id):
            if circuit.fault is not None and (now_s >= circuit.open_until_s or (at_last and not circuit.alert)):
                circuit.close()
            if at_last and not circuit.block_was_told:
                circuit.blocked_until_s = 0.0
        self._circuit(offer_id).count(now_s, failed=False)
        self.last_resorts.tell()

    def failed(
        self,
        offer_id: str,
        fault: Fault,
        retry_after_s: float | None = None,
        *,
        begun_s: float | None = None,
        at_last: bool = False,
    ) -> None:
        """An attempt ended without a picture. `retry_after_s`: what the upstream asked for, at most OPEN_LONG_S is believed.

        `begun_s`: when (monotonic) it was sent; one of before the circuit's latest opening is no probe's, however late it fails. None: just now.
        `at_last`: it was tried although the circuit was open. It is nobody's probe, and tells only whether answers come.
        """
        now_s = self._clock.monotonic_s()
        circuit = self._circuit(offer_id)
        if fault not in _NOT_ITS_OWN:
            self.latencies.missed(offer_id)
        if fault in NEUTRAL:
            if not at_last:
                self._end_probes(offer_id)
            return
        if retry_after_s is not None:
            circuit.block(now_s + min(max(retry_after_s, 0.0), OPEN_LONG_S), was_told=True)
        elif fault is Fault.RATE_LIMITED and not at_last:
            circuit.block(now_s + RATE_LIMIT_DEFAULT_S, was_told=False)
        if fault is Fault.RATE_LIMITED:
            if not at_last:
                self._end_probes(offer_id)
            return
        if fault is Fault.NO_MONEY:
            self._circuit(_upstream(offer_id)).open(fault, now_s + OPEN_LONG_S, alert=True)
        elif fault is Fault.CREDENTIALS:
            circuit.open(fault, now_s + OPEN_LONG_S, alert=True)
        elif at_last and circuit.fault is not None:
            circuit.fault = circuit.fault if circuit.alert else fault
        else:
            upstream = self._circuits.get(_upstream(offer_id))
            if upstream is not None and upstream.probe_until_s is not None:
                upstream.close()  # it works again, however badly: that our account was empty is no longer what is wrong
            if circuit.fault is not None and begun_s is not None and begun_s < circuit.opened_at_s:
                return
            circuit.count(now_s, failed=True)
            # While it is open, calls begun before may still fail: they do not prolong it. A failed probe does.
            was_open = circuit.fault is not None and now_s < circuit.open_until_s
            if not was_open and (circuit.fault is not None or circuit.is_bad()):
                circuit.open_again(fault, now_s)

    def open_offers(self) -> Mapping[str, OpenCircuit]:
        """Everything that is left alone now, by offer id (`upstream/model`) or upstream name."""
        now_s = self._clock.monotonic_s()
        found: dict[str, OpenCircuit] = {}
        for name, circuit in sorted(self._circuits.items()):
            if circuit.closed_to(now_s):
                until_s = max(circuit.open_until_s if circuit.fault else 0.0, circuit.blocked_until_s)
                fault = circuit.fault or Fault.RATE_LIMITED
                found[name] = OpenCircuit(fault, max(0.0, until_s - now_s), circuit.alert)
        return found

    def _end_probes(self, offer_id: str) -> None:
        """No verdict: the next call probes."""
        for probed in self._of(offer_id):
            probed.probe_until_s = None

    def _of(self, offer_id: str) -> list[_Circuit]:
        """The offer's own circuit and its upstream's, where there are any."""
        return [self._circuits[name] for name in (offer_id, _upstream(offer_id)) if name in self._circuits]

    def _circuit(self, name: str) -> _Circuit:
        return self._circuits.setdefault(name, _Circuit())


def _upstream(offer_id: str) -> str:
    return offer_id.partition("/")[0]
