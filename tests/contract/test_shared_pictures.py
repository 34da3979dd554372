"""A picture that several tasks have lives as long as the last of them promised, and no longer; whoever ends the last claim deletes it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import BlobStoreUnavailable
from gateway.db import claims
from gateway.db.connection import Connection
from gateway.db.engine import open_database
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from gateway.domain.errors import StorageUnavailable
from gateway.domain.ids import TaskId
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.pipeline.apply import apply
from gateway.retention.kinds import Pictures, Tasks
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import LATE_MS, Erase, Erasing
from tests.books import Gateway, completed, new_attempt, new_task, opened, succeeded

NOW_MS = 1_757_165_031_000
HOUR_MS = 3_600_000
PICTURE = b"a picture " * 100


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class World:
    database: Gateway
    blobs: LocalBlobStore
    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.database, self.open_blobs)
        self.erasing = Erasing(self.database, self.open_blobs, self.clock)

    async def open_blobs(self) -> LocalBlobStore:
        return self.blobs

    async def made(self, hours: int = 24, *others: AttemptState) -> Task:
        """A completed task whose picture lies on the disk, promised for so long; with further attempts in these states, and their files."""
        task = _ended(hours)
        attempts = [succeeded(new_attempt(task)), *(_tried(task, state) for state in others)]
        for attempt in attempts:
            await self.blobs.put_all(attempt.id, [("0", PICTURE), ("manifest", b"{}")])
        result = completed(task, 1, attempts[0]).results
        await self.add(replace(task, results=result), attempts)
        return replace(task, results=result)

    async def shared(self, source: Task, hours: int, **differs: object) -> Task:
        """Another that was answered with the same pictures."""
        task = replace(_ended(hours), results=source.results, cache=CacheResult.HIT, source=source.id)
        task = replace(task, **differs)  # type: ignore[arg-type]  # the test's own fields of a task
        await self.add(task, [])
        return task

    async def add(self, task: Task, attempts: Sequence[Attempt]) -> None:
        async def add(connection: Connection, _: int) -> None:
            await connection.write(*task_store.added_tasks([(task, 0)]))
            await connection.write(*attempt_store.added_attempts(attempts))
            await connection.write(*task_store.added_results([task]))

        await self.database.write(Transact(add))

    async def end(self, task: Task) -> None:
        """Without any picture."""
        failed = replace(task, state=TaskState.FAILED, finished_at_ms=NOW_MS)
        await self.database.write(Transact(lambda c, _: c.write(*task_store.finished_tasks([failed]))))

    async def at(self, hours: float) -> int:
        """What retention of pictures does then."""
        return await self.pictures.bite(NOW_MS + round(hours * HOUR_MS))

    async def has(self, task: Task) -> int:
        [found] = await self.database.read(lambda connection: task_store.read_tasks(connection, [task.id]))
        return len(found.results)

    async def files(self) -> int:
        return sum("manifest" not in str(item) for item in await self.blobs.list())

    async def left(self) -> list[TaskId]:
        return await self.database.read(lambda connection: task_store.read_erasing(connection, 10))


def _ended(hours: int) -> Task:
    task = replace(new_task(), state=TaskState.COMPLETED, finished_at_ms=NOW_MS, result_count=1)
    return replace(task, results_expire_at_ms=NOW_MS + hours * HOUR_MS)


def _tried(task: Task, state: AttemptState) -> Attempt:
    return replace(new_attempt(task), state=state, ended_at_ms=NOW_MS, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = SetClock()
    database, blobs = await opened(database_url, clock), await LocalBlobStore.open(tmp_path / "images")
    yield World(database, blobs, clock)
    await blobs.close()
    await database.close()


async def test_it_goes_with_the_last_that_was_promised_it(world: World) -> None:
    """Each task's own results go in their time; the file, and those of tries that failed, with the last of them, whichever that is."""
    source = await world.made(24, AttemptState.FAILED)
    first, last = await world.shared(source, 30), await world.shared(source, 40)
    alone = await world.made(24)
    assert await world.files() == 3
    assert await world.at(23.9) == 0
    assert (await world.at(24), await world.at(24)) == (2, 0), "the source's own links have ended as promised"
    assert (await world.has(source), await world.has(alone), await world.has(first), await world.files()) == (
        0,
        0,
        1,
        2,
    )
    assert (await world.at(30), await world.has(first), await world.has(last), await world.files()) == (1, 0, 1, 2)
    assert await world.at(39.9) == 0
    assert (await world.at(40), await world.has(last), await world.files()) == (1, 0, 0)
    assert await world.pictures.oldest_ms(NOW_MS + 1000 * HOUR_MS) is None


