"""PostgreSQL over asyncpg: one connection for the writer, a small pool for reads.

How it fails: a connection that cannot be made or is lost fails the batch with StorageUnavailable and is made anew for the next one. When it
is lost at COMMIT, `pg_xact_status` is asked on a new connection what became of the transaction (PostgreSQL manual, "Transaction ID and Snapshot
Information Functions"); nobody hears of an outcome before that is known.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import asyncpg

from gateway.db.connection import BulkRows, Connection, Row, StatementFailed
from gateway.db.migrate import APPLICATION, needed_revision
from gateway.db.pulse import Pulse
from gateway.db.statements import BulkStatement, Statement, Together, Value, in_one_text
from gateway.db.url import Dialect
from gateway.db.writer import (
    BATCH_MAX,
    Apply,
    Collided,
    Committed,
    CommitUnknown,
    commit_batch,
    failure_of,
    refuse_when_full,
)
from gateway.domain.clock import Clock
from gateway.domain.errors import StorageUnavailable

log = logging.getLogger(__name__)

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome
T = TypeVar("T")

READERS = 4
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
COMMIT_LOOKUP_S = 30.0
"""How long the fate of a commit is asked for; a server restart takes seconds."""
ROLLBACK_TIMEOUT_S = 2.0
"""A connection that does not even answer a rollback is given up."""
CLOSE_TIMEOUT_S = 10.0
CLOSED = "The gateway's database is closed."
_DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
_OUR_ERRORS = (
    asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.SyntaxOrAccessError, asyncpg.InFailedSQLTransactionError,
)  # fmt: skip
_REMEDIES: Mapping[type[BaseException], str] = {
    asyncpg.DiskFullError: "make room on the server's disk",
    asyncpg.ReadOnlySQLTransactionError: "the config names a standby; name the primary",
    asyncpg.TooManyConnectionsError: "raise the server's max_connections, or run fewer gateways",
    asyncpg.CannotConnectNowError: "the server starts or stops; wait for it",
    asyncpg.AdminShutdownError: "the server was stopped; start it",
    asyncpg.InvalidAuthorizationSpecificationError: "check user and password of `database` in the config",
}
_REMEDY = "see that the server runs, and that the network lets the gateway reach it"
SERVER_SETTINGS = {
    "application_name": APPLICATION + needed_revision(),
    "statement_timeout": "5000",
    "lock_timeout": "3000",
    "idle_in_transaction_session_timeout": "5000",
}
"""In ms. A transaction takes milliseconds: one that does nothing for seconds is a standing process's, and holds rows that all others need."""


_MOMENT = "SELECT pg_current_xact_id()::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a transaction is called, to ask for its fate, and the server's time."""

    xid: str
    at_ms: int


