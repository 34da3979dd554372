"""A finished task's pictures as base64 text for its answer: whole where they are small, read from the store while they are sent where they are large.

So that fifty callers who take large pictures slowly do not fill the memory. How it fails: StorageUnavailable, before anything is sent where that
can be known.
"""

import asyncio
import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import pybase64

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.domain.errors import StorageUnavailable
from gateway.domain.images import ImageResult
from gateway.pipeline.result_files import no_blobs

WHOLE_BYTES_MAX: Final = 2 * 1024 * 1024
"""Of a picture: one of 1024x1536 in PNG is mostly smaller."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """The text of a picture that stays in the store. Its length is known."""

    blobs: BlobStore
    name: str
    size_bytes: int
    """Of the picture."""

    def __len__(self) -> int:
        return 4 * -(-self.size_bytes // 3)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The text, a piece of the store's at a time. Raises StorageUnavailable, in the middle as well."""
        rest, length = b"", 0
        try:
            async for chunk in self.blobs.chunks(self.name):
                length += len(chunk)
                data = rest + chunk
                whole = len(data) - len(data) % 3
                rest = data[whole:]
                yield await asyncio.to_thread(pybase64.b64encode, memoryview(data)[:whole])
        except BlobStoreUnavailable as exc:
            raise no_blobs(exc) from exc
        if length != self.size_bytes:
            raise _gone(self.name)
        if rest:
            yield binascii.b2a_base64(rest, newline=False)


PictureText = bytes | StoredText
"""What stands between quotes."""


async def stored_text(blobs: BlobStore, result: ImageResult) -> StoredText:
    """Of a large one. Raises StorageUnavailable."""
    try:
        size_bytes = await blobs.size(result.blob)
    except BlobStoreUnavailable as exc:
        raise no_blobs(exc) from exc
    if size_bytes != result.size_bytes:
        raise _gone(result.blob)
    return StoredText(blobs, result.blob, result.size_bytes)


def _gone(name: str) -> StorageUnavailable:
    return StorageUnavailable("A stored picture is gone.", log=f"blob {name} is missing")
