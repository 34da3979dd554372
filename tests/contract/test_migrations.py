"""From the schema of an earlier version to this one's, with what was in it."""

import sqlalchemy as sa

from gateway.db.migrate import migrate, newest_revision
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Limits, parse_budget
from gateway.domain.ids import org_account_id
from gateway.ledger.accounts import put_accounts, read_accounts
from tests.books import opened
from tests.earlier_schemas import run_on, upgrade_to

BEFORE_LIMITS = "0002"


def _fill(connection: sa.Connection) -> None:
    upgrade_to(connection, BEFORE_LIMITS)
    connection.execute(
        sa.text(
            "INSERT INTO accounts (id, kind, name, budgets, disabled, created_at_ms)"
            " VALUES ('org:globex', 'org', 'globex', '[\"5usd/total\"]', 0, 1)".replace(":globex", "\\:globex")
        )
    )


async def test_accounts_from_before_limits_have_none_and_take_some(database_url: str) -> None:
    """0003 adds a column: an account keeps its budgets, is unlimited as it was, and can be limited from then on."""
    url = parse_database_url(database_url)
    await run_on(url, _fill)
    assert await migrate(url) == (BEFORE_LIMITS, newest_revision())
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
