"""The kinds of things that are not kept for ever, each with its time and a bite of its deletion.

Files go before the rows that name them: what a crash leaves between the two is found again, and deleted again. They go with the last task that
claims them (db/claims.py). How it fails: BlobStoreUnavailable, or as the database does; nothing is lost by it but time.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gateway.blobs.store import BlobStore
from gateway.db import claims
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.ids import TaskId
from gateway.retention import store
from gateway.retention.store import Due

BITE = 100
"""Tasks in one transaction: some milliseconds of the writer, on either database."""

Books = Database[Transact, object]
OpenBlobs = Callable[[], Awaitable[BlobStore]]
End = Callable[[Connection, Sequence[TaskId], int], Awaitable[int]]
"""Ends what is due of these tasks, at this moment, as far as it still is; says of how many."""


class Kind(Protocol):
    """One kind. Times are milliseconds since 1970."""

    @property
    def name(self) -> str:
        """For metrics and the log."""
        ...

    async def oldest_ms(self, now_ms: int) -> int | None:
        """Since when the oldest that is due has been due; None: nothing is."""
        ...

    async def bite(self, now_ms: int) -> int:
        """Delete some of what is due, the oldest first; says how many. 0: there is nothing that can be deleted now."""
        ...


class Pictures:
    """Results, when their links end: the files of all attempts, and the rows that name them. The task stays, and says how many there were.

    Files that other tasks were answered with stay until the last of those has had its time.
    """

    name = "results"

    def __init__(self, database: Books, blobs: OpenBlobs) -> None:
        self._database = database
        self._blobs = blobs

    async def oldest_ms(self, now_ms: int) -> int | None:
        return await _oldest(self._database, store.PICTURES, now_ms)

    async def bite(self, now_ms: int) -> int:
        async def mark(connection: Connection, ids: Sequence[TaskId], at_ms: int) -> int:
            return await store.mark_pictures(connection, ids, now_ms, at_ms)

        return await _ended(self._database, self._blobs, store.PICTURES, now_ms, mark)


class Prompts:
    """Prompts of ended tasks, what upstreams made of them, and the callers' own words in parameters."""

    name = "prompts"

    def __init__(self, database: Books, kept_ms: int, without_words: Callable[[str], str]) -> None:
        self._database = database
        self._kept_ms = kept_ms
        self._without_words = without_words

    async def oldest_ms(self, now_ms: int) -> int | None:
        found = await _oldest(self._database, store.PROMPTS, now_ms - self._kept_ms)
        return None if found is None else found + self._kept_ms

    async def bite(self, now_ms: int) -> int:
        async def forget(connection: Connection, _: int) -> int:
            return await store.forget_prompts(connection, now_ms - self._kept_ms, BITE, self._without_words)

        return await _transact(self._database, forget)


class Tasks:
    """Ended tasks with all they have, pictures that are still promised included. What they cost stays in the ledger."""

    name = "tasks"

    def __init__(self, database: Books, blobs: OpenBlobs, kept_ms: int) -> None:
        self._database = database
        self._blobs = blobs
        self._kept_ms = kept_ms

    async def oldest_ms(self, now_ms: int) -> int | None:
        found = await _oldest(self._database, store.TASKS, now_ms - self._kept_ms)
        return None if found is None else found + self._kept_ms

    async def bite(self, now_ms: int) -> int:
        before_ms = now_ms - self._kept_ms

        async def delete(connection: Connection, ids: Sequence[TaskId], _: int) -> int:
            return await store.delete_tasks(connection, ids, before_ms)

        return await _ended(self._database, self._blobs, store.TASKS, before_ms, delete)


async def _oldest(database: Books, due: Due, before_ms: int) -> int | None:
    return await database.read(lambda connection: store.oldest_due_ms(connection, due, before_ms))


async def _ended(database: Books, blobs: OpenBlobs, due: Due, before_ms: int, end: End) -> int:
    """Ends some of what is due, with the files that nobody else claims; says of how many tasks."""
    ids = await database.read(lambda connection: store.find_due(connection, due, before_ms, BITE))
    shared = await database.read(lambda connection: claims.read_shared(connection, ids)) if ids else set()
    last = {task_id: task_id for task_id in ids if task_id not in shared}
    done = 0

    async def let_go(connection: Connection, now_ms: int) -> int:
        nonlocal last
        ending = await claims.ending(connection, sorted(shared))
        last = {task_id: task_id for task_id in ids if task_id not in shared} | ending.last
        return await end(connection, ending.kept, now_ms) if ending.kept else 0

    if shared:
        done = await _transact(database, let_go)
    if not last:
        return done
    makers = [maker for task_id, maker in last.items() if maker != task_id]
    deliveries = await database.read(lambda connection: store.read_deliveries(connection, list(last), makers))
    if deliveries:
        await (await blobs()).delete_all(deliveries)
    return done + await _transact(database, lambda connection, now_ms: end(connection, list(last), now_ms))


async def _transact(database: Books, work: Callable[[Connection, int], Awaitable[int]]) -> int:
    done = 0

    async def run(connection: Connection, now_ms: int) -> None:
        nonlocal done
        done = await work(connection, now_ms)

    await database.write(Transact(run))
    return done
