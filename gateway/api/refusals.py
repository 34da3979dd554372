"""Which calls of OpenAI's SDKs were just answered with an error that SDKs try again by themselves: such a retry is a new call.

Without this it would be taken for one whose answer was lost, and be answered with an older picture of the same words. Counted, so that of several
equal calls each gets what it asked for: as many retries as were refused are new, the others take up what was left behind. Only in this process, for a
short time, and bounded: what is forgotten is answered as a lost call, which costs nothing.
"""

from collections import deque

from gateway.domain.clock import Clock
from gateway.domain.ids import AccountId

KEPT_S = 90.0
"""SDKs wait at most a minute before they try again, and we never ask for more than 59 s."""
REFUSED_MAX = 20_000
"""Some megabytes. In a storm of refusals the oldest are forgotten."""

_Call = tuple[AccountId, str]


class Refusals:
    """The refused calls of one process, by account and body."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[_Call, deque[float]] = {}
        """When each is forgotten, the oldest first."""
        self._all: deque[tuple[float, _Call]] = deque()
        """In the order of time; those that were taken meanwhile stand here until theirs has come."""

    def note(self, account: AccountId, body_sha256: str) -> None:
        self._forget()
        until_s, call = self._clock.monotonic_s() + KEPT_S, (account, body_sha256)
        self._of.setdefault(call, deque()).append(until_s)
        self._all.append((until_s, call))

    def take(self, account: AccountId, body_sha256: str) -> bool:
        """Whether such a call was refused, whose retry has not come yet: it has now."""
        self._forget()
        waiting = self._of.get((account, body_sha256))
        if not waiting:
            return False
        waiting.popleft()
        if not waiting:
            del self._of[account, body_sha256]
        return True

    def _forget(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._all and (self._all[0][0] <= now_s or len(self._all) >= REFUSED_MAX):
            until_s, call = self._all.popleft()
            waiting = self._of.get(call)
            if waiting and waiting[0] <= until_s:
                waiting.popleft()
                if not waiting:
                    del self._of[call]
