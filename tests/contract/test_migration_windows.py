"""From a database without calendar windows: what was in flight, in doubt or held before ends right afterwards, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from gateway.db import migrate as migrations
from gateway.db.connection import Connection
from gateway.db.schema import metadata
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, AttemptId, TaskId
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, TaskState
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.audit import audit
from gateway.pipeline.commands import Cancel, Finish, Finished, RecordAttempts, Recorded
from gateway.tasks import attempt_store
from tests.books import KEY, ORG, RATE, TEAM, UPSTREAM, Gateway, accept, balance, clean, completed, new_task, opened
from tests.earlier_schemas import run_on, upgrade_to
from tests.property.ledger_model import began, moment

LONE = AccountId("key:acme//lone")
BEFORE = "0002"
SENT_MS = moment("2026-10-31T23:59:59")
"""A Saturday, the last second of a month: the migration must find the windows of then, not of now."""
ACCOUNTS = (
    (ORG, "org", None), (TEAM, "team", ORG), (KEY, "key", TEAM), (LONE, "key", ORG), (UPSTREAM, "upstream", None), (OURS_ACCOUNT_ID, "ours", None),
)  # fmt: skip
PATHS = {KEY: (KEY, TEAM, ORG), LONE: (LONE, ORG)}
HELD, CHARGED = (5_000_000, 70_000, 1), (3_000_000, 40_000, 1)
Sums = tuple[int, int, int]
NONE: Sums = (0, 0, 0)


@dataclass
class Old:
    """A task as the version before left it. Attempts: state and presumed cost; what is final cost as much."""

    name: str
    key: AccountId
    state: str
    attempts: tuple[tuple[str, int], ...] = ()

    @property
    def id(self) -> TaskId:
        return TaskId(f"task-unified-{self.name}")

    def attempt_id(self, number: int) -> AttemptId:
        return AttemptId(f"att_{self.name}_{number}")


OLD = (
    Old("waiting3", KEY, "pending"), Old("waiting2", LONE, "pending"),
    Old("open3", KEY, "processing", (("failed", 100), ("sending", 1000))),
    Old("open2", LONE, "processing", (("submitted", 2000), ("sending", 3000))),
    Old("doubt3", KEY, "processing", (("unknown", 400), ("sending", 500))),
    Old("doubt2", LONE, "failed", (("unknown", 7000),)),
    Old("done3", KEY, "completed", (("succeeded", 900),)), Old("done2", LONE, "cancelled"),
)  # fmt: skip


class _OldBooks:
    """Rows as the version before wrote them, by the columns that the tables had."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection, self._tables = connection, sa.MetaData()
        self._tables.reflect(connection)
        self._sums: dict[AccountId, list[Sums]] = {}

    def add(self, table: str, **values: object) -> None:
        columns = self._tables.tables[table].c
        rest = {c.name: 0 if isinstance(c.type, sa.BigInteger | sa.Integer) else "" for c in columns if not c.nullable}
        if table == "entries":
            del rest["id"]
        self._connection.execute(self._tables.tables[table].insert(), rest | values)

    def post(
        self, account: AccountId, kind: str, task: TaskId, posted: Sums, pending: Sums, attempt: str | None = None
    ) -> None:
        self.add(
            "entries", account_id=account, task_id=task, attempt_id=attempt, kind=kind, at_ms=SENT_MS, **_columns("posted", posted),
            **_columns("pending", pending),
        )  # fmt: skip
        sums = self._sums.setdefault(account, [NONE, NONE])
        sums[0], sums[1] = _plus(sums[0], posted), _plus(sums[1], pending)

    def save_balances(self) -> None:
        for account, *_ in ACCOUNTS:
            posted, pending = self._sums.get(account, [NONE, NONE])
            self.add(
                "balances", account_id=account, time_window="total", **_columns("posted", posted), **_columns("pending", pending)
            )  # fmt: skip


def _columns(prefix: str, sums: Sums) -> dict[str, object]:
    return dict(zip((f"{prefix}_{unit}" for unit in ("microcredits", "microusd", "images")), sums, strict=True))


def _plus(a: Sums, b: Sums) -> Sums:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _minus(a: Sums) -> Sums:
    return -a[0], -a[1], -a[2]


def _fill(connection: sa.Connection) -> None:
    upgrade_to(connection, BEFORE)
    books = _OldBooks(connection)
    for account, kind, parent in ACCOUNTS:
        books.add("accounts", id=account, kind=kind, name=account, parent_id=parent, budgets='["100credits/total"]')
    for old in OLD:
        _fill_task(books, old)
    books.save_balances()


