"""What only a SQLite file can do: be full, be read-only, be opened twice; and what its thread must survive."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.db.connection import Connection, run_to_end
from gateway.db.engine import open_database
from gateway.db.sqlite import DatabaseLocked, SqliteLock
from gateway.db.url import parse_database_url
from gateway.db.writer import Database, Now
from gateway.domain.clock import SystemClock
from gateway.domain.errors import StorageUnavailable
from tests.numbers import Numbers, Put, Writing, numbers, opened

FILLING = "INSERT INTO numbers VALUES (-{}, hex(randomblob(60000)))"


@pytest.fixture
async def database(empty_sqlite_database: str) -> AsyncIterator[Numbers]:
    database = await opened(empty_sqlite_database, Writing())
    yield database
    await database.close()


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The system itself refuses longer writes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def largest_file(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.iterdir())


async def test_a_file_that_cannot_grow_refuses_the_batch_and_recovers(database: Numbers) -> None:
    """SQLITE_FULL: StorageUnavailable, readiness says why, nothing is written; with room again the next write works."""
    await database.write(Put(1, then="PRAGMA max_page_count=20"))
    with pytest.raises(StorageUnavailable):
        await database.write(Put(2, then=FILLING.format(1)))
    assert "full" in (database.failure() or "")
    assert await numbers(database) == [1]
    # A small one still fits; that alone shows that the database can be written.
    assert await database.write(Put(3, then="PRAGMA max_page_count=10000")) == 3
    assert database.failure() is None
    assert await database.write(Put(4, then=FILLING.format(2))) == 4


async def test_a_write_that_the_system_refuses(database: Numbers, tmp_path: Path) -> None:
    """An I/O error from the disk fails that batch alone; the file is whole afterwards."""
    with files_no_larger_than(largest_file(tmp_path) + 50_000):
        with pytest.raises(StorageUnavailable):
            await database.write(Put(1, then=FILLING.format(1)))
        assert database.failure() is not None
    assert await database.write(Put(2)) == 2
    assert database.failure() is None
    await database.close()
    with sqlite3.connect(tmp_path / "gateway.db") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("SELECT value FROM numbers WHERE value > 0").fetchall() == [(2,)]
    file.close()


async def test_a_read_only_file_is_unavailable_not_broken(database: Numbers) -> None:
    """SQLITE_READONLY is the storage's fault: nobody is told that the command was bad, reads go on."""
    await database.write(Put(1, then="PRAGMA query_only=ON"))
    outcomes = await asyncio.gather(*(database.write(Put(value)) for value in (2, 3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
    assert await numbers(database) == [1]


async def test_a_command_that_waits_for_something_else_is_refused_alone(empty_sqlite_database: str) -> None:
    """It would hold up the one thread; the batch is rolled back and the others are written."""

    async def apply(connection: Connection, commands: Sequence[int], now: Now) -> Sequence[int]:
        if 3 in commands:
            await asyncio.sleep(0)
        return commands

    url = parse_database_url(empty_sqlite_database)
    lock = SqliteLock(url.path)
    lock.acquire()
    database: Database[int, int] = await open_database(url, apply, SystemClock(), lock)
    outcomes = await asyncio.gather(*map(database.write, range(6)), return_exceptions=True)
    assert isinstance(outcomes.pop(3), RuntimeError)
    assert outcomes == [0, 1, 2, 4, 5]
    assert database.failure() is None
    await database.close()


def test_a_coroutine_that_waits_is_told_so() -> None:
    """The error appears where it waits, and leaves if nobody handles it."""

    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited"):
        run_to_end(waits())


def test_a_file_is_opened_by_one_process(tmp_path: Path) -> None:
    """The lock is refused while it is held, and free after release; releasing twice is harmless."""
    first, second = SqliteLock(tmp_path / "gateway.db"), SqliteLock(tmp_path / "gateway.db")
    first.acquire()
    with pytest.raises(DatabaseLocked):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


async def test_what_is_no_database_is_refused_at_opening(tmp_path: Path) -> None:
    """The caller of start hears of it, and does not wait for ever."""
    path = tmp_path / "gateway.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        await opened(f"sqlite:///{path}", Writing())
