"""The group writer on SQLite and PostgreSQL: one transaction for all that is queued, and to each its own outcome."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.db import writer
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import BATCH_MAX
from gateway.domain.errors import Overloaded, StorageUnavailable
from tests.numbers import Numbers, Put, Writing, numbers, opened


@pytest.fixture
def writing() -> Writing:
    return Writing()


@pytest.fixture
async def database(database_url: str, writing: Writing) -> AsyncIterator[Numbers]:
    database = await opened(database_url, writing)
    yield database
    await database.close()


class Deadly(BaseException):
    """What no batch survives."""


async def test_what_is_queued_together_is_committed_together(database: Numbers, writing: Writing) -> None:
    """600 at once: every outcome is its command's own, in few transactions, none above the bound."""
    outcomes = await asyncio.gather(*(database.write(Put(value)) for value in range(1, 601)))
    assert outcomes == list(range(1, 601)) == await numbers(database)
    assert sum(writing.sizes) == 600
    assert max(writing.sizes) <= BATCH_MAX
    assert len(writing.sizes) <= 10


@pytest.mark.parametrize("guilty", [Put(7), Put(17, raising=ValueError("a bug"))], ids=["statement", "code"])
async def test_the_guilty_command_stands_alone(database: Numbers, guilty: Put) -> None:
    """A refused statement or a bug in one of 64 commands is heard by its caller alone; all others are written once."""
    await database.write(Put(7))
    commands = [Put(value) for value in range(101, 164)]
    commands.insert(41, guilty)
    outcomes = await asyncio.gather(*map(database.write, commands), return_exceptions=True)
    assert isinstance(outcomes.pop(41), StatementFailed if guilty.value == 7 else ValueError)
    assert outcomes == list(range(101, 164))
    assert await numbers(database) == [7, *range(101, 164)]
    assert database.failure() is None


async def test_two_commands_that_cannot_both_be(database: Numbers) -> None:
    """The same number twice in one batch: the first is written, the second refused, whatever the halving."""
    outcomes = await asyncio.gather(*(database.write(Put(value)) for value in (1, 2, 3, 2)), return_exceptions=True)
    assert outcomes[:3] == [1, 2, 3]
    assert isinstance(outcomes[3], StatementFailed)
    assert await numbers(database) == [1, 2, 3]


async def test_a_miscounted_batch_writes_nothing(database: Numbers, writing: Writing) -> None:
    """Outcomes that do not match their commands are a bug: nobody is told another's outcome."""
    writing.surplus = 1
    outcomes = await asyncio.gather(*(database.write(Put(value)) for value in (1, 2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AssertionError] * 2
    assert await numbers(database) == []


async def test_above_the_bound_commands_are_refused_at_once(database: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue does not grow without end; what waits already is written."""
    monkeypatch.setattr(writer, "COMMANDS_MAX", 5)
    outcomes = await asyncio.gather(*(database.write(Put(value)) for value in range(1, 9)), return_exceptions=True)
    assert outcomes[:5] == [1, 2, 3, 4, 5]
    assert [type(outcome) for outcome in outcomes[5:]] == [Overloaded] * 3
    assert await database.write(Put(9)) == 9


async def test_a_caller_who_gave_up_disturbs_nobody(database: Numbers) -> None:
    """Its command is written, the others hear their outcomes, and the queue's count stays right."""
    tasks = [asyncio.ensure_future(database.write(Put(value))) for value in (1, 2, 3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    assert list(await asyncio.gather(tasks[0], tasks[2])) == [1, 3]
    assert await numbers(database) == [1, 2, 3]


async def test_closing_finishes_what_is_queued(database: Numbers) -> None:
    """Everyone who asked before hears; everyone after is told that it is closed."""
    tasks = [asyncio.ensure_future(database.write(Put(value))) for value in range(1, 51)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*tasks) == list(range(1, 51))
    with pytest.raises(StorageUnavailable):
        await database.write(Put(99))


async def test_a_dead_writer_answers_everyone_and_fails_readiness(database: Numbers) -> None:
    """Nobody waits for ever: those in the batch, those in the queue and those who come later get StorageUnavailable."""
    commands = [Put(1, raising=Deadly()), *(Put(value) for value in range(2, 400))]
    outcomes = await asyncio.wait_for(asyncio.gather(*map(database.write, commands), return_exceptions=True), 30)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    assert "ended" in (database.failure() or "")
    with pytest.raises(StorageUnavailable):
        await database.write(Put(1000))


async def test_a_query_that_fails_is_its_callers(database: Numbers) -> None:
    """Other reads and writes go on."""

    async def broken(connection: Connection) -> None:
        raise LookupError("a bug")

    outcomes = await asyncio.gather(database.read(broken), database.write(Put(1)), return_exceptions=True)
    assert isinstance(outcomes[0], LookupError)
    assert outcomes[1] == 1
    assert await numbers(database) == [1]