def _fill_task(books: _OldBooks, old: Old) -> None:
    path, final = PATHS[old.key], old.state in ("completed", "failed", "cancelled")
    charged = CHARGED if old.state == "completed" else NONE
    books.add(
        "tasks", id=old.id, account_id=old.key, path=orjson.dumps(path).decode(), state=old.state, contract="task", model="m", n=1, user_group="g",
        created_at_ms=SENT_MS, deadline_at_ms=SENT_MS, finished_at_ms=SENT_MS if final else None, reserved_microcredits=HELD[0],
        request="{}", plan="", owner="run_a", epoch=1,
    )  # fmt: skip
    books.add(
        "holds", task_id=old.id, path=orjson.dumps(path).decode(), **_columns("held", HELD), **_columns("settled", charged),
        state=("settled" if charged != NONE else "released") if final else "pending", created_at_ms=SENT_MS,
        ended_at_ms=SENT_MS if final else None,
    )  # fmt: skip
    for account in path:
        books.post(account, "hold", old.id, NONE, HELD)
        if final:
            books.post(account, "settle" if charged != NONE else "release", old.id, charged, _minus(HELD))
    for number, (state, presumed) in enumerate(old.attempts):
        attempt_id, over = old.attempt_id(number), state in ("succeeded", "failed")
        books.add(
            "attempts", id=attempt_id, task_id=old.id, offer_id="openai/m", upstream="openai", n=1, state=state, presumed_cost_microusd=presumed,
            sent_at_ms=SENT_MS, ended_at_ms=None if state in ("sending", "submitted") else SENT_MS, cost_microusd=presumed if over else 0,
        )  # fmt: skip
        books.post(UPSTREAM, "send", old.id, NONE, (0, presumed, 0), attempt_id)
        if over:
            books.post(UPSTREAM, "paid", old.id, (0, presumed, 0), (0, -presumed, 0), attempt_id)


def _unfinished() -> Iterator[Old]:
    return (old for old in OLD if old.state in ("pending", "processing"))


async def _attempts(database: Gateway, old: Old) -> list[Attempt]:
    return await database.read(lambda connection: attempt_store.read_attempts(connection, [old.id]))


def _paid(attempt: Attempt, cost: int) -> Attempt:
    return replace(attempt, state=AttemptState.SUCCEEDED, ended_at_ms=1, cost_microusd=cost, images=1)


async def _resolve(database: Gateway, attempt: Attempt, cost: int) -> None:
    """What was in doubt is known at last."""

    async def write(connection: Connection, now_ms: int) -> None:
        books = ledger_store.load_books(await ledger_store.lock_balances(connection, [UPSTREAM]), [], [], [])
        presumed = attempt.presumed_cost_microusd
        decide.pay(books, UPSTREAM, attempt.task_id, attempt.id, presumed, cost, attempt.sent_at_ms, now_ms)
        for statement, rows in ledger_store.changes(books):
            await connection.write(statement, rows)

    assert await database.write(Transact(write)) == Recorded()


async def test_everything_from_before_ends_right_after_the_migration(empty_database_url: str) -> None:
    """Holds on two and three accounts, attempts in flight and in doubt: clean right after it, nothing left pending at the end, in any window."""
    url = parse_database_url(empty_database_url)
    await run_on(url, _fill)
    assert await migrations.migrate(url) == (BEFORE, migrations.newest_revision())
    database = await opened(empty_database_url)
    report = await audit(database)
    assert (report.differences, report.holds_pending) == ((), 5)
    open_now = sum(p for old in OLD for state, p in old.attempts if state in ("sending", "submitted", "unknown"))
    assert (await balance(database, UPSTREAM))[1] == Amount(microusd=open_now)
    assert await _upstream_windows(database) == dict.fromkeys(("day", "week", "month"), (0, open_now))
    ended = 0
    for number, old in enumerate(_unfinished()):
        seen = {attempt.id: attempt for attempt in await _attempts(database, old)}
        going = [attempt for attempt in seen.values() if attempt.state.is_open]
        if not going:
            assert isinstance(await database.write(Cancel(old.id, old.key, RATE)), Finished)
        elif number % 2:
            unbilled = [
                replace(a, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.FAILED, billed=Billed.NO)
                for a in going
            ]
            assert await database.write(RecordAttempts(old.id, 1, ended=tuple(unbilled))) == Recorded()
            assert isinstance(await database.write(Finish(old.id, 1, TaskState.FAILED, RATE, Amount())), Finished)
        else:
            task = replace(new_task(), id=old.id, account=old.key, path=PATHS[old.key])
            end = replace(completed(task, 2, *(_paid(attempt, 10) for attempt in going)), results=())
            assert isinstance(await database.write(end), Finished)
            ended += 10 * len(going)
        assert await clean(database), old
    for old in OLD:
        for attempt in await _attempts(database, old):
            if attempt.state is AttemptState.UNKNOWN:
                await _resolve(database, attempt, 20)
                ended += 20

    for account, *_ in ACCOUNTS:
        assert (await balance(database, account))[1] == Amount(), account
    assert await _upstream_windows(database) == dict.fromkeys(("day", "week", "month"), (ended, 0))
    report = await audit(database)
    assert (report.differences, report.holds_pending) == ((), 0)
    task = replace(new_task(), created_at_ms=SENT_MS)
    await database.write(accept(task, 1))
    await database.write(completed(task, 1))
    assert await clean(database)
    await database.close()


async def _upstream_windows(database: Gateway) -> dict[str, tuple[int, int]]:
    """(Paid, pending) by window of the second in which everything was sent."""
    books = await database.read(lambda connection: ledger_store.read_books(connection, [UPSTREAM], SENT_MS))
    found: dict[str, tuple[int, int]] = {}
    for key, sums in books.balances.items():
        if key.window.value in ("day", "week", "month"):
            assert key.window_start_ms == began(SENT_MS, "UTC", key.window.value)
            found[key.window.value] = sums.posted.microusd, sums.pending.microusd
    return found


async def test_the_migrated_schema_is_the_codes(empty_database_url: str) -> None:
    """Tables, columns, types, indexes: nothing is missing and nothing is left over."""
    url = parse_database_url(empty_database_url)
    await migrations.migrate(url)
    assert await run_on(url, lambda c: compare_metadata(MigrationContext.configure(c), metadata)) == []
