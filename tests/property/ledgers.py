"""The databases that the state machines drive: SQLite as one synchronous call, and PostgreSQL beside it with every outcome compared."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.db.connection import Connection, run_to_end
from gateway.db.migrate import migrate
from gateway.db.postgresql import PostgresqlDatabase
from gateway.db.schema import accounts, attempts, balances, metadata, results, tasks, usage_daily
from gateway.db.sqlite import SqliteConnection, SqliteTransaction
from gateway.db.statements import Statement, any_of, insert_rows
from gateway.db.url import DatabaseUrl, Dialect
from gateway.db.writer import Transact, commit_batch
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.tasks import TaskState
from gateway.ledger.audit import audit
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import Command, Outcome
from tests.property.ledger_model import Row, Triple
from tests.property.ledger_world import ROWS
from tests.property.task_machine import TaskLedger
from tests.property.task_model import AttemptSeen, TaskSeen
from tests.usage_sums import usage_differences

T = TypeVar("T")
_ADD = insert_rows(accounts, ("id", "kind", "name", "parent_id", "budgets", "disabled", "created_at_ms"))
_STATES = Statement(select(tasks.c.id, tasks.c.state).where(any_of(tasks.c.id, "ids")))
_BALANCES = Statement(
    select(
        balances.c.account_id, balances.c.time_window, balances.c.window_start_ms,
        *(balances.c[f"{part}_{unit}"] for part in ("posted", "pending") for unit in ("microcredits", "microusd", "images")),
    )
)  # fmt: skip
_EMPTY = [
    Statement(table.delete())
    for table in reversed(metadata.sorted_tables)
    if table.name != "audit_log"  # append-only, and nothing here writes to it
]
_SEEN_TASKS = Statement(
    select(
        *(
            tasks.c[name]
            for name in (
                "id", "state", "epoch", "owner", "lease_until_ms", "reserved_microcredits", "used_microcredits", "result_count", "error_code",
                "prompt", "erased_at_ms", "cancel_requested", "plan", "cache", "source_id",
            )
        ),
        select(func.min(results.c.blob)).where(results.c.task_id == tasks.c.id).scalar_subquery(),
    )
)  # fmt: skip
_USAGE = Statement(
    select(
        usage_daily.c.account_id,
        *(cast(func.sum(usage_daily.c[name]), BigInteger) for name in ("tasks", "cache_hits", "cache_saved_microusd")),
    ).group_by(usage_daily.c.account_id)
)
_SEEN_ATTEMPTS = Statement(select(*(attempts.c[name] for name in ("id", "state", "cost_microusd", "upstream_ref"))))
Seen = tuple[dict[TaskId, TaskSeen], dict[AttemptId, AttemptSeen]]


async def _add_accounts(connection: Connection, now_ms: int) -> None:
    await connection.write(_ADD, [(*row, "[]", 0, now_ms) for row in ROWS])


async def _empty(connection: Connection, now_ms: int) -> None:
    for statement in _EMPTY:
        await connection.execute(statement)
    await _add_accounts(connection, now_ms)


async def _rows(connection: Connection) -> dict[Row, tuple[Triple, Triple]]:
    found: dict[Row, tuple[Triple, Triple]] = {}
    for account, window, start, *values in await connection.fetch(_BALANCES):
        a, b, c, d, e, f = map(_int, values)
        found[str(account), str(window), _int(start)] = (a, b, c), (d, e, f)
    return found


def _totals(rows: dict[Row, tuple[Triple, Triple]]) -> dict[AccountId, tuple[Triple, Triple]]:
    return {AccountId(account): sums for (account, window, _), sums in rows.items() if window == "total"}


async def _states(connection: Connection, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
    return {TaskId(str(i)): TaskState(str(s)) for i, s in await connection.fetch(_STATES, ids=list(ids))}


async def _seen(connection: Connection) -> Seen:
    now_ms = SystemClock().now_ms()
    seen_tasks: dict[TaskId, TaskSeen] = {}
    for i, state, epoch, owner, lease, reserved, used, count, error, *words in await connection.fetch(_SEEN_TASKS):
        living = _int(lease) > now_ms
        code = None if error is None else str(error)
        seen_tasks[TaskId(str(i))] = (
            str(state), _int(epoch), str(owner), living, _int(reserved), _int(used), _int(count), code,
            (words[0] is not None, words[1] is not None, words[2] == 1),
            tuple(None if one is None else str(one) for one in words[3:]),
        )  # fmt: skip
    return seen_tasks, {
        AttemptId(str(i)): (str(state), _int(cost), None if ref is None else str(ref))
        for i, state, cost, ref in await connection.fetch(_SEEN_ATTEMPTS)
    }


def _int(value: str | int | None) -> int:
    assert isinstance(value, int)
    return value


async def _usage(connection: Connection) -> dict[AccountId, list[int]]:
    return {AccountId(str(account)): list(map(_int, sums)) for account, *sums in await connection.fetch(_USAGE)}


async def _usage_differences(connection: Connection) -> list[str]:
    return await usage_differences(connection, by_day=False)


class SqliteLedger:
    """One file for all runs, emptied before each, on a disk that nobody waits for; no thread, no event loop."""

    dialect = Dialect.SQLITE

    def __init__(self, folder: Path) -> None:
        path = folder / "ledger.db"
        path.touch()
        self._connection = SqliteConnection(path)
        self._connection.command("PRAGMA synchronous=OFF")
        for table in metadata.sorted_tables:
            self._connection.command(str(CreateTable(table).compile(dialect=sqlite_dialect.dialect())))
            for index in table.indexes:
                self._connection.command(str(CreateIndex(index).compile(dialect=sqlite_dialect.dialect())))
        self._transaction = SqliteTransaction(self._connection, SystemClock())

    def close(self) -> None:
        self._connection.close()

    def reset(self) -> None:
        self.run([Transact(_empty)])

    def run(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        return run_to_end(commit_batch(self._transaction, apply, commands))

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        return await query(self._connection)

    def rows(self) -> dict[Row, tuple[Triple, Triple]]:
        return run_to_end(_rows(self._connection))

    def balances(self) -> dict[AccountId, tuple[Triple, Triple]]:
        return _totals(self.rows())

    def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        return run_to_end(_states(self._connection, ids))

    def seen(self) -> Seen:
        return run_to_end(_seen(self._connection))

    def usage(self) -> dict[AccountId, list[int]]:
        return run_to_end(_usage(self._connection))

    def differences(self) -> list[str]:
        found = [str(difference) for difference in run_to_end(audit(self)).differences]
        return found + run_to_end(usage_differences(self._connection, by_day=False))


class PostgresqlLedger:
    """One database for all runs, emptied before each; driven from outside of any event loop."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._database = self._runner.run(self._open(url))

    async def _open(self, url: str) -> PostgresqlDatabase[Command, Outcome]:
        await migrate(DatabaseUrl(url, Dialect.POSTGRESQL))
        database: PostgresqlDatabase[Command, Outcome] = PostgresqlDatabase(url, apply, SystemClock())
        await database.start()
        return database

    def close(self) -> None:
        self._runner.run(self._database.close())
        self._runner.close()

    def reset(self) -> None:
        self._runner.run(self._all([Transact(_empty)]))

    def run(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        return self._runner.run(self._all(commands))

    async def _all(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        outcomes = await asyncio.gather(*map(self._database.write, commands), return_exceptions=True)
        return [outcome if isinstance(outcome, Exception) else _fine(outcome) for outcome in outcomes]

    def rows(self) -> dict[Row, tuple[Triple, Triple]]:
        return self._runner.run(self._database.read(_rows))

    def balances(self) -> dict[AccountId, tuple[Triple, Triple]]:
        return _totals(self.rows())

    def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        return self._runner.run(self._read_states(ids))

    async def _read_states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        return await self._database.read(lambda connection: _states(connection, ids))

    def seen(self) -> Seen:
        return self._runner.run(self._database.read(_seen))

    def usage(self) -> dict[AccountId, list[int]]:
        return self._runner.run(self._database.read(_usage))

    def differences(self) -> list[str]:
        found = [str(difference) for difference in self._runner.run(audit(self._database)).differences]
        return found + self._runner.run(self._database.read(_usage_differences))


class BothLedgers:
    """Every batch on both databases; they must answer and look the same."""

    def __init__(self, first: TaskLedger, second: TaskLedger) -> None:
        self._first, self._second = first, second

    def reset(self) -> None:
        self._first.reset()
        self._second.reset()

    def run(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        first, second = self._first.run(commands), self._second.run(commands)
        assert list(map(_comparable, first)) == list(map(_comparable, second))
        return first

    def rows(self) -> dict[Row, tuple[Triple, Triple]]:
        first, second = self._first.rows(), self._second.rows()
        assert first == second
        return first

    def balances(self) -> dict[AccountId, tuple[Triple, Triple]]:
        return _totals(self.rows())

    def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        first, second = self._first.states(ids), self._second.states(ids)
        assert first == second
        return first

    def seen(self) -> Seen:
        first, second = self._first.seen(), self._second.seen()
        assert first == second
        return first

    def usage(self) -> dict[AccountId, list[int]]:
        first, second = self._first.usage(), self._second.usage()
        assert first == second
        return first

    def differences(self) -> list[str]:
        return self._first.differences() + self._second.differences()


def _comparable(outcome: Outcome | Exception) -> str:
    """Without the times that each database reads from its own clock."""
    return re.sub(r"(finished|ended|erased)_at_ms=\d+", r"\1_at_ms=…", repr(outcome))


def _fine(outcome: object) -> Outcome:
    assert not isinstance(outcome, BaseException)
    return outcome  # type: ignore[return-value]  # the writer answers nothing else


__all__ = ["BothLedgers", "PostgresqlLedger", "SqliteLedger"]
