"""One process with many clients that spend money at random: `python -m tests.acceptance.money_clients URL SEED PROCESS CLIENTS PROCESSES`.

It opens the database as a gateway does, with a writer of its own, and obeys the lines on its standard input with one line of JSON each:
`fire ROUND`, `free ROUND`, `out ROUND`, `random OPERATIONS`, `close`. What the clients were told (admitted, charged, paid) is added up here,
by itself, for the test to compare with the books. A wrong answer ends the process with a traceback.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from random import Random

import orjson

from gateway.db.engine import open_database
from gateway.db.sqlite import SqliteLock
from gateway.db.url import Dialect, parse_database_url
from gateway.domain.accounts import Budget, Unit, Window
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, new_attempt_id, new_task_id, upstream_account_id
from gateway.domain.images import Contract
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.ledger.audit import audit
from gateway.ledger.decide import used as spent
from gateway.ledger.model import BalanceKey, BudgetRefusal, Grant, Granted, NotInDoubt, Resolve, Resolved
from gateway.ledger.store import read_books
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    CancelNoted,
    CancelWished,
    Claim,
    Claimed,
    Command,
    ExtendLeases,
    Finish,
    Finished,
    HoldOption,
    Lost,
    NoTask,
    NotCancellable,
    Outcome,
    RecordAttempts,
    Recorded,
    RecordSubmitted,
    SendRefused,
)
from gateway.tasks import attempt_store
from tests.acceptance import money_world
from tests.acceptance.money_world import (
    BOUNDED,
    BOUNDED_FIRST,
    CREDIT,
    LOWERED_CEILING,
    SEND_MICROUSD,
    UPSTREAMS,
    Org,
    Rule,
    amount_of,
)
from tests.books import Gateway, set_budgets

RATE = Decimal(72)
READ_EVERY_S = 0.02
AUDIT_EVERY = 200
"""Snapshots between two audits: some seconds."""
MINE_MAX = 8
"""Tasks that a client has in hand before it would rather end one."""


@dataclass
class Told:
    """What the clients were told, and what the reader saw."""

    counts: Counter[str] = field(default_factory=Counter)
    charged: Counter[AccountId] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Microusd on `ours`."""
    granted: Counter[AccountId] = field(default_factory=Counter)
    """Microcredits, besides what an account began with."""
    overspent: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def text(self) -> bytes:
        return orjson.dumps(
            {
                name: getattr(self, name)
                for name in ("counts", "charged", "paid", "lost", "granted", "overspent", "differences")
            }
        )


@dataclass
class Mine:
    """A task that a client believes to be its own, with its open attempts."""

    task: Task
    open: list[Attempt] = field(default_factory=list)


