"""Waiting for the end of tasks: who wakes whom, how often the database is asked, and when a wait ends without an end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain.errors import Overloaded, StorageUnavailable, TooManyTasks
from gateway.domain.ids import AccountId, TaskId
from gateway.pipeline import waits as waits_module
from gateway.pipeline.waits import Waits

KEY, OTHER = AccountId("key:acme//ci"), AccountId("key:acme//other")
HERE, FIRST, SECOND = TaskId("task-unified-1-here"), TaskId("task-unified-1-first"), TaskId("task-unified-1-second")


@dataclass
class World:
    """A database that counts its questions, and a runner with one task in its hands."""

    ended: set[TaskId] = field(default_factory=set)
    asked: list[tuple[TaskId, ...]] = field(default_factory=list)
    down: bool = False
    works: dict[TaskId, Any] = field(default_factory=dict)

    async def read(self, query: Callable[[Any], Awaitable[Any]]) -> Any:
        return await query(self)

    async def fetch(self, _: object, *, ids: list[TaskId]) -> list[tuple[TaskId]]:
        self.asked.append(tuple(sorted(ids)))
        if self.down:
            raise StorageUnavailable("no answer")
        return [(task_id,) for task_id in ids if task_id in self.ended]

    def work_of(self, task_id: TaskId) -> Any:
        return self.works.get(task_id)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def waits(world: World) -> Waits:
    return Waits(world, world.work_of)  # type: ignore[arg-type]  # what is used of it


async def begun(
    waits: Waits, task_id: TaskId, account: AccountId = KEY, has_gone: Callable[[], bool] = lambda: False
) -> "asyncio.Task[None]":
    """A caller who waits."""
    before = waits.waiting
    task = asyncio.create_task(waits.until_ended(task_id, account, 3600, has_gone))
    while waits.waiting == before and not task.done():  # noqa: ASYNC110 - it waits for its next turn only
        await asyncio.sleep(0)
    return task


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_question_is_asked_for_everybody(world: World, waits: Waits) -> None:
    """However many wait for however many tasks; each ends with its own task; nothing is asked while nobody waits."""
    await waits.look()
    callers = [await begun(waits, task_id) for task_id in (FIRST, SECOND) for _ in range(50)]
    world.ended = {FIRST}
    await waits.look()
    await settled()
    assert world.asked == [(FIRST, SECOND)]
    assert [caller.done() for caller in callers] == [True] * 50 + [False] * 50
    world.ended = {FIRST, SECOND}
    await waits.look()
    await asyncio.gather(*callers)
    assert waits.waiting == 0


async def test_a_task_that_is_made_here_is_not_asked_about(world: World, waits: Waits) -> None:
    """Its commit wakes at once; one that goes to another process is asked about from then on."""
    ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    world.works[HERE] = SimpleNamespace(ended=ended)
    first, second = await begun(waits, HERE), await begun(waits, HERE)
    await waits.look()
    ended.set_result("its ending")
    await asyncio.gather(first, second)
    assert world.asked == []
    lost: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    world.works[HERE] = SimpleNamespace(ended=lost)
    third = await begun(waits, HERE)
    lost.set_result(None)
    world.works.clear()
    await settled()
    assert not third.done()
    world.ended = {HERE}
    await waits.look()
    await third
    assert world.asked == [(HERE,)]


async def test_a_wait_ends_with_its_time(waits: Waits) -> None:
    """Without a word of the database."""
    await asyncio.wait_for(waits.until_ended(FIRST, KEY, 0.01, lambda: False), 30)
    assert waits.waiting == 0


async def test_a_caller_that_hung_up_is_let_go(waits: Waits) -> None:
    """At the next look; the others of its task wait on."""
    gone = False
    caller, other = await begun(waits, FIRST, has_gone=lambda: gone), await begun(waits, FIRST)
    await waits.look()
    assert not caller.done()
    gone = True
    await waits.look()
    await caller
    assert (other.done(), waits.waiting) == (False, 1)
    other.cancel()


async def test_the_end_of_the_process_wakes_everybody(waits: Waits) -> None:
    """And nobody begins to wait afterwards."""
    callers = [await begun(waits, task_id) for task_id in (FIRST, FIRST, SECOND)]
    waits.end()
    await asyncio.wait_for(asyncio.gather(*callers), 30)
    await asyncio.wait_for(waits.until_ended(FIRST, KEY, 3600, lambda: False), 30)


async def test_a_database_that_does_not_answer_ends_no_wait(
    world: World, waits: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and the wait ends when the database answers again."""
    caller = await begun(waits, FIRST)
    world.down, world.ended = True, {FIRST}
    for _ in range(3):
        await waits.look()
    assert not caller.done()
    assert len(caplog.records) == 1
    world.down = False
    await waits.look()
    await caller


async def test_waiting_callers_are_bounded(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one key, and of all together; who goes makes room."""
    monkeypatch.setattr(waits_module, "WAITERS_OF_KEY_MAX", 2)
    monkeypatch.setattr(waits_module, "WAITERS_MAX", 3)
    callers = [await begun(waits, FIRST), await begun(waits, SECOND)]
    with pytest.raises(TooManyTasks, match="2 calls of this key") as caught:
        await waits.until_ended(FIRST, KEY, 3600, lambda: False)
    assert (caught.value.param, caught.value.retry_after_s) == ("wait", 5)
    callers.append(await begun(waits, FIRST, OTHER))
    with pytest.raises(Overloaded, match="Ask without wait"):
        await waits.until_ended(FIRST, OTHER, 3600, lambda: False)
    callers.pop().cancel()
    await settled()
    callers.append(await begun(waits, FIRST, OTHER))
    assert waits.waiting == 3
    waits.end()
    await asyncio.gather(*callers)


async def test_a_question_has_a_bound(world: World, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """More tasks are asked about in several."""
    monkeypatch.setattr(waits_module, "LOOK_SIZE", 2)
    callers = [await begun(waits, TaskId(f"task-unified-1-{index}")) for index in range(5)]
    await waits.look()
    assert [len(ids) for ids in world.asked] == [2, 2, 1]
    waits.end()
    await asyncio.gather(*callers)
