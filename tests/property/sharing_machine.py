"""The state machine of tasks with the cache: calls that are answered with another task's pictures, that wait for them, and that make their own.

`SHARED` counts every (state, operation) pair of these; a task that waits for another's pictures is `following`, and one that is completed is
`erased` or `expiring` where nobody else may have its pictures any more.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.domain.images import ImageResult
from gateway.domain.money import NOTHING
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import TaskError, TaskErrorCode, TaskState
from gateway.pipeline.commands import Accept, Command, Finish, HoldOption, Lead, Serve
from gateway.tasks.erasing import Erase
from tests.property.ledger_world import KEYS, RATE
from tests.property.task_commands import amount, cancel_of, expiry, repeated
from tests.property.task_machine import AGAIN, ENDED_MS, FINISHED, LIVING_MS, OWNERS, SIZES, WHOSE, TaskMachine
from tests.property.task_model import LATER_MS, ModelTask

SHARED: Counter[tuple[str, str]] = Counter()
STATES = ("pending", "processing", "following", "completed", "erased", "expiring", "failed", "cancelled")
_OF_FOLLOWERS = ("share", "lead")
TASKS_MAX = 70
"""Of a run; then those that wait end, and no more come: every look at the database is at all tasks."""
_LEADS = ((2,), (3, 1), (9, 1), (60, 1), (60, 2), (60,))
"""What a task that leads may hold, the dearest first: often more than any budget has."""
SHARED_PAIRS = {
    *(("none", how) for how in ("serve free", "serve charged", "serve refused", "serve again", "serve other body")),
    *(("none", how) for how in ("follow", "follow refused", "serve twice in a batch", "accept, share and lead at once")),
    *((state, how) for state in STATES for how in ("serve", "follow", "share")),
    *(("following", f"{before}{work}") for work in _OF_FOLLOWERS for before in ("old ", "future ")),
    *(("following", f"{work} again") for work in _OF_FOLLOWERS),
    *(("following", how) for how in ("lead", "lead cheaper", "lead refused", "share above the hold")),
    *(("following", how) for how in ("cancel", "erase", "fail", "cancel beside lead", "cancel beside share")),
    *((state, f"late {work}") for state in FINISHED for work in _OF_FOLLOWERS),
    *(("completed", f"erase beside {how}") for how in ("serve", "share")),
    *(("unfinished", f"end beside {how}") for how in ("serve", "share")),
}  # fmt: skip


def state_of(task: ModelTask) -> str:
    """One of STATES."""
    if task.is_following:
        return "following"
    if task.state != "completed" or task.may_be_shared:
        return task.state
    return "erased" if task.erased else "expiring"


def _is_quiet(task: ModelTask) -> bool:
    """Unfinished, and nothing is out for it."""
    return not task.is_final and not any(attempt.is_open for attempt in task.attempts.values())


class SharingMachine(TaskMachine):
    """More rules; the model says what each must be answered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_as: Counter[tuple[str, str]] = Counter()

    @precondition(lambda self: self.order)
    @rule(seed=st.integers(0, 2**32), length=st.integers(40, 120))
    def share(self, seed: int, length: int) -> None:
        """Many calls of the cache, drawn from one seed."""
        random = Random(seed)
        for _ in range(length):
            dice = random.random() if len(self.order) < TASKS_MAX else 0.4
            if dice < 0.18:
                self._serve_once(random)
            elif dice < 0.36:
                self._follow_once(random)
            elif dice < 0.62:
                self._follower_works(random)
            elif dice < 0.72:
                self._source_changes_at_once(random)
            elif dice < 0.78:
                self._all_at_once(random)
            elif dice < 0.83:
                self._caller_of_a_follower(random)
            elif dice < 0.85:
                self._erase_once(random.randint(0, 60), "office ", again=False)
            elif dice < 0.93:
                self._accept_once(
                    random.choice(KEYS),
                    random.choice(SIZES),
                    random.choice([0, 2, 2]),
                    OWNERS[0],
                    LIVING_MS,
                    cancelled=False,
                )
            else:
                self._work_once(
                    random.randint(0, 60), random.choice(["start", "start", "complete", "fail"]), "made", 1, "", ""
                )

    @precondition(lambda self: self.order)
    @rule(seed=st.integers(0, 2**32), length=st.integers(20, 60))
    def busy(self, seed: int, length: int) -> None:
        """Between whatever else workers and callers do."""
        for part in range(4):
            self.share(seed=seed + part, length=length)
            super().busy(seed=seed + part, length=length // 4)

    def _one_of(self, random: Random, wanted: Callable[[ModelTask], bool] = lambda _: True) -> ModelTask | None:
        """Every state of STATES that there is as often as the others."""
        tasks = [task for task in map(self.model.tasks.__getitem__, self.order) if wanted(task)]
        if not tasks:
            return None
        state = random.choice(sorted({state_of(task) for task in tasks}))
        return random.choice([task for task in tasks if state_of(task) == state])

    def _source(self, random: Random, how: str) -> ModelTask:
        """In the state that was seldom enough in this run."""
        tasks = {state_of(task): task for task in map(self.model.tasks.__getitem__, self.order)}
        state = min(tasks, key=lambda state: (self.seen_as[state, how], random.random()))
        self.seen_as[state, how] += 1
        return (
            tasks[state]
            if random.random() < 0.5
            else self._one_of(random, lambda one: state_of(one) == state) or tasks[state]
        )

    def _serving(self, random: Random, source: ModelTask) -> Serve:
        """By whatever key; the gateway asks only for charges within what the source had cost, the books for any."""
        accept = self._new(random.choice(KEYS), (1,), 0, random.choice(OWNERS), LIVING_MS)
        picture = self._picture(source)
        task = replace(
            accept.task, state=TaskState.COMPLETED, finished_at_ms=accept.task.created_at_ms, cache=CacheResult.HIT, source=source.id,
            results=picture, result_count=len(picture), results_expire_at_ms=expiry(self.number),
        )  # fmt: skip
        charge = NOTHING if random.random() < 0.5 else amount(random.choice([1, 1, 1, 1, 8]))
        return Serve(task, charge, RATE, 1_000 + self.number % 13, accept.repeat)

    def _picture(self, source: ModelTask) -> tuple[ImageResult, ...]:
        blob = source.picture or f"{source.id}/none"
        return (ImageResult(blob, "image/png", "png", 9, 2, 2, "0" * 64, None),)

    def _serve_once(self, random: Random) -> None:
        source = self._source(random, "serve")
        command = self._serving(random, source)
        SHARED[state_of(source), "serve"] += 1
        how = random.choice(["", "again", "other body", "twice"])
        commands = [command]
        if how == "twice":  # under one id for its repeats, where it has any
            self.number += 1
            commands.append(replace(command, task=replace(command.task, id=self._new(KEYS[0], (1,), 0, "", 0).task.id)))
            SHARED["none", "serve twice in a batch"] += 1
        first, *_ = self._served(*commands)
        if first[0] == "finished":
            SHARED["none", "serve free" if command.charge == NOTHING else "serve charged"] += 1
        SHARED["none", "serve refused"] += first[0] == "refused"
        if how in ("again", "other body") and command.repeat is not None and command.repeat.key:
            SHARED["none", f"serve {how}"] += 1
            repeat = command.repeat if how == "again" else replace(command.repeat, body_sha256="another")
            new = replace(command.task, id=self._new(KEYS[0], (1,), 0, "", 0).task.id)
            self._served(replace(command, task=new, repeat=repeat))

    def _served(self, *commands: Command) -> list[tuple[object, ...]]:
        """One batch; what it accepts and serves is among the tasks from now on."""
        answers = self._do(*commands)
        for command, answer in zip(commands, answers, strict=True):
            new = isinstance(command, Serve) and answer[0] == "finished"
            if isinstance(command, Serve | Accept) and (new or answer[0] == "accepted"):
                self.order.append(command.task.id)
        return answers

    def _following(self, random: Random, source: ModelTask) -> Accept:
        """It holds its part of a price, and nothing goes out for it."""
        lease_ms = random.choice([LIVING_MS, LIVING_MS, ENDED_MS])
        accept = self._new(random.choice(KEYS), (1,), 0, random.choice(OWNERS), lease_ms)
        part = NOTHING if random.random() < 0.5 else amount(random.choice([1, 2, 4]))
        task = replace(accept.task, cache=CacheResult.JOINED, source=source.id)
        return replace(accept, task=task, options=(HoldOption(part, "0", has_first_offer=False),))

    def _follow_once(self, random: Random) -> None:
        source = self._source(random, "follow")
        SHARED[state_of(source), "follow"] += 1
        [answer] = self._served(self._following(random, source))
        SHARED["none", "follow" if answer[0] == "accepted" else "follow refused"] += 1

    def _sharing(self, random: Random, task: ModelTask, source: ModelTask, epoch: int) -> Finish:
        return Finish(
            task.id, epoch, TaskState.COMPLETED, RATE, NOTHING if random.random() < 0.4 else amount(random.choice([1, 2, 9])),
            results=self._picture(source), results_expire_at_ms=expiry(self.number), path=random.choice([(), task.path]),
            accepted_at_ms=task.created, source=source.id, saved_microusd=1_000 + self.number % 13,
        )  # fmt: skip

    def _leading(self, random: Random, task: ModelTask, epoch: int) -> Lead:
        options = tuple(HoldOption(amount(size), str(index)) for index, size in enumerate(random.choice(_LEADS)))
        return Lead(task.id, epoch, options, RATE, task.path, task.created)

    def _follower_works(self, random: Random) -> None:
        """Under its epoch, an old one or one that never was; given again after a lost answer; for a task that has ended."""
        task = self._one_of(random, lambda one: one.is_following) if random.random() < 0.7 else None
        task = task or self._one_of(random, lambda one: one.is_final)
        source = self._source(random, "share")
        if task is None:
            return
        whose, again, before = random.choice(("", *WHOSE)), random.choice(AGAIN), state_of(task)
        epoch = task.epoch + {"": 0, "old ": -1, "future ": 1}[whose]
        work = random.choice(("share", "share", "share", "lead", "lead"))
        command = self._sharing(random, task, source, epoch) if work == "share" else self._leading(random, task, epoch)
        if before == "following":
            SHARED["following", f"{whose}{work}"] += bool(whose)
            SHARED["following", f"{work} again"] += again != ""
        else:
            SHARED[task.state, f"late {work}"] += 1
        if isinstance(command, Finish) and before == "following":
            SHARED[state_of(source), "share"] += not whose
            SHARED["following", "share above the hold"] += command.charge.microcredits > task.held[0]
        answer, *_ = self._do(command, repeated(command)) if again == "batch" else self._do(command)
        if answer[0] == "leading":
            SHARED["following", "lead cheaper" if answer[1] else "lead"] += 1
        SHARED["following", "lead refused"] += answer[0] == "refused"
        if again == "next":
            self._do(repeated(command))

    def _source_changes_at_once(self, random: Random) -> None:
        """Its pictures are erased, or come, in the batch of those who want them: before or after."""
        source, task = self._one_of(random, lambda one: one.may_be_shared), None
        changes: Command
        if source is not None and random.random() < 0.5:
            changes, state, change = Erase(source.id), "completed", "erase"
        else:
            source = self._one_of(random, _is_quiet)
            if source is None:
                return
            picture = ImageResult(f"{source.id}/{self.number}", "image/png", "png", 9, 2, 2, "0" * 64, None)
            source.picture = picture.blob  # known before its end: both commands name it
            end = Finish(source.id, source.epoch, TaskState.COMPLETED, RATE, amount(1), results=(picture,))
            changes, state, change = replace(end, results_expire_at_ms=LATER_MS), "unfinished", "end"
        if random.random() < 0.5:
            task = self._one_of(random, lambda one: one.is_following and one is not source)
        command = self._serving(random, source) if task is None else self._sharing(random, task, source, task.epoch)
        SHARED[state, f"{change} beside {'serve' if task is None else 'share'}"] += 1
        self._served(*((changes, command) if random.random() < 0.5 else (command, changes)))

    def _all_at_once(self, random: Random) -> None:
        """A whole life of a follower in one batch, as far as it comes."""
        source = self._one_of(random)
        assert source is not None
        accept = self._following(random, source)
        task = ModelTask(accept.task.id, accept.task.path, accept.task.created_at_ms, (0, 0, 0), "", living=True)
        lead = self._leading(random, task, 1)
        SHARED["none", "accept, share and lead at once"] += 1
        self._served(accept, self._sharing(random, task, source, 1), lead, lead, self._failing(task))

    def _failing(self, task: ModelTask) -> Finish:
        """With its source's failure."""
        error = TaskError(TaskErrorCode.CONTENT_POLICY_VIOLATION, "no")
        return Finish(task.id, task.epoch, TaskState.FAILED, RATE, NOTHING, error=error, repeated=True, path=task.path)

    def _caller_of_a_follower(self, random: Random) -> None:
        task = self._one_of(random, lambda one: one.is_following)
        if task is None:
            return
        how = random.choice(["cancel", "erase", "fail", "cancel beside lead", "cancel beside share"])
        SHARED["following", how] += 1
        commands: list[Command] = [cancel_of(task.id, task.path[0])]
        if how == "erase":
            commands = [Erase(task.id, task.path[0])]
        elif how == "fail":
            commands = [self._failing(task)] if not any(one.is_open for one in task.attempts.values()) else []
        elif how == "cancel beside lead":
            commands.append(self._leading(random, task, task.epoch))
        elif how == "cancel beside share":
            source = self._one_of(random)
            assert source is not None
            commands.append(self._sharing(random, task, source, task.epoch))
        random.shuffle(commands)
        self._do(*commands)


__all__ = ["SHARED", "SHARED_PAIRS", "SharingMachine"]
