"""A store of pictures whose operations are timed and whose failures are counted. It changes nothing of what the store does, raises or returns.

What comes as a stream takes its sender's time: it is counted where it fails, and not timed; `chunks` take their reader's, and are neither.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.domain.clock import Clock, SystemClock


class BlobWatcher(Protocol):
    """Must not raise."""

    def __call__(self, operation: str, took_s: float | None, *, failed: bool) -> None:
        """`took_s` None: it took somebody else's time."""
        ...


class MeasuredBlobStore:
    """A BlobStore over one. `watcher` may be set at any time."""

    def __init__(self, store: BlobStore, clock: Clock | None = None) -> None:
        self.store = store
        self.watcher: BlobWatcher | None = None
        self._clock = clock or SystemClock()

    @property
    def piece_bytes(self) -> int:
        return self.store.piece_bytes

    async def put(self, name: str, data: bytes) -> None:
        with self._measured("put"):
            await self.store.put(name, data)

    async def put_stream(self, name: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> int:
        with self._measured("put_stream", timed=False):
            return await self.store.put_stream(name, chunks, bytes_max=bytes_max)

    async def put_all(self, prefix: str, blobs: Sequence[tuple[str, bytes]]) -> None:
        with self._measured("put_all"):
            await self.store.put_all(prefix, blobs)

    async def read(self, name: str) -> bytes | None:
        with self._measured("read"):
            return await self.store.read(name)

    async def size(self, name: str) -> int | None:
        with self._measured("size"):
            return await self.store.size(name)

    async def read_range(self, name: str, start: int, length: int) -> bytes | None:
        with self._measured("read_range"):
            return await self.store.read_range(name, start, length)

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        return self.store.chunks(name)

    async def delete(self, name: str) -> bool:
        with self._measured("delete"):
            return await self.store.delete(name)

    async def delete_prefix(self, prefix: str) -> int:
        with self._measured("delete_prefix"):
            return await self.store.delete_prefix(prefix)

    async def delete_all(self, prefixes: Sequence[str]) -> None:
        with self._measured("delete_all"):
            await self.store.delete_all(prefixes)

    async def list(self, prefix: str = "") -> tuple[str, ...]:
        with self._measured("list"):
            return await self.store.list(prefix)

    async def check(self) -> None:
        with self._measured("check"):
            await self.store.check()

    async def close(self) -> None:
        await self.store.close()

    @contextmanager
    def _measured(self, operation: str, *, timed: bool = True) -> Iterator[None]:
        """A call that was cancelled, or that had a bad name, says nothing about the store."""
        begun_s = self._clock.monotonic_s()
        try:
            yield
        except BlobStoreUnavailable:
            self._tell(operation, begun_s, timed=timed, failed=True)
            raise
        self._tell(operation, begun_s, timed=timed, failed=False)

    def _tell(self, operation: str, begun_s: float, *, timed: bool, failed: bool) -> None:
        if self.watcher is not None:
            self.watcher(operation, self._clock.monotonic_s() - begun_s if timed else None, failed=failed)
