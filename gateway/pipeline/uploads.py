"""Callers' own pictures, as the edge uses them: received, fetched, listed, read again, deleted.

A file is its key's alone: to others it does not exist. It is gone for its owner when it has expired, and deleting makes it expire; its bytes go
when no unfinished task needs them (upload_expiry.py). Raises classes of domain/errors.py alone.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import Principal
from gateway.domain.clock import Clock
from gateway.domain.errors import FileNotFound, ImageTooLarge, InsufficientQuota, InvalidImage, StorageUnavailable
from gateway.domain.files import URL_BYTES_MAX, Purpose, StoredFile
from gateway.domain.ids import FILE_ID_PATTERN, FileId, new_file_id
from gateway.egress.errors import DownloadTooLarge, EgressError
from gateway.files import store
from gateway.files.quota import Quota, refusal
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.fetching import Fetching
from gateway.pipeline.intake import Intake, Label

CALL_MS = 3_600_000
"""A part of a call becomes a task's within minutes; then the task keeps it for as long as it needs it."""
FETCH_S_MAX = 30.0
FILENAME_CHARS_MAX = 255
NAMELESS = "upload"


@dataclass(frozen=True, slots=True)
class UploadTerms:
    """What the config says."""

    kept_ms: int
    """How long an upload lives."""
    quota: Quota


class Uploads:
    """Built once by the root."""

    def __init__(
        self,
        intake: Intake,
        fetching: Fetching,
        database: Database[Command, Outcome],
        blobs: BlobStore,
        clock: Clock,
        terms: UploadTerms,
    ) -> None:
        self._intake = intake
        self._fetching = fetching
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._terms = terms

    async def receive(
        self, principal: Principal, chunks: AsyncIterator[bytes], *, purpose: Purpose, filename: str, bytes_max: int
    ) -> StoredFile:
        """Stores a picture as it comes, and looks at its headers.

        Raises ImageTooLarge, InvalidImage, InsufficientQuota, StorageUnavailable.
        """
        terms = self._terms
        counted = terms.quota if purpose is Purpose.VISION else None
        if counted is not None:
            await self._check_quota(principal, counted)
        kept_ms = terms.kept_ms if purpose is Purpose.VISION else CALL_MS
        label = Label(
            new_file_id(), principal.account, purpose, shown_name(filename), self._clock.now_ms() + kept_ms
        )  # fmt: skip
        return await self._intake.take(label, chunks, bytes_max=bytes_max, quota=counted)

    async def fetch(self, principal: Principal, url: str, *, filename: str) -> StoredFile:
        """An upload from a public URL. Raises the same."""
        await self._check_quota(principal, self._terms.quota)
        try:
            content = await self._fetching.get(url, self._clock.monotonic_s() + FETCH_S_MAX)
        except DownloadTooLarge as exc:
            raise ImageTooLarge(
                f"The file behind the URL has more than {URL_BYTES_MAX} bytes. Upload it, or name a smaller one.",
                log=exc.reason,
            ) from exc
        except EgressError as exc:
            raise InvalidImage(exc.public_text, log=exc.reason) from exc
        return await self.receive(
            principal, _once(content), purpose=Purpose.VISION, filename=filename, bytes_max=URL_BYTES_MAX
        )

    async def file(self, principal: Principal, file_id: str) -> StoredFile:
        """Raises FileNotFound."""
        if FILE_ID_PATTERN.fullmatch(file_id):
            id_ = FileId(file_id)
            found = await self._database.read(lambda connection: store.read(connection, principal.account, [id_]))
            if id_ in found and found[id_].expires_at_ms > self._clock.now_ms():
                return found[id_]
        raise FileNotFound(
            "This key has no such file. Uploads are kept for a limited time, and belong to the key that made them."
        )

    async def files(self, principal: Principal, *, limit: int, after: str | None) -> tuple[Sequence[StoredFile], bool]:
        """The caller's uploads, newest first, and whether there are more. Raises FileNotFound where `after` is none of them."""
        behind = store.NEWEST
        if after is not None:
            last = await self.file(principal, after)
            behind = store.Place(last.created_at_ms, last.id)

        async def read(connection: Connection) -> list[StoredFile]:
            return await store.read_page(
                connection, principal.account, now_ms=self._clock.now_ms(), behind=behind, size=limit + 1
            )

        found = await self._database.read(read)
        return found[:limit], len(found) > limit

    async def content(self, principal: Principal, file_id: str) -> AsyncIterator[bytes]:
        """The bytes in pieces. Raises FileNotFound; StorageUnavailable, in the middle as well."""
        file = await self.file(principal, file_id)
        try:
            if await self._blobs.size(file.id) != file.size_bytes:  # a crash fell between its row and its blob
                raise FileNotFound("This file did not arrive whole. Upload it again.")
        except BlobStoreUnavailable as exc:
            raise _no_store(exc) from exc
        return self._read(file)

    async def delete(self, principal: Principal, file_id: str) -> None:
        """Gone for its owner at once; a task that uses it already still gets it. Raises FileNotFound."""
        file = await self.file(principal, file_id)
        gone = False

        async def expire(connection: Connection, _: int) -> None:
            nonlocal gone
            gone = await store.expire(connection, principal.account, file.id, self._clock.now_ms())

        await self._database.write(Transact(expire))
        if not gone:
            raise FileNotFound("This file was deleted meanwhile.")

    async def forget(self, files: Sequence[FileId]) -> None:
        """Parts of a call that was not accepted after all: their bytes go now. What cannot be deleted now goes when it expires."""
        await self._intake.forget_quietly(files)

    async def _check_quota(self, principal: Principal, quota: Quota) -> None:
        """Before anything is sent or fetched; the row's transaction decides."""
        now_ms = self._clock.now_ms()
        kept = await self._database.read(lambda connection: store.read_kept(connection, principal.account, now_ms))
        why = refusal(quota, kept, 1)
        if why is not None:
            raise InsufficientQuota(why)

    async def _read(self, file: StoredFile) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._blobs.chunks(file.id):
                yield chunk
        except BlobStoreUnavailable as exc:
            raise _no_store(exc) from exc


def shown_name(filename: str) -> str:
    """Without folders and control characters, cut; what a caller names its file is shown again, and nothing else."""
    name = "".join(character for character in filename if character.isprintable())
    name = name.replace("\\", "/").rpartition("/")[2].strip()
    return name[-FILENAME_CHARS_MAX:] or NAMELESS


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _no_store(exc: BlobStoreUnavailable) -> StorageUnavailable:
    return StorageUnavailable(
        "The gateway's picture store does not answer now. Try again.", log=str(exc), retry_after_s=5
    )
