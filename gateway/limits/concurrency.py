"""How many at once: the tasks of an account under way, on all accounts of a call's path or on none.

Every task counts on its whole path, limited or not, so that a limit set at noon knows what has been running since the morning.
`ConcurrencyLimiter` is the interface, `RunningTasks` keeps it in this process's memory (several processes count each for itself), and
shared_tasks.py for all processes. How it fails: LimitStoreDown, met as the operator chose (outage.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.ids import AccountId
from gateway.limits.outage import LimitStoreDown, Outage

PathPlaces = Sequence[tuple[AccountId, int]]
"""The accounts of a path that have a limit, with their tasks at once, nearest first; may be empty."""


class Places(Protocol):
    """A task's place on every account of its path."""

    def release(self) -> None:
        """Give them back; later calls do nothing. Never waits, never fails."""
        ...


@dataclass(frozen=True, slots=True)
class Full:
    """The nearest account that has as many tasks under way as it may."""

    account: AccountId
    limit: int
    running: int


class ConcurrencyLimiter(Protocol):
    """Counts tasks. Every method raises LimitStoreDown, at the latest after rates.STORE_S_MAX."""

    async def take(self, path: Sequence[AccountId], limits: PathPlaces) -> Places | Full:
        """A place on every account of the path, or none."""
        ...

    async def look(self, limits: PathPlaces) -> Full | None:
        """Whom `take` would refuse now; takes nothing."""
        ...

    async def count(self, path: Sequence[AccountId]) -> Places:
        """A place for a task that was accepted before, by this process or another: never refused."""
        ...


class RunningTasks:
    """In memory. Nothing waits in here, so the event loop is its lock; an account without tasks is not remembered."""

    def __init__(self) -> None:
        self._running: dict[AccountId, int] = {}

    def running(self, account: AccountId) -> int:
        return self._running.get(account, 0)

    def __len__(self) -> int:
        """Accounts with tasks."""
        return len(self._running)

    async def take(self, path: Sequence[AccountId], limits: PathPlaces) -> Places | Full:
        return await self.look(limits) or await self.count(path)

    async def look(self, limits: PathPlaces) -> Full | None:
        full = (
            Full(account, limit, self.running(account)) for account, limit in limits if self.running(account) >= limit
        )
        return next(full, None)

    async def count(self, path: Sequence[AccountId]) -> Places:
        for account in path:
            self._running[account] = self.running(account) + 1
        return _Taken(self._running, tuple(path))


class _Taken:
    """What `release` has to take back."""

    __slots__ = ("_path", "_running")

    def __init__(self, running: dict[AccountId, int], path: tuple[AccountId, ...]) -> None:
        self._running = running
        self._path = path

    def release(self) -> None:
        path, self._path = self._path, ()
        for account in path:
            left = self._running[account] - 1
            if left:
                self._running[account] = left
            else:
                del self._running[account]


class NoPlaces:
    """Of a task that nobody could count."""

    def release(self) -> None:
        """Nothing was taken."""


class GuardedConcurrency:
    """A limiter whose failures are met as the operator chose. `meanwhile` counts while it is down; without one nobody does."""

    def __init__(
        self, limiter: ConcurrencyLimiter, outage: Outage, meanwhile: ConcurrencyLimiter | None = None
    ) -> None:
        self._limiter = limiter
        self._outage = outage
        self._meanwhile = meanwhile

    async def take(self, path: Sequence[AccountId], limits: PathPlaces) -> Places | Full:
        """Raises StorageUnavailable where a call that cannot be counted may not go on."""
        try:
            return await self._limiter.take(path, limits)
        except LimitStoreDown as exc:
            if limits:  # a call without a limit has nothing to be refused for
                self._outage.met("concurrency", exc)
            return NoPlaces() if self._meanwhile is None else await self._meanwhile.take(path, limits)

    async def look(self, limits: PathPlaces) -> Full | None:
        """Raises StorageUnavailable as `take` does."""
        try:
            return await self._limiter.look(limits)
        except LimitStoreDown as exc:
            if limits:
                self._outage.met("concurrency", exc)
            return None if self._meanwhile is None else await self._meanwhile.look(limits)

    async def count(self, path: Sequence[AccountId]) -> Places:
        """Work that was accepted before goes on, whatever the store does."""
        try:
            return await self._limiter.count(path)
        except LimitStoreDown:
            return NoPlaces()
