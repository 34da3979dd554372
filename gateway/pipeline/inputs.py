"""The pictures that a call comes with, inside its task: fetched, checked, kept for all its attempts, the mask in the form that an upstream needs.

What is behind a URL is fetched through egress once, stored as the task's own and found again by whoever resumes it; a stored file is used where it
is. Bytes reach an upstream as they came. Only a mask for upstreams of the other meaning is made anew, once, by a decoding worker.

How it fails: InputsFailed, with the task error that its caller is told; nothing has been sent by then. Stores that do not answer are waited for
until the deadline.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.db.writer import Database
from gateway.domain.catalog import MaskPolarity
from gateway.domain.clock import Clock
from gateway.domain.errors import ImageTooLarge, InvalidImage, StorageUnavailable, Unavailable
from gateway.domain.files import MASK_BYTES_MAX, URL_BYTES_MAX, Purpose, StoredFile
from gateway.domain.ids import FileId, new_input_id
from gateway.domain.images import Contract, ImageInput, ImageRequest, InputSource, Pixels
from gateway.domain.tasks import Billed, Fault, Task, TaskError, TaskErrorCode
from gateway.egress.errors import DownloadTooLarge, EgressError
from gateway.files import store
from gateway.imaging.decode import Decoder, DecodingUnavailable, ImageRefused
from gateway.imaging.masks import white_from_alpha
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.fetching import Fetching
from gateway.pipeline.frozen import FrozenPlan
from gateway.pipeline.intake import Intake, Label
from gateway.upstreams.base import NO_INPUTS, Adapter, Inputs, UpstreamFailure

log = logging.getLogger(__name__)

T = TypeVar("T")

KEPT_MS = 3_600_000
"""What a task fetched lives so long behind its deadline, unless the task goes on even then; mostly it goes with the task's end."""
PAUSE_S = 0.5
MASK, WHITE_MASK = "mask", "white mask"
FREE = "Nothing is charged."
Link = Callable[[str, str, int], str]
"""Blob, extension and expiry in seconds to an absolute URL."""
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class InputsFailed(Exception):
    """These pictures cannot be used, or not now; the task ends with this error."""

    def __init__(self, code: TaskErrorCode, message: str) -> None:
        super().__init__(message)
        self.error = TaskError(code, message)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A Picture (upstreams/base.py) in the store of pictures."""

    file: StoredFile
    blobs: BlobStore = field(repr=False)
    url: Callable[[StoredFile], str] | None = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.file.content_type

    @property
    def size_bytes(self) -> int:
        return self.file.size_bytes

    @property
    def pixels(self) -> Pixels:
        return self.file.pixels

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises UpstreamFailure(LOCAL, NO), also where fewer bytes are there than were stored."""
        length = 0
        try:
            async for chunk in self.blobs.chunks(self.file.id):
                length += len(chunk)
                yield chunk
        except BlobStoreUnavailable as exc:
            raise UpstreamFailure(Fault.LOCAL, Billed.NO, f"a picture of the caller cannot be read: {exc}") from exc
        if length != self.file.size_bytes:
            raise UpstreamFailure(Fault.LOCAL, Billed.NO, "a picture of the caller is gone from the store")

    def link(self) -> str | None:
        return None if self.url is None else self.url(self.file)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The originals, in the caller's order."""

    images: tuple[StoredFile, ...]
    mask: StoredFile | None


class TaskInputs:
    """Built once by the root. `link`: None where no upstream could follow a link to this gateway."""

    def __init__(
        self,
        intake: Intake,
        fetching: Fetching,
        decoder: Decoder,
        database: Database[Command, Outcome],
        blobs: BlobStore,
        clock: Clock,
        link: Link | None,
    ) -> None:
        self.intake = intake
        self.fetching = fetching
        self.decoder = decoder
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self.link = link

    async def discard(self, task: Task, request: ImageRequest) -> None:
        """After a task's end: what it fetched and the parts of its call are needed no more. What cannot be deleted now goes when it expires."""
        if not request.images and request.mask is None:
            return
        try:
            own = await self.database.read(lambda connection: store.read_of_tasks(connection, [task.id]))
            given = await self.database.read(lambda connection: store.read(connection, task.account, _files(request)))
        except Unavailable as exc:
            log.warning("pictures of a task are left until they expire", extra={"task": task.id}, exc_info=exc)
            return
        parts = [file for file in given.values() if file.purpose is Purpose.CALL]
        await self.intake.forget_quietly([file.id for file in (*own, *parts)])


