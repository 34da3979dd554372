"""Takes a caller's picture in: examined and hashed while it is stored, piece by piece, and never whole in memory.

The order that leaves no blob behind without a row: all bytes are in a temporary file → the row is committed → the file becomes the blob. A crash
before the row leaves what the store clears by itself; one after it leaves a row, whose expiry takes the blob along.

How it fails: InvalidImage, ImageTooLarge, InsufficientQuota, StorageUnavailable; nothing is kept then.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.blobs.store import CHUNK_BYTES, BlobStore, BlobStoreUnavailable, BlobTooLarge
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError, ImageTooLarge, InsufficientQuota, InvalidImage, StorageUnavailable
from gateway.domain.files import Purpose, StoredFile
from gateway.domain.ids import AccountId, FileId, TaskId
from gateway.domain.images import Pixels
from gateway.files import store
from gateway.files.quota import Quota, refusal
from gateway.imaging.sniff import NotAnImage, SniffedImage, Sniffer
from gateway.pipeline.commands import Command, Outcome

log = logging.getLogger(__name__)

TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
"""What callers may send. GIF is sniffed, because upstreams may answer with it, and is not taken."""
REMEDY = "Send a PNG, JPEG or WebP file."
THREAD_BYTES_MIN = 32 * 1024
"""Smaller pieces are examined on the event loop: some 50 µs, less than the hop to a thread."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a picture before its first byte."""

    id: FileId
    account: AccountId
    purpose: Purpose
    filename: str
    expires_at_ms: int
    task_id: TaskId | None = None


class Intake:
    """Stores pictures and their rows, and takes both away again."""

    def __init__(self, database: Database[Command, Outcome], blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def take(
        self, label: Label, chunks: AsyncIterable[bytes], *, bytes_max: int, quota: Quota | None = None
    ) -> StoredFile:
        """The stored picture. `quota`: counted against it."""
        taking = _Taking()
        try:
            async with aclosing(self._passed(label, chunks, taking, quota)) as pieces:
                await self._blobs.put_stream(label.id, pieces, bytes_max=bytes_max)
        except BaseException as exc:
            if taking.recorded:
                await self.forget_quietly([label.id])
            told = _told(exc, bytes_max)
            if told is exc:
                raise
            raise told from exc
        if taking.stored is None:
            raise AssertionError("a store did not read its stream to the end")
        return taking.stored

    async def forget(self, ids: Sequence[FileId]) -> None:
        """Blobs first, then rows. Raises StorageUnavailable, BlobStoreUnavailable; a second time is as good as the first."""
        await forget(self._database, self._blobs, ids)

    async def forget_quietly(self, ids: Sequence[FileId]) -> None:
        """The same; what cannot be deleted now goes when it expires."""
        try:
            await self.forget(ids)
        except (GatewayError, StatementFailed, BlobStoreUnavailable) as exc:
            log.warning(
                "pictures that nobody needs are left until they expire", extra={"files": len(ids)}, exc_info=exc
            )

    async def _passed(
        self, label: Label, chunks: AsyncIterable[bytes], taking: "_Taking", quota: Quota | None
    ) -> AsyncGenerator[bytes]:
        """The stream, examined as it goes by; with its end the row is written."""
        examination = _Examination()
        async for piece in gathered(chunks):
            if len(piece) < THREAD_BYTES_MIN:
                examination.look(piece)
            else:
                await asyncio.to_thread(examination.look, piece)
            yield piece
        seen = examination.end()
        file = StoredFile(
            label.id, label.account, label.purpose, label.filename, seen.content_type, examination.size_bytes,
            Pixels(seen.width, seen.height), seen.has_alpha, examination.sha256, self._clock.now_ms(), label.expires_at_ms,
        )  # fmt: skip
        taking.recorded = True  # whatever becomes of the commit
        await self._record(file, label.task_id, quota)
        taking.stored = file

    async def _record(self, file: StoredFile, task_id: TaskId | None, quota: Quota | None) -> None:
        why: str | None = None

        async def add(connection: Connection, _: int) -> None:
            nonlocal why
            why = None  # a batch may be run again
            if quota is not None:
                await store.lock_account(connection, file.account)
                why = refusal(
                    quota, await store.read_kept(connection, file.account, self._clock.now_ms()), file.size_bytes
                )
            if why is None:
                await store.add(connection, file, task_id)

        await self._database.write(Transact(add))
        if why is not None:
            raise InsufficientQuota(why)


@dataclass(slots=True)
class _Taking:
    recorded: bool = False
    """A row may be there."""
    stored: StoredFile | None = None


class _Examination:
    """What a stream is, by its bytes. Raises NotAnImage as soon as that is known."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._sniffer = Sniffer()
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def look(self, piece: bytes) -> None:
        if not self.size_bytes and piece.startswith(b"GIF8"):
            raise NotAnImage("image/gif is not accepted here")
        self.size_bytes += len(piece)
        self._sniffer.feed(piece)
        self._hash.update(piece)

    def end(self) -> SniffedImage:
        if not self.size_bytes:
            raise NotAnImage("the file is empty")
        seen = self._sniffer.finish()
        if seen.content_type not in TYPES:
            raise NotAnImage(f"{seen.content_type} is not accepted here")
        return seen


async def forget(database: Database[Command, Outcome], blobs: BlobStore, ids: Sequence[FileId]) -> None:
    """See `Intake.forget`."""
    for file_id in ids:
        await blobs.delete(file_id)
    if ids:
        await database.write(Transact(lambda connection, _: store.delete(connection, ids)))


async def forget_erased(database: Database[Command, Outcome], blobs: BlobStore, tasks: Sequence[TaskId]) -> None:
    """What is left of erased tasks' pictures: parts of their calls, what they fetched and what they converted. Raises the same."""
    found = await database.read(lambda connection: store.read_of_tasks(connection, tasks))
    await forget(database, blobs, [file.id for file in found])


async def gathered(chunks: AsyncIterable[bytes], size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `size` and a last one: a stream in crumbs would cost a hop to two threads for each."""
    waiting: list[bytes] = []
    length = 0
    async for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length < size:
            continue
        whole = b"".join(waiting)
        full = length - length % size
        for start in range(0, full, size):
            yield whole[start : start + size]
        waiting, length = [whole[full:]], length - full
    if length:
        yield b"".join(waiting)


def _told(exc: BaseException, bytes_max: int) -> BaseException:
    """As the caller hears of it."""
    match exc:
        case NotAnImage(reason=reason):
            return InvalidImage(f"The picture cannot be used: {reason}. {REMEDY}")
        case BlobTooLarge():
            return ImageTooLarge(f"The picture has more than {bytes_max} bytes. Send a smaller one.")
        case BlobStoreUnavailable():
            return StorageUnavailable(
                "The gateway's picture store cannot be written now. Nothing was kept; try again.",
                log=str(exc),
                retry_after_s=5,
            )
        case _:
            return exc
