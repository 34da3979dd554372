"""What the emulators of task APIs share: a task advances with the clock alone, and is billed when its work is over.

Half of `work_s` a task waits, then it is worked on, then it is done, failed, or, where somebody asked for it in time, cancelled; nobody needs to
poll. Its fate is decided when it is made, by the behaviour of the `create`. A failure costs nothing unless the behaviour says so. Tasks live in
memory: a state file keeps bills and requests over a restart, not tasks.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Unpack

from tests.emulators import behaviours as b
from tests.emulators.base import Options
from tests.emulators.delivery import PictureEmulator, delivered
from tests.emulators.jobs import Job
from tests.emulators.records import Received

State = Literal["waiting", "working", "done", "failed", "cancelled"]

_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(slots=True, kw_only=True)
class Task:
    """One accepted call."""

    id: str
    received: Received
    job: Job
    behaviour: b.Behaviour
    created_s: float
    cancelled_s: float | None = None

    @property
    def images(self) -> int:
        """How many pictures it makes."""
        return delivered(self.job, self.behaviour)


class TaskEmulator(PictureEmulator):
    """A vendor with tasks."""

    points: tuple[str, ...] = ("create", "poll", "download")

    def __init__(self, *, work_s: float = 0.05, **options: Unpack[Options]) -> None:
        self.work_s = work_s
        self.tasks: dict[str, Task] = {}
        self._open: dict[str, Task] = {}
        super().__init__(**options)

    def fails(self, task: Task) -> bool:
        """Whether the fate of this task is to fail; vendors that refuse in another way than by failing say less."""
        return isinstance(task.behaviour, b.FailTask | b.Refuse)

    def forget(self) -> None:
        """Every task and link."""
        super().forget()
        self.tasks.clear()
        self._open.clear()

    def settle(self) -> None:
        """Bill every task whose work is over by now."""
        for task in list(self._open.values()):
            if self.state(task) not in ("done", "failed"):
                continue
            del self._open[task.id]
            if self.billed(task):
                self.charge(task.received, task.job, task.images, task_id=task.id)

    def billed(self, task: Task) -> bool:
        """Whether a finished task is paid for."""
        return task.behaviour.bills if isinstance(task.behaviour, b.FailTask | b.Refuse) else True

    def accept(self, received: Received, job: Job, behaviour: b.Behaviour, new_id: Callable[[], str]) -> Task:
        """Make a task of a valid request."""
        task = Task(id=new_id(), received=received, job=job, behaviour=behaviour, created_s=self.now())
        self.tasks[task.id] = self._open[task.id] = task
        return task

    def state(self, task: Task) -> State:
        """What the task is doing now."""
        until_s = self.now() if task.cancelled_s is None else task.cancelled_s
        age_s = until_s - task.created_s
        if age_s >= self.work_s and not isinstance(task.behaviour, b.StallTask):
            return "failed" if self.fails(task) else "done"
        if task.cancelled_s is not None:
            return "cancelled"
        return "working" if age_s >= self.work_s / 2 else "waiting"

    def cancel(self, task: Task) -> bool:
        """Stop a task that is not over; whether it could still be stopped."""
        if self.state(task) in ("done", "failed"):
            return False
        if task.cancelled_s is None:
            task.cancelled_s = self.now()
        return True

    def links(self, task: Task, *, black: bool = False) -> list[str]:
        """The links of a finished task, the same whenever they are asked for."""
        labels = [f"{task.id}/{index}" for index in range(task.images)]
        return [self.link(task.job, label, task.behaviour, black=black) for label in labels]


def random_text(length: int) -> str:
    """Lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