class CallPictures:
    """Those of one task, for one walk over its attempts."""

    def __init__(self, inputs: TaskInputs | None, task: Task, request: ImageRequest, deadline_s: float) -> None:
        self._inputs = inputs
        self._task = task
        self._request = request
        self._deadline_s = deadline_s
        self._lock = asyncio.Lock()
        self._checked: _Checked | None = None
        self._made: dict[MaskPolarity, Inputs] = {}

    async def prepared(self, plan: FrozenPlan, adapters: Mapping[str, Adapter]) -> TaskError | None:
        """All that the plan's offers need, before anything is sent. An error: none of them could be given what it needs."""
        if not self._given:
            return None
        error: TaskError | None = None
        for polarity in _polarities(plan, adapters):
            try:
                await self.inputs(polarity)
            except InputsFailed as exc:
                error = error or exc.error
                if self._checked is None:
                    break
        return None if self._made else error

    def has(self, polarity: MaskPolarity | None) -> bool:
        """Whether an offer can have its mask in this form."""
        return not self._given or self._form(polarity) in self._made

    async def inputs(self, polarity: MaskPolarity | None) -> Inputs:
        """With the mask of this meaning (None: as it came). Raises InputsFailed."""
        if not self._given:
            return NO_INPUTS
        form = self._form(polarity)
        async with self._lock:  # parts of a task begin together
            if form not in self._made:
                preparation = _Preparation(self._tools(), self._task, self._request, self._deadline_s)
                self._checked = self._checked or await preparation.checked()
                self._made[form] = await preparation.formed(self._checked, form)
            return self._made[form]

    async def to_send(self, polarity: MaskPolarity | None, job: str | None, *, sent_before: bool) -> Inputs:
        """The same for an attempt that has a row; nothing for a `job` that is known and only asked for. Raises UpstreamFailure."""
        if job is not None:
            return NO_INPUTS
        try:
            return await self.inputs(polarity)
        except InputsFailed as exc:
            billed = Billed.UNKNOWN if sent_before else Billed.NO
            raise UpstreamFailure(Fault.LOCAL, billed, f"the caller's pictures are not to be had: {exc}") from exc

    @property
    def _given(self) -> bool:
        return bool(self._request.images) or self._request.mask is not None

    def _form(self, polarity: MaskPolarity | None) -> MaskPolarity:
        """Without a mask there is only one."""
        return MaskPolarity.TRANSPARENT if polarity is None or self._request.mask is None else polarity

    def _tools(self) -> TaskInputs:
        if self._inputs is None:
            raise AssertionError("a call with pictures in a gateway without a store for them")
        return self._inputs


