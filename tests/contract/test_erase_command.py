"""The command that erases, in batches with others, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.db.connection import Connection
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.money import NOTHING
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.commands import Accepted, Finish, Finished, Lost
from gateway.pipeline.erasure import ERASED_TEXT
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase, Erased, NotErased
from tests.books import (
    CREDIT,
    KEY,
    ORG,
    RATE,
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

REQUEST = '{"model":"m","prompt":"","n":2,"size":"1024x1024","options":[["user","\\"someone\\""]]}'


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Gateway]:
    opened_one = await opened(database_url)
    yield opened_one
    await opened_one.close()


async def accepted(database: Gateway) -> tuple[Task, Attempt]:
    task = replace(new_task(), request_json=REQUEST)
    attempt = new_attempt(task)
    assert isinstance(await database.write(accept(task, 3, attempts=(attempt,))), Accepted)
    return task, attempt


async def kept(database: Gateway, task_id: TaskId) -> tuple[Task, list[Attempt]]:
    [task] = await database.read(lambda connection: task_store.read_tasks(connection, [task_id]))
    return task, await database.read(lambda connection: attempt_store.read_attempts(connection, [task_id]))


async def test_in_the_batch_of_its_end(database: Gateway) -> None:
    """Ended and erased at once, and once more: nothing of the end's words is written after the erasure, the money is."""
    task, attempt = await accepted(database)
    ended, erased, again = await asyncio.gather(
        database.write(completed(task, 2, replace(succeeded(attempt), message="it said: a cat"))),
        database.write(Erase(task.id, KEY)),
        database.write(Erase(task.id)),
    )
    assert isinstance(ended, Finished)
    assert isinstance(erased, Erased)
    assert isinstance(again, Erased)
    assert erased.task.erased_at_ms == again.task.erased_at_ms
    found, attempts = await kept(database, task.id)
    assert (found.prompt, found.results, found.result_count) == (None, (), 1)
    assert (found.erased_at_ms, found.used_microcredits) == (erased.task.erased_at_ms, 2 * CREDIT)
    assert "someone" not in found.request_json
    assert "1024x1024" in found.request_json
    assert [each.message for each in attempts] == [None]
    assert (await balance(database, ORG))[0].microcredits == 2 * CREDIT
    assert await clean(database)


async def test_what_comes_late_writes_nothing_back(database: Gateway) -> None:
    """A worker that gives its end again after the erasure is told that it lost the task."""
    task, attempt = await accepted(database)
    error = TaskError(TaskErrorCode.SERVICE_ERROR, "a cat was too much")
    failed = replace(attempt, state=AttemptState.FAILED, ended_at_ms=1, message="no cats")
    finish = Finish(task.id, 1, TaskState.FAILED, RATE, NOTHING, ended=(failed,), error=error, path=task.path)
    await database.write(finish)
    assert isinstance(await database.write(Erase(task.id, KEY)), Erased)
    assert isinstance(await database.write(replace(finish, repeated=True)), Lost)
    found, attempts = await kept(database, task.id)
    assert found.error == TaskError(TaskErrorCode.SERVICE_ERROR, ERASED_TEXT)
    assert [each.message for each in attempts] == [None]


async def test_whose_and_when(database: Gateway) -> None:
    """Neither a stranger's, nor one under way, nor one that never was; and what is written besides is written the first time alone."""
    task, attempt = await accepted(database)
    seen: list[int] = []

    async def also(_: Connection, at_ms: int) -> None:
        seen.append(at_ms)

    assert await database.write(Erase(task.id, KEY, also)) == NotErased(TaskState.PROCESSING)
    await database.write(completed(task, 2, succeeded(attempt)))
    assert await database.write(Erase(task.id, AccountId("key:acme/design/other"), also)) == NotErased(None)
    assert await database.write(Erase(new_task().id, None, also)) == NotErased(None)
    assert (await kept(database, task.id))[0].prompt == task.prompt
    first = await database.write(Erase(task.id, None, also))
    assert await database.write(Erase(task.id, None, also)) == first
    assert len(seen) == 1
    assert await database.read(lambda connection: task_store.read_erasing(connection, 10)) == [task.id]
