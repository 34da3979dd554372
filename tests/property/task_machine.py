"""A state machine over the commands of a task, beside the model of task_model.py.

It drives the batches that the gateway commits: by workers that own a task, by workers that were replaced, by strangers, repeated after a lost answer,
and two at once on one task. After every step each task, attempt and balance must be the model's. `VISITS` counts every (state, operation) pair.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain.ids import AccountId, AttemptId, TaskId
from gateway.domain.images import Contract, ImageResult
from gateway.domain.money import Amount
from gateway.domain.repeats import Repeat
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.commands import (
    Accept,
    Claim,
    Command,
    ExtendLeases,
    Finish,
    HandBack,
    HoldOption,
    RecordAttempts,
    RecordSubmitted,
)
from gateway.pipeline.repeating import TakeUp
from gateway.tasks.erasing import Erase
from tests.property.ledger_world import KEYS, OURS, PATHS, PAYERS, RATE, UPSTREAM, Ledger, set_budget
from tests.property.task_commands import ENDS, amount, cancel_of, ending_of, expiry, repeated
from tests.property.task_model import CANCELLABLE, ZERO, AttemptSeen, ModelTask, TaskModel, TaskSeen, told

OWNERS = ("run_a", "run_b", "run_c")
WORK = ("start", "fail over", "end", "submit", "complete", "fail", "stop")
"""What a worker does with a task, under the epoch in its hands."""
ATTEMPTED = ("fail over", "end", "submit", "stop")
"""Of these, what is done with an attempt that is there."""
SIZES = ((2,), (4,), (9, 3), (7, 5, 1))
REPEATS = ("same key", "other body", "foreign key", "retry", "foreign retry", "take up", "foreign take up", "forget")
"""How a call is made again whose task is picked: by its key, by an SDK that looks under lock or has found the task before, or by somebody else."""
WHOSE, AGAIN = ("", "", "", "old ", "future "), ("", "", "batch", "next")
LIVING_MS, ENDED_MS = 600_000, -60_000
INDEXES, CHARGES = st.integers(0, 60), st.sampled_from([0, 1, 2, 5, 12])
HOW, LEASES = st.sampled_from(ENDS), st.sampled_from([LIVING_MS, ENDED_MS])
VISITS: Counter[tuple[str, str]] = Counter()

UNFINISHED, FINISHED = ("pending", "processing"), ("completed", "failed", "cancelled")
_WAYS = (("", ""), ("old ", ""), ("future ", ""), ("", " again"))
"""By the owner, under an epoch of before or that never was, and once more after a lost answer."""
_ALWAYS = (
    *(f"{before}{work}{after}" for work in ("start", "complete", "fail") for before, after in _WAYS),
    "cancel", "cancel again", "foreign cancel", "cancel beside work", "erase", "erase again", "foreign erase", "erase beside work", "claim passes",
    "extend", "extend others'", "hand back", "hand back others'",
)  # fmt: skip
_WITH_ATTEMPTS = tuple(f"{before}{work}{after}" for work in ATTEMPTED for before, after in _WAYS)
_WISHED = ("cancel noted", *(f"{work} after the wish" for work in (*WORK, "cancel")))
"""A call is out that can be cancelled, and its caller wants that."""
PAIRS = {
    *(("none", operation) for operation in ("accept", "accept cheaper", "accept refused", "accept and cancel")),
    *(("none", operation) for operation in ("start", "complete", "cancel", "erase")),
    *((state, operation) for state in (*UNFINISHED, *FINISHED) for operation in _ALWAYS),
    *((state, operation) for state in ("processing", *FINISHED) for operation in _WITH_ATTEMPTS),
    *((state, operation) for state in (*UNFINISHED, *FINISHED) for operation in (*REPEATS, "called twice")),
    *(("processing", operation) for operation in _WISHED),
    *((state, operation) for state in UNFINISHED for operation in ("claim", "claim ended", "claim of own passes")),
}  # fmt: skip


def _attempts_of(task: ModelTask) -> list[AttemptId]:
    """That a worker may speak of: the open ones, and of a task that has ended all."""
    return [i for i, attempt in task.attempts.items() if attempt.is_open or task.is_final]


class TaskLedger(Ledger, Protocol):
    """What this machine looks at besides."""

    def seen(self) -> tuple[dict[TaskId, TaskSeen], dict[AttemptId, AttemptSeen]]:
        """Every task and every attempt in the database."""
        ...

    def usage(self) -> dict[AccountId, list[int]]:
        """Of each key: tasks that ended, those with another's pictures, and what these had cost."""
        ...


