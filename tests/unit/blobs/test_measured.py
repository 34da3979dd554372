"""What is told about a store of pictures, and that nothing else of it changes."""

from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.blobs.measured import MeasuredBlobStore
from gateway.blobs.store import BlobNameInvalid, BlobStoreUnavailable
from gateway.domain.clock import SystemClock

Told = list[tuple[str, float | None, bool]]


class Ticking(SystemClock):
    """A second passes between two looks."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        self.now_s += 1.0
        return self.now_s


class Broken(LocalBlobStore):
    async def read(self, name: str) -> bytes | None:
        raise BlobStoreUnavailable("the disk is gone")


async def measured(store: LocalBlobStore) -> tuple[MeasuredBlobStore, Told]:
    told: Told = []
    found = MeasuredBlobStore(store, Ticking())
    found.watcher = lambda operation, took_s, *, failed: told.append((operation, took_s, failed))
    return found, told


async def test_operations_are_timed(tmp_path: Path) -> None:
    """Each with its name; answers pass through."""
    store, told = await measured(await LocalBlobStore.open(tmp_path))
    await store.put("att_1/0", b"picture")
    assert await store.read("att_1/0") == b"picture"
    assert await store.read_range("att_1/0", 1, 2) == b"ic"
    assert b"".join([piece async for piece in store.chunks("att_1/0")]) == b"picture"
    assert await store.delete_prefix("att_1") == 1
    assert told == [(name, 1.0, False) for name in ("put", "read", "read_range", "delete_prefix")]


async def test_failures_are_counted_and_raised(tmp_path: Path) -> None:
    """A store that does not work is; a bug of its caller says nothing about it."""
    store, told = await measured(await Broken.open(tmp_path))
    with pytest.raises(BlobStoreUnavailable):
        await store.read("att_1/0")
    with pytest.raises(BlobNameInvalid):
        await store.put("Not a name", b"")
    assert told == [("read", 1.0, True)]
