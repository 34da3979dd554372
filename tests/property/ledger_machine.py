"""A state machine over everything that may happen to money and tasks, beside a model of its own that shares no code with the ledger.

The machine drives the very batches that the gateway commits (`apply`), on a real database; after every step balances and tasks must say what the
model says, and at the end of every run the audit. `VISITS` counts every (state, operation) pair, so that a test can demand that all were seen often.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import bindparam, update

from gateway.db.connection import Connection
from gateway.db.schema import accounts
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import Contract
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    Claim,
    Claimed,
    Command,
    Finish,
    Finished,
    HoldOption,
    Lost,
    NoTask,
    NotCancellable,
    Outcome,
    RecordAttempts,
    Recorded,
)

RATE = Decimal(72)
KEYS = (AccountId("key:o/t/a"), AccountId("key:o/t/b"), AccountId("key:o//c"))
TEAM, ORG = AccountId("team:o/t"), AccountId("org:o")
PATHS = {KEYS[0]: (KEYS[0], TEAM, ORG), KEYS[1]: (KEYS[1], TEAM, ORG), KEYS[2]: (KEYS[2], ORG)}
UPSTREAM, OURS = AccountId("upstream:u"), AccountId("ours")
PAYERS = (*KEYS, TEAM, ORG)
ROWS: tuple[tuple[str, str, str, str | None], ...] = (
    (ORG, "org", "o", None), (TEAM, "team", "t", ORG), (KEYS[0], "key", "a", TEAM), (KEYS[1], "key", "b", TEAM), (KEYS[2], "key", "c", ORG),
    (UPSTREAM, "upstream", "u", None), (OURS, "ours", "ours", None),
)  # fmt: skip
VISITS: Counter[tuple[str, str]] = Counter()
SET_BUDGET = Statement(update(accounts).where(accounts.c.id == bindparam("account")).values(budgets=bindparam("texts")))


class Ledger(Protocol):
    """What the machine drives: one database, emptied for every run."""

    def reset(self) -> None: ...

    def run(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        """One batch, committed."""
        ...

    def balances(self) -> dict[AccountId, tuple[Amount, Amount]]: ...

    def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]: ...

    def differences(self) -> list[str]: ...


def set_budget(ledger: Ledger, account: AccountId, limit: int | None) -> None:
    """As an operator would, in whole credits; None takes the budget away."""
    text = "[]" if limit is None else f'["{limit}credits/total"]'

    async def write(connection: Connection, _: int) -> None:
        await connection.execute(SET_BUDGET, account=account, texts=text)

    assert ledger.run([Transact(write)]) == [Recorded()]


@dataclass
class ModelTask:
    """What the model knows of a task. Money as plain integers of (credits, usd, images)."""

    task: Task
    held: tuple[int, int, int]
    state: str = "pending"
    epoch: int = 1
    open: dict[AttemptId, Attempt] = field(default_factory=dict)
    ended: list[Attempt] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.state in ("completed", "failed", "cancelled")


def _triple(amount: Amount) -> tuple[int, int, int]:
    return amount.microcredits, amount.microusd, amount.images


def _plus(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


class LedgerMachine(RuleBasedStateMachine):
    """Rules are operations of the pipeline; the model decides what each must answer."""

    make_ledger: Callable[[], Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = type(self).make_ledger()
        self.ledger.reset()
        self.tasks: list[ModelTask] = []
        self.posted: dict[AccountId, tuple[int, ...]] = dict.fromkeys((*PAYERS, UPSTREAM, OURS), (0, 0, 0))
        self.pending: dict[AccountId, tuple[int, ...]] = dict.fromkeys((*PAYERS, UPSTREAM, OURS), (0, 0, 0))
        self.budgets: dict[AccountId, int | None] = dict.fromkeys(PAYERS)
        self.number = 0

    @initialize(limits=st.lists(st.sampled_from([None, 4, 10, 25]), min_size=5, max_size=5))
    def limit(self, limits: list[int | None]) -> None:
        """Every run starts with some budgets, in whole units that the amounts come near to."""
        for account, limit in zip(PAYERS, limits, strict=True):
            self._set_budget(account, limit)

    def _one(self, command: Command) -> Outcome:
        [outcome] = self.ledger.run([command])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _set_budget(self, account: AccountId, limit: int | None) -> None:
        set_budget(self.ledger, account, limit)
        self.budgets[account] = limit

    def _pick(self, index: int) -> ModelTask:
        """Every state that there is as often as the others."""
        states = sorted({entry.state for entry in self.tasks})
        found = [entry for entry in self.tasks if entry.state == states[index % len(states)]]
        return found[index // len(states) % len(found)]

    def _visit(self, state: str, operation: str) -> None:
        VISITS[state, operation] += 1

    @rule(account=st.sampled_from(PAYERS), limit=st.sampled_from([None, 0, 3, 8, 20]))
    def change_limit(self, account: AccountId, limit: int | None) -> None:
        """Raised or lowered, also below what is used: nothing that is held or charged may change."""
        self._set_budget(account, limit)

    def _new(self, key: AccountId, sizes: Sequence[int], sent: bool) -> Accept:
        self.number += 1
        options = tuple(HoldOption(Amount(c * 1_000_000, c * 10_000, 1), f'"{c}"') for c in sizes)
        task_id = TaskId(f"task-unified-1757165031-{self.number:08d}")
        task = Task(
            id=task_id, account=key, path=PATHS[key], state=TaskState.PENDING, contract=Contract.TASK, model="m", n=1, user_group="t",
            created_at_ms=1, deadline_at_ms=2, reserved_microcredits=0, prompt="p", request_json="{}", plan_json="", owner="run_a", epoch=1,
        )  # fmt: skip
        return Accept(task, options, RATE, (self._attempt(task_id),) if sent else ())

    def _attempt(self, task_id: TaskId) -> Attempt:
        self.number += 1
        presumed = 1000 + self.number % 7
        return Attempt(
            AttemptId(f"att_{self.number:026d}"), task_id, None, "u/m", "u", 1, AttemptState.SENDING, presumed, 1
        )

    def _expected_option(self, command: Accept) -> int | None:
        for index, option in enumerate(command.options):
            fits = True
            for account in command.task.path:
                limit = self.budgets[account]
                used = self.posted[account][0] + self.pending[account][0]
                if limit is not None and used + option.amount.microcredits > limit * 1_000_000:
                    fits = False
            if fits:
                return index
        return None

    def _check_accept(self, command: Accept, outcome: Outcome) -> None:
        expected = self._expected_option(command)
        if expected is None:
            assert isinstance(outcome, BudgetRefusal), outcome
            self._visit("none", "accept refused")
            return
        assert isinstance(outcome, Accepted), outcome
        amount = command.options[expected].amount
        assert outcome.task.reserved_microcredits == amount.microcredits
        held = _triple(amount)
        entry = ModelTask(command.task, held, "processing" if command.attempts else "pending")
        for account in command.task.path:
            self.pending[account] = _plus(self.pending[account], held)
        for attempt in command.attempts:
            self._sent(entry, attempt)
        self.tasks.append(entry)
        self._visit("none", "accept")

    def _sent(self, entry: ModelTask, attempt: Attempt) -> None:
        entry.open[attempt.id] = attempt
        self.pending[UPSTREAM] = _plus(self.pending[UPSTREAM], (0, attempt.presumed_cost_microusd, 0))

    @rule(
        key=st.sampled_from(KEYS),
        sizes=st.sampled_from([(1,), (3,), (9, 4, 2), (5, 1)]),
        sent=st.booleans(),
        at_once=st.integers(1, 4),
    )
    def accept(self, key: AccountId, sizes: tuple[int, ...], sent: bool, at_once: int) -> None:
        """One call, or several in one batch that compete for the same budgets."""
        commands = [self._new(key, sizes, sent) for _ in range(at_once)]
        for command, outcome in zip(commands, self.ledger.run(list(commands)), strict=True):
            assert not isinstance(outcome, Exception), outcome
            self._check_accept(command, outcome)

    @rule(key=st.sampled_from(KEYS), above=st.sampled_from([0, 1]))
    def accept_to_the_last(self, key: AccountId, above: int) -> None:
        """Exactly what the tightest budget has left fits, and one micro-credit more does not."""
        left = [
            limit * 1_000_000 - self.posted[account][0] - self.pending[account][0]
            for account in PATHS[key]
            if (limit := self.budgets[account]) is not None
        ]
        if left and min(left) >= 0:
            command = self._new(key, (1,), False)
            amount = Amount(min(left) + above, 1, 1)
            command = replace(command, options=(HoldOption(amount, '"all"'),))
            outcome = self._one(command)
            assert isinstance(outcome, BudgetRefusal) is bool(above), outcome
            self._check_accept(command, outcome)

    @precondition(lambda self: self.tasks)
    @rule(index=st.integers(0, 50), stale=st.booleans(), repeats=st.integers(1, 2))
    def send(self, index: int, stale: bool, repeats: int) -> None:
        """A new attempt, perhaps by a worker that was replaced, perhaps given twice because an answer was lost."""
        entry = self._pick(index)
        attempt = self._attempt(entry.task.id)
        command = RecordAttempts(entry.task.id, entry.epoch - stale, started=(attempt,))
        for number in range(repeats):
            outcome = self._one(replace(command, repeated=number > 0))
            assert isinstance(outcome, Lost if stale or entry.finished else Recorded), outcome
        self._visit(entry.state, "stale send" if stale else "send")
        if not stale and not entry.finished:
            entry.state = "processing"
            self._sent(entry, attempt)

    def _ending(self, attempt: Attempt, how: str) -> Attempt:
        presumed = attempt.presumed_cost_microusd
        state, billed, cost = {
            "made": (AttemptState.SUCCEEDED, None, presumed - 7),
            "unbilled": (AttemptState.FAILED, Billed.NO, 0),
            "billed": (AttemptState.FAILED, Billed.YES, presumed + 5),
            "unknown": (AttemptState.UNKNOWN, Billed.UNKNOWN, 0),
        }[how]
        fault = None if state is AttemptState.SUCCEEDED else Fault.FAILED
        return replace(attempt, state=state, billed=billed, fault=fault, cost_microusd=cost, ended_at_ms=5)

    def _book_end(self, entry: ModelTask, attempt: Attempt, how: str) -> None:
        del entry.open[attempt.id]
        entry.ended.append(attempt)
        if how == "unknown":
            return
        cost = {
            "made": attempt.presumed_cost_microusd - 7,
            "unbilled": 0,
            "billed": attempt.presumed_cost_microusd + 5,
        }[how]
        self.pending[UPSTREAM] = _plus(self.pending[UPSTREAM], (0, -attempt.presumed_cost_microusd, 0))
        self.posted[UPSTREAM] = _plus(self.posted[UPSTREAM], (0, cost, 0))
        if how == "billed":
            self.posted[OURS] = _plus(self.posted[OURS], (0, cost, 0))

    HOW = st.sampled_from(["made", "unbilled", "billed", "unknown"])

    @precondition(lambda self: any(entry.open for entry in self.tasks))
    @rule(index=st.integers(0, 50), how=HOW, repeats=st.integers(1, 2))
    def end_attempt(self, index: int, how: str, repeats: int) -> None:
        """An attempt's outcome becomes known before its task ends."""
        entries = [entry for entry in self.tasks if entry.open]
        entry = entries[index % len(entries)]
        attempt = next(iter(entry.open.values()))
        command = RecordAttempts(entry.task.id, entry.epoch, ended=(self._ending(attempt, how),))
        for number in range(repeats):
            outcome = self._one(replace(command, repeated=number > 0))
            assert isinstance(outcome, Lost if entry.finished else Recorded), outcome
        self._visit(entry.state, "end attempt")
        if not entry.finished:
            self._book_end(entry, attempt, how)

    @precondition(lambda self: self.tasks)
    @rule(
        index=st.integers(0, 50),
        completed=st.booleans(),
        charge=st.integers(0, 12),
        how=HOW,
        stale=st.sampled_from([0, 1]),
    )
    def finish(self, index: int, completed: bool, charge: int, how: str, stale: int) -> None:
        """The end, with whatever is still out; a charge above the hold is capped, the rest is ours."""
        entry = self._pick(index)
        out = list(entry.open.values())
        command = Finish(
            entry.task.id, entry.epoch - stale, TaskState.COMPLETED if completed else TaskState.FAILED, RATE,
            Amount(charge * 1_000_000, charge * 10_000, 1) if completed else Amount(),
            ended=tuple(self._ending(attempt, how) for attempt in out),
        )  # fmt: skip
        outcome = self._one(command)
        self._visit(entry.state, ("stale " if stale else "") + ("complete" if completed else "fail"))
        if stale or entry.finished:
            assert isinstance(outcome, Lost), outcome
            return
        assert isinstance(outcome, Finished), outcome
        for attempt in out:
            self._book_end(entry, attempt, how)
        wanted = (charge * 1_000_000, charge * 10_000, 1) if completed else (0, 0, 0)
        charged = tuple(min(a, b) for a, b in zip(wanted, entry.held, strict=True))
        for account in entry.task.path:
            self.pending[account] = _plus(self.pending[account], tuple(-value for value in entry.held))
            self.posted[account] = _plus(self.posted[account], charged)
        self.posted[OURS] = _plus(self.posted[OURS], (wanted[0] - charged[0], wanted[1] - charged[1], 0))
        entry.state = "completed" if completed else "failed"

    @precondition(lambda self: self.tasks)
    @rule(index=st.integers(0, 50), foreign=st.booleans())
    def cancel(self, index: int, foreign: bool) -> None:
        """Granted to its owner while nothing is out."""
        entry = self._pick(index)
        outcome = self._one(
            Cancel(entry.task.id, KEYS[2] if foreign and entry.task.account != KEYS[2] else entry.task.account, RATE)
        )
        if foreign and entry.task.account != KEYS[2]:
            assert isinstance(outcome, NoTask), outcome
            self._visit(entry.state, "foreign cancel")
            return
        self._visit(entry.state, "cancel")
        if entry.finished or entry.open:
            assert isinstance(outcome, NotCancellable), outcome
            return
        assert isinstance(outcome, Finished), outcome
        for account in entry.task.path:
            self.pending[account] = _plus(self.pending[account], tuple(-value for value in entry.held))
        entry.state = "cancelled"

    @rule()
    def take_over(self) -> None:
        """Another process claims everything that is unfinished: the old epochs write nothing more."""
        self.number += 1
        outcome = self._one(Claim(f"run_{self.number}", 1000, 1000, everything=True))
        assert isinstance(outcome, Claimed), outcome
        assert {task.id for task in outcome.tasks} == {entry.task.id for entry in self.tasks if not entry.finished}
        for entry in self.tasks:
            self._visit(entry.state, "take over")
            if not entry.finished:
                entry.epoch += 1

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        """Every balance and every state."""
        found = self.ledger.balances()
        for account, posted in self.posted.items():
            have = found.get(account, (Amount(), Amount()))
            assert (_triple(have[0]), _triple(have[1])) == (posted, self.pending[account]), account
        states = self.ledger.states([entry.task.id for entry in self.tasks])
        assert states == {entry.task.id: TaskState(entry.state) for entry in self.tasks}

    def teardown(self) -> None:
        """The audit finds nothing: balances are the sums of their entries, and what is held is the sum of the pending holds."""
        assert self.ledger.differences() == []