@dataclass(frozen=True, slots=True)
class _Preparation:
    tools: TaskInputs
    task: Task
    request: ImageRequest
    deadline_s: float

    async def checked(self) -> _Checked:
        """All pictures, stored and looked at. Raises InputsFailed."""
        stored = await self._patient(self._stored)
        wanted = [(f"reference picture {number}", given) for number, given in enumerate(self.request.images, 1)]
        jobs = [self._found(name, given, stored) for name, given in wanted]
        if self.request.mask is not None:
            jobs.append(self._found(MASK, self.request.mask, stored))
        found = await _all(jobs)
        images = tuple(found[: len(wanted)])
        mask = found[-1] if self.request.mask is not None else None
        if mask is not None:
            self._check_mask(mask, images)
        return _Checked(images, mask)

    async def formed(self, checked: _Checked, polarity: MaskPolarity) -> Inputs:
        """As an adapter gets them. Raises InputsFailed."""
        mask = checked.mask
        if mask is not None and polarity is MaskPolarity.WHITE:
            mask = await self._white(mask)
        images = tuple(self._picture(file) for file in checked.images)
        return Inputs(images, None if mask is None else self._picture(mask))

    def _picture(self, file: StoredFile) -> StoredPicture:
        return StoredPicture(file, self.tools.blobs, None if self.tools.link is None else self._url)

    def _url(self, file: StoredFile) -> str:
        link = self.tools.link
        if link is None:
            raise AssertionError("a link was asked for where there are none")
        return link(file.id, _EXTENSIONS[file.content_type], self._expires_at_ms() // 1000)

    def _expires_at_ms(self) -> int:
        return max(self.task.deadline_at_ms, self.tools.clock.now_ms()) + KEPT_MS

    async def _stored(self) -> dict[str, StoredFile]:
        """By id what the caller stored, by role what an earlier process fetched or converted for this task, where their bytes are there."""
        ids = _files(self.request)
        given = await self.tools.database.read(lambda connection: store.read(connection, self.task.account, ids))
        own = await self.tools.database.read(lambda connection: store.read_of_tasks(connection, [self.task.id]))
        found: dict[str, StoredFile] = {file.filename: file for file in own} | {
            file.id: file for file in given.values()
        }
        return {name: file for name, file in found.items() if await self.tools.blobs.size(file.id) == file.size_bytes}

    async def _found(self, name: str, given: ImageInput, stored: dict[str, StoredFile]) -> StoredFile:
        if given.source is InputSource.FILE:
            file = stored.get(given.value)
            if file is None:
                raise _refused(f"The {name} is no longer stored. Upload it again and send a new call.")
            return file
        if name in stored:
            return stored[name]
        try:
            content = await self.tools.fetching.get(given.value, self.deadline_s)
        except DownloadTooLarge as exc:
            log.info("a picture was not fetched", extra={"task": self.task.id, "reason": exc.reason})
            raise _refused(
                f"The file behind the URL of the {name} has more than {URL_BYTES_MAX} bytes. Send a smaller one."
            ) from exc
        except EgressError as exc:
            log.info("a picture was not fetched", extra={"task": self.task.id, "reason": exc.reason})
            if self.tools.clock.monotonic_s() >= self.deadline_s:
                raise InputsFailed(
                    TaskErrorCode.GENERATION_TIMEOUT,
                    f"The {name} was not fetched before the deadline. {FREE} Try again.",
                ) from exc
            raise _refused(f"The {name}: {exc.public_text}") from exc
        return await self._keep(name, content, URL_BYTES_MAX)

    async def _keep(self, role: str, content: bytes, bytes_max: int) -> StoredFile:
        """As the task's own. Raises InputsFailed where it is no picture."""

        async def take() -> StoredFile:
            label = Label(
                new_input_id(self.task.id), self.task.account, Purpose.CALL, role, self._expires_at_ms(), self.task.id
            )
            return await self.tools.intake.take(label, _once(content), bytes_max=bytes_max)

        try:
            return await self._patient(take)
        except (InvalidImage, ImageTooLarge) as exc:
            raise _refused(f"The {role}: {exc.message}") from exc

    def _check_mask(self, mask: StoredFile, images: tuple[StoredFile, ...]) -> None:
        """By what the headers say: a PNG with alpha below 4 MB, as large as the first picture; in the task contract that one is a PNG, too."""
        if not images:
            raise _refused("A mask needs a reference picture.")
        first = images[0]
        if mask.content_type != "image/png":
            raise _refused(f"The mask is {mask.content_type}. Save it as PNG with transparency.")
        if self.task.contract is Contract.TASK and first.content_type != "image/png":
            raise _refused(f"With a mask, the reference picture must be a PNG as well, and it is {first.content_type}.")
        if mask.size_bytes > MASK_BYTES_MAX:
            raise _refused(f"The mask has {mask.size_bytes} bytes. It must be smaller than 4 MB.")
        if mask.pixels != first.pixels:
            raise InputsFailed(
                TaskErrorCode.IMAGE_DIMENSION_MISMATCH,
                f"The mask is {mask.pixels} and the reference picture {first.pixels}. Make the mask of exactly that size. {FREE}",
            )
        if not mask.has_alpha:
            raise _refused(
                "The mask has no alpha channel. Make it transparent (alpha 0) where the picture is to change."
            )

    async def _white(self, mask: StoredFile) -> StoredFile:
        """White is edit. Made once for a task, whoever resumes it."""
        stored = await self._patient(self._stored)
        if WHITE_MASK in stored:
            return stored[WHITE_MASK]
        content = await self._patient(lambda: self.tools.blobs.read(mask.id))
        if content is None:
            raise _refused("The mask is no longer stored. Upload it again and send a new call.")
        try:
            white = await white_from_alpha(self.tools.decoder, content, mask.pixels)
        except ImageRefused as exc:
            raise _refused(f"The mask cannot be used: {exc.reason}.") from exc
        except DecodingUnavailable as exc:
            log.warning("a mask could not be converted", extra={"task": self.task.id}, exc_info=exc)
            raise InputsFailed(
                TaskErrorCode.SERVICE_UNAVAILABLE, f"The mask could not be converted now. {FREE} Try again."
            ) from exc
        return await self._keep(WHITE_MASK, white, MASK_BYTES_MAX)

    async def _patient(self, work: Callable[[], Awaitable[T]]) -> T:
        """What needs a store, until the deadline."""
        while True:
            try:
                return await work()
            except (StorageUnavailable, Unavailable, BlobStoreUnavailable) as exc:
                if self.tools.clock.monotonic_s() >= self.deadline_s:
                    log.warning("a task's pictures cannot be stored", extra={"task": self.task.id}, exc_info=exc)
                    raise InputsFailed(
                        TaskErrorCode.SERVICE_UNAVAILABLE,
                        f"The gateway's store of pictures did not answer in time. {FREE} Try again.",
                    ) from exc
                await asyncio.sleep(PAUSE_S)


def _polarities(plan: FrozenPlan, adapters: Mapping[str, Adapter]) -> list[MaskPolarity | None]:
    """Of the plan's offers, in their order."""
    found = [
        adapter.capabilities(offer.upstream_model).mask
        for offer in plan.offers
        if (adapter := adapters.get(offer.upstream)) is not None
    ]
    return list(dict.fromkeys(found))


def _refused(message: str) -> InputsFailed:
    return InputsFailed(TaskErrorCode.IMAGE_PROCESSING_ERROR, f"{message} {FREE}")


def _files(request: ImageRequest) -> list[FileId]:
    given = (*request.images, *((request.mask,) if request.mask is not None else ()))
    return [FileId(item.value) for item in given if item.source is InputSource.FILE]


async def _all(jobs: Sequence[Awaitable[StoredFile]]) -> list[StoredFile]:
    """Side by side; the first failure in the caller's order counts, and nothing goes on behind it."""
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, StoredFile)]


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
