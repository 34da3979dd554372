"""What the HTTP edge needs from inside, as protocols and plain values: who is calling, and the one path that every call takes.

The objects are handed in by the root. Every method raises the classes of `domain.errors` and nothing else on purpose.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol

from gateway.domain.accounts import Principal, RateState
from gateway.domain.administrators import Administrator
from gateway.domain.catalog import Model
from gateway.domain.considered import Considered
from gateway.domain.files import Purpose, StoredFile
from gateway.domain.ids import FileId
from gateway.domain.images import Contract, ImageRequest, PartialImage
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import NO_WISH, CacheWish
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.pipeline.admission import Admitted, RequestDraft
from gateway.pipeline.model_cards import Measured, ModelCard
from gateway.pipeline.picture_texts import PictureText
from gateway.pipeline.quoting import Quote


class Authenticator(Protocol):
    """Finds the caller behind the headers; pure memory, no I/O."""

    def authenticate(self, authorization: str | None, api_key: str | None = None) -> Principal:
        """By the values of the headers `Authorization` (`Bearer …`) and `api-key`.

        Raises MissingKey, InvalidKey, KeyExpired, KeyDisabled.
        """
        ...


class AdminTokens(Protocol):
    """Finds the administrator behind the header; pure memory, no I/O."""

    def authenticate(self, authorization: str | None) -> Administrator:
        """Raises MissingKey, InvalidKey, KeyExpired, KeyDisabled."""
        ...


class TaskView(Protocol):
    """A task with what its answers show."""

    @property
    def task(self) -> Task: ...
    @property
    def attempts(self) -> tuple[Attempt, ...]: ...
    @property
    def links(self) -> tuple[str, ...]: ...
    @property
    def estimated_time_s(self) -> int: ...
    @property
    def can_cancel(self) -> bool: ...
    @property
    def progress(self) -> int: ...
    @property
    def dropped(self) -> tuple[str, ...]: ...
    @property
    def upstream(self) -> str | None: ...
    @property
    def considered(self) -> Sequence[Considered]: ...
    @property
    def last_resorts(self) -> frozenset[str]:
        """Ids of attempts."""
        ...

    @property
    def remaining_microcredits(self) -> int | None: ...
    @property
    def age_s(self) -> int: ...


class RunningTask(Protocol):
    @property
    def task_id(self) -> str: ...

    @property
    def request(self) -> ImageRequest: ...

    @property
    def replayed(self) -> bool:
        """Accepted for an earlier call, of which this one is the repeat."""
        ...

    @property
    def served(self) -> bool:
        """It ended with its acceptance, with pictures that were there."""
        ...

    @property
    def considered(self) -> Sequence[Considered]: ...

    @property
    def view(self) -> TaskView:
        """As it was accepted, or found for a repeat; made when it is asked for."""
        ...

    async def next_partial(self) -> PartialImage | None:
        """The newest partial picture, as soon as there is one; None at the task's end. May be cancelled without harm."""
        ...

    async def wait(self) -> TaskView:
        """The task in its final state. May be cancelled without harm to the task."""
        ...

    async def pictures(self) -> Sequence[PictureText]:
        """Base64 text of every result, ready to stand between quotes."""
        ...


class TaskPage(Protocol):
    @property
    def total(self) -> int: ...
    @property
    def tasks(self) -> tuple[TaskView, ...]: ...


class Credits(Protocol):
    """What is left and used; None: no budget sets a limit."""

    @property
    def key_remaining_microcredits(self) -> int | None: ...
    @property
    def key_used_microcredits(self) -> int: ...
    @property
    def account_remaining_microcredits(self) -> int | None: ...
    @property
    def account_used_microcredits(self) -> int: ...


class ResultFile(Protocol):
    @property
    def content_type(self) -> str:
        """By the bytes, not by a name."""
        ...

    @property
    def size_bytes(self) -> int: ...

    def read(self, start: int, length: int) -> AsyncIterator[bytes]: ...


