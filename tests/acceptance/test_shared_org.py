"""Several processes on one PostgreSQL whose callers all spend one org's budget: how many calls a second are accepted and ended, and overspend none.

The worst case for the ledger: every call locks the same three balance rows. One process is measured, then three with as many callers in all.
"""

import asyncio
import os

import pytest

from bench.shared_pairs import measured
from gateway.ledger.audit import audit
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import Accepted
from tests.books import CREDIT, ORG, accept, balance, new_task, opened, set_budgets
from tests.proofs import Proof

SOAK = os.environ.get("SOAK") == "1"
SECONDS = 10 if SOAK else 1.5
CALLERS = 256
PROCESSES = 3
FITS = 50
HOLD_CREDITS = 2


async def rush(url: str) -> int:
    """How many calls are accepted of as many as there are callers, at once from three writers, where FITS fit."""
    databases = [await opened(url) for _ in range(PROCESSES)]
    try:
        used = (await balance(databases[0], ORG))[0].microcredits
        await set_budgets(databases[0], ORG, f"{used // CREDIT + FITS * HOLD_CREDITS + 1}credits/total")
        calls = [databases[number % PROCESSES].write(accept(new_task(), HOLD_CREDITS)) for number in range(CALLERS)]
        outcomes = await asyncio.gather(*calls)
        assert {type(outcome) for outcome in outcomes} == {Accepted, BudgetRefusal}
        report = await audit(databases[0])
        assert report.differences == ()
        assert report.holds_pending == FITS
    finally:
        for database in databases:
            await database.close()
    return sum(isinstance(outcome, Accepted) for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.xdist_group("acceptance-shared-org")
async def test_processes_share_the_budget_of_an_org(postgresql_database: str, proof: Proof) -> None:
    """256 callers at one process and at three: both make progress, some are refused among them, and the last room is given out to the last call."""
    alone, together = [
        list((await measured(postgresql_database, CALLERS, SECONDS, processes)).values())
        for processes in (1, PROCESSES)
    ]
    assert min(*alone, *together) > 0
    accepted = await rush(postgresql_database)
    assert accepted == FITS
    proof(
        "one org's budget",
        f"{CALLERS} callers, accepted and ended: one process {alone[0]:.0f} pairs/s and {alone[1]:.0f} refused, {PROCESSES} processes "
        f"{together[0]:.0f} and {together[1]:.0f} ({together[0] / alone[0]:.2f} of one); room for {FITS} given to {accepted}, overspent 0",
    )
