"""Sixty-four clients that spend money at random: four processes on one PostgreSQL, one process on SQLite. Nothing is overspent, nothing differs.

`make soak` runs 200,000 operations a database; `make test` a thousand or two with the same seed.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Self

import asyncpg
import orjson
import pytest
from sqlalchemy import BigInteger, cast, func, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import attempts, balances, tasks
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.ids import upstream_account_id
from gateway.domain.money import Amount
from gateway.domain.tasks import TaskState
from gateway.ledger import accounts as account_store
from gateway.ledger.audit import audit
from gateway.ledger.model import Grant
from gateway.pipeline.commands import Claim, Claimed, Finish, Finished
from tests.acceptance import money_world
from tests.acceptance.gateway_process import MODULES
from tests.books import Gateway, opened
from tests.forked import ForkedProcess, fork_server
from tests.proofs import Proof

ROOT = Path(__file__).parents[2]
SEED = 20261124
SOAK = os.environ.get("SOAK") == "1"
OPERATIONS = 200_000 if SOAK else 1_600
ROUNDS = 120 if SOAK else 4
CLIENTS = 64
STATISTICS_EVERY_S = 5
DEADLINE_S = 1_800 if SOAK else 300

_BALANCES = Statement(
    select(
        balances.c.account_id, balances.c.posted_microcredits, balances.c.posted_microusd, balances.c.pending_microusd
    ).where(balances.c.time_window == "total")
)
_GRANTED = Statement(
    select(balances.c.account_id, balances.c.posted_microcredits).where(balances.c.time_window == "granted")
)
_ATTEMPTS = Statement(
    select(
        attempts.c.upstream,
        attempts.c.state,
        cast(func.sum(attempts.c.cost_microusd), BigInteger),
        cast(func.sum(attempts.c.presumed_cost_microusd), BigInteger),
    ).group_by(attempts.c.upstream, attempts.c.state)
)
_TASKS = Statement(select(tasks.c.state, func.count()).group_by(tasks.c.state))


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run takes place."""

    url: str
    processes: int


@pytest.fixture
def stage(database_url: str) -> Stage:
    return Stage(database_url, 4 if database_url.startswith("postgresql") else 1)


