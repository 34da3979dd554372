"""A task as its caller sees it: the row with what answers need besides. Pure values; rendering is the edge's."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.considered import Considered
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskState
from gateway.pipeline.frozen import read_considered, read_last_resorts


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with what its answers show. `links` are absolute, one a result, and end when the results do."""

    task: Task
    attempts: tuple[Attempt, ...]
    links: tuple[str, ...]
    estimated_time_s: int
    can_cancel: bool
    progress: int
    """0 to 100, never going back: 0 accepted, 10 sent, 100 ended; upstreams that tell more are not asked for it yet."""
    dropped: tuple[str, ...]
    credits_per_usd: Decimal
    remaining_microcredits: int | None = None
    age_s: int = 0
    """Since the pictures were made."""

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every offer of the model in the order of the plan; read when it is asked for."""
        return read_considered(self.task.plan_json)

    @property
    def last_resorts(self) -> frozenset[str]:
        """Ids of the attempts at offers that were left alone, made because no other was left; read when it is asked for."""
        return read_last_resorts(self.task.plan_json)

    @property
    def upstream(self) -> str | None:
        """The upstream that delivered; of several parts the first."""
        if not self.attempts:
            return None
        return next((a.upstream for a in self.attempts if a.state is AttemptState.SUCCEEDED), None)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of an account's tasks, newest first, without their results."""

    total: int
    tasks: tuple[TaskView, ...]


@dataclass(frozen=True, slots=True)
class Credits:
    """What is left and used, in microcredits; None: no budget in credits or USD sets a limit. `account` is the key's team, or its org."""

    key_remaining_microcredits: int | None
    key_used_microcredits: int
    account_remaining_microcredits: int | None
    account_used_microcredits: int


Link = Callable[[str, str, int], str]
"""Blob, extension and expiry (seconds since 1970) to an absolute URL."""
_ASKED_FORMAT = re.compile(r'"output_format":"([a-z]+)"')
"""In the text that frozen.py writes; inside of a value its quotes would be escaped."""
_NO_FORMAT = '"output_format":null'
PROGRESS = {
    TaskState.PENDING: 0,
    TaskState.PROCESSING: 10,
    TaskState.COMPLETED: 100,
    TaskState.FAILED: 100,
    TaskState.CANCELLED: 100,
}


def view_of(
    task: Task,
    attempts: Sequence[Attempt],
    link: Link,
    *,
    can_cancel: bool,
    estimated_time_s: int,
    credits_per_usd: Decimal,
    dropped: tuple[str, ...] = (),
    remaining_microcredits: int | None = None,
    age_s: int = 0,
) -> TaskView:
    expires_at_s = _expires_at_s(task)
    return TaskView(
        task=task,
        attempts=tuple(attempts),
        links=tuple(link(result.blob, result.extension, expires_at_s) for result in task.results),
        estimated_time_s=estimated_time_s,
        can_cancel=can_cancel,
        progress=PROGRESS[task.state],
        dropped=_with_unconverted(task, dropped),
        credits_per_usd=credits_per_usd,
        remaining_microcredits=remaining_microcredits,
        age_s=age_s,
    )


def expiries_of(tasks: Sequence[Task]) -> list[tuple[str, int]]:
    """The blobs of results, with when the links to them end, in seconds since 1970."""
    return [(result.blob, _expires_at_s(task)) for task in tasks for result in task.results]


def _expires_at_s(task: Task) -> int:
    return (task.results_expire_at_ms or 0) // 1000


def _with_unconverted(task: Task, dropped: tuple[str, ...]) -> tuple[str, ...]:
    """A format that was asked for and that a picture does not have, whoever should have seen to it, was left out as well."""
    if _NO_FORMAT in task.request_json:
        return dropped  # mostly so
    asked = _ASKED_FORMAT.search(task.request_json)
    if asked is None or "output_format" in dropped:
        return dropped
    wanted = f"image/{asked[1]}"
    return dropped if all(result.content_type == wanted for result in task.results) else (*dropped, "output_format")