class PostgresqlConnection:
    """A driver connection with our interface."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.raw = raw
        self.moment: _Moment | None = None
        """Of the transaction, once it is known: it comes with an answer that is wanted anyway, or is asked for."""

    async def ask_moment(self) -> "_Moment":
        if self.moment is None:
            [record] = await _translated(self.raw.fetch(_MOMENT))
            self.moment = _Moment(record[0], record[1])
        return self.moment

    async def fetch(self, statement: Statement, **values: Value) -> list[Row]:
        text, ordered = statement.render(Dialect.POSTGRESQL, values)
        records = await _translated(self.raw.fetch(text, *ordered))
        return [tuple(record) for record in records]

    async def fetch_together(self, queries: Together, **values: Value) -> list[list[Row]]:
        text, ordered = queries.statement.render(Dialect.POSTGRESQL, values)
        [record] = await _translated(self.raw.fetch(f"{_MOMENT},{text.removeprefix('SELECT')}", *ordered))
        self.moment = _Moment(record[0], record[1])
        return queries.answers(record[2:])

    async def execute(self, statement: Statement, **values: Value) -> None:
        text, ordered = statement.render(Dialect.POSTGRESQL, values)
        await _translated(self.raw.execute(text, *ordered))

    async def write(self, statement: BulkStatement, rows: BulkRows) -> None:
        await self.write_together([(statement, rows)])

    async def write_together(self, writes: Sequence[tuple[BulkStatement, BulkRows]]) -> None:
        wanted = [(statement, rows) for statement, rows in writes if rows]
        if wanted:
            columns = [list(column) for _, rows in wanted for column in zip(*rows, strict=True)]
            await _translated(self.raw.execute(in_one_text(tuple(statement for statement, _ in wanted)), *columns))


class _PostgresqlTransaction:
    """The writer's transactions, one after the other, on a connection that is made anew when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: PostgresqlConnection | None = None

    @property
    def connection(self) -> PostgresqlConnection:
        if self._connection is None:
            raise AssertionError("no transaction has begun")
        return self._connection

    async def begin(self) -> None:
        if self._connection is None or self._connection.raw.is_closed():
            self._connection = PostgresqlConnection(await _connect(self._url))
        self._connection.moment = None
        await _translated(self._connection.raw.execute("BEGIN ISOLATION LEVEL READ COMMITTED"))

    async def now_ms(self) -> int:
        return (await self.connection.ask_moment()).at_ms

    async def commit(self) -> None:
        xid = (await self.connection.ask_moment()).xid  # known before COMMIT is sent, or its fate could not be asked
        try:
            tag = await self.connection.raw.execute("COMMIT")
        except _DRIVER_ERRORS as exc:
            log.warning("the answer to COMMIT was lost; asking what became of it", exc_info=exc)
            if not await self._was_committed(xid):
                raise _unavailable(exc) from exc
        else:
            if (
                tag != "COMMIT"
            ):  # so does PostgreSQL answer where a statement had failed and somebody went on all the same
                raise StatementFailed(f"the transaction was not committed: {tag}")

    async def rollback(self) -> None:
        """Afterwards the connection is in no transaction, or it is gone: the server rolls back what its client left."""
        connection = self._connection
        if connection is None or connection.raw.is_closed():
            return
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT_S):
                await connection.raw.execute("ROLLBACK")
        except _DRIVER_ERRORS:
            connection.raw.terminate()

    def terminate(self) -> None:
        if self._connection is not None:
            self._connection.raw.terminate()

    async def _was_committed(self, xid: str) -> bool:
        if self._connection is not None:
            self._connection.raw.terminate()
        try:
            async with asyncio.timeout(COMMIT_LOOKUP_S):
                while True:
                    status = await self._status(xid)
                    if status in ("committed", "aborted"):
                        return status == "committed"
                    await asyncio.sleep(0.2)
        except TimeoutError as exc:
            raise CommitUnknown(
                "The gateway's database did not answer; whether the call was recorded is not known.",
                log=f"transaction {xid}",
                retry_after_s=30,
            ) from exc

    async def _status(self, xid: str) -> str | None:
        try:
            raw = await _connect(self._url)
            try:
                status: str | None = await _translated(raw.fetchval("SELECT pg_xact_status($1::text::xid8)", xid))
            finally:
                raw.terminate()
        except StorageUnavailable:
            return None
        return status


