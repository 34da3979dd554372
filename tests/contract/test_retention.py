"""What has had its time is gone, from both databases and from the disk; how late it is is measured; and nothing goes that is still needed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import BlobStoreUnavailable
from gateway.callbacks import store as callback_store
from gateway.db import schema
from gateway.db.connection import Connection
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from gateway.domain.ids import TaskId, new_task_id
from gateway.domain.tasks import AttemptState, Billed, Fault, Task, TaskState
from gateway.ledger.model import Resolve
from gateway.pipeline.commands import RecordAttempts
from gateway.pipeline.erasure import without_words
from gateway.retention import kinds as kinds_module
from gateway.retention import sweeper as sweeper_module
from gateway.retention.kinds import Kind, Pictures, Prompts, Tasks
from gateway.retention.sweeper import Sweeper
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.metrics import Metrics
from tests.books import (
    KEY,
    UPSTREAM,
    Gateway,
    accept,
    balance,
    clean,
    completed,
    new_attempt,
    new_task,
    opened,
    succeeded,
)

NOW_MS = 1_757_165_031_000
RESULTS_MS, PROMPTS_MS, TASKS_MS = 86_400_000, 3_600_000, 30 * 86_400_000
PICTURE = b"a picture " * 100


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


class BrokenStore:
    """A disk that is gone."""

    async def __call__(self) -> "BrokenStore":
        return self

    async def delete_all(self, prefixes: Sequence[str]) -> None:
        raise BlobStoreUnavailable("the directory is gone")


@dataclass
class World:
    database: Gateway
    blobs: LocalBlobStore
    root: Path
    clock: SetClock = field(default_factory=SetClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.sweeper = self.new_sweeper("run_1")

    def new_sweeper(self, owner: str, blobs: Any = None, metrics: Metrics | None = None) -> Sweeper:
        opening: Callable[[], Awaitable[Any]] = blobs or self.open_blobs
        kinds: tuple[Kind, ...] = (
            Pictures(self.database, opening),
            Prompts(self.database, PROMPTS_MS, without_words),
            Tasks(self.database, opening, TASKS_MS),
        )
        return Sweeper(kinds, self.database, metrics or self.metrics, self.clock, owner=owner)

    async def open_blobs(self) -> LocalBlobStore:
        return self.blobs

    async def made(self, *, callback: bool = False) -> Task:
        """A completed task whose picture lies on the disk."""
        task = replace(new_task(), request_json='{"n":1,"options":[["user","an own word"]]}')
        if callback:
            task = replace(task, callback_url="https://example.com/told")
        attempt = new_attempt(task)
        await self.database.write(accept(task, 2, attempts=(attempt,)))
        await self.blobs.put_all(attempt.id, [("0", PICTURE), ("manifest", b"{}")])
        finish = completed(task, 1, succeeded(attempt))
        await self.database.write(replace(finish, results_expire_at_ms=NOW_MS + RESULTS_MS))
        await self.ended_at(NOW_MS)
        [stored] = await self.found(task.id)
        return stored

    async def ended_at(self, moment_ms: int) -> None:
        """Every task that has ended did so then: PostgreSQL's own clock is not the test's."""
        ended = schema.tasks.update().where(schema.tasks.c.finished_at_ms.is_not(None))
        moved = Statement(ended.values(finished_at_ms=moment_ms))
        await self.database.write(Transact(lambda connection, _: connection.execute(moved)))

    async def found(self, *ids: TaskId) -> list[Task]:
        return await self.database.read(lambda connection: task_store.read_tasks(connection, ids))

    async def count(self, table: str) -> int:
        statement = Statement(select(func.count()).select_from(schema.metadata.tables[table]))
        return int(str((await self.database.read(lambda connection: connection.fetch(statement)))[0][0]))

    def files(self) -> list[str]:
        """Of pictures, wherever they lie."""
        return [path.name for path in self.root.rglob("*") if path.is_file() and PICTURE in path.read_bytes()]

    def lag(self, kind: str, metrics: Metrics | None = None) -> float:
        text = (metrics or self.metrics).render().decode()
        [found] = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "gateway_retention_lag_seconds" and sample.labels == {"kind": kind}
        ]
        return found

    def lags(self) -> tuple[float, ...]:
        return tuple(self.lag(kind) for kind in ("results", "prompts", "tasks"))


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = SetClock()
    database, blobs = await opened(database_url, clock), await LocalBlobStore.open(tmp_path / "images")
    yield World(database, blobs, tmp_path / "images", clock)
    await blobs.close()
    await database.close()


async def test_everything_goes_in_its_time(world: World) -> None:
    """Prompt, pictures (packed ones, too) and task: not a moment before; late ones with their lag; books and balances stay as they are."""
    finished = [await world.made() for _ in range(3)]
    packed = [new_attempt(finished[0]) for _ in range(5)]
    await asyncio.gather(*(world.blobs.put_all(each.id, [("0", PICTURE)]) for each in packed))
    await world.database.write(Transact(_adding(packed)))
    before = await balance(world.database, KEY)
    assert await world.sweeper.sweep() == 0
    assert world.lags() == (0, 0, 0)

    world.clock.ms = NOW_MS + PROMPTS_MS
    assert await world.sweeper.sweep() == 3
    [task] = await world.found(finished[0].id)
    assert (task.prompt, [result.revised_prompt for result in task.results]) == (None, [None])
    assert "own word" not in task.request_json
    assert '"n":1' in task.request_json
    assert len(world.files()) == 8

    world.clock.ms = NOW_MS + RESULTS_MS - 1
    assert await world.sweeper.sweep() == 0
    world.clock.ms += 1
    assert await world.sweeper.sweep() == 3
    assert (world.files(), await world.count("results")) == ([], 0)
    assert await world.blobs.list() == ()
    [task] = await world.found(finished[0].id)
    assert (task.state, task.results, task.result_count) == (TaskState.COMPLETED, (), 1)

    world.clock.ms = NOW_MS + TASKS_MS - 1
    assert await world.sweeper.sweep() == 0
    world.clock.ms += 60_000
    assert await world.sweeper.sweep() == 3
    assert world.lags() == (0, 0, 0)
    assert [await world.count(table) for table in ("tasks", "attempts", "results")] == [0, 0, 0]
    assert await world.count("holds") == 3
    assert await world.count("entries") > 0
    assert await balance(world.database, KEY) == before
    assert await clean(world.database)


def _adding(packed: Sequence[Any]) -> Callable[[Connection, int], Awaitable[None]]:
    """Further attempts of an ended task, as fail-overs leave them."""

    async def add(connection: Connection, _: int) -> None:
        await connection.write(*attempt_store.added_attempts([succeeded(attempt) for attempt in packed]))

    return add


async def test_the_lag_is_that_of_the_oldest(world: World) -> None:
    """Measured although nothing can be deleted, growing between two looks, of each kind by itself; 0 when it is worked off."""
    await world.made()
    broken = world.new_sweeper("run_1", BrokenStore())
    world.clock.ms = NOW_MS + RESULTS_MS + 90_000
    assert await broken.sweep() == 1, "prompts need no disk"
    assert world.lags() == (90, 0, 0)
    world.clock.ms += 30_000
    assert world.lags() == (120, 0, 0)
    world.clock.ms = NOW_MS + TASKS_MS + 7_000
    await broken.sweep()
    assert world.lag("tasks") == 7
    assert len(world.files()) == 1
    assert await world.count("tasks") == 1
    await world.new_sweeper("run_1").sweep()
    assert (world.lags(), world.files(), await world.count("tasks")) == ((0, 0, 0), [], 0)


async def test_a_task_goes_with_pictures_that_are_promised_longer(world: World) -> None:
    """Nothing is left of it, whichever of the two times is shorter."""
    await world.made()
    later = NOW_MS + 10 * TASKS_MS
    expiry = Statement(schema.tasks.update().values(results_expire_at_ms=later))
    await world.database.write(Transact(lambda connection, _: connection.execute(expiry)))
    world.clock.ms = NOW_MS + TASKS_MS
    await world.sweeper.sweep()
    assert (world.files(), await world.count("tasks"), await world.count("results")) == ([], 0, 0)


async def test_what_is_under_way_stays(world: World) -> None:
    """However old it is; it is not late either."""
    task = new_task()
    await world.database.write(accept(task, 2))
    world.clock.ms += 10 * TASKS_MS
    assert (await world.sweeper.sweep(), world.lags()) == (0, (0, 0, 0))
    [found] = await world.found(task.id)
    assert found.prompt is not None


async def test_what_is_in_doubt_stays_until_it_is_resolved(world: World) -> None:
    """Prompt, pictures and rows; the resolution finds its task, and then all of it goes."""
    task = new_task()
    made, lost = new_attempt(task), new_attempt(task)
    await world.database.write(accept(task, 2, attempts=(made, lost)))
    await world.blobs.put_all(made.id, [("0", PICTURE)])
    unknown = replace(
        lost, state=AttemptState.UNKNOWN, ended_at_ms=NOW_MS, fault=Fault.NO_ANSWER, billed=Billed.UNKNOWN
    )
    await world.database.write(RecordAttempts(task.id, 1, ended=(unknown,)))
    await world.database.write(completed(task, 1, succeeded(made)))
    await world.ended_at(NOW_MS)
    world.clock.ms += 10 * TASKS_MS
    assert (await world.sweeper.sweep(), world.lags()) == (0, (0, 0, 0))
    assert len(world.files()) == 1
    assert await clean(world.database)
    await world.database.write(Resolve(lost.id, UPSTREAM, paid=True))
    await world.sweeper.sweep()
    assert (world.files(), await world.count("tasks")) == ([], 0)
    assert await clean(world.database)


async def test_what_is_still_to_be_told_stays(world: World) -> None:
    """A task with a callback that is due keeps all it has; when it is given up, it goes."""
    task = await world.made(callback=True)
    world.clock.ms += 10 * TASKS_MS
    assert (await world.sweeper.sweep(), world.lags()) == (0, (0, 0, 0))
    callback = await world.database.read(lambda connection: callback_store.read_callback_of(connection, task.id))
    assert callback is not None
    dead = Statement(schema.callbacks.update().values(state="dead"))
    await world.database.write(Transact(lambda connection, _: connection.execute(dead)))
    await world.sweeper.sweep()
    assert await world.count("tasks") == 0


async def test_one_process_at_a_time_deletes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one only measures while the first gives signs of life, and takes over when it does not."""
    monkeypatch.setattr(sweeper_module, "RENEW_S", 0)
    await world.made()
    world.clock.ms = NOW_MS + RESULTS_MS + 5_000
    await world.sweeper.sweep()
    task, metrics = await world.made(), Metrics()
    other = world.new_sweeper("run_2", metrics=metrics)
    assert await other.sweep() == 0
    assert world.lag("results", metrics) == 5
    [found] = await world.found(task.id)
    assert found.prompt is not None
    with monkeypatch.context() as patch:
        patch.setattr(sweeper_module, "LEASE_MS", 0)
        assert await world.sweeper.sweep() > 0, "the first one goes on, and then falls silent"
    await world.made()
    assert await other.sweep() > 0
    assert world.files() == []


