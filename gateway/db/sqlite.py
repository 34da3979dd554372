"""SQLite: one process, one connection, one thread that does everything.

A lock file beside the database refuses a second process, so a process that holds it knows that every earlier owner is dead. Commits are
durable (WAL, synchronous=FULL). How it fails: a full disk or an I/O error fails the batch with StorageUnavailable and the next one tries
again; a thread that dies fails readiness and every waiting call.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson

from gateway.db.connection import BulkRows, Connection, Row, StatementFailed, run_to_end
from gateway.db.pulse import Pulse
from gateway.db.statements import BulkStatement, Statement, Together, Value
from gateway.db.url import Dialect
from gateway.db.writer import BATCH_MAX, Apply, Committed, commit_batch, failure_of, refuse_when_full
from gateway.domain.clock import Clock
from gateway.domain.errors import StorageUnavailable

log = logging.getLogger(__name__)

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome
T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
CHECKPOINT_PAGES = 4000
"""16 MB of log before it is brought into the file: the same pages are written over and over, so four times as long costs a quarter as much."""
ROWS_AT_ONCE, ROWS_EXACTLY = 32, 16
"""So many rows are inserted by one statement; of those left, up to so many by one that is made for their number. Each run of a statement hands the
interpreter to the event loop, which may keep it for a while, and within one the database works beside it. Every number's statement stays prepared."""
CLOSED = "The gateway's database is closed."
REFUSED = "The gateway's database cannot be written now. Nothing was accepted; try again."
_STATEMENT_CODES = {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_RANGE}
"""Primary result codes that are the statement's fault; all others are the storage's."""
_REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for the gateway",
    sqlite3.SQLITE_BUSY: "another process holds a lock on the file; end what it does",
    sqlite3.SQLITE_CANTOPEN: "look at its folder's permissions and the limit of open files",
    sqlite3.SQLITE_CORRUPT: "stop the gateway and restore a backup",
    sqlite3.SQLITE_NOTADB: "stop the gateway and restore a backup",
}
_REMEDY = "look at its disk, the space on it, and the kernel's log"


class DatabaseLocked(Exception):
    """Another process has this SQLite file open."""