async def test_all_at_once_and_the_source_last(world: World) -> None:
    """Claims that end in one bite go with the file; one that ends before the source's takes nothing with it."""
    source = await world.made(24)
    early, late = await world.shared(source, 2), await world.shared(source, 24)
    assert (await world.at(2), await world.has(early), await world.has(late), await world.files()) == (1, 0, 1, 1)
    assert (await world.at(25), await world.files()) == (2, 0)


async def test_who_waits_claims_and_who_failed_does_not(world: World) -> None:
    """A task that is under way may yet be answered with the pictures."""
    source = await world.made(24)
    waiting = replace(new_task(), source=source.id)
    await world.add(waiting, [])
    other = await world.made(24)
    failed = replace(_ended(1), state=TaskState.FAILED, results_expire_at_ms=None, result_count=0, source=other.id)
    await world.add(failed, [])
    assert (await world.at(24), await world.files()) == (2, 1)
    shared = await world.shared(source, 30)
    await world.end(waiting)
    assert (await world.at(29), await world.has(shared), await world.files()) == (0, 1, 1)
    assert (await world.at(30), await world.files()) == (1, 0)


async def test_tasks_that_are_kept_shorter_than_pictures(world: World) -> None:
    """The source's row stays while others claim its pictures, since its attempts name the files; then all of it goes."""
    source = await world.made(24, AttemptState.FAILED)
    await world.shared(source, 24)
    recent = await world.shared(source, 24, finished_at_ms=NOW_MS + 2 * HOUR_MS)
    kind = Tasks(world.database, world.open_blobs, HOUR_MS)
    due_ms = NOW_MS + 2 * HOUR_MS
    assert (await kind.bite(due_ms), await world.has(source), await world.files()) == (1, 1, 2)
    assert (await kind.bite(due_ms), await kind.oldest_ms(due_ms), await world.has(recent)) == (0, None, 1)
    due_ms += HOUR_MS
    assert (await kind.bite(due_ms), await world.files()) == (1, 2)
    assert (await kind.bite(due_ms), await world.files()) == (1, 0)
    assert await world.database.read(lambda c: task_store.read_tasks(c, [source.id, recent.id])) == []


async def test_a_task_deleted_last_takes_the_files_with_it(world: World) -> None:
    """Its source's links have ended long before."""
    source = await world.made(1)
    await world.shared(source, 24)
    assert (await world.at(1), await world.files()) == (1, 1)
    kind = Tasks(world.database, world.open_blobs, HOUR_MS)
    assert (await kind.bite(NOW_MS + 2 * HOUR_MS), await world.files()) == (1, 0)


async def test_a_source_that_is_gone_is_no_hindrance(world: World) -> None:
    """An earlier version had deleted it beside this one."""
    source = _ended(1)
    result = completed(source, 1, new_attempt(source)).results
    sharer = await world.shared(replace(source, results=result), 2)
    assert (await world.at(3), await world.has(sharer)) == (1, 0)


async def test_an_erased_source_leaves_its_pictures_to_the_others(world: World) -> None:
    """To its own task they are gone at once, and nothing is left to be done for it; they go when the last of the others is erased."""
    source = await world.made(24)
    shared, other = await world.shared(source, 30), await world.shared(source, 30)
    assert (await world.erasing.erase(Erase(source.id))).results == ()
    assert (await world.has(source), await world.has(shared), await world.files(), await world.left()) == (0, 1, 1, [])
    await world.erasing.erase(Erase(shared.id))
    await world.erasing.erase(Erase(source.id))
    assert (await world.has(shared), await world.has(other), await world.files(), await world.left()) == (0, 1, 1, [])
    await world.erasing.erase(Erase(other.id))
    assert (await world.files(), await world.left()) == (0, [])


