"""Where limits meet a call: what its path may do a minute and at once, as errors that name the account, and as metrics.

Rate first, before anything is worked out for the call; then, once it may be made at all, its place among the tasks under way; then, in the
transaction, its budgets. A refused call leaves no row and reaches no upstream. A unit of rate stays used whatever comes after; a place is given
back. How it fails: RateLimited, TooManyTasks, and StorageUnavailable where the operator wants calls refused while nobody can count them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.accounts import Principal, RateState, kind_and_name
from gateway.domain.errors import RateLimited, TooManyTasks
from gateway.domain.ids import AccountId
from gateway.limits.concurrency import ConcurrencyLimiter, Full, GuardedConcurrency, PathPlaces, Places
from gateway.limits.outage import Outage
from gateway.limits.rates import GuardedRates, PathRates, RateLimiter
from gateway.telemetry.metrics import Metrics

_REPEATS = "repeats of "
"""No account's id begins so."""


class Limiting:
    """The limits of one gateway. The limiters of `meanwhile` count while the others' store is down."""

    def __init__(
        self,
        rates: RateLimiter,
        concurrency: ConcurrencyLimiter,
        outage: Outage,
        metrics: Metrics,
        meanwhile: tuple[RateLimiter, ConcurrencyLimiter] | None = None,
    ) -> None:
        rates_meanwhile, concurrency_meanwhile = meanwhile or (None, None)
        self._rates = GuardedRates(rates, outage, rates_meanwhile)
        self._concurrency = GuardedConcurrency(concurrency, outage, concurrency_meanwhile)
        self._metrics = metrics

    async def take_rate(self, principal: Principal) -> RateState | None:
        """Count one request; says where the tightest account stands, None where no limit applies. Raises RateLimited, StorageUnavailable."""
        limits = _rates(principal)
        verdict = await self._rates.take(limits) if limits else None
        if verdict is not None and verdict.wait_s is not None:
            self._metrics.limited("rate", kind_and_name(verdict.state.account)[0].value)
            raise _rate_limited(verdict.state, verdict.wait_s)
        return None if verdict is None else verdict.state

    async def take_repeat(self, principal: Principal) -> None:
        """Count one repeat of an accepted call, beside the calls and with the same limits: that one was counted, and its repeat must not fail for
        those that came between. Raises RateLimited, StorageUnavailable.
        """
        limits = [(AccountId(f"{_REPEATS}{account}"), limit) for account, limit in _rates(principal)]
        verdict = await self._rates.take(limits) if limits else None
        if verdict is not None and verdict.wait_s is not None:
            account = AccountId(verdict.state.account.removeprefix(_REPEATS))
            self._metrics.limited("rate", kind_and_name(account)[0].value)
            raise _rate_limited(replace(verdict.state, account=account), verdict.wait_s)

    async def rate(self, principal: Principal) -> RateState | None:
        """Where the tightest account stands, without counting."""
        limits = _rates(principal)
        verdict = await self._rates.look(limits) if limits else None
        return None if verdict is None else verdict.state

    async def take_places(self, principal: Principal, *, usual_s: int) -> Places:
        """A place for one task; `usual_s` is how long one takes. Raises TooManyTasks, StorageUnavailable."""
        taken = await self._concurrency.take(principal.path, _places(principal))
        if not isinstance(taken, Full):
            return taken
        self._metrics.limited("concurrency", kind_and_name(taken.account)[0].value)
        raise _too_many(taken, usual_s)

    async def check_rate(self, principal: Principal) -> None:
        """Raises RateLimited where `take_rate` would now. Counts nothing."""
        limits = _rates(principal)
        verdict = await self._rates.look(limits) if limits else None
        if verdict is not None and verdict.wait_s is not None:
            raise _rate_limited(verdict.state, verdict.wait_s)

    async def check_places(self, principal: Principal, *, usual_s: int) -> None:
        """Raises what `take_places` would now. Takes nothing."""
        full = await self._concurrency.look(_places(principal))
        if full is not None:
            raise _too_many(full, usual_s)

    async def count(self, path: Sequence[AccountId]) -> Places:
        """The places of a task that was accepted before."""
        return await self._concurrency.count(path)


def _rates(principal: Principal) -> PathRates:
    return [
        (account, limits.requests_per_minute)
        for account, limits in principal.limits
        if limits.requests_per_minute is not None
    ]


def _places(principal: Principal) -> PathPlaces:
    return [
        (account, limits.concurrent_tasks)
        for account, limits in principal.limits
        if limits.concurrent_tasks is not None
    ]


def _rate_limited(state: RateState, wait_s: float) -> RateLimited:
    kind, name = kind_and_name(state.account)
    whole_s = math.ceil(wait_s)
    return RateLimited(
        f"The {kind} {name!r} may make {state.limit} requests a minute, and has made them. "
        f"Try again in {whole_s} s, or ask your administrator for more.",
        retry_after_s=whole_s,
        details={"limit_scope": kind.value, "requests_per_minute": state.limit},
        rate=state,
    )


def _too_many(full: Full, usual_s: int) -> TooManyTasks:
    kind, name = kind_and_name(full.account)
    return TooManyTasks(
        f"The {kind} {name!r} may have {full.limit} tasks under way at once, and has {full.running}. "
        "Try again when one has ended, or ask your administrator for more.",
        retry_after_s=usual_s // full.limit,  # one of so many ends in about that time
        details={"limit_scope": kind.value, "concurrent_tasks": full.limit, "running_tasks": full.running},
    )
