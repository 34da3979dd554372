"""The audit log on both databases: nobody changes a line, and a change without its line does not happen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from gateway.administration.account_wishes import Wish
from gateway.administration.accounts import Accounts
from gateway.administration.admin_tokens import AdminTokenAdministration
from gateway.administration.audit_log import AuditLog
from gateway.administration.keys import Keys
from gateway.db.connection import StatementFailed
from gateway.db.url import Dialect, parse_database_url
from gateway.domain.accounts import parse_budget
from gateway.domain.administrators import COMMAND, Scope
from gateway.domain.clock import SystemClock
from gateway.keys.admin_tokens import AdminTokens
from gateway.keys.authenticator import Authenticator
from tests.books import Gateway, opened
from tests.earlier_schemas import run_on

APPEND_ONLY = "the audit log is append-only"
_BROKEN_SQLITE = """
CREATE TRIGGER audit_log_broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no line can be written'); END
"""
_BROKEN_POSTGRESQL = (
    "CREATE FUNCTION audit_log_broken() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'no line can be written' USING ERRCODE = 'check_violation'; END $$",
    "CREATE TRIGGER audit_log_broken BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_broken()",
)


@dataclass
class Office:
    url: str
    database: Gateway
    accounts: Accounts
    keys: Keys
    tokens: AdminTokenAdministration

    async def execute(self, *statements: str) -> None:
        """On a connection of its own, as somebody with a database client."""

        def run(connection: sa.Connection) -> None:
            for statement in statements:
                connection.execute(sa.text(statement))

        await run_on(parse_database_url(self.url), run)

    async def state(self) -> object:
        """Everything that an administrator can change."""
        log = await AuditLog(self.database).lines(COMMAND, size=100)
        return log, await self.keys.all(), await self.tokens.all(), await self.accounts.page(size=100)


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    database, clock = await opened(database_url), SystemClock()
    keys = Keys(database, Authenticator(b"pepper", clock), b"pepper", clock)
    tokens = AdminTokenAdministration(database, AdminTokens(b"other pepper", clock), b"other pepper", clock, None)
    yield Office(database_url, database, Accounts(database, keys.reload, clock), keys, tokens)
    await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "UPDATE audit_log SET details = '{}' WHERE id = 1",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE id = 1",
        "INSERT INTO audit_log (id, at_ms, actor, action, subject, details) VALUES (1, 0, 'nobody', 'x', 'x', '{}')"
        " ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
    ],
)
async def test_no_line_is_changed_or_deleted(office: Office, statement: str) -> None:
    """The database itself refuses, whoever asks."""
    await office.keys.create(org="acme", team=None, name="new")
    before = await AuditLog(office.database).lines(COMMAND, size=10)
    with pytest.raises(sa.exc.DBAPIError, match=APPEND_ONLY):
        await office.execute(statement)
    assert await AuditLog(office.database).lines(COMMAND, size=10) == before


async def test_no_line_is_replaced_and_none_emptied(office: Office) -> None:
    """By what each database has besides: SQLite's INSERT OR REPLACE, PostgreSQL's TRUNCATE."""
    await office.keys.create(org="acme", team=None, name="new")
    before = await AuditLog(office.database).lines(COMMAND, size=10)
    sqlite = parse_database_url(office.url).dialect is Dialect.SQLITE
    columns = "(id, at_ms, actor, action, subject, details)"
    statement = (
        f"INSERT OR REPLACE INTO audit_log {columns} VALUES (1, 0, 'nobody', 'x', 'x', '{{}}')"
        if sqlite
        else "TRUNCATE audit_log"
    )
    with pytest.raises(sa.exc.DBAPIError, match=APPEND_ONLY):
        await office.execute(statement)
    assert await AuditLog(office.database).lines(COMMAND, size=10) == before


Change = Callable[[Office, str, str], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "key.create": lambda office, _, __: office.keys.create(org="new", team="team", name="late"),
    "key.change": lambda office, key, _: office.keys.change(key, lambda terms: replace(terms, rpm=1)),
    "key.rotate": lambda office, key, _: office.keys.rotate(key),
    "key.revoke": lambda office, key, _: office.keys.revoke(key),
    "admin_token.create": lambda office, _, __: office.tokens.create("late", frozenset({Scope.READ})),
    "admin_token.revoke": lambda office, _, token: office.tokens.revoke(token),
    "account.create": lambda office, _, __: office.accounts.create("new", None, Wish()),
    "account.change": lambda office, _, __: office.accounts.change("acme", Wish(budgets=(parse_budget("1usd/day"),))),
    "account.grant": lambda office, _, __: office.accounts.grant("acme", 5_000_000, "why"),
}


@pytest.mark.parametrize("action", CHANGES)
async def test_a_change_whose_line_fails_does_not_happen(office: Office, action: str) -> None:
    """Both are one transaction: nothing of the change is there; once lines can be written, the same change is made with its line."""
    key = await office.keys.create(org="acme", team=None, name="key")
    token = await office.tokens.create("token", frozenset({Scope.READ}))
    before = await office.state()
    sqlite = parse_database_url(office.url).dialect is Dialect.SQLITE
    await office.execute(*([_BROKEN_SQLITE] if sqlite else _BROKEN_POSTGRESQL))
    with pytest.raises(StatementFailed):
        await CHANGES[action](office, key.id, token.id)
    assert await office.state() == before
    await office.execute("DROP TRIGGER audit_log_broken" + ("" if sqlite else " ON audit_log"))
    await CHANGES[action](office, key.id, token.id)
    [line] = await AuditLog(office.database).lines(COMMAND, size=1)
    assert line.action == action
