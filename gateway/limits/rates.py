"""How often: at most so many requests of an account in any 60 seconds, on all accounts of a call's path at once or on none.

`RateLimiter` is the interface, `SlidingWindows` keeps it in this process's memory, shared_rates.py for all processes, and `GuardedRates` adds what
happens while the store is down. How it fails: LimitStoreDown, which GuardedRates turns into what the operator chose (outage.py).
"""

import contextlib
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.accounts import RateState
from gateway.domain.clock import Clock
from gateway.domain.ids import AccountId
from gateway.limits.outage import LimitStoreDown, Outage

WINDOW_S = 60.0
STORE_S_MAX = 0.25
"""A limiter that has not answered by then is down: a call should not wait longer for its limit than for its commit."""
ACCOUNTS_MAX = 300_000
"""Accounts with a request in the last minute that are remembered: every key that may exist (100,000), with its team and org."""

PathRates = Sequence[tuple[AccountId, int]]
"""The accounts of a path that have a limit, with their requests a minute, nearest first. Never empty."""


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """Where the tightest account stands after the request; for a refused one, the account that makes it wait longest."""

    state: RateState
    wait_s: float | None = None
    """None: the request was counted on every account. Else how long to wait; then it was counted nowhere."""


class RateLimiter(Protocol):
    """Counts requests. Both methods raise LimitStoreDown, at the latest after STORE_S_MAX."""

    async def take(self, limits: PathRates) -> RateVerdict:
        """Count one request on all of these accounts, or on none."""
        ...

    async def look(self, limits: PathRates) -> RateVerdict:
        """What `take` would answer now, but for the request itself; counts nothing."""
        ...


class SlidingWindows:
    """Exact, in memory: the times of the last minute's requests, account by account. Nothing waits in here, so the event loop is its lock."""

    def __init__(self, clock: Clock, *, accounts_max: int = ACCOUNTS_MAX) -> None:
        self._clock = clock
        self._accounts_max = accounts_max
        self._times: OrderedDict[AccountId, deque[float]] = OrderedDict()
        """Requests counted within the last WINDOW_S, oldest first; accounts in the order of their latest one. Never longer than the largest
        limit that the account had meanwhile."""

    def __len__(self) -> int:
        """Accounts remembered."""
        return len(self._times)

    async def take(self, limits: PathRates) -> RateVerdict:
        now_s = self._clock.monotonic_s()
        self._forget_idle(now_s)
        refusal = self._refusal(limits, now_s)
        if refusal is not None:
            return refusal
        if len(self._times) + sum(account not in self._times for account, _ in limits) > self._accounts_max:
            raise LimitStoreDown(f"more than {self._accounts_max} accounts had a request in the last minute")
        for account, _ in limits:
            times = self._times.get(account)
            if times is None:
                self._times[account] = deque((now_s,))
            else:
                times.append(now_s)
                self._times.move_to_end(account)
        return RateVerdict(self._tightest(limits, now_s))

    async def look(self, limits: PathRates) -> RateVerdict:
        now_s = self._clock.monotonic_s()
        return self._refusal(limits, now_s) or RateVerdict(self._tightest(limits, now_s))

    def _refusal(self, limits: PathRates, now_s: float) -> RateVerdict | None:
        waits = [(self._wait_s(account, limit, now_s), account, limit) for account, limit in limits]
        longest_s, refused, limit = max(waits, key=lambda wait: wait[0])  # of equals the first: the nearest
        return RateVerdict(self._state(refused, limit, now_s), longest_s) if longest_s > 0 else None

    def _wait_s(self, account: AccountId, limit: int, now_s: float) -> float:
        """Until this account may have another request; 0: now. After a lowered limit more than one has to grow old."""
        times = self._prune(account, now_s)
        over = len(times) - limit
        return 0.0 if over < 0 else times[over] + WINDOW_S - now_s

    def _prune(self, account: AccountId, now_s: float) -> deque[float]:
        """The account's requests that still count. One that is exactly WINDOW_S old does not: no 60 s hold it and the present moment."""
        times = self._times.get(account)
        if times is None:
            return _NONE
        while times and now_s - times[0] >= WINDOW_S:
            times.popleft()
        return times

    def _tightest(self, limits: PathRates, now_s: float) -> RateState:
        return min((self._state(account, limit, now_s) for account, limit in limits), key=lambda state: state.remaining)

    def _state(self, account: AccountId, limit: int, now_s: float) -> RateState:
        times = self._times.get(account, _NONE)
        reset_s = times[-1] + WINDOW_S - now_s if times else 0.0
        return RateState(account, limit, max(0, limit - len(times)), reset_s)

    def _forget_idle(self, now_s: float) -> None:
        """Drop accounts whose latest request is too old to count. A call adds three at most, so this never has much to do at once."""
        for _ in range(_FORGOTTEN_AT_ONCE):
            account = next(iter(self._times), None)
            if account is None:
                return
            times = self._times[account]
            if times and now_s - times[-1] < WINDOW_S:
                return
            del self._times[account]


_FORGOTTEN_AT_ONCE = 6
_NONE: deque[float] = deque(maxlen=0)
"""Of an account without requests; nothing can be put into it."""


class GuardedRates:
    """A limiter whose failures are met as the operator chose. `meanwhile` counts while it is down; without one nobody does."""

    def __init__(self, limiter: RateLimiter, outage: Outage, meanwhile: RateLimiter | None = None) -> None:
        self._limiter = limiter
        self._outage = outage
        self._meanwhile = meanwhile

    async def take(self, limits: PathRates) -> RateVerdict | None:
        """None: nobody could count it, and it may go on. Raises StorageUnavailable where it may not."""
        try:
            return await self._limiter.take(limits)
        except LimitStoreDown as exc:
            self._outage.met("rate", exc)
        with contextlib.suppress(LimitStoreDown):
            return None if self._meanwhile is None else await self._meanwhile.take(limits)
        return None

    async def look(self, limits: PathRates) -> RateVerdict | None:
        """For an answer that has its own reason: a store that is down changes nothing about it."""
        for limiter in (self._limiter, self._meanwhile):
            with contextlib.suppress(LimitStoreDown):
                return None if limiter is None else await limiter.look(limits)
        return None