class PostgresqlDatabase(Generic[C, O]):
    """A PostgreSQL database, connected."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, url: str, apply: Apply[C, O], clock: Clock, committed: Committed | None = None) -> None:
        self._url = url
        self._apply = apply
        self._committed = committed
        self._clock = clock
        self._queue: deque[tuple[C, asyncio.Future[O]]] = deque()
        self._wake = asyncio.Event()
        self._transaction = _PostgresqlTransaction(url)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.pulse = Pulse(lambda: len(self._queue), self._connections)
        self._task: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._closing = False

    async def start(self) -> None:
        """Connect. Raises StorageUnavailable where that fails."""
        pool = asyncpg.create_pool(
            self._url, min_size=1, max_size=READERS, command_timeout=COMMAND_TIMEOUT_S, timeout=CONNECT_TIMEOUT_S,
            server_settings=SERVER_SETTINGS, statement_cache_size=256, reset=_nothing_to_reset,
        )  # fmt: skip
        self._pool = await _translated(pool)
        self._task = asyncio.get_running_loop().create_task(self._work(), name="postgresql writer")

    async def write(self, command: C) -> O:
        refuse_when_full(len(self._queue))
        if self._closing or self._task is None or self._task.done():
            raise StorageUnavailable(CLOSED, log=self._failure)
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._queue.append((command, future))
        self._wake.set()
        return await future

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        if self._pool is None:
            raise AssertionError("start() was not awaited")
        try:
            return await _translated(_read(self._pool, query))
        except (StorageUnavailable, StatementFailed) as exc:
            self.pulse.read_failed(exc)
            raise

    def _connections(self) -> Mapping[str, int]:
        if self._pool is None:
            return {}
        idle = self._pool.get_idle_size()
        return {"in_use": self._pool.get_size() - idle, "idle": idle}

    def failure(self) -> str | None:
        if self._task is None or self._task.done():
            return "the database writer has ended"
        return self._failure

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT_S)
            if late:  # it answers everyone who still waits, then it ends
                self._task.cancel()
                await asyncio.wait(late, timeout=1)
        self._transaction.terminate()
        if self._pool is not None:
            self._pool.terminate()

    async def _work(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            commands, begun_s = [command for command, _ in batch], self._clock.monotonic_s()
            try:
                outcomes = await commit_batch(self._transaction, self._apply, commands, self._committed)
            except BaseException as exc:
                self._fail(batch, exc)
                if isinstance(exc, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                    raise
                log.critical("the database writer has ended", exc_info=exc)
                return
            self._failure = failure_of(self._failure, outcomes)
            self.pulse.batch(outcomes, len(outcomes), self._clock.monotonic_s() - begun_s)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # its caller has gone
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _fail(self, batch: "list[tuple[C, asyncio.Future[O]]]", exc: BaseException) -> None:
        """A dead writer answers everyone who waits."""
        self._failure = f"the database writer has ended: {exc!r}"
        for _, future in [*batch, *self._queue]:
            if not future.done():
                future.set_exception(StorageUnavailable(CLOSED, log=self._failure))
        self._queue.clear()


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await _translated(
        asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=SERVER_SETTINGS,
            statement_cache_size=256,
        )
    )


async def _nothing_to_reset(_: object) -> None:
    """A read changes nothing of its connection's session: what the pool would ask otherwise is a fourth of a read's round trips."""


async def _read(pool: "asyncpg.Pool[asyncpg.Record]", query: Callable[[Connection], Awaitable[T]]) -> T:
    """One query on one snapshot. Raises what the driver raises: a connection may also break at BEGIN, at the end, or when it is given back."""
    async with (
        pool.acquire(timeout=CONNECT_TIMEOUT_S) as raw,
        raw.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await query(PostgresqlConnection(raw))  # type: ignore[arg-type]  # the pool's proxy behaves as its connection


def _unavailable(exc: BaseException) -> StorageUnavailable:
    remedy = next((text for kind, text in _REMEDIES.items() if isinstance(exc, kind)), _REMEDY)
    kind_of_error = Collided if isinstance(exc, asyncpg.DeadlockDetectedError) else StorageUnavailable
    return kind_of_error(
        "The gateway's database does not answer now. Nothing was accepted; try again.",
        log=f"{exc!r}: {remedy}",
        retry_after_s=5,
    )


async def _translated(awaitable: Awaitable[T]) -> T:
    """Foreign errors become ours, here and nowhere else."""
    try:
        return await awaitable
    except _OUR_ERRORS as exc:
        exc.detail = None  # it quotes the row, and a row may hold a prompt: no log may have that
        raise StatementFailed(str(exc)) from exc
    except _DRIVER_ERRORS as exc:
        raise _unavailable(exc) from exc
