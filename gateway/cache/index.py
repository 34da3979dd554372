"""Which task has the pictures of a request, or is making them: the interface of the index, and the one in this process's memory.

It points to tasks and has no pictures; losing it costs generations, never money or correctness: whoever is pointed to is looked at again, under
lock, before anything is answered with its pictures. No method raises.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from cachetools import TLRUCache

from gateway.domain.clock import Clock
from gateway.domain.ids import AccountId, TaskId

CLAIM_MS = 10_000
"""How long a call has from its claim to its acceptance; a process that dies between the two leaves the claim for so long."""
LEARNT_MS = 60_000
"""How long a flight is remembered that another index told of, whose end may never be heard of. Who follows an ended task has its pictures at once."""
ACCOUNTS_MAX = 1_000
"""Keys that one flight remembers; a further one is not joined to it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The task that made the pictures, and until when it is pointed to."""

    source: TaskId
    made_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks, and on which terms."""

    task_id: TaskId
    account: AccountId
    """Of the key."""
    joins: bool
    """It would wait for an identical call in flight,"""
    joins_own: bool
    """also for one that its own key has part in."""
    made_since_ms: int = 0
    """What was made before does not do."""


@dataclass(frozen=True, slots=True)
class Found:
    """The pictures are there."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Flying:
    """This task makes them, and the claimer has part in that from now on. Not `accepted`: nobody knows yet whether it will; ask again."""

    task_id: TaskId
    accepted: bool


class Role(Enum):
    """What is left to the claimer."""

    LEADS = auto()  # it makes the pictures, and others may follow it: `accepted`, then `landed` or `dropped`
    ALONE = auto()  # it makes its own, and nobody follows it


class CacheIndex(Protocol):
    """By key, which is a fingerprint."""

    async def claim(self, key: str, claim: Claim) -> Found | Flying | Role:
        """In one step, whoever else claims."""
        ...

    async def accepted(self, key: str, task_id: TaskId, ttl_ms: int) -> None:
        """The leader is in the books, and makes the pictures for so long at most."""
        ...

    async def landed(self, key: str, entry: Entry, ttl_ms: int) -> None:
        """The pictures are there; in place of whatever was known before."""
        ...

    async def dropped(self, key: str, task_id: TaskId) -> None:
        """This task leads no more, or its pictures are gone; what is known of another one stays."""
        ...

    async def changed(self, key: str, timeout_s: float) -> None:
        """Returns when a leader that was not accepted may be, or is none any more, and after the time-out."""
        ...


@dataclass(slots=True)
class _Flight:
    task_id: TaskId
    accounts: set[AccountId]
    until_s: float
    decided: asyncio.Event
    """It is accepted, or gone."""
    accepted: bool = False


class MemoryIndex:
    """Nothing waits in here but `changed`, so the event loop is its lock."""

    def __init__(self, clock: Clock, *, entries_max: int, flights_max: int = 100_000) -> None:
        self._clock = clock
        self._entries: TLRUCache[str, tuple[Entry, float]] = TLRUCache(
            entries_max, ttu=lambda _key, value, _now: value[1], timer=clock.monotonic_s
        )
        self._flights: dict[str, _Flight] = {}
        self._flights_max = flights_max

    def __len__(self) -> int:
        """Entries."""
        return len(self._entries)

    async def claim(self, key: str, claim: Claim) -> Found | Flying | Role:
        kept = self._entries.get(key)
        if kept is not None and kept[0].made_at_ms >= claim.made_since_ms:
            return Found(kept[0])
        flight = self._flying(key)
        if flight is not None:
            own = claim.account in flight.accounts
            if not claim.joins or (own and not claim.joins_own) or len(flight.accounts) >= ACCOUNTS_MAX:
                return Role.ALONE
            if flight.accepted:
                flight.accounts.add(claim.account)
            return Flying(flight.task_id, flight.accepted)
        if len(self._flights) >= self._flights_max:
            return Role.ALONE
        until_s = self._clock.monotonic_s() + CLAIM_MS / 1000
        self._flights[key] = _Flight(claim.task_id, {claim.account}, until_s, asyncio.Event())
        return Role.LEADS

    def learn(self, key: str, task_id: TaskId, account: AccountId | None, *, accepted: bool) -> None:
        """From another index: who makes the pictures, and which key has part in that from now on."""
        flight = self._flying(key)
        if flight is None or flight.task_id != task_id:
            if len(self._flights) >= self._flights_max:
                return
            if flight is not None:
                self._end(key, flight.task_id)
            until_s = self._clock.monotonic_s() + LEARNT_MS / 1000
            flight = self._flights[key] = _Flight(task_id, set(), until_s, asyncio.Event())
        if account is not None and len(flight.accounts) < ACCOUNTS_MAX:
            flight.accounts.add(account)
        if accepted:
            flight.accepted = True
            flight.decided.set()

    async def accepted(self, key: str, task_id: TaskId, ttl_ms: int) -> None:
        flight = self._flying(key)
        if flight is not None and flight.task_id == task_id:
            flight.accepted, flight.until_s = True, self._clock.monotonic_s() + ttl_ms / 1000
            flight.decided.set()

    async def landed(self, key: str, entry: Entry, ttl_ms: int) -> None:
        self._entries[key] = entry, self._clock.monotonic_s() + ttl_ms / 1000
        self._end(key, entry.source)

    async def dropped(self, key: str, task_id: TaskId) -> None:
        kept = self._entries.get(key)
        if kept is not None and kept[0].source == task_id:
            del self._entries[key]
        self._end(key, task_id)

    async def changed(self, key: str, timeout_s: float) -> None:
        flight = self._flying(key)
        if flight is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await flight.decided.wait()
        except TimeoutError:
            return

    def _flying(self, key: str) -> _Flight | None:
        flight = self._flights.get(key)
        if flight is not None and flight.until_s <= self._clock.monotonic_s():
            self._end(key, flight.task_id)
            return None
        return flight

    def _end(self, key: str, task_id: TaskId) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task_id == task_id:
            del self._flights[key]
            flight.decided.set()