class Uploads(Protocol):
    """The caller's pictures: received, listed, read again, deleted. A file is its owner's alone: to others it does not exist (FileNotFound)."""

    async def receive(
        self, principal: Principal, chunks: AsyncIterator[bytes], *, purpose: Purpose, filename: str, bytes_max: int
    ) -> StoredFile:
        """Stores a picture as it comes, never whole in memory, and looks at its headers.

        Raises ImageTooLarge, InvalidImage, InsufficientQuota (a key's bytes are used up), StorageUnavailable; nothing is kept of what was refused.
        """
        ...

    async def fetch(self, principal: Principal, url: str, *, filename: str) -> StoredFile:
        """The same from a public URL, through egress."""
        ...

    async def file(self, principal: Principal, file_id: str) -> StoredFile:
        """Raises FileNotFound."""
        ...

    async def files(self, principal: Principal, *, limit: int, after: str | None) -> tuple[Sequence[StoredFile], bool]:
        """The caller's own, newest first, and whether there are more."""
        ...

    async def content(self, principal: Principal, file_id: str) -> AsyncIterator[bytes]: ...

    async def delete(self, principal: Principal, file_id: str) -> None:
        """Gone for its owner at once; a task that uses it already still gets it."""
        ...

    async def forget(self, files: Sequence[FileId]) -> None:
        """Deletes files for a call that was not accepted after all."""
        ...


class Cards(Protocol):
    """Models as whoever writes a prompt wants to see them."""

    def of(self, principal: Principal, models: Iterable[Model]) -> Sequence[ModelCard]: ...

    async def measure(self, principal: Principal, name: str, prompt: str) -> Measured:
        """How long a prompt is in a model's tokens."""
        ...


class Pipeline(Protocol):
    @property
    def cards(self) -> Cards: ...

    async def take_rate(self, principal: Principal) -> RateState | None:
        """Count one call; None: no limit applies. Raises RateLimited."""
        ...

    async def rate(self, principal: Principal) -> RateState | None:
        """The same without counting."""
        ...

    async def admit(self, principal: Principal, draft: RequestDraft) -> Admitted: ...

    async def repeated(self, principal: Principal, repeat: Repeat, contract: Contract) -> RunningTask | None:
        """The task of the same call before; None: it is to be accepted."""
        ...

    async def accept(
        self,
        principal: Principal,
        admitted: Admitted,
        contract: Contract,
        max_microcredits: int | None = None,
        repeat: Repeat | None = None,
        wish: CacheWish = NO_WISH,
    ) -> RunningTask:
        """`max_microcredits`: the most that may be held for it; `repeat`: what it may be told by when it comes again; `wish`: of the cache."""
        ...

    async def quote(self, principal: Principal, admitted: Admitted, max_microcredits: int | None = None) -> Quote:
        """What `accept` would do at this moment."""
        ...

    async def task(self, principal: Principal, task_id: str) -> TaskView: ...

    async def task_at_end(
        self, principal: Principal, task_id: str, wait_s: int, has_gone: Callable[[], bool]
    ) -> TaskView:
        """When it has ended, its caller is gone, or the time is over: as it stands then."""
        ...

    async def tasks(
        self, principal: Principal, *, state: TaskState | None, model: str | None, page: int, page_size: int
    ) -> TaskPage: ...

    async def tasks_by_id(self, principal: Principal, ids: Sequence[str]) -> Sequence[TaskView]: ...

    async def cancel(self, principal: Principal, task_id: str) -> TaskView: ...

    async def erase(self, principal: Principal, task_id: str) -> TaskView: ...

    def models(self, principal: Principal) -> Sequence[Model]:
        """What this key may use; an alias comes as its model under the alias's name."""
        ...

    def model(self, principal: Principal, name: str) -> Model: ...

    def find_model(self, name: str) -> Model | None: ...

    async def credits(self, principal: Principal) -> Credits: ...

    async def result(self, token: str, file: str) -> ResultFile | None: ...

    async def ready(self) -> Sequence[str]:
        """Why this process should get no traffic; empty when it may."""
        ...
