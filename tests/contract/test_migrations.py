"""From the schema of an earlier version to this one's, with what was in it."""

from dataclasses import replace

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from gateway.db.migrate import alembic_config, migrate, newest_revision
from gateway.db.url import parse_database_url
from gateway.db.writer import Transact
from gateway.domain.accounts import UNLIMITED, Account, AccountKind, Limits, parse_budget
from gateway.domain.ids import org_account_id
from gateway.keys.store import change_key, read_keys
from gateway.ledger.accounts import put_accounts, read_accounts
from tests.books import opened
from tests.earlier_schemas import run_on, upgrade_to

BEFORE_LIMITS = "0002"
BEFORE_CHOICE = "0005"


def _fill(connection: sa.Connection) -> None:
    upgrade_to(connection, BEFORE_LIMITS)
    connection.execute(
        sa.text(
            "INSERT INTO accounts (id, kind, name, budgets, disabled, created_at_ms)"
            " VALUES ('org:globex', 'org', 'globex', '[\"5usd/total\"]', 0, 1)".replace(":globex", "\\:globex")
        )
    )


async def test_accounts_from_before_limits_have_none_and_take_some(empty_database_url: str) -> None:
    """0003 adds a column: an account keeps its budgets, is unlimited as it was, and can be limited from then on."""
    url = parse_database_url(empty_database_url)
    await run_on(url, _fill)
    assert await migrate(url) == (BEFORE_LIMITS, newest_revision())
    database = await opened(empty_database_url)
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


def _fill_keys(connection: sa.Connection) -> None:
    upgrade_to(connection, BEFORE_CHOICE)
    values = "(id, kind, name, budgets, disabled, created_at_ms) VALUES ('org\\:globex', 'org', 'globex', '[]', 0, 1)"
    connection.execute(sa.text(f"INSERT INTO accounts {values}"))
    connection.execute(
        sa.text(
            "INSERT INTO keys (id, account_id, name, digest, display, models, declared, created_at_ms)"
            " VALUES ('key_1', 'org\\:globex', 'old', 'd', 'igw_', '[\"*\"]', 0, 1)"
        )
    )


async def test_keys_from_before_may_not_choose_upstreams_and_may_be_let(empty_database_url: str) -> None:
    """0006 adds a column: a key keeps its terms and may not choose, as before, and can be let from then on."""
    url = parse_database_url(empty_database_url)
    await run_on(url, _fill_keys)
    assert await migrate(url) == (BEFORE_CHOICE, newest_revision())
    database = await opened(empty_database_url)
    try:
        [key] = [key for key in await database.read(read_keys) if key.id == "key_1"]
        assert (key.name, key.models, key.choose_upstream, key.cache) == ("old", ("*",), False, True)
        chooser = replace(key, choose_upstream=True, cache=False)
        await database.write(Transact(lambda connection, _: change_key(connection, chooser)))
        assert chooser in await database.read(read_keys)
    finally:
        await database.close()


def test_the_newest_revision_is_alembics_head() -> None:
    """The files' numbers are the revisions, in order: the newest is known without loading them."""
    scripts = ScriptDirectory.from_config(alembic_config())
    assert newest_revision() == scripts.get_current_head()
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