class SqliteLock:
    """The right to open one SQLite file, held from `acquire` until `release` or the end of the process."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Raises DatabaseLocked where another process holds it, OSError where the folder cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(file)
            raise DatabaseLocked(f"{self.path} is held by a running gateway") from exc
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class SqliteConnection:
    """The one connection; used only in its thread."""

    dialect = Dialect.SQLITE

    def __init__(self, path: Path) -> None:
        self._path, self._log_path = path, path.with_name(path.name + "-wal")
        self._reopening = False
        self._open()

    def _open(self) -> None:
        self._raw = sqlite3.connect(self._path, isolation_level=None, cached_statements=512, check_same_thread=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "secure_delete=ON",  # what is erased must not stay in the file's unused parts
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        ):
            self._raw.execute(f"PRAGMA {pragma}")
        self._raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the log, too
        self._has_log = self._raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        self._file = _identity(self._path)

    async def fetch(self, statement: Statement, **values: Value) -> list[Row]:
        text, ordered = statement.render(Dialect.SQLITE, values)
        return self._run(lambda: self._raw.execute(text, [_encode(value) for value in ordered]).fetchall())

    async def fetch_together(self, queries: Together, **values: Value) -> list[list[Row]]:
        [row] = await self.fetch(queries.statement, **values)
        return queries.answers(row)

    async def execute(self, statement: Statement, **values: Value) -> None:
        text, ordered = statement.render(Dialect.SQLITE, values)
        self._run(lambda: self._raw.execute(text, [_encode(value) for value in ordered]))

    async def write(self, statement: BulkStatement, rows: BulkRows) -> None:
        if statement.sqlite_rows_text is None or len(rows) == 1:
            if rows:
                self._run(lambda: self._raw.executemany(statement.sqlite_text, rows))
            return
        left = rows
        while left:
            size = ROWS_AT_ONCE if len(left) >= ROWS_AT_ONCE else min(len(left), ROWS_EXACTLY)
            self._execute(statement.sqlite_rows_text(size), [value for row in left[:size] for value in row])
            left = left[size:]

    def _execute(self, text: str, values: list[str | int | None]) -> None:
        self._run(lambda: self._raw.execute(text, values))

    async def write_together(self, writes: Sequence[tuple[BulkStatement, BulkRows]]) -> None:
        for statement, rows in writes:
            await self.write(statement, rows)

    def command(self, text: str) -> None:
        """BEGIN, COMMIT and the like."""
        self._run(lambda: self._raw.execute(text))

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    def missing(self) -> str | None:
        """Why what is written now would not be found again; None while the open file is the one at its path."""
        try:
            found = _identity(self._path)
        except OSError as exc:
            return f"{self._path} is gone while it is open ({exc.strerror}): put the same file back"
        if found != self._file:
            return f"{self._path} is not the file that is open: put that one back, or restart to use this one"
        return None

    def assert_in_place(self) -> None:
        """Raises StorageUnavailable. A removed log is made anew: what only it held is brought into the file by closing that."""
        missing = self.missing()
        if missing is not None:
            raise StorageUnavailable(REFUSED, log=missing, retry_after_s=5)
        if self._reopening or (self._has_log and not self._log_path.exists()):
            self._make_log_anew()

    def _make_log_anew(self) -> None:
        """Tried until it succeeds. What only the removed log holds is in the file before that log is closed."""
        if not self._reopening:
            log.error("the database's log was removed: it is made anew", extra={"path": str(self._log_path)})
            busy, *_ = self._run(lambda: self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
            if busy:
                raise StorageUnavailable(REFUSED, log=f"{self._log_path} was removed: {_REMEDIES[sqlite3.SQLITE_BUSY]}")
        self._reopening = True
        self._run(self._raw.close)
        self._run(self._open)
        self._reopening = False

    def close(self) -> None:
        self._raw.close()

    def _run(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except sqlite3.Error as exc:
            code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _STATEMENT_CODES:
                raise StatementFailed(str(exc)) from exc
            raise StorageUnavailable(REFUSED, log=f"{exc}: {_REMEDIES.get(code, _REMEDY)}", retry_after_s=5) from exc


class SqliteTransaction:
    def __init__(self, connection: SqliteConnection, clock: Clock) -> None:
        self.connection: SqliteConnection = connection
        self._clock = clock
        self._begun_at_ms = 0

    async def begin(self) -> None:
        self.connection.assert_in_place()
        self.connection.command("BEGIN IMMEDIATE")
        self._begun_at_ms = self._clock.now_ms()

    async def now_ms(self) -> int:
        return self._begun_at_ms

    async def commit(self) -> None:
        self.connection.command("COMMIT")

    async def rollback(self) -> None:
        if self.connection.in_transaction:
            try:
                self.connection.command("ROLLBACK")
            except (StorageUnavailable, StatementFailed) as exc:  # SQLite has rolled back by itself after an I/O error
                log.warning("a rollback failed", exc_info=exc)


@dataclass(slots=True)
class _Write(Generic[C, O]):
    command: C
    future: "asyncio.Future[O]"


@dataclass(slots=True)
class _Read(Generic[T]):
    query: Callable[[Connection], Awaitable[T]]
    future: "asyncio.Future[T]"


class SqliteDatabase(Generic[C, O]):
    """A SQLite file, open. Made inside the event loop whose callers it serves."""

    dialect = Dialect.SQLITE

    def __init__(
        self, path: Path, lock: SqliteLock, apply: Apply[C, O], clock: Clock, committed: Committed | None = None
    ) -> None:
        self._path = path
        self._lock = lock
        self._apply = apply
        self._committed = committed
        self._clock = clock
        self._queue: queue.SimpleQueue[_Write[C, O] | _Read[object] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self.pulse = Pulse(lambda: self._waiting)
        self._failure: str | None = None
        self._missing: str | None = None
        """Reads go on in a file that is gone, but show that it is."""
        self._closed = False
        self._dead = False
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="sqlite", daemon=True)

    async def start(self) -> None:
        """Open the file. Raises sqlite3.Error where that fails."""
        self._thread.start()
        await self._started

    async def write(self, command: C) -> O:
        refuse_when_full(self._waiting)
        future: asyncio.Future[O] = self._loop.create_future()
        self._put(_Write(command, future))
        return await future

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        refuse_when_full(self._waiting)
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Read(query, future))  # type: ignore[arg-type]  # the queue is heterogeneous; each future gets its own query's answer
        return await future

    def failure(self) -> str | None:
        if not self._thread.is_alive():
            return self._failure or "the database thread has ended"
        return self._missing or self._failure

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, 10)
            self._lock.release()

    def _put(self, item: "_Write[C, O] | _Read[object]") -> None:
        if self._closed or self._dead:
            raise StorageUnavailable(CLOSED, log=self._failure)
        self._waiting += 1
        self._queue.put(item)

    def _work(self) -> None:
        """The thread: gather what is queued, commit the writes together, answer the reads."""
        try:
            connection = SqliteConnection(self._path)
        except sqlite3.Error as exc:
            self._tell(self._started.set_exception, exc)
            return
        self._tell(self._started.set_result, None)
        transaction, items = SqliteTransaction(connection, self._clock), self._gather()
        try:
            while True:
                self._missing = connection.missing()
                writes = [item for item in items if isinstance(item, _Write)]
                if writes:
                    commands = [write.command for write in writes]
                    begun_s = self._clock.monotonic_s()
                    outcomes = run_to_end(commit_batch(transaction, self._apply, commands, self._committed))
                    self._failure = failure_of(self._failure, outcomes)
                    futures = [write.future for write in writes]
                    self._tell(self._written, (futures, outcomes, self._clock.monotonic_s() - begun_s))
                for item in items:
                    if isinstance(item, _Read):
                        self._tell(self._answered, (item.future, self._read(connection, item)))
                if items[-1] is None:
                    return
                items = self._gather()
        except BaseException as exc:  # whatever it is, everyone who waits must hear of it
            log.critical("the database thread has ended", exc_info=exc)
            self._tell(self._died, (items, exc))
        finally:
            connection.close()

    def _gather(self) -> "list[_Write[C, O] | _Read[object] | None]":
        """What is queued, at least one; None, at the end of it, means the end."""
        items = [self._queue.get()]
        while len(items) < BATCH_MAX and items[-1] is not None:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return items

    def _died(self, left: "tuple[list[_Write[C, O] | _Read[object] | None], BaseException]") -> None:
        """A dead thread answers everyone who waits. Runs on the event loop, like `_put`, so nobody is missed between the two."""
        items, exc = left
        self._failure, self._dead = f"the database thread has ended: {exc!r}", True
        while not self._queue.empty():
            items.append(self._queue.get_nowait())
        for item in items:
            if item is not None and not item.future.done():
                item.future.set_exception(StorageUnavailable(CLOSED, log=self._failure))

    def _read(self, connection: SqliteConnection, item: _Read[T]) -> T | Exception:
        try:
            return run_to_end(item.query(connection))  # type: ignore[arg-type]  # queries are coroutine functions
        except Exception as exc:  # noqa: BLE001 - whatever a query raises belongs to its caller, not to this thread
            return exc

    def _written(self, batch: "tuple[list[asyncio.Future[O]], list[O | Exception], float]") -> None:
        """On the event loop, like `_answered`."""
        futures, outcomes, took_s = batch
        self._waiting -= len(futures)
        self.pulse.batch(outcomes, len(outcomes), took_s)
        for future, outcome in zip(futures, outcomes, strict=True):
            _set(future, outcome)

    def _answered(self, read: "tuple[asyncio.Future[Any], object]") -> None:
        future, answer = read
        self._waiting -= 1
        if isinstance(answer, Exception):
            self.pulse.read_failed(answer)
        _set(future, answer)

    def _tell(self, function: Callable[..., object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("an answer of the database came after the end of the event loop")


def _set(future: "asyncio.Future[Any]", answer: object) -> None:
    if future.done():
        return  # its caller has gone
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _encode(value: Value) -> str | int | None:
    return value if value is None or isinstance(value, (str, int)) else orjson.dumps(list(value)).decode()