async def test_an_erased_source_s_files_go_in_the_others_time(world: World) -> None:
    """Retention finds them although nothing of the source is due any more."""
    source = await world.made(24)
    await world.shared(source, 30)
    await world.erasing.erase(Erase(source.id))
    assert (await world.at(29), await world.files()) == (0, 1)
    assert (await world.at(30), await world.files()) == (1, 0)


async def test_an_erased_sharer_takes_nothing_from_the_source(world: World) -> None:
    """Nor does one that failed, although nobody has pictures."""
    source = await world.made(24)
    shared = await world.shared(source, 30)
    failed = await world.shared(
        source, 1, state=TaskState.FAILED, results_expire_at_ms=None, results=(), result_count=0
    )
    for task in (shared, failed):
        await world.erasing.erase(Erase(task.id))
        assert (await world.has(task), await world.has(source), await world.files(), await world.left()) == (
            0,
            1,
            1,
            [],
        )
    assert (await world.at(24), await world.files()) == (1, 0)


async def test_a_disk_that_refuses_the_last_one_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are erased; the files of the source go when the disk works, and only then is it said."""
    source = await world.made(24)
    shared = await world.shared(source, 30)
    await world.erasing.erase(Erase(source.id))

    async def refuse(prefix: str) -> None:
        raise BlobStoreUnavailable("the directory is gone")

    with monkeypatch.context() as patch:
        patch.setattr(world.blobs, "delete_prefix", refuse)
        with pytest.raises(StorageUnavailable):
            await world.erasing.erase(Erase(shared.id))
        assert await world.erasing.finish_left() == 0
    assert (await world.left(), await world.files()) == ([shared.id], 1)
    assert await world.erasing.finish_left() == 1
    assert (await world.left(), await world.files()) == ([], 0)


async def test_a_late_picture_of_an_erased_source_is_looked_for_by_the_last(world: World) -> None:
    """An attempt in doubt of the source may still be stored by a process that was paused: the last claim is open as long."""
    source = await world.made(24, AttemptState.UNKNOWN)
    shared = await world.shared(source, 30)
    await world.erasing.erase(Erase(source.id))
    await world.erasing.erase(Erase(shared.id))
    assert (await world.files(), await world.left()) == (0, [shared.id])
    attempts = await world.database.read(lambda c: attempt_store.read_attempts(c, [source.id]))
    [late] = [attempt for attempt in attempts if attempt.state is AttemptState.UNKNOWN]
    await world.blobs.put_all(late.id, [("0", PICTURE)])
    world.clock.ms += LATE_MS + 1
    await world.erasing.finish_left()
    assert (await world.files(), await world.left()) == (0, [])


async def test_of_two_at_once_one_ends_the_last_claim(postgresql_database: str, tmp_path: Path) -> None:
    """Each sees the other's claim while neither has ended: without a lock both would leave the file to the other. SQLite has one writer."""
    world = World(await opened(postgresql_database), await LocalBlobStore.open(tmp_path / "images"))
    another: Gateway = await open_database(parse_database_url(postgresql_database), apply, SystemClock(), None)
    source = await world.made(24)
    shared = await world.shared(source, 24)
    looked, go_on = asyncio.Event(), asyncio.Event()
    seen: list[claims.Ending] = []

    async def slowly(connection: Connection, at_ms: int) -> None:
        seen.append(await claims.ending(connection, [source.id]))
        looked.set()
        await go_on.wait()
        await task_store.mark_pictures_erased(connection, seen[0].kept, at_ms)

    async def beside(connection: Connection, _: int) -> None:
        seen.append(await claims.ending(connection, [shared.id]))

    first = asyncio.create_task(world.database.write(Transact(slowly)))
    await looked.wait()
    await another.write(Transact(beside))
    go_on.set()
    await first
    await another.write(Transact(beside))
    nothing, last = claims.Ending((), {}), claims.Ending((), {shared.id: source.id})
    assert seen == [claims.Ending((source.id,), {}), nothing, last]
    await another.close()
    await world.blobs.close()
    await world.database.close()