async def test_a_crash_between_files_and_rows_is_made_good(world: World) -> None:
    """The files of a task are gone and its rows are not: they go at the next round."""
    task = await world.made()
    await world.blobs.delete_prefix(task.results[0].blob.partition("/")[0])
    world.clock.ms = NOW_MS + RESULTS_MS
    assert await world.sweeper.sweep() > 0
    assert await world.count("results") == 0


async def test_ten_thousand_go_in_small_bites(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction takes more than a bite, others write all the while, and nothing is left over."""
    monkeypatch.setattr(sweeper_module, "PAUSE_S", 0)
    await _fill(world, 10_000)
    took_s: list[float] = []
    write = world.database.write

    async def timed(command: Any) -> Any:
        started_s = time.monotonic()
        outcome = await write(command)
        took_s.append(time.monotonic() - started_s)
        return outcome

    bites: list[int] = []
    monkeypatch.setattr(world.metrics, "retention_deleted", lambda _, count: bites.append(count))
    world.clock.ms += 2 * TASKS_MS
    others, done = 0, asyncio.Event()

    async def write_meanwhile() -> None:
        nonlocal others
        while not done.is_set():
            await timed(Transact(_nothing))
            others += 1
            await asyncio.sleep(0.005)

    writing = asyncio.create_task(write_meanwhile())
    started_s = time.monotonic()
    deleted = await world.sweeper.sweep()
    sweep_s = time.monotonic() - started_s
    done.set()
    await writing
    assert deleted == 30_000
    assert bites == [kinds_module.BITE] * 300
    assert [await world.count(table) for table in ("tasks", "attempts", "results")] == [0, 0, 0]
    assert world.lags() == (0, 0, 0)
    assert others > 50, f"others wrote {others} times in {sweep_s:.1f} s, the slowest in {max(took_s):.3f} s"


async def _nothing(connection: Connection, _: int) -> None:
    """A write of somebody else's."""


async def _fill(world: World, count: int) -> None:
    """Ended tasks, each with an attempt and a result; their pictures are no files."""
    rows = []
    for _ in range(count):
        task = replace(
            new_task(), id=new_task_id(NOW_MS), state=TaskState.COMPLETED, finished_at_ms=NOW_MS, results_expire_at_ms=NOW_MS + RESULTS_MS,
            result_count=1,
        )  # fmt: skip
        attempt = succeeded(new_attempt(task))
        rows.append((replace(task, results=completed(task, 1, attempt).results), attempt))
    for first in range(0, count, 1_000):
        part = rows[first : first + 1_000]

        async def fill(connection: Connection, _: int, part: Sequence[Any] = part) -> None:
            await connection.write(*task_store.added_tasks([(task, 0) for task, _ in part]))
            await connection.write(*attempt_store.added_attempts([attempt for _, attempt in part]))
            await connection.write(*task_store.added_results([task for task, _ in part]))

        await world.database.write(Transact(fill))
