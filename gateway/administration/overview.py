"""How the last hours went, for the first page of an operator: tasks, how long they took, what upstreams answered.

Money is in the usage sums (usage.py), which are exact; this is a look at the newest tasks. How it fails: StorageUnavailable.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import Administrator
from gateway.domain.clock import Clock
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import AttemptState, TaskState
from gateway.ledger.model import Grant
from gateway.tasks import statistics_store as statistics
from gateway.tasks.statistics_store import AttemptCount, TaskCount

TASKS_MAX = 20_000
"""Looked at: some ten milliseconds of the database."""
DURATIONS_MAX = 5_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Latency:
    """In milliseconds; None: nothing was completed."""

    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class UpstreamRecord:
    """Tries at one upstream. `faults` by word, most frequent first; a try without one brought its pictures."""

    upstream: str
    attempts: int
    succeeded: int
    in_flight: int
    in_doubt: int
    faults: tuple[tuple[str, int], ...]
    latency: Latency


@dataclass(frozen=True, slots=True)
class Overview:
    """Of the tasks made in `hours`, at most the newest TASKS_MAX. `upstreams` is empty for an administrator of one org."""

    hours: int
    tasks: int
    by_state: tuple[tuple[TaskState, int], ...]
    by_cache: tuple[tuple[CacheResult, int], ...]
    by_model: tuple[tuple[str, int, int], ...]
    """Name, tasks, failed."""
    latency: Latency
    upstreams: tuple[UpstreamRecord, ...]

    @property
    def whole(self) -> bool:
        """Whether no task of the time was left out."""
        return self.tasks < TASKS_MAX


class Overviews:
    """Of one gateway."""

    def __init__(self, database: Database[Transact | Grant, object], clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of(self, hours: int, by: Administrator) -> Overview:
        since_ms = self._clock.now_ms() - hours * HOUR_MS
        below = "" if by.org is None else f"key:{by.org}/"

        async def read(connection: Connection) -> Overview:
            oldest = await statistics.oldest_since(connection, since_ms, TASKS_MAX)
            if oldest is None:
                return _overview(hours, [], [], ())
            counts = await statistics.task_counts(connection, oldest, below)
            durations = await statistics.task_durations_ms(connection, oldest, below, DURATIONS_MAX)
            if by.org is not None:
                return _overview(hours, counts, durations, ())
            tried = await statistics.attempt_counts(connection, oldest)
            took = await statistics.attempt_durations_ms(connection, oldest, DURATIONS_MAX)
            return _overview(hours, counts, durations, _records(tried, took))

        return await self._database.read(read)


def _overview(
    hours: int, counts: Sequence[TaskCount], durations_ms: Sequence[int], upstreams: tuple[UpstreamRecord, ...]
) -> Overview:
    states: Counter[TaskState] = Counter()
    caches: Counter[CacheResult] = Counter()
    models: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for item in counts:
        states[item.state] += item.tasks
        models[item.model] += item.tasks
        if item.cache is not None:
            caches[item.cache] += item.tasks
        if item.state is TaskState.FAILED:
            failed[item.model] += item.tasks
    return Overview(
        hours,
        states.total(),
        tuple((state, states[state]) for state in TaskState),
        tuple((cache, caches[cache]) for cache in CacheResult),
        tuple((model, tasks, failed[model]) for model, tasks in models.most_common()),
        latency_of(durations_ms),
        upstreams,
    )


def _records(tried: Iterable[AttemptCount], took: Iterable[tuple[str, int]]) -> tuple[UpstreamRecord, ...]:
    by_upstream: dict[str, list[AttemptCount]] = {}
    for item in tried:
        by_upstream.setdefault(item.upstream, []).append(item)
    durations: dict[str, list[int]] = {}
    for upstream, ms in took:
        durations.setdefault(upstream, []).append(ms)
    return tuple(_record(name, items, durations.get(name, [])) for name, items in sorted(by_upstream.items()))


def _record(name: str, items: Sequence[AttemptCount], durations_ms: Sequence[int]) -> UpstreamRecord:
    states: Counter[AttemptState] = Counter()
    faults: Counter[str] = Counter()
    for item in items:
        states[item.state] += item.attempts
        if item.fault is not None:
            faults[item.fault.value] += item.attempts
    return UpstreamRecord(
        name,
        states.total(),
        states[AttemptState.SUCCEEDED],
        states[AttemptState.SENDING] + states[AttemptState.SUBMITTED],
        states[AttemptState.UNKNOWN],
        tuple(faults.most_common()),
        latency_of(durations_ms),
    )


def latency_of(durations_ms: Sequence[int]) -> Latency:
    """By nearest rank."""
    if not durations_ms:
        return Latency(None, None)
    ordered = sorted(durations_ms)
    return Latency(*(ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.95)))
