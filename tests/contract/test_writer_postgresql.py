"""A PostgreSQL that breaks, is silent, or is restarted: nobody hears a wrong outcome, and the gateway recovers by itself."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.db import postgresql
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import CommitUnknown
from gateway.domain.errors import StorageUnavailable
from tests.numbers import Numbers, Put, Writing, numbers, opened
from tests.tcp_proxy import Cut, Proxy

MARKED = "SELECT 1 AS marked"


@pytest.fixture
async def proxy(postgresql_database: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(postgresql_database)
    yield proxy
    await proxy.stop()


@pytest.fixture
async def database(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Numbers]:
    monkeypatch.setattr(postgresql, "COMMAND_TIMEOUT_S", 2.0)
    monkeypatch.setattr(postgresql, "ROLLBACK_TIMEOUT_S", 0.2)
    database = await opened(await proxy.start(), Writing())
    yield database
    await database.close()


async def until_written(database: Numbers, value: int) -> None:
    """Try as a caller would."""
    async with asyncio.timeout(30):
        while True:
            try:
                await database.write(Put(value))
                return
            except StorageUnavailable:
                await asyncio.sleep(0.05)


async def test_a_commit_whose_answer_was_lost_is_found(database: Numbers, proxy: Proxy) -> None:
    """It arrived: both callers hear their outcomes, no error, and nothing is written twice."""
    proxy.cut = Cut.AFTER
    assert list(await asyncio.gather(database.write(Put(1)), database.write(Put(2)))) == [1, 2]
    assert proxy.happened.is_set()
    assert await database.write(Put(3)) == 3
    assert await numbers(database) == [1, 2, 3]
    assert database.failure() is None


async def test_a_commit_that_never_arrived_is_an_error(database: Numbers, proxy: Proxy) -> None:
    """The caller hears that nothing was written, which is true, and may try again."""
    proxy.cut = Cut.BEFORE
    with pytest.raises(StorageUnavailable) as caught:
        await database.write(Put(1))
    assert not isinstance(caught.value, CommitUnknown)
    assert await numbers(database) == []
    assert await database.write(Put(1)) == 1


@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.BEFORE])
async def test_nobody_hears_anything_before_the_fate_is_known(database: Numbers, proxy: Proxy, cut: Cut) -> None:
    """While the server cannot be asked, the caller waits; then it hears what is true."""
    proxy.cut, caller = cut, asyncio.ensure_future(database.write(Put(1)))
    await proxy.happened.wait()
    proxy.refusing = True
    await asyncio.sleep(0.5)
    assert not caller.done()
    proxy.refusing = False
    [outcome] = await asyncio.gather(caller, return_exceptions=True)
    assert (outcome == 1) == (cut is Cut.AFTER)
    assert await numbers(database) == ([1] if cut is Cut.AFTER else [])


async def test_a_fate_that_nobody_tells_in_time_is_unknown(
    database: Numbers, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears exactly that; afterwards the writer goes on."""
    monkeypatch.setattr(postgresql, "COMMIT_LOOKUP_S", 0.4)
    proxy.cut, caller = Cut.AFTER, asyncio.ensure_future(database.write(Put(1)))
    await proxy.happened.wait()
    proxy.refusing = True
    with pytest.raises(CommitUnknown):
        await caller
    proxy.refusing = False
    await until_written(database, 2)
    assert await numbers(database) == [1, 2]


@pytest.mark.parametrize("marked", [b"BEGIN", b"marked", b"COMMIT\0"])
async def test_a_silent_server_is_given_up(database: Numbers, proxy: Proxy, marked: bytes) -> None:
    """A connection that neither answers nor breaks costs one time-out, not the writer: the next call uses a new one."""
    proxy.marked, proxy.cut = marked, Cut.SILENCE
    async with asyncio.timeout(30):
        [outcome] = await asyncio.gather(database.write(Put(1, then=MARKED)), return_exceptions=True)
        assert isinstance(outcome, StorageUnavailable)
        assert await database.write(Put(2)) == 2
    assert await numbers(database) == [2]


async def test_a_restarted_server_is_found_again(database: Numbers, proxy: Proxy) -> None:
    """Reads and writes fail with StorageUnavailable and nothing else while it is away, and work when it is back."""
    await database.write(Put(1))
    proxy.refusing = True
    proxy.break_all()
    calls = [call for value in range(2, 12) for call in (database.write(Put(value)), numbers(database))]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, StorageUnavailable)
    assert database.failure() is not None
    proxy.refusing = False
    await until_written(database, 100)
    assert database.failure() is None
    assert await numbers(database) == [1, 100]


async def test_connections_ended_by_the_server_leave_as_unavailable(
    database: Numbers, postgresql_database: str
) -> None:
    """An administrator's shutdown hits reads at BEGIN, within, or at their end: never as a foreign exception."""
    admin = await asyncpg.connect(postgresql_database)
    for value in range(1, 21):
        calls = [asyncio.ensure_future(call) for call in (numbers(database), database.write(Put(value)))]
        await admin.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        outcomes = await asyncio.gather(*calls, numbers(database), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert all(isinstance(failure, StorageUnavailable) for failure in failures), failures
    await admin.close()
    await until_written(database, 100)
    assert (await numbers(database))[-1] == 100


async def test_a_read_whose_connection_breaks_within(database: Numbers, proxy: Proxy) -> None:
    """Between two of its queries: StorageUnavailable, and the pool has a connection for the next."""

    async def slow(connection: Connection) -> None:
        proxy.break_all()
        await asyncio.sleep(0.05)

    with pytest.raises(StorageUnavailable):
        await database.read(slow)
    assert await numbers(database) == []


async def test_an_error_that_was_swallowed_inside_is_no_commit(database: Numbers) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK, without an error; the caller must not hear of success."""
    with pytest.raises(StatementFailed):
        await database.write(Put(1, then="SELECT 1/0", swallowing=True))
    assert await numbers(database) == []


async def test_a_constraint_says_nothing_of_the_row(database: Numbers) -> None:
    """The detail of such an error quotes values, which may be a prompt: it is not kept anywhere."""
    await database.write(Put(123_456_789))
    with pytest.raises(StatementFailed) as caught:
        await database.write(Put(123_456_789))
    assert "numbers_pkey" in str(caught.value)
    assert "123456789" not in f"{caught.value} {caught.value.__cause__}"


async def test_closing_does_not_wait_for_a_silent_server(
    database: Numbers, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever still waits is answered, and the end comes."""
    monkeypatch.setattr(postgresql, "CLOSE_TIMEOUT_S", 0.2)
    proxy.marked, proxy.cut = b"marked", Cut.SILENCE
    caller = asyncio.ensure_future(database.write(Put(1, then=MARKED)))
    await proxy.happened.wait()
    async with asyncio.timeout(8):  # a command's time-out is ten seconds
        await database.close()
        with pytest.raises(StorageUnavailable):
            await caller