@dataclass(frozen=True, slots=True)
class Process:
    """One with clients, and the other ends of its input and output."""

    forked: ForkedProcess
    commands: int
    answers: BinaryIO

    @classmethod
    def start(cls, stage: Stage, number: int) -> Self:
        theirs, commands = os.pipe()
        said, says = os.pipe()
        arguments = (stage.url, str(SEED), str(number), str(CLIENTS // stage.processes), str(stage.processes))
        with open(theirs, "rb") as stdin, open(says, "wb") as stdout:
            forked = fork_server(*MODULES).start(
                "tests.acceptance.money_clients:run", argv=("money_clients", *arguments), environ=os.environ, folder=ROOT,
                stdin=stdin, stdout=stdout,
            )  # fmt: skip
        return cls(forked, commands, open(said, "rb"))

    def end(self) -> None:
        """However it is."""
        self.forked.kill()
        self.forked.wait()
        os.close(self.commands)
        self.answers.close()


class Clients:
    """The processes, driven together."""

    def __init__(self, processes: list[Process]) -> None:
        self._processes = processes

    async def every(self, line: str) -> list[bytes]:
        """One command to all at once, and what each answers."""
        for process in self._processes:
            os.write(process.commands, f"{line}\n".encode())
        return await self.answers()

    async def answers(self) -> list[bytes]:
        return await asyncio.gather(*map(self._answer, self._processes))

    async def _answer(self, process: Process) -> bytes:
        line = await asyncio.to_thread(process.answers.readline)
        assert line, "a process of clients has ended; its traceback stands above"
        return line

    async def total(self, line: str) -> int:
        return sum(map(int, await self.every(line)))


async def statistics(stage: Stage) -> None:
    """Until cancelled: what PostgreSQL's autovacuum does elsewhere; the tests' server has it off."""
    if not stage.url.startswith("postgresql"):
        return
    raw = await asyncpg.connect(stage.url)
    try:
        while True:
            await raw.execute("VACUUM ANALYZE")
            await asyncio.sleep(STATISTICS_EVERY_S)
    finally:
        await raw.close()


@asynccontextmanager
async def running_clients(stage: Stage) -> AsyncIterator[Clients]:
    with ExitStack() as ending:
        processes = []
        for number in range(stage.processes):
            processes.append(Process.start(stage, number))
            ending.callback(processes[-1].end)
        clients = Clients(processes)
        await clients.answers()
        yield clients


async def prepare(stage: Stage) -> None:
    """All accounts, those of every round included; none has a balance yet."""
    database = await opened(stage.url)
    world = [*money_world.own_books(), *(a for org in money_world.orgs(SEED) for a in org.accounts)]
    rounds = [a for number in range(ROUNDS) for a in money_world.round_of(SEED, number, CLIENTS).accounts]
    await database.write(Transact(lambda c, at_ms: account_store.put_accounts(c, [*world, *rounds], at_ms)))
    for org in money_world.orgs(SEED):
        await database.write(Grant(org.prepaid, money_world.PREPAID_FIRST, "to begin with"))
    await database.close()


async def compete(clients: Clients, number: int) -> None:
    """Of many calls exactly as many are admitted as fit; where some give their holds back, exactly that many more. The same of what is sent."""
    wanted = money_world.round_of(SEED, number, CLIENTS)
    assert await clients.total(f"fire {number}") == wanted.fits, f"round {number}"
    assert await clients.total(f"out {number}") == min(wanted.sends, wanted.fits), f"round {number}"
    freed = await clients.total(f"free {number}")
    out = await clients.total(f"out {number}")
    admitted = await clients.total(f"fire {number}")
    assert admitted == min(freed, CLIENTS * wanted.calls_a_client), f"round {number}, again"
    assert await clients.total(f"out {number}") == min(wanted.sends, out + admitted), f"round {number}, again"


async def end_everything(database: Gateway) -> None:
    """As recovery would: whatever is unfinished is taken over and given up."""
    while True:
        claimed = await database.write(Claim("run_end", 600_000, 500, everything=True))
        assert isinstance(claimed, Claimed)
        if not claimed.tasks:
            return
        outcomes = await asyncio.gather(
            *(database.write(Finish(t.id, t.epoch, TaskState.FAILED, Decimal(72), Amount())) for t in claimed.tasks)
        )
        assert all(isinstance(outcome, Finished) for outcome in outcomes)


async def rows_of(database: Gateway, statement: Statement) -> list[Row]:
    async def fetch(connection: Connection) -> list[Row]:
        return await connection.fetch(statement)

    return await database.read(fetch)


async def compare_with_what_was_told(database: Gateway, told: list[dict[str, dict[str, int]]]) -> None:
    """The books, the tasks and the attempts against the clients' own sums."""
    rows = {
        str(row[0]): (int(str(row[1])), int(str(row[2])), int(str(row[3])))
        for row in await rows_of(database, _BALANCES)
    }
    charged, paid, lost, counts = (summed(told, name) for name in ("charged", "paid", "lost", "counts"))
    ours = {account.id for account in money_world.own_books()}
    assert {account: row[0] for account, row in rows.items() if account not in ours and row[0]} == +charged
    assert rows["ours"][1] == lost["ours"]
    posted: Counter[str] = Counter()
    open_or_in_doubt: Counter[str] = Counter()
    for upstream, state, cost, presumed in await rows_of(database, _ATTEMPTS):
        posted[str(upstream)] += int(str(cost))
        if state in ("sending", "submitted", "unknown"):
            open_or_in_doubt[str(upstream)] += int(str(presumed))
    for upstream in money_world.UPSTREAMS:
        _, paid_microusd, pending_microusd = rows[upstream_account_id(upstream)]
        assert paid_microusd == posted[upstream] == paid[upstream]
        assert pending_microusd == open_or_in_doubt[upstream]
    assert sum(int(str(count)) for _, count in await rows_of(database, _TASKS)) == counts["admitted"]
    first = {org.prepaid: money_world.PREPAID_FIRST for org in money_world.orgs(SEED)}
    granted = {str(account): int(str(value)) for account, value in await rows_of(database, _GRANTED)}
    assert granted == {account: value + summed(told, "granted")[account] for account, value in first.items()}


def summed(told: list[dict[str, dict[str, int]]], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for process in told:
        total.update(process[name])
    return total


EVERYTHING_HAPPENED = (
    "accept: Accepted", "accept: BudgetRefusal", "send: Recorded", "send: Lost", "end attempt: Recorded", "end attempt: Lost", "submit: Recorded",
    "finish: Finished", "finish: Lost", "cancel: Finished", "cancel: NotCancellable", "cancel: NoTask", "claim: Claimed", "claimed",
    "extend: Recorded", "repeat: Recorded", "repeat: Lost", "budget raised", "budget lowered",
    "send: SendRefused", "accept: sent nothing", "own budget raised", "resolve: Resolved", "resolve: NotInDoubt", "grant: Granted", "adjust: Granted",
    "accept: refused as prepaid",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S)
async def test_many_clients_never_overspend_and_every_figure_agrees(stage: Stage, proof: Proof) -> None:
    """At every moment no budget is exceeded; in the end the books are the sums of their entries, of the holds, and of what the clients were told."""
    await prepare(stage)
    began = time.monotonic()
    async with running_clients(stage) as clients:
        for number in range(ROUNDS // 2):
            await compete(clients, number)
        vacuuming = asyncio.ensure_future(statistics(stage))
        await clients.every(f"random {OPERATIONS // stage.processes}")
        vacuuming.cancel()
        await asyncio.gather(vacuuming, return_exceptions=True)
        for number in range(ROUNDS // 2, ROUNDS):
            await compete(clients, number)
        told = [orjson.loads(answer) for answer in await clients.every("close")]
    seconds = time.monotonic() - began
    database = await opened(stage.url)
    report = await audit(database)
    await compare_with_what_was_told(database, told)
    await end_everything(database)
    in_the_end = await audit(database)
    dialect = database.dialect
    await database.close()
    overspent = [line for process in told for line in process["overspent"]]
    differences = [line for process in told for line in process["differences"]]
    differences += map(str, (*report.differences, *in_the_end.differences))
    assert overspent == []
    assert differences == []
    assert in_the_end.holds_pending == 0
    counts = summed(told, "counts")
    assert [name for name in EVERYTHING_HAPPENED if not counts[name]] == []
    assert counts["operations"] >= OPERATIONS
    proof(
        f"{CLIENTS} clients",
        f"{dialect}: {stage.processes} processes, {counts['operations']} operations in {seconds:.0f} s, {counts['admitted']} admitted, "
        f"{counts['refused']} refused, {counts['claimed']} taken over, {ROUNDS} rounds of exact counts, {counts['snapshots']} snapshots and "
        f"{counts['audits'] + 2} audits, overspent {len(overspent)}, differences {len(differences)}, seed {SEED}",
    )