class Bank:
    """The way to the database; adds up what is answered."""

    def __init__(self, database: Gateway, orgs: Sequence[Org]) -> None:
        self.database = database
        self.orgs = orgs
        self.told = Told()
        self.budgets = {account.id: account.budgets for org in orgs for account in org.accounts}
        self.bounded = BOUNDED_FIRST
        self.operator = asyncio.Lock()

    async def write(self, command: Command, operation: str) -> Outcome:
        outcome = await self.database.write(command)
        self.told.counts["operations"] += 1
        self.told.counts[f"{operation}: {type(outcome).__name__}"] += 1
        if isinstance(command, Accept):
            self.told.counts["admitted" if isinstance(outcome, Accepted) else "refused"] += 1
            self.told.counts["accept: sent nothing"] += isinstance(outcome, Accepted) and outcome.closed is not None
            prepaid = isinstance(outcome, BudgetRefusal) and outcome.budget.window is Window.GRANTED
            self.told.counts["accept: refused as prepaid"] += prepaid
        if isinstance(outcome, Resolved) and isinstance(command, Resolve):
            self.told.paid[command.upstream.partition(":")[2]] += outcome.cost_microusd
            self.told.lost["ours"] += outcome.cost_microusd
        if isinstance(outcome, Granted) and isinstance(command, Grant) and not outcome.refused:
            self.told.granted[command.account] += command.microcredits
        if isinstance(command, Finish) and isinstance(outcome, Finished):
            for account in outcome.task.path:
                self.told.charged[account] += outcome.charged.microcredits
            self.told.lost["ours"] += command.charge.microusd - outcome.charged.microusd
        if isinstance(command, RecordAttempts | Finish) and not command.repeated and not isinstance(outcome, Lost):
            for attempt in command.ended:
                self.told.paid[attempt.upstream] += attempt.cost_microusd
                if attempt.state is AttemptState.FAILED:
                    self.told.lost["ours"] += attempt.cost_microusd
        return outcome

    async def watch(self) -> None:
        """Until cancelled: what is charged and held never exceeds a budget, on one snapshot each."""
        rules = {account.id: org.rule for org in self.orgs for account in org.accounts}
        rules[upstream_account_id(BOUNDED)] = Rule.RAISED
        growing = [org.prepaid for org in self.orgs if org.rule is Rule.RAISED]
        while True:
            now_ms = SystemClock().now_ms()
            books = await self.database.read(partial(read_books, account_ids=rules, now_ms=now_ms))
            for account, rule in rules.items():
                for budget in books.terms[account].budgets:
                    balance = spent(books, account, budget.window, now_ms)
                    used = budget.unit.of(balance.posted) + budget.unit.of(balance.pending)
                    limit = LOWERED_CEILING if rule is Rule.LOWERED else budget.limit
                    if used > limit:
                        self.told.overspent.append(f"{account}: {used} of {limit}")
            for account in growing:
                granted = books.balances[BalanceKey(account, Window.GRANTED)].posted.microcredits
                balance = books.balances[BalanceKey(account)]
                used = balance.posted.microcredits + balance.pending.microcredits
                if used > granted:
                    self.told.overspent.append(f"{account}: {used} of {granted} granted")
            self.told.counts["snapshots"] += 1
            if self.told.counts["snapshots"] % AUDIT_EVERY == 0:
                self.told.differences += map(str, (await audit(self.database)).differences)
                self.told.counts["audits"] += 1
            await asyncio.sleep(READ_EVERY_S)


def new_task(path: tuple[AccountId, ...], owner: str) -> Task:
    now_ms = SystemClock().now_ms()
    return Task(
        id=new_task_id(now_ms), account=path[0], path=path, state=TaskState.PENDING, contract=Contract.TASK, model="m", n=1, user_group="t",
        created_at_ms=now_ms, deadline_at_ms=now_ms + 1, reserved_microcredits=0, prompt="p", request_json="{}", plan_json="", owner=owner,
        epoch=1,
    )  # fmt: skip


