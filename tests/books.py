"""A path of accounts in a real database, with tasks, attempts and ends to write: for tests of what is committed."""

from dataclasses import replace
from decimal import Decimal
from functools import partial

from sqlalchemy import bindparam, update

from gateway.db.connection import Connection
from gateway.db.engine import open_database
from gateway.db.migrate import migrate
from gateway.db.schema import accounts, balances
from gateway.db.sqlite import SqliteLock
from gateway.db.statements import Statement, insert_rows
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import parse_budget
from gateway.domain.clock import Clock, SystemClock
from gateway.domain.ids import (
    OURS_ACCOUNT_ID,
    AccountId,
    new_attempt_id,
    new_task_id,
    upstream_account_id,
)
from gateway.domain.images import Contract, ImageResult, Usage
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskState
from gateway.ledger import store as ledger_store
from gateway.ledger.audit import audit
from gateway.ledger.model import BalanceKey, Grant, Granted
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import (
    Accept,
    Command,
    Finish,
    HoldOption,
    Outcome,
)

RATE = Decimal(72)
KEY, TEAM, ORG = AccountId("key:acme/design/ci"), AccountId("team:acme/design"), AccountId("org:acme")
PATH = (KEY, TEAM, ORG)
UPSTREAM = upstream_account_id("openai")
CREDIT = 1_000_000
Gateway = Database[Command, Outcome]

_ADD_ACCOUNTS = insert_rows(
    accounts, ("id", "kind", "name", "parent_id", "budgets", "disabled", "created_at_ms"), ignore_repeats=True
)
_SET_BUDGETS = Statement(
    update(accounts).where(accounts.c.id == bindparam("account")).values(budgets=bindparam("texts"))
)
_SET_ZONE = Statement(update(accounts).where(accounts.c.id == bindparam("account")).values(zone=bindparam("in_zone")))
_SET_PREPAID = Statement(update(accounts).where(accounts.c.id == bindparam("account")).values(prepaid=1))
SPOIL = Statement(
    update(balances)
    .where(balances.c.account_id == bindparam("account"), balances.c.time_window == "total")
    .values(posted_microcredits=bindparam("value"))
)


async def opened(url_text: str, clock: Clock | None = None) -> Gateway:
    """A migrated database with one path of accounts, open."""
    url = parse_database_url(url_text)
    lock = None
    if url.dialect is Dialect.SQLITE:
        lock = SqliteLock(url.path)
        lock.acquire()
    await migrate(url)
    database: Gateway = await open_database(url, apply, clock or SystemClock(), lock)
    await database.write(Transact(_add_accounts))
    return database


async def _add_accounts(connection: Connection, now_ms: int) -> None:
    rows = [
        (ORG, "org", "acme", None), (TEAM, "team", "design", ORG), (KEY, "key", "ci", TEAM),
        (UPSTREAM, "upstream", "openai", None), (OURS_ACCOUNT_ID, "ours", "ours", None),
    ]  # fmt: skip
    await connection.write(_ADD_ACCOUNTS, [(*row, "[]", 0, now_ms) for row in rows])


async def set_budgets(database: Gateway, account: AccountId, *budgets: str) -> None:
    """As an operator would."""
    text = ledger_store.budgets_text(tuple(map(parse_budget, budgets)))
    await database.write(Transact(lambda c, _: c.execute(_SET_BUDGETS, account=account, texts=text)))


async def set_zone(database: Gateway, zone: str, *accounts_: AccountId) -> None:
    """Where their days begin."""
    for account in accounts_:
        await database.write(Transact(partial(_write_zone, account=account, zone=zone)))


async def _write_zone(connection: Connection, _: int, *, account: AccountId, zone: str) -> None:
    await connection.execute(_SET_ZONE, account=account, in_zone=zone)


async def set_prepaid(database: Gateway, account: AccountId) -> None:
    await database.write(Transact(lambda c, _: c.execute(_SET_PREPAID, account=account)))


async def grant(database: Gateway, account: AccountId, credits: int) -> int | None:
    """What is left then, in microcredits; None where it is refused."""
    granted = await database.write(Grant(account, credits * CREDIT, "a test"))
    assert isinstance(granted, Granted), granted
    return None if granted.refused else granted.left_microcredits


def new_task(owner: str = "run_test") -> Task:
    return Task(
        id=new_task_id(1_757_165_031_000), account=KEY, path=PATH, state=TaskState.PENDING, contract=Contract.TASK, model="gpt-image-2", n=1,
        user_group="design", created_at_ms=1_757_165_031_000, deadline_at_ms=1_757_165_271_000, reserved_microcredits=0, prompt="a cat",
        request_json="{}", plan_json="", owner=owner, epoch=1,
    )  # fmt: skip


def accept(task: Task, credits: int, *, attempts: tuple[Attempt, ...] = ()) -> Accept:
    amount = Amount(credits * CREDIT, credits * CREDIT // 72, 1)
    return Accept(task, (HoldOption(amount, f'"{credits}"'),), RATE, attempts)


def new_attempt(task: Task, presumed: int = 20_000) -> Attempt:
    return Attempt(
        new_attempt_id(),
        task.id,
        None,
        "openai/gpt-image-2",
        "openai",
        1,
        AttemptState.SENDING,
        presumed,
        task.created_at_ms,
    )


def succeeded(attempt: Attempt, cost: int = 15_000) -> Attempt:
    return replace(
        attempt, state=AttemptState.SUCCEEDED, ended_at_ms=attempt.sent_at_ms + 9, cost_microusd=cost, images=1
    )


def completed(task: Task, credits: int, *ended: Attempt) -> Finish:
    result = ImageResult(
        f"{ended[0].id if ended else 'att_none'}/0", "image/png", "png", 9, 2, 2, "0" * 64, "a cat, revised"
    )
    return Finish(
        task.id, task.epoch, TaskState.COMPLETED, RATE, Amount(credits * CREDIT, credits * CREDIT // 72, 1), ended=ended,
        results=(result,), usage=Usage(5, 0, 1000), results_expire_at_ms=1_757_251_431_000, path=task.path,
    )  # fmt: skip


async def balance(database: Gateway, account: AccountId) -> tuple[Amount, Amount]:
    """Posted and pending."""
    books = await database.read(lambda connection: ledger_store.read_books(connection, [account]))
    found = books.balances[BalanceKey(account)]
    return found.posted, found.pending


async def clean(database: Gateway) -> bool:
    return not (await audit(database)).differences


async def add_upstreams(database: Gateway, *names: str) -> None:
    """Their accounts in our own books."""

    async def add(connection: Connection, now_ms: int) -> None:
        rows = [(upstream_account_id(name), "upstream", name, None, "[]", 0, now_ms) for name in names]
        await connection.write(_ADD_ACCOUNTS, rows)

    await database.write(Transact(add))
