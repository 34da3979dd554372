"""A stored picture on its way to whoever has its link. How it fails: StorageUnavailable."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.domain.errors import StorageUnavailable

CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}
"""By the extension in a signed link, which was made from what the bytes are."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One stored picture behind a signed link."""

    content_type: str
    size_bytes: int
    blobs: BlobStore = field(repr=False)
    name: str = field(repr=False)

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        """The bytes from `start`, in pieces. Raises StorageUnavailable."""
        end = start + length
        while start < end:
            try:
                piece = await self.blobs.read_range(self.name, start, min(self.blobs.piece_bytes, end - start))
            except BlobStoreUnavailable as exc:
                raise no_blobs(exc) from exc
            if not piece:
                return
            yield piece
            start += len(piece)


def no_blobs(exc: BlobStoreUnavailable) -> StorageUnavailable:
    return StorageUnavailable(
        "The gateway's picture store does not answer now. Try again.", log=str(exc), retry_after_s=5
    )
