"""Two processes on one PostgreSQL that want the same rows at the same moment: nobody's writes fail for it."""

import asyncio

import pytest

from gateway.db.connection import Connection
from gateway.db.writer import Transact
from gateway.domain.accounts import Account, AccountKind
from gateway.domain.ids import AccountId
from gateway.ledger import accounts as account_store
from gateway.ledger import store as ledger_store
from gateway.ledger.model import Grant, Granted
from gateway.pipeline.commands import Recorded
from tests.books import CREDIT, ORG, TEAM, Gateway, opened

COLLIDED = "collided with another"


class Meeting:
    """Two that wait for each other, for a moment: then each goes on."""

    def __init__(self) -> None:
        self._there = 0
        self._all = asyncio.Event()

    async def wait(self) -> None:
        self._there += 1
        if self._there >= 2:
            self._all.set()
        await self._all.wait()


async def two(url: str) -> tuple[Gateway, Gateway]:
    first = await opened(url)
    org = Account(ORG, AccountKind.ORG, "acme")
    await first.write(Transact(lambda connection, at_ms: account_store.add_accounts(connection, [org], at_ms)))
    return first, await opened(url)


async def test_a_first_grant_and_a_change_with_calls_behind_it(
    postgresql_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One batch changes an account and holds on it, another makes it prepaid: rows of accounts come first in both, so one waits for the other."""
    first, second = await two(postgresql_database)
    locked, enough = asyncio.Event(), asyncio.Event()

    async def change(connection: Connection, _: int) -> None:
        await account_store.lock_account(connection, ORG)
        locked.set()
        await enough.wait()
        await ledger_store.lock_balances(connection, [ORG])  # as the calls in the same batch do

    changing = asyncio.ensure_future(second.write(Transact(change)))
    await locked.wait()
    granting = asyncio.ensure_future(first.write(Grant(ORG, CREDIT, "invoice 7")))
    await asyncio.sleep(0.3)  # it has come as far as it can
    enough.set()
    assert await changing == Recorded()
    assert await granting == Granted(CREDIT, first=True)
    assert COLLIDED not in caplog.text
    await second.close()
    await first.close()


async def test_a_deadlock_is_nobodys_fault(postgresql_database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Two changes that take the same accounts in opposite orders: the one that PostgreSQL ends is made again."""
    first, second = await two(postgresql_database)
    meeting = Meeting()

    def change(one: AccountId, other: AccountId) -> Transact:
        async def run(connection: Connection, _: int) -> None:
            await account_store.lock_account(connection, one)
            await meeting.wait()
            await account_store.lock_account(connection, other)

        return Transact(run)

    ends = await asyncio.gather(first.write(change(ORG, TEAM)), second.write(change(TEAM, ORG)))
    assert [*ends] == [Recorded(), Recorded()]
    assert caplog.text.count(COLLIDED) == 1
    await second.close()
    await first.close()
