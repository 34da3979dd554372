"""One task in the hands of this process, and how it ended."""

import asyncio
from dataclasses import dataclass, field

from gateway.domain.ids import AttemptId
from gateway.domain.images import ImageRequest
from gateway.domain.tasks import Attempt, Task
from gateway.limits.concurrency import Places
from gateway.limits.slots import Slot
from gateway.pipeline.attempts import Making
from gateway.pipeline.commands import HoldOption
from gateway.pipeline.frozen import FrozenPlan
from gateway.pipeline.partials import Partials
from gateway.pipeline.sharing import Flight


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ended: its row, all its attempts, and its pictures as base64 text where they were made just now for somebody who waits."""

    task: Task
    attempts: tuple[Attempt, ...]
    pictures: tuple[bytes, ...]
    remaining_microcredits: int | None


@dataclass(slots=True)
class Work:
    """One task in the hands of this process. `ended` is set when its end is committed, or with None when it was lost."""

    task: Task
    plan: FrozenPlan
    request: ImageRequest
    ended: "asyncio.Future[Ending | None]"
    accepted_s: float
    """Monotonic: when the call came in."""
    attempts: tuple[Attempt, ...] = ()
    slots: dict[AttemptId, Slot] = field(default_factory=dict)
    keep_pictures: bool = False
    """A caller waits for them."""
    partials: Partials | None = None
    """The caller streams, and wishes to see partial pictures."""
    deadline_s: float = 0.0
    owner_may_live: bool = False
    share_key: str = ""
    """By which an identical call is told; empty where nobody shares with it, or it was taken up after a crash."""
    flight: Flight | None = None
    """Others may have its pictures."""
    options: tuple[HoldOption, ...] = ()
    """What it may hold where it has to make its own pictures after all."""
    made_at_ms: int | None = None
    """When its pictures were made, where another task had made them before."""
    making: Making | None = None
    """While its walk goes on."""
    worker: "asyncio.Task[None] | None" = None
    places: Places | None = None
    """Among its accounts' tasks under way; free as soon as `ended` is set."""

    @property
    def may_be_left(self) -> bool:
        """Nobody waits for an answer, and what is not sent or asked for can be by another process as well."""
        return not self.keep_pictures and (self.follows if self.making is None else self.making.may_be_left)

    @property
    def follows(self) -> bool:
        """It waits for another task's pictures."""
        return self.task.source is not None and not self.ended.done()

    async def end(self) -> "Ending | None":
        """As soon as it is known. May be cancelled without harm."""
        return self.ended.result() if self.ended.done() else await asyncio.shield(self.ended)

    def free_places(self, _: object) -> None:
        if self.places is not None:
            self.places.release()
