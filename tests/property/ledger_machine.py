"""A state machine over everything that may happen to money and tasks, beside the model of ledger_model.py that shares no code with the ledger.

Its clock is its own, and moves across midnights, weeks, months and days on which clocks change. The machine drives the very batches that the
gateway commits (`apply`), on a real database; after every step balances and tasks must say what the model says, and at the end of every
run the audit. `VISITS` counts every (state, operation) pair, so that a test can demand that all were seen often.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import Contract
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline.commands import (
    Accept,
    Accepted,
    Cancel,
    CancelNoted,
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
    SendRefused,
)
from tests.property.ledger_model import (
    MICRO,
    UNITS,
    ZERO,
    LedgerModel,
    Limit,
    Refused,
    Triple,
    Windows,
    clocks_change,
    ends,
    moment,
    plus,
)
from tests.property.ledger_nouns import ModelTask, known, told, triple
from tests.property.ledger_world import KEYS, ORG, OURS, PATHS, PAYERS, RATE, UPSTREAM, Ledger, grant, set_terms

VISITS: Counter[tuple[str, str]] = Counter()
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
WINDOWS = ("day", "week", "month", "total")
FIRST_MS = moment("2026-03-27T12:00:00")
"""A Friday; on Sunday clocks change in Berlin."""
NUMBERS = {"credits": (0, 6, 15, 40), "usd": (3, 8, 25, 60), "images": (1, 3, 8, 15)}
"""Of budgets: near what the amounts come to."""
LIMITS = tuple(Limit(n, unit, window) for unit in UNITS for window in WINDOWS for n in NUMBERS[unit])
BUDGETS = st.lists(st.sampled_from(LIMITS), max_size=2).map(tuple)

OWN_BUDGETS: tuple[tuple[Limit, ...], ...] = (
    (), (), (), *((Limit(cents, "usd", window),) for window in WINDOWS for cents in (0, 1, 2)), (Limit(1, "usd", "day"), Limit(3, "usd", "month")),
)  # fmt: skip
"""Budgets of the upstream itself: ten sends a cent."""

HOW = ("made", "unbilled", "billed", "unknown")
"""How an attempt ends."""


class LedgerMachine(RuleBasedStateMachine):
    """Rules are operations of the pipeline; the model decides what each must answer."""

    make_ledger: Callable[[], Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = type(self).make_ledger()
        self.ledger.reset()
        self.tasks: list[ModelTask] = []
        self.model = LedgerModel((*PAYERS, UPSTREAM, OURS))
        self.now_ms = FIRST_MS
        self.number = 0

    @initialize(
        limits=st.lists(BUDGETS, min_size=5, max_size=5),
        zones=st.lists(st.sampled_from(ZONES), min_size=6, max_size=6),
        credits=st.sampled_from([None, None, 10, 40]),
        own=st.sampled_from(OWN_BUDGETS),
    )
    def limit(
        self, limits: list[tuple[Limit, ...]], zones: list[str], credits: int | None, own: tuple[Limit, ...]
    ) -> None:
        """Every run starts with some budgets, in different time zones, and some with an org that pays before."""
        for account, given, zone in zip((*PAYERS, UPSTREAM), (*limits, own), zones, strict=True):
            self._set_terms(account, given, zone, account == ORG and credits is not None)
        if credits is not None:
            self._grant(ORG, credits)

    def _set_terms(self, account: AccountId, limits: tuple[Limit, ...], zone: str, prepaid: bool) -> None:
        set_terms(self.ledger, account, limits, zone, prepaid)
        terms = self.model.terms[account]
        terms.limits, terms.zone, terms.prepaid = limits, zone, prepaid

    def _grant(self, account: AccountId, credits: int) -> None:
        before = "prepaid" if self.model.terms[account].prepaid else "not prepaid"
        wanted = self.model.grant(account, credits * MICRO)
        assert grant(self.ledger, account, credits * MICRO) == wanted
        self._visit(
            before,
            "refused take" if wanted is None else "grant" if credits > 0 else "take",
        )

    def _one(self, command: Command) -> Outcome:
        [outcome] = self.ledger.run([command])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _pick(self, index: int) -> ModelTask:
        """Every state that there is as often as the others."""
        states = sorted({entry.state for entry in self.tasks})
        found = [entry for entry in self.tasks if entry.state == states[index % len(states)]]
        return found[index // len(states) % len(found)]

    def _visit(self, state: str, operation: str) -> None:
        VISITS[state, operation] += 1

    @rule(
        account=st.sampled_from(PAYERS),
        limits=BUDGETS,
        zone=st.sampled_from((None, None, *ZONES)),
        prepaid=st.booleans(),
    )
    def change_terms(self, account: AccountId, limits: tuple[Limit, ...], zone: str | None, prepaid: bool) -> None:
        """Raised or lowered, also below what is used; in another zone, prepaid or no longer: nothing that is held or charged may change."""
        before = self.model.terms[account]
        self._set_terms(account, limits, zone or before.zone, prepaid and before.granted > 0)

    @rule(account=st.sampled_from(PAYERS), credits=st.sampled_from([5, 30, -3, -20]))
    def change_grant(self, account: AccountId, credits: int) -> None:
        """More prepaid credits, or fewer, also below what is used."""
        self._grant(account, credits)

    @rule(
        zone=st.sampled_from(ZONES),
        how=st.sampled_from(("step", "end of day", "end of week", "end of month", "clocks")),
        step_ms=st.sampled_from([-1, 0, 60_000, 7 * 3_600_000, 86_400_000]),
    )
    def time_passes(self, zone: str, how: str, step_ms: int) -> None:
        """A step; or to a window's last or first millisecond; or to where clocks change, and a day of 24 hours would end too early or too late."""
        target: int | None = self.now_ms
        if how == "clocks":
            target = clocks_change(self.now_ms, zone)
        elif how != "step":
            target = ends(self.now_ms, zone, how.removeprefix("end of "))
        self.now_ms = max(self.now_ms, (target or self.now_ms) + step_ms)

    @rule(key=st.sampled_from(KEYS), zone=st.sampled_from(ZONES[1:]), hours=st.integers(-1, 20))
    def refused_on_a_day_of_another_length(self, key: AccountId, zone: str, hours: int) -> None:
        """Where clocks change, the caller hears when the day really ends."""
        change = clocks_change(self.now_ms, zone)
        assert change is not None
        self.now_ms, before = change + hours * 3_600_000, replace(self.model.terms[key])
        self._set_terms(key, (Limit(0, "credits", "day"),), zone, before.prepaid)
        command = self._new(key, (1,), False)
        self._check_accept(command, self._one(command))
        self._set_terms(key, before.limits, before.zone, before.prepaid)

    def _new(self, key: AccountId, sizes: Sequence[int], sent: bool) -> Accept:
        self.number += 1
        options = tuple(HoldOption(Amount(c * 1_000_000, c * 10_000, 1), f'"{c}"') for c in sizes)
        task_id = TaskId(f"task-unified-1757165031-{self.number:08d}")
        task = Task(
            id=task_id, account=key, path=PATHS[key], state=TaskState.PENDING, contract=Contract.TASK, model="m", n=1, user_group="t",
            created_at_ms=self.now_ms, deadline_at_ms=2**50, reserved_microcredits=0, prompt="p", request_json="{}", plan_json="",
            owner="run_a", epoch=1,
        )  # fmt: skip
        return Accept(task, options, RATE, (self._attempt(task_id),) if sent else ())

    def _attempt(self, task_id: TaskId) -> Attempt:
        self.number += 1
        presumed = 1000 + self.number % 7
        return Attempt(
            AttemptId(f"att_{self.number:026d}"),
            task_id,
            None,
            "u/m",
            "u",
            1,
            AttemptState.SENDING,
            presumed,
            self.now_ms,
        )

    def _expected_option(self, command: Accept) -> int | Refused:
        refusal: Refused | None = None
        for index, option in enumerate(command.options):
            refusal = self.model.refusal(command.task.path, triple(option.amount), command.task.created_at_ms)
            if refusal is None:
                return index
        assert refusal is not None
        return refusal

    def _check_accept(self, command: Accept, outcome: Outcome) -> None:
        expected, accepted_at_ms = self._expected_option(command), command.task.created_at_ms
        if isinstance(expected, Refused):
            assert isinstance(outcome, BudgetRefusal), outcome
            assert told(outcome) == expected
            self._visit("none", "accept refused")
            self._visit("refused by", f"{expected.unit}/{expected.window}")
            return
        assert isinstance(outcome, Accepted), outcome
        amount = command.options[expected].amount
        assert outcome.task.reserved_microcredits == amount.microcredits
        held = triple(amount)
        windows = {account: self.model.windows(account, accepted_at_ms) for account in command.task.path}
        closed = self._no_room(command.attempts)
        assert (outcome.closed and told(outcome.closed)) == closed
        attempts = () if closed else command.attempts
        assert outcome.attempts == attempts
        entry = ModelTask(command.task, held, windows, "processing" if attempts else "pending")
        for account in command.task.path:
            self.model.book(account, windows[account], pending=held)
        for attempt in attempts:
            self._sent(entry, attempt)
        assert outcome.remaining_microcredits == self.model.remaining(command.task.path, int(RATE), accepted_at_ms)
        self.tasks.append(entry)
        self._visit("none", "accept")

    def _no_room(self, attempts: Sequence[Attempt]) -> Refused | None:
        """The upstream's own budget that does not fit them together."""
        asked = 0
        for attempt in attempts:
            asked += attempt.presumed_cost_microusd
            refused = self.model.refusal((UPSTREAM,), (0, asked, 0), attempt.sent_at_ms)
            if refused is not None:
                self._visit("upstream refused by", refused.window)
                return refused
        return None

    def _sent(self, entry: ModelTask, attempt: Attempt) -> None:
        windows = self.model.windows(UPSTREAM, attempt.sent_at_ms)
        entry.open[attempt.id] = attempt, windows
        self.model.book(UPSTREAM, windows, pending=(0, attempt.presumed_cost_microusd, 0))

    @rule(
        key=st.sampled_from(KEYS),
        sizes=st.sampled_from([(1,), (3,), (9, 4, 2), (5, 1)]),
        sent=st.booleans(),
        at_once=st.integers(1, 4),
        apart_ms=st.sampled_from([0, 0, 1, 20 * 3_600_000]),
    )
    def accept(self, key: AccountId, sizes: tuple[int, ...], sent: bool, at_once: int, apart_ms: int) -> None:
        """One call, or several in one batch that compete for the same budgets, perhaps on both sides of a midnight."""
        commands = []
        for _ in range(at_once):
            commands.append(self._new(key, sizes, sent))
            self.now_ms += apart_ms
        for command, outcome in zip(commands, self.ledger.run(list(commands)), strict=True):
            assert not isinstance(outcome, Exception), outcome
            self._check_accept(command, outcome)

    @rule(key=st.sampled_from(KEYS), unit=st.sampled_from((0, 0, 1, 2)), above=st.sampled_from([0, 1]))
    def accept_to_the_last(self, key: AccountId, unit: int, above: int) -> None:
        """Exactly what the tightest budget has left fits, and one micro-credit, micro-dollar or image more does not."""
        limits = [each for account in PATHS[key] for each in self.model.left(account, self.now_ms)]
        left = [value for name, _, value in limits if name == UNITS[unit]]
        if left:
            command = self._new(key, (1,), False)
            amount = [0, 0, 0]
            amount[unit] = min(left) + above
            command = replace(command, options=(HoldOption(Amount(*amount), '"all"'),))
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
        lost = stale or entry.finished
        closed = None if lost else self._no_room((attempt,))
        for number in range(repeats):
            outcome = self._one(replace(command, repeated=number > 0))
            assert isinstance(outcome, Lost if lost else SendRefused if closed else Recorded), outcome
            assert not isinstance(outcome, SendRefused) or told(outcome.refusal) == closed
        self._visit(entry.state, "stale send" if stale else "send")
        if not lost and not closed:
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
        sent, windows = entry.open.pop(attempt.id)
        entry.ended.append(attempt)
        entry.paid |= how == "made"
        self._ended_later("attempt", UPSTREAM, windows)
        if how == "unknown":
            entry.doubts[attempt.id] = sent, windows
            return
        cost = {
            "made": attempt.presumed_cost_microusd - 7,
            "unbilled": 0,
            "billed": attempt.presumed_cost_microusd + 5,
        }[how]
        self.model.book(UPSTREAM, windows, (0, cost, 0), (0, -attempt.presumed_cost_microusd, 0))
        if how == "billed":
            self.model.book(OURS, {}, (0, cost, 0))

    def _ended_later(self, what: str, account: AccountId, windows: Windows) -> None:
        now = self.model.windows(account, self.now_ms)
        for window, start in windows.items():
            self._visit(what, f"ended in {'the same' if now[window] == start else 'another'} {window}")

    @precondition(lambda self: any(entry.open for entry in self.tasks))
    @rule(index=st.integers(0, 50), how=st.sampled_from(HOW), repeats=st.integers(1, 2))
    def end_attempt(self, index: int, how: str, repeats: int) -> None:
        """An attempt's outcome becomes known before its task ends."""
        entries = [entry for entry in self.tasks if entry.open]
        entry = entries[index % len(entries)]
        attempt, _ = next(iter(entry.open.values()))
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
        how=st.sampled_from(HOW),
        stale=st.sampled_from([0, 1]),
        knowing=st.booleans(),
    )
    def finish(self, index: int, completed: bool, charge: int, how: str, stale: int, knowing: bool) -> None:
        """The end, with whatever is still out; a charge above the hold is capped, the rest is ours."""
        entry = self._pick(index)
        out = [attempt for attempt, _ in entry.open.values()]
        command = Finish(
            entry.task.id, entry.epoch - stale, TaskState.COMPLETED if completed else TaskState.FAILED, RATE,
            Amount(charge * 1_000_000, charge * 10_000, 1) if completed else Amount(),
            ended=tuple(self._ending(attempt, how) for attempt in out), **(known(entry.task) if knowing else {}),
        )  # fmt: skip
        outcome = self._one(command)
        self._visit(entry.state, ("stale " if stale else "") + ("complete" if completed else "fail"))
        if stale or entry.finished:
            assert isinstance(outcome, Lost), outcome
            return
        assert isinstance(outcome, Finished), outcome
        for attempt in out:
            self._book_end(entry, attempt, how)
        wanted = (charge * 1_000_000, charge * 10_000, 1) if completed else ZERO
        charged = min(wanted[0], entry.held[0]), min(wanted[1], entry.held[1]), min(wanted[2], entry.held[2])
        self._end_hold(entry, charged, outcome)
        self.model.book(OURS, {}, (wanted[0] - charged[0], wanted[1] - charged[1], 0))
        entry.state = "completed" if completed else "failed"

    def _end_hold(self, entry: ModelTask, charged: Triple, outcome: Finished) -> None:
        """Whenever it is, in the windows in which it was accepted."""
        for account in entry.task.path:
            windows = entry.windows[account]
            self.model.book(account, windows, charged, plus(ZERO, entry.held, -1))
            self._ended_later("task", account, windows)
        wanted = self.model.remaining(entry.task.path, int(RATE), entry.task.created_at_ms)
        assert outcome.remaining_microcredits == wanted

    @precondition(lambda self: self.tasks)
    @rule(index=st.integers(0, 50), foreign=st.booleans(), knowing=st.booleans())
    def cancel(self, index: int, foreign: bool, knowing: bool) -> None:
        """Granted to its owner while nothing is out."""
        entry = self._pick(index)
        account = KEYS[2] if foreign else entry.task.account
        outcome = self._one(Cancel(entry.task.id, account, RATE, **(known(entry.task) if knowing else {})))
        if foreign and entry.task.account != KEYS[2]:
            assert isinstance(outcome, NoTask), outcome
            self._visit(entry.state, "foreign cancel")
            return
        self._visit(entry.state, "cancel")
        if entry.state == "cancelled":
            assert isinstance(outcome, CancelNoted), outcome
            return
        if entry.finished or entry.open:
            assert isinstance(outcome, NotCancellable), outcome
            return
        if entry.paid:  # its worker has a picture in hand, and ends it
            assert isinstance(outcome, CancelNoted), outcome
            outcome = self._one(Finish(entry.task.id, entry.epoch, TaskState.CANCELLED, RATE, Amount()))
        assert isinstance(outcome, Finished), outcome
        self._end_hold(entry, ZERO, outcome)
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

    @precondition(lambda self: self.tasks)
    @rule(seed=st.integers(0, 2**32), length=st.integers(5, 25))
    def busy(self, seed: int, length: int) -> None:
        """Many ends, sends and cancellations, one after the other, drawn from one seed: cheap to draw, so that every pair is seen often."""
        random = Random(seed)
        for _ in range(length):
            index, stale, dice = random.randrange(50), random.random() < 0.3, random.random()
            if dice < 0.2:
                self.send(index=index, stale=stale, repeats=1)
            elif dice < 0.5:
                self.cancel(index=index, foreign=random.random() < 0.4, knowing=stale)
            elif dice < 0.6:
                self.accept(key=random.choice(KEYS), sizes=(1,), sent=stale, at_once=1, apart_ms=0)
            else:
                how = random.choice(HOW)
                completed, charge, knowing = random.random() < 0.5, random.randrange(13), random.random() < 0.5
                self.finish(index=index, completed=completed, charge=charge, how=how, stale=int(stale), knowing=knowing)

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        """Every row of every window, and every state."""
        found = {row: sums for row, sums in self.ledger.rows().items() if sums != (ZERO, ZERO)}
        assert found == self.model.rows()
        states = self.ledger.states([entry.task.id for entry in self.tasks])
        assert states == {entry.task.id: TaskState(entry.state) for entry in self.tasks}

    def teardown(self) -> None:
        """The audit finds nothing: balances are the sums of their entries, and what is held is the sum of the pending holds."""
        assert self.ledger.differences() == []
