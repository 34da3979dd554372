"""How often somebody has failed to sign in lately, by where from: after FAILURES_MAX the next ones are refused unread until WINDOW_S are over.

Keys made here cannot be guessed; ones that a config declares may be short. In this process alone, in a bounded table: under an attack from more
addresses than it holds, those that failed longest ago are forgotten.
"""

import ipaddress
from collections import OrderedDict

from gateway.domain.clock import Clock

FAILURES_MAX = 10
WINDOW_S = 300.0
ADDRESSES_MAX = 10_000


class SignInFailures:
    """By address; of IPv6 by /64, which one machine may have all of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When the window ends, and the failures in it."""

    def wait_s(self, address: str) -> int | None:
        """How long nobody from there may try; None: now."""
        until_s, count = self._of.get(_whose(address), (0.0, 0))
        left_s = until_s - self._clock.monotonic_s()
        return int(left_s) + 1 if count >= FAILURES_MAX and left_s > 0 else None

    def note(self, address: str) -> None:
        now_s, whose = self._clock.monotonic_s(), _whose(address)
        until_s, count = self._of.get(whose, (0.0, 0))
        self._of[whose] = (until_s, count + 1) if until_s > now_s else (now_s + WINDOW_S, 1)
        self._of.move_to_end(whose)
        while len(self._of) > ADDRESSES_MAX:
            self._of.popitem(last=False)


def _whose(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
