"""The tasks under way of all processes: a leased place on every account of a task's path.

A process also counts its own, which is what it goes by while the shared state is down. A task without any limit on its path does not wait for its
place to be entered. How it fails: LimitStoreDown from `take` and `look`; `count` always succeeds.
"""

from collections.abc import Sequence

from gateway.domain.ids import AccountId
from gateway.limits.concurrency import ConcurrencyLimiter, Full, PathPlaces, Places, RunningTasks
from gateway.limits.leases import Leases, NoRoom, Place
from gateway.limits.shared_rates import tag_of


class SharedTasks:
    """A ConcurrencyLimiter over all processes that share a state."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._own = RunningTasks()

    async def take(self, path: Sequence[AccountId], limits: PathPlaces) -> Places | Full:
        if not limits:
            return await self.count(path)
        most = dict(limits)
        taken = await self._leases.take(tag_of(path[0]), _sets(path), [most.get(account) for account in path])
        if isinstance(taken, NoRoom):
            account = path[taken.index]
            return Full(account, most[account], taken.running)
        return _Taken(self._leases, taken[0], await self._own.count(path))

    async def look(self, limits: PathPlaces) -> Full | None:
        if not limits:
            return None
        accounts = [account for account, _ in limits]
        full = await self._leases.look(tag_of(accounts[0]), _sets(accounts), [limit for _, limit in limits])
        return None if full is None else Full(*limits[full.index], full.running)

    async def count(self, path: Sequence[AccountId]) -> Places:
        place = self._leases.enter(tag_of(path[0]), _sets(path))
        return _Taken(self._leases, place, await self._own.count(path))

    def meanwhile(self) -> ConcurrencyLimiter:
        """By this process's own tasks. What it grants is known to the others when the shared state is back."""
        return _Meanwhile(self, self._own)


class _Meanwhile:
    def __init__(self, shared: SharedTasks, own: RunningTasks) -> None:
        self._own = own
        self.count = shared.count
        self.look = own.look

    async def take(self, path: Sequence[AccountId], limits: PathPlaces) -> Places | Full:
        return await self._own.look(limits) or await self.count(path)


class _Taken:
    """A place in both."""

    __slots__ = ("_leases", "_own", "_place")

    def __init__(self, leases: Leases, place: Place, own: Places) -> None:
        self._leases = leases
        self._place = place
        self._own = own

    def release(self) -> None:
        self._leases.give_back(self._place)
        self._own.release()


def _sets(path: Sequence[AccountId]) -> list[str]:
    return [f"tasks:{tag_of(account)}:{account}" for account in path]
