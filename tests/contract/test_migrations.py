"""From the schema of an earlier version to this one's, with what was in it."""

import sqlite3

import asyncpg

from gateway.db.engine import parse_database_url
from gateway.db.migrate import migrate, newest_revision
from gateway.db.writer import Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Limits, parse_budget
from gateway.domain.ids import org_account_id
from gateway.ledger.accounts import put_accounts, read_accounts
from tests.books import opened

BEFORE_LIMITS = (
    "ALTER TABLE accounts DROP COLUMN limits",
    "ALTER TABLE accounts DROP COLUMN zone",
    "ALTER TABLE accounts DROP COLUMN prepaid",
    "ALTER TABLE holds DROP COLUMN windows",
    "ALTER TABLE entries DROP COLUMN day_ms",
    "ALTER TABLE entries DROP COLUMN week_ms",
    "ALTER TABLE entries DROP COLUMN month_ms",
    "UPDATE alembic_version SET version_num = '0002'",
    "INSERT INTO accounts (id, kind, name, budgets, disabled, created_at_ms)"
    " VALUES ('org:globex', 'org', 'globex', '[\"5usd/total\"]', 0, 1)",
)


async def execute(database_url: str, statements: tuple[str, ...]) -> None:
    """As another program would; committed."""
    if database_url.startswith("sqlite:///"):
        file = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        file.executescript(";".join(statements))
        file.close()
        return
    server = await asyncpg.connect(database_url)
    for statement in statements:
        await server.execute(statement)
    await server.close()


async def test_accounts_from_before_limits_have_none_and_take_some(database_url: str) -> None:
    """0003 adds a column: an account keeps its budgets, is unlimited as it was, and can be limited from then on."""
    url = parse_database_url(database_url)
    await migrate(url)
    await execute(database_url, BEFORE_LIMITS)
    assert await migrate(url) == ("0002", newest_revision())
    database = await opened(database_url)
    try:
        found = {account.id: account for account in await database.read(read_accounts)}
        globex = found[org_account_id("globex")]
        budgets = (parse_budget("5usd/total"),)
        assert globex == Account(org_account_id("globex"), AccountKind.ORG, "globex", None, budgets, limits=UNLIMITED)
        limited = Account(globex.id, globex.kind, globex.name, None, globex.budgets, limits=Limits(60, 5, n_max=2))
        await database.write(Transact(lambda connection, now_ms: put_accounts(connection, [limited], now_ms)))
        assert limited in await database.read(read_accounts)
    finally:
        await database.close()
