"""The interface of a store of image bytes, and what its implementations share: names and errors.

A blob is written whole or not at all, and is durable when `put` returns. A store must not interpret the bytes or decide how long they
live. An absent blob is None or nothing, never an error; BlobStoreUnavailable means that the store itself does not work.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Protocol

CHUNK_BYTES = 256 * 1024
NAME_CHARS_MAX = 200
_NAME = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-][a-z0-9_.-]*)*")


class BlobError(Exception):
    """Base of what a store raises."""


class BlobStoreUnavailable(BlobError):
    """The store cannot be read or written now: out of space, read-only, gone, broken. The text is for operators and names the cause."""


class BlobStoreRefused(BlobStoreUnavailable):
    """Plainly wrong: credentials, permissions, no such bucket. Trying again does not help; somebody has to set it right."""


class BlobTooLarge(BlobError):
    """A stream had more bytes than its writer allowed."""


class BlobNameInvalid(BlobError, ValueError):
    """A bug of the caller: names are made by us, never taken from a request unchecked."""


class BlobStore(Protocol):
    """Blobs by name. Names are segments of `[a-z0-9_-]`, later ones with dots inside, joined by `/`: `att_8k…/0`.

    No blob's name is the beginning segments of another's: a file cannot also be a directory.
    """

    @property
    def piece_bytes(self) -> int:
        """What is best asked for at once with `read_range` by who reads a blob in pieces: a call costs a bucket's round trip, and memory a piece."""
        ...

    async def put(self, name: str, data: bytes) -> None:
        """Stores the bytes durably under the name, replacing whole what was there."""
        ...

    async def put_stream(self, name: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> int:
        """Stores what comes, piece by piece and never whole in memory; says how long it is. Durable as by `put`.

        Raises BlobTooLarge beyond `bytes_max`, and whatever the stream itself raises: then, and when it is cancelled before the stream has
        ended, nothing of it is left. What it returns or raises is final: nothing happens to the name afterwards.
        """
        ...

    async def put_all(self, prefix: str, blobs: Sequence[tuple[str, bytes]]) -> None:
        """Stores several blobs durably as `prefix/<name>`. The last one is never there without the others."""
        ...

    async def read(self, name: str) -> bytes | None:
        """All bytes, or None if there is no such blob."""
        ...

    async def size(self, name: str) -> int | None:
        """Length in bytes, or None."""
        ...

    async def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """Up to `length` bytes from `start`, fewer at the end; None if there is no such blob."""
        ...

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """The bytes in pieces of at most CHUNK_BYTES; nothing if there is no such blob (ask `size` first)."""
        ...

    async def delete(self, name: str) -> bool:
        """Removes the blob; False if there was none."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Removes all blobs below `prefix/`, whole segments only; says how many.

        Without a `/` in the prefix no byte of them is left in the store, whatever a crash had left there. May be repeated.
        """
        ...

    async def delete_all(self, prefixes: Sequence[str]) -> None:
        """Removes all blobs below each of these prefixes, which have no `/`, as `delete_prefix` does; cheaper than one by one. May be repeated."""
        ...

    async def list(self, prefix: str = "") -> tuple[str, ...]:
        """Sorted names below `prefix/`, or all of them."""
        ...

    async def check(self) -> None:
        """Writes, reads and removes a probe; BlobStoreUnavailable says what is wrong."""
        ...

    async def close(self) -> None: ...


def check_name(name: str) -> str:
    """The name itself, or BlobNameInvalid."""
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name) or ".." in name:
        raise BlobNameInvalid(f"not a blob name: {name[:NAME_CHARS_MAX]!r}")
    return name