class TaskMachine(RuleBasedStateMachine):
    """Rules are commands; the model says what each must be answered."""

    make_ledger: Callable[[], TaskLedger]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = type(self).make_ledger()
        self.ledger.reset()
        self.model = TaskModel(PAYERS, UPSTREAM, OURS)
        self.order: list[TaskId] = []
        self.commands: dict[AttemptId, Attempt] = {}
        self.number = 0

    @initialize(org=st.sampled_from([None, 12, 40]), key=st.sampled_from([None, 10]))
    def limit(self, org: int | None, key: int | None) -> None:
        """Some runs refuse calls, some fall back to a cheaper plan."""
        for account, limit in ((PAYERS[-1], org), (KEYS[0], key)):
            set_budget(self.ledger, account, limit)
            self.model.limits[account] = None if limit is None else limit * 1_000_000

    def _do(self, *commands: Command) -> list[tuple[object, ...]]:
        """One batch; every answer is the model's."""
        outcomes = self.ledger.run(list(commands))
        answers = []
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            expected = self.model.answer(command)
            assert told(outcome) == expected, (command, outcome, expected)
            answers.append(expected)
        return answers

    def _pick(self, index: int) -> ModelTask:
        """Every state that there is as often as the others, those that have not ended twice as often."""
        found = self._pick_of(index, lambda _: True)
        assert found is not None
        return found

    def _pick_of(self, index: int, wanted: Callable[[ModelTask], bool]) -> ModelTask | None:
        tasks = [task for task in map(self.model.tasks.__getitem__, self.order) if wanted(task)]
        if not tasks:
            return None
        there = {task.state for task in tasks}
        states = sorted(there) + sorted(there & set(UNFINISHED))
        state, number = states[index % len(states)], index // len(states)
        found = [task for task in tasks if task.state == state]
        return found[number % len(found)]

    def _attempt(self, task_id: TaskId) -> Attempt:
        self.number += 1
        attempt = Attempt(
            AttemptId(f"att_{self.number:026d}"),
            task_id,
            None,
            CANCELLABLE if self.number % 4 else "u/m",
            "u",
            1,
            AttemptState.SENDING,
            1000 + self.number % 7,
            1,
        )
        self.commands[attempt.id] = attempt
        return attempt

    def _new(
        self,
        key: AccountId,
        sizes: Sequence[int],
        attempts: int,
        owner: str,
        lease_ms: int,
        repeat: Repeat | None = None,
    ) -> Accept:
        """Where it is not said what leads to it: by turns a key, an SDK's body of two, or nothing."""
        self.number += 1
        body = f"body {self.number // 3 % 2}"
        repeat = repeat or (Repeat(body, f"key {self.number}"), Repeat(body), None)[self.number % 3]
        task_id = TaskId(f"task-unified-1757165031-{self.number:08d}")
        task = Task(
            id=task_id, account=key, path=PATHS[key], state=TaskState.PENDING, contract=Contract.TASK, model="m", n=1, user_group="t",
            created_at_ms=self.number // 4, deadline_at_ms=2, reserved_microcredits=0, prompt="p", request_json="{}", plan_json="", owner=owner,
            epoch=1,
        )  # fmt: skip
        # The first plan begins with the offer that the attempts are for; cheaper ones do not.
        options = tuple(HoldOption(amount(size), str(index), index == 0) for index, size in enumerate(sizes))
        return Accept(task, options, RATE, tuple(self._attempt(task_id) for _ in range(attempts)), lease_ms, repeat)

    @rule(
        key=st.sampled_from(KEYS),
        sizes=st.sampled_from(SIZES),
        attempts=st.integers(0, 2),
        owner=st.sampled_from(OWNERS),
        lease_ms=LEASES,
        cancelled=st.sampled_from([False, False, False, True]),
    )
    def accept(
        self, key: AccountId, sizes: Sequence[int], attempts: int, owner: str, lease_ms: int, cancelled: bool
    ) -> None:
        """A new task, with or without attempts that go out at once; sometimes its caller gives up in the same batch."""
        self._accept_once(key, sizes, attempts, owner, lease_ms, cancelled)

    def _accept_once(
        self, key: AccountId, sizes: Sequence[int], attempts: int, owner: str, lease_ms: int, cancelled: bool
    ) -> None:
        command = self._new(key, sizes, attempts, owner, lease_ms)
        cancel = [cancel_of(command.task.id, key)] if cancelled else []
        answer, *_ = self._do(command, *cancel)
        if answer[0] == "refused":
            VISITS["none", "accept refused"] += 1
            return
        self.order.append(command.task.id)
        VISITS["none", "accept cheaper" if answer[1] else "accept"] += 1
        VISITS["none", "accept and cancel"] += cancelled

    def _work(self, task: ModelTask, work: str, epoch: int, how: str, charge: int) -> Command | None:
        """A worker's command, None where this task has nothing to do it with. Only replaced workers repeat themselves unasked."""
        attempts = _attempts_of(task)
        match work:
            case "start":
                return RecordAttempts(task.id, epoch, started=(self._attempt(task.id),))
            case "complete":
                ended = self._endings(task, how)
                results = (ImageResult(f"{task.id}/{self.number}", "image/png", "png", 9, 2, 2, "0" * 64, None),)
                finish = Finish(task.id, epoch, TaskState.COMPLETED, RATE, amount(charge), ended=ended, results=results)
                return replace(finish, results_expire_at_ms=expiry(self.number))
            case "fail":
                error = TaskError(TaskErrorCode.SERVICE_ERROR, "no")
                ended = self._endings(task, how)
                return Finish(task.id, epoch, TaskState.FAILED, RATE, Amount(), ended=ended, error=error)
            case "stop" if not (task.wished or task.is_final or (attempts and epoch != task.epoch)):
                return None  # a worker never does that unasked
            case "stop":
                error = TaskError(TaskErrorCode.REQUEST_CANCELLED, "stopped")
                ended = self._endings(task, how)
                return Finish(task.id, epoch, TaskState.CANCELLED, RATE, amount(charge), ended=ended, error=error)
        if not attempts:
            return None
        match work:
            case "submit":
                return RecordSubmitted(task.id, epoch, attempts[0], f"job{self.number}")
            case "end":
                return RecordAttempts(task.id, epoch, ended=(ending_of(self.commands[attempts[0]], how),))
            case _:
                ending, started = ending_of(self.commands[attempts[-1]], how), self._attempt(task.id)
                return RecordAttempts(task.id, epoch, ended=(ending,), started=(started,))

    def _endings(self, task: ModelTask, how: str) -> tuple[Attempt, ...]:
        """The open ones, each in its own way; a finished task's are given again."""
        first = ENDS.index(how)
        attempts = _attempts_of(task)
        return tuple(
            ending_of(self.commands[i], ENDS[(first + number) % len(ENDS)]) for number, i in enumerate(attempts)
        )

    @precondition(lambda self: self.order)
    @rule(
        steps=st.lists(
            st.tuples(INDEXES, st.sampled_from(WORK), HOW, CHARGES, st.sampled_from(WHOSE), st.sampled_from(AGAIN)),
            min_size=1,
            max_size=6,
        )
    )
    def work(self, steps: list[tuple[int, str, str, int, str, str]]) -> None:
        """By owners or by workers that were replaced; given twice where the first answer was lost, in one batch or in two."""
        for step in steps:
            self._work_once(*step)

    def _work_once(self, index: int, work: str, how: str, charge: int, whose: str, again: str) -> None:
        wished = self._pick_of(index, lambda one: one.wished and not one.is_final) if index % 3 == 0 else None
        # Of the states alike, those that have an attempt for what needs one.
        able = self._pick_of(index, lambda one: bool(_attempts_of(one))) if work in ATTEMPTED else None
        task = wished or able or self._pick(index)
        epoch = task.epoch + {"": 0, "old ": -1, "future ": 1}[whose]
        command = self._work(task, work, epoch, how, charge)
        if command is None:
            return
        state = task.state
        VISITS[state, f"{whose}{work}"] += 1
        VISITS[state, f"{work} after the wish"] += task.wished and not task.is_final and not whose
        VISITS[state, f"{work} again"] += again != ""
        repeat = command if isinstance(command, RecordSubmitted) else repeated(command)
        if again == "batch":
            self._do(command, repeat)
        else:
            self._do(command)
        if again == "next":
            self._do(repeat)

    @precondition(lambda self: self.order)
    @rule(index=INDEXES, work=st.sampled_from(WORK), how=HOW, charge=CHARGES, cancel_first=st.booleans())
    def work_and_cancel_at_once(self, index: int, work: str, how: str, charge: int, cancel_first: bool) -> None:
        """Worker and caller meet in one batch: the first of them decides."""
        task = self._pick(index)
        command = self._work(task, work, task.epoch, how, charge)
        if command is not None:
            cancel = cancel_of(task.id, task.path[0])
            VISITS[task.state, "cancel beside work"] += 1
            self._do(*((cancel, command) if cancel_first else (command, cancel)))

    @precondition(lambda self: self.order)
    @rule(index=INDEXES, work=st.sampled_from(WORK), how=HOW, charge=CHARGES, erase_first=st.booleans())
    def work_and_erase_at_once(self, index: int, work: str, how: str, charge: int, erase_first: bool) -> None:
        """Worker and eraser meet in one batch: what has ended by then is erased."""
        task = self._pick(index)
        command = self._work(task, work, task.epoch, how, charge)
        if command is not None:
            erase = Erase(task.id, task.path[0])
            VISITS[task.state, "erase beside work"] += 1
            self._do(*((erase, command) if erase_first else (command, erase)))

    @precondition(lambda self: self.order)
    @rule(index=INDEXES, whose=st.sampled_from(["", "office ", "foreign "]), again=st.booleans())
    def erase(self, index: int, whose: str, again: bool) -> None:
        """By its caller, by an administrator, or by somebody else; perhaps twice in one batch."""
        self._erase_once(index, whose, again)

    def _erase_once(self, index: int, whose: str, again: bool) -> None:
        task = self._pick(index)
        stranger = next(key for key in KEYS if key != task.path[0])
        command = Erase(task.id, {"": task.path[0], "office ": None, "foreign ": stranger}[whose])
        VISITS[task.state, "foreign erase" if whose == "foreign " else "erase"] += 1
        VISITS[task.state, "erase again"] += again and whose != "foreign "
        self._do(*([command, command] if again else [command]))

    @precondition(lambda self: self.order)
    @rule(index=INDEXES, how=st.sampled_from(REPEATS), twice=st.booleans())
    def repeat(self, index: int, how: str, twice: bool) -> None:
        """A call is made again, perhaps twice in one batch."""
        self._repeat_once(index, how, twice)

    def _repeat_once(self, index: int, how: str, twice: bool) -> None:
        keyed = how in ("same key", "other body", "foreign key", "forget")
        task = self._pick_of(index, lambda task: task.repeat is not None and bool(task.repeat.key) == keyed)
        if task is None or task.repeat is None:
            return
        VISITS[task.state, how] += 1
        VISITS[task.state, "called twice"] += twice
        stranger = next(key for key in KEYS if key != task.path[0])
        account = stranger if how.startswith("foreign") else task.path[0]
        commands: list[Command] = []
        for _ in range(2 if twice else 1):
            if how == "forget":
                error = TaskError(TaskErrorCode.SERVICE_UNAVAILABLE, "not recorded")
                commands += [
                    Finish(task.id, task.epoch, TaskState.FAILED, RATE, Amount(), error=error, forgets=True),
                    self._new(account, SIZES[index % 4], 0, OWNERS[0], LIVING_MS, task.repeat),
                ]
            elif how.endswith("take up"):
                commands.append(TakeUp(account, (task.id,)))
            else:
                repeat = replace(task.repeat, is_retry=not keyed)
                repeat = replace(repeat, body_sha256="another") if how == "other body" else repeat
                commands.append(self._new(account, SIZES[index % 4], index % 2, OWNERS[0], LIVING_MS, repeat))
        for command, answer in zip(commands, self._do(*commands), strict=True):
            if isinstance(command, Accept) and answer[0] == "accepted":
                self.order.append(command.task.id)

    @precondition(lambda self: self.order)
    @rule(seed=st.integers(0, 2**32), length=st.integers(20, 100))
    def busy(self, seed: int, length: int) -> None:
        """Many workers and callers, one after the other, drawn from one seed: cheap to draw, so that every pair is seen often."""
        random = Random(seed)
        for _ in range(length):
            index, dice = random.randint(0, 60), random.random()
            if dice < 0.15:
                attempts, lease_ms = random.choice([0, 1, 1, 2]), random.choice([LIVING_MS, ENDED_MS])
                self._accept_once(
                    random.choice(KEYS), random.choice(SIZES), attempts, random.choice(OWNERS), lease_ms, False
                )
            elif dice < 0.2:
                self._extend_once(random.choice(OWNERS), random.choice([LIVING_MS, ENDED_MS]))
            elif dice < 0.25:
                size = random.choice([1, 2, 100])
                self._claim_once(
                    random.choice(OWNERS), random.random() < 0.3, size, random.choice([LIVING_MS, ENDED_MS])
                )
            elif dice < 0.3:
                self._erase_once(index, random.choice(["", "office ", "foreign "]), random.random() < 0.5)
            elif dice < 0.32:
                self._hand_back_once(random.choice(OWNERS), [index])
            elif dice < 0.39:
                self._repeat_once(index, random.choice(REPEATS), random.random() < 0.4)
            elif dice < 0.5:
                self._cancel_once(
                    index, random.choice(["", "", "foreign "]), random.random() < 0.5, random.random() < 0.7
                )
            else:
                how, charge = random.choice(ENDS), random.choice([0, 1, 2, 5, 12])
                self._work_once(index, random.choice(WORK), how, charge, random.choice(WHOSE), random.choice(AGAIN))

    @precondition(lambda self: self.order)
    @rule(index=INDEXES, whose=st.sampled_from(["", "", "foreign "]), again=st.booleans(), quiet=st.booleans())
    def cancel(self, index: int, whose: str, again: bool, quiet: bool) -> None:
        """The caller's wish, perhaps given twice, or by somebody else; where it is quiet, nothing is out any more."""
        self._cancel_once(index, whose, again, quiet)

    def _cancel_once(self, index: int, whose: str, again: bool, quiet: bool) -> None:
        wished = self._pick_of(index, lambda one: one.wished and not one.is_final) if index % 5 == 0 else None
        task = wished or self._pick(index)
        out = [attempt_id for attempt_id, attempt in task.attempts.items() if attempt.is_open]
        if quiet and out and not task.is_final:
            VISITS[task.state, "end"] += 1
            self._do(
                RecordAttempts(task.id, task.epoch, ended=tuple(ending_of(self.commands[i], "unbilled") for i in out))
            )
        account = next(key for key in KEYS if key != task.path[0]) if whose else task.path[0]
        command = cancel_of(task.id, account)
        VISITS[task.state, f"{whose}cancel"] += 1
        VISITS[task.state, "cancel again"] += again and not whose
        VISITS[task.state, "cancel after the wish"] += task.wished and not task.is_final and not whose
        [answer] = self._do(command)
        VISITS[task.state, "cancel noted"] += answer[0] == "cancel noted" and not task.is_final
        if again and not whose:
            self._do(command)

    @rule(
        owner=st.sampled_from(OWNERS),
        everything=st.booleans(),
        size=st.sampled_from([1, 2, 100]),
        lease_ms=LEASES,
    )
    def claim(self, owner: str, everything: bool, size: int, lease_ms: int) -> None:
        """Another process takes over what is left lying, or, where it knows the owners to be dead, everything."""
        self._claim_once(owner, everything, size, lease_ms)

    def _claim_once(self, owner: str, everything: bool, size: int, lease_ms: int) -> None:
        taken = {task.id for task in self.model.claimable(owner, everything)[:size]}
        for task in self.model.tasks.values():
            if task.id in taken:
                VISITS[task.state, "claim" if task.living else "claim ended"] += 1
            elif task.owner == owner and not task.is_final:
                VISITS[task.state, "claim of own passes"] += 1
            else:
                VISITS[task.state, "claim passes"] += 1
        self._do(Claim(owner, lease_ms, size, everything))

    @rule(owner=st.sampled_from(OWNERS), lease_ms=LEASES)
    def extend(self, owner: str, lease_ms: int) -> None:
        """A sign of life is for the tasks of its giver, and for none that has ended."""
        self._extend_once(owner, lease_ms)

    def _extend_once(self, owner: str, lease_ms: int) -> None:
        for task in self.model.tasks.values():
            VISITS[task.state, "extend" if task.owner == owner else "extend others'"] += 1
        self._do(ExtendLeases(owner, lease_ms))

    @precondition(lambda self: self.order)
    @rule(owner=st.sampled_from(OWNERS), indexes=st.lists(INDEXES, min_size=1, max_size=4))
    def hand_back(self, owner: str, indexes: list[int]) -> None:
        """A process that ends gives tasks back; others' and finished ones stay as they are."""
        self._hand_back_once(owner, indexes)

    def _hand_back_once(self, owner: str, indexes: list[int]) -> None:
        ids = {self._pick(index).id for index in indexes}
        for task_id in ids:
            task = self.model.tasks[task_id]
            VISITS[task.state, "hand back" if task.owner == owner else "hand back others'"] += 1
        self._do(HandBack(owner, tuple(sorted(ids))))

    @rule(work=st.sampled_from(["start", "complete", "cancel", "erase"]))
    def nothing_is_known(self, work: str) -> None:
        """A task whose acceptance was never committed: lost to its worker, and nobody's to its caller."""
        self.number += 1
        task_id = TaskId(f"task-unified-1757165031-{self.number:08d}")
        command: Command
        if work == "start":
            command = RecordAttempts(task_id, 1, started=(self._attempt(task_id),))
        elif work == "complete":
            command = Finish(task_id, 1, TaskState.COMPLETED, RATE, amount(1))
        elif work == "erase":
            command = Erase(task_id)
        else:
            command = cancel_of(task_id, KEYS[0])
        VISITS["none", work] += 1
        self._do(command)

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        """Every task, every attempt, every balance."""
        seen_tasks, seen_attempts = self.ledger.seen()
        assert seen_tasks == {task.id: task.seen for task in self.model.tasks.values()}
        assert seen_attempts == {
            attempt_id: (attempt.state, attempt.cost, attempt.ref)
            for task in self.model.tasks.values()
            for attempt_id, attempt in task.attempts.items()
        }
        balances = self.ledger.balances()
        for account, posted in self.model.posted.items():
            assert balances.get(account, (ZERO, ZERO)) == (posted, self.model.pending[account]), account

    def teardown(self) -> None:
        """The audit finds nothing, and usage has every end once."""
        assert self.ledger.differences() == []
        assert self.ledger.usage() == self.model.usage


__all__ = ["PAIRS", "VISITS", "TaskLedger", "TaskMachine"]