class Client:
    """One of the many: does the next thing at random, and checks that the answer is possible."""

    def __init__(self, bank: Bank, name: str, random: Random, owned: Sequence[Org], *, raises: bool) -> None:
        """`owned`: the orgs whose budgets this client's process may change. `raises`: whether it may raise the upstream's."""
        self._raises = raises
        self._bank = bank
        self._owner = f"run_{name}"
        self._random = random
        self._owned = owned
        self._mine: list[Mine] = []
        self._last: RecordAttempts | Finish | None = None

    async def step(self) -> None:
        """One operation, sometimes two that belong together."""
        kinds = {
            self._accept: 34 if len(self._mine) < MINE_MAX else 4, self._send: 14, self._end_attempt: 8, self._submit: 4, self._finish: 26,
            self._cancel: 8, self._claim: 3, self._extend: 2, self._repeat: 5, self._change_budget: 1, self._resolve: 3, self._grant: 2,
            self._raise_own_budget: 1,
        }  # fmt: skip
        [kind] = self._random.choices(list(kinds), list(kinds.values()))
        await kind()

    def _attempt(self, task: Task) -> Attempt:
        upstream = self._random.choice(UPSTREAMS)
        presumed, sent_at_ms = self._random.randint(1_000, 60_000), SystemClock().now_ms()
        return Attempt(
            new_attempt_id(), task.id, None, f"{upstream}/m", upstream, 1, AttemptState.SENDING, presumed, sent_at_ms
        )

    def _ending(self, attempt: Attempt) -> Attempt:
        state, billed = self._random.choice(
            [
                (AttemptState.SUCCEEDED, None),
                (AttemptState.FAILED, Billed.NO),
                (AttemptState.FAILED, Billed.YES),
                (AttemptState.UNKNOWN, Billed.UNKNOWN),
            ]
        )
        free = billed in (Billed.NO, Billed.UNKNOWN)
        # A bill above the presumed cost may exceed the upstream's own budget; where that is watched there is none.
        most = attempt.presumed_cost_microusd * (1 if attempt.upstream == BOUNDED else 2)
        cost = 0 if free else self._random.randint(0, most)
        fault = None if state is AttemptState.SUCCEEDED else Fault.FAILED
        return replace(attempt, state=state, billed=billed, cost_microusd=cost, fault=fault, ended_at_ms=1)

    async def _accept(self) -> None:
        task = new_task(self._random.choice(self._random.choice(self._bank.orgs).paths), self._owner)
        sizes = sorted({self._random.randint(1, 9 * CREDIT) for _ in range(self._random.randint(1, 3))}, reverse=True)
        options = tuple(HoldOption(amount_of(size), "{}", index == 0) for index, size in enumerate(sizes))
        attempts = tuple(self._attempt(task) for _ in range(self._random.choice([0, 0, 1, 1, 2])))
        # Some have a worker that dies at once: anybody may claim them.
        lease_ms = self._random.choice([600_000, 600_000, 600_000, -1_000])
        outcome = await self._bank.write(Accept(task, options, RATE, attempts, lease_ms), "accept")
        if isinstance(outcome, BudgetRefusal):
            return
        assert isinstance(outcome, Accepted), outcome
        self._mine.append(Mine(outcome.task, list(outcome.attempts)))

    async def _send(self) -> None:
        if not self._mine:
            return
        mine = self._random.choice(self._mine)
        attempt = self._attempt(mine.task)
        command = RecordAttempts(mine.task.id, mine.task.epoch, started=(attempt,))
        if isinstance(await self._record(mine, command, "send"), Recorded):
            mine.open.append(attempt)

    async def _end_attempt(self) -> None:
        mine = next((mine for mine in self._mine if mine.open), None)
        if mine is not None:
            ending = self._ending(mine.open[0])
            await self._record(mine, RecordAttempts(mine.task.id, mine.task.epoch, ended=(ending,)), "end attempt")
            mine.open.pop(0)

    async def _record(self, mine: Mine, command: RecordAttempts, operation: str) -> Outcome:
        outcome = await self._bank.write(command, operation)
        assert isinstance(outcome, Recorded | SendRefused | CancelWished | Lost), outcome
        self._last = command
        if isinstance(outcome, Lost):
            self._mine.remove(mine)
        return outcome

    async def _submit(self) -> None:
        mine = next((mine for mine in self._mine if mine.open), None)
        if mine is not None:
            command = RecordSubmitted(mine.task.id, mine.task.epoch, mine.open[0].id, "job")
            outcome = await self._bank.write(command, "submit")
            assert isinstance(outcome, Recorded | Lost), outcome

    async def _finish(self) -> None:
        if not self._mine:
            return
        mine = self._mine.pop(self._random.randrange(len(self._mine)))
        completed = self._random.random() < 0.5
        # Small charges, so that the budgets last; now and then one above the hold.
        most = mine.task.reserved_microcredits // 20 if self._random.random() < 0.98 else 12 * CREDIT
        command = Finish(
            mine.task.id, mine.task.epoch, TaskState.COMPLETED if completed else TaskState.FAILED, RATE,
            amount_of(self._random.randint(0, most)) if completed else Amount(), ended=tuple(map(self._ending, mine.open)),
        )  # fmt: skip
        outcome = await self._bank.write(command, "finish")
        assert isinstance(outcome, Finished | Lost), outcome
        if isinstance(outcome, Finished):
            assert outcome.charged.microcredits <= outcome.held.microcredits
        self._last = command

    async def _cancel(self) -> None:
        if not self._mine:
            return
        mine = self._random.choice(self._mine)
        foreign = self._random.random() < 0.2
        account = self._random.choice(self._bank.orgs).paths[0][0] if foreign else mine.task.account
        outcome = await self._bank.write(Cancel(mine.task.id, account, RATE), "cancel")
        if account != mine.task.account:
            assert isinstance(outcome, NoTask), outcome
        else:
            assert isinstance(outcome, Finished | NotCancellable | CancelNoted), outcome
        if isinstance(outcome, Finished):
            self._mine.remove(mine)

    async def _claim(self) -> None:
        outcome = await self._bank.write(Claim(self._owner, 600_000, self._random.randint(1, 3)), "claim")
        assert isinstance(outcome, Claimed), outcome
        self._bank.told.counts["claimed"] += len(outcome.tasks)
        ids = [task.id for task in outcome.tasks]
        found = (
            await self._bank.database.read(lambda connection: attempt_store.read_attempts(connection, ids))
            if ids
            else []
        )
        self._mine += [
            Mine(task, [attempt for attempt in found if attempt.task_id == task.id and attempt.state.is_open])
            for task in outcome.tasks
        ]

    async def _extend(self) -> None:
        await self._bank.write(ExtendLeases(self._owner, self._random.choice([600_000, -1_000])), "extend")

    async def _repeat(self) -> None:
        """As after a lost answer: nothing may be counted twice, whoever has the task by now."""
        if self._last is not None:
            outcome = await self._bank.write(replace(self._last, repeated=True), "repeat")
            assert isinstance(outcome, Lost if isinstance(self._last, Finish) else Recorded | SendRefused | Lost), (
                outcome
            )

    async def _change_budget(self) -> None:
        """An operator's change. One at a time in a process, and each account by one process only, so that a raise never lowers."""
        if not self._owned:
            return
        org = self._random.choice(self._owned)
        account = self._random.choice([account for account in org.accounts if account.budgets])
        async with self._bank.operator:
            [budget] = self._bank.budgets[account.id]
            if org.rule is Rule.RAISED:
                limit = budget.limit + self._random.randint(1, 6 * CREDIT)
            else:
                limit = self._random.randint(0, LOWERED_CEILING)
            self._bank.budgets[account.id] = (Budget(limit, Unit.CREDITS),)
            await set_budgets(self._bank.database, account.id, *map(str, self._bank.budgets[account.id]))
            self._bank.told.counts["operations"] += 1
            self._bank.told.counts[f"budget {org.rule}"] += 1

    async def _resolve(self) -> None:
        """A doubt ends as an operator found out; perhaps somebody else was quicker."""
        found = await self._bank.database.read(lambda connection: attempt_store.read_in_doubt(connection, 5))
        if not found:
            return
        attempt, _ = self._random.choice(found)
        paid = self._random.random() < 0.5
        cost = self._random.choice([None, self._random.randint(1, attempt.presumed_cost_microusd)]) if paid else None
        command = Resolve(attempt.id, upstream_account_id(attempt.upstream), paid, cost, "a test")
        for _ in range(self._random.choice([1, 1, 2])):
            outcome = await self._bank.write(command, "resolve")
            assert isinstance(outcome, Resolved | NotInDoubt), outcome

    async def _grant(self) -> None:
        """More prepaid credits; where budgets are lowered, too, sometimes fewer, also below what is used."""
        if not self._owned:
            return
        org = self._random.choice(self._owned)
        lowering = org.rule is Rule.LOWERED and self._random.random() < 0.4
        credits = -self._random.randint(1, 5) if lowering else self._random.randint(1, 4)
        outcome = await self._bank.write(
            Grant(org.prepaid, credits * CREDIT, "a test"), "adjust" if lowering else "grant"
        )
        assert isinstance(outcome, Granted), outcome

    async def _raise_own_budget(self) -> None:
        """By one process only, so that a raise never lowers."""
        if not self._raises:
            return
        async with self._bank.operator:
            self._bank.bounded = replace(
                self._bank.bounded, limit=self._bank.bounded.limit + self._random.randint(1, CREDIT // 4)
            )
            await set_budgets(self._bank.database, upstream_account_id(BOUNDED), str(self._bank.bounded))
            self._bank.told.counts["operations"] += 1
            self._bank.told.counts["own budget raised"] += 1


class Process:
    """All clients of one process."""

    def __init__(self, bank: Bank, seed: int, number: int, clients: int, processes: int) -> None:
        self._bank = bank
        self._seed = seed
        self._clients_in_all = clients * processes
        self._owner = f"run_{number}"
        self._random = Random(f"{seed}/process{number}")
        self._clients = clients
        owned = [org for org in bank.orgs if org.rule is not Rule.FIXED and org.number // 2 % processes == number]
        self._all = [
            Client(bank, f"{number}_{client}", Random(f"{seed}/{number}/{client}"), owned, raises=number == 0)
            for client in range(clients)
        ]
        self._held: dict[int, list[Mine]] = {}

    async def fire(self, number: int) -> int:
        """Every client makes its calls of a round, all at once; how many were admitted."""
        wanted = money_world.round_of(self._seed, number, self._clients_in_all)
        tasks = self._held.setdefault(number, [])

        async def call() -> int:
            admitted = 0
            for _ in range(wanted.calls_a_client):
                task = new_task(self._random.choice(wanted.paths), self._owner)
                attempt = Attempt(
                    new_attempt_id(), task.id, None, f"{wanted.upstream}/m", wanted.upstream, 1, AttemptState.SENDING, SEND_MICROUSD,
                    task.created_at_ms,
                )  # fmt: skip
                command = Accept(task, (HoldOption(wanted.hold, "{}"),), RATE, (attempt,))
                outcome = await self._bank.write(command, "accept")
                if isinstance(outcome, Accepted):
                    tasks.append(Mine(outcome.task, list(outcome.attempts)))
                    admitted += 1
            return admitted

        return sum(await asyncio.gather(*(call() for _ in range(self._clients))))

    async def free(self, number: int) -> int:
        """Give some of a round's holds back; how many."""
        tasks = self._held[number]
        freed, tasks[:] = tasks[: len(tasks) // 2], tasks[len(tasks) // 2 :]

        async def give_back(mine: Mine) -> Outcome:
            task = mine.task
            if not mine.open:
                return await self._bank.write(Cancel(task.id, task.account, RATE), "cancel")
            ended = tuple(
                replace(each, state=AttemptState.FAILED, billed=Billed.NO, fault=Fault.FAILED, ended_at_ms=1)
                for each in mine.open
            )
            command = Finish(task.id, task.epoch, TaskState.FAILED, RATE, Amount(), ended=ended)
            return await self._bank.write(command, "finish")

        outcomes = await asyncio.gather(*map(give_back, freed))
        assert all(isinstance(outcome, Finished) for outcome in outcomes), outcomes
        return len(freed)

    async def out(self, number: int) -> int:
        """How many attempts of a round are at its upstream."""
        return sum(len(mine.open) for mine in self._held[number])

    async def at_random(self, operations: int) -> int:
        """So many operations by all clients together, watched all the time."""
        upto = self._bank.told.counts["operations"] + operations

        async def spend(client: Client) -> None:
            while self._bank.told.counts["operations"] < upto:
                await client.step()

        watching = asyncio.ensure_future(self._bank.watch())
        await asyncio.gather(*map(spend, self._all))
        watching.cancel()
        [ended] = await asyncio.gather(watching, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        return operations


def run() -> None:
    """In a forked process."""
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:6])))


async def main(url_text: str, seed: int, number: int, clients: int, processes: int) -> None:
    url, lock = parse_database_url(url_text), None
    if url.dialect is Dialect.SQLITE:
        lock = SqliteLock(url.path)
        lock.acquire()
    database: Gateway = await open_database(url, apply, SystemClock(), lock)
    bank = Bank(database, money_world.orgs(seed))
    process = Process(bank, seed, number, clients, processes)
    commands = {"fire": process.fire, "free": process.free, "out": process.out, "random": process.at_random}
    answer("ready")
    while (line := await asyncio.to_thread(sys.stdin.readline)).strip() not in ("", "close"):
        command, argument = line.split()
        answer(str(await commands[command](int(argument))))
    await database.close()
    answer(bank.told.text().decode())


def answer(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run()
