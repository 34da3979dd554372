"""What every blob store promises, run on each implementation."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.blobs.bucket import BucketBlobStore
from gateway.blobs.clouds import Patience
from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import CHUNK_BYTES, BlobNameInvalid, BlobStore, BlobTooLarge
from tests.buckets import S3Server


async def _on_disk(request: pytest.FixtureRequest) -> BlobStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return await LocalBlobStore.open(folder / "images")


async def _in_bucket(request: pytest.FixtureRequest) -> BlobStore:
    server: S3Server = request.getfixturevalue("s3")
    return BucketBlobStore(server.new_place(), Patience())


OPENERS: dict[str, Callable[[pytest.FixtureRequest], Awaitable[BlobStore]]] = {"local": _on_disk, "s3": _in_bucket}


@pytest.fixture(params=sorted(OPENERS))
async def store(request: pytest.FixtureRequest) -> AsyncIterator[BlobStore]:
    opened = await OPENERS[request.param](request)
    yield opened
    await opened.close()


async def collect(store: BlobStore, name: str) -> list[bytes]:
    return [chunk async for chunk in store.chunks(name)]


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
async def test_what_is_put_is_read(store: BlobStore, length: int) -> None:
    """Whole, in ranges and in bounded chunks, the bytes are those that were put."""
    data = os.urandom(length)
    await store.put("att_1/0", data)
    assert await store.read("att_1/0") == data
    assert await store.size("att_1/0") == length
    chunks = await collect(store, "att_1/0")
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= CHUNK_BYTES
    for start, count in ((0, 10), (length // 2, 100), (length, 5), (length + 5, 5), (0, 0), (3, length)):
        assert await store.read_range("att_1/0", start, count) == data[start : start + count]


async def test_a_negative_range_is_a_bug(store: BlobStore) -> None:
    """Ranges count from the start; anything else is an error of the caller."""
    for start, length in ((-1, 5), (0, -1)):
        with pytest.raises(ValueError):
            await store.read_range("att_1/0", start, length)


async def test_absent_blobs_are_none(store: BlobStore) -> None:
    """Nothing there is an answer, for a name, for a name below a blob, and for the directory of others."""
    await store.put("att_1/0", b"a")
    for name in ("att_2/0", "att_1/1", "att_1", "att_1/0/1", "x"):
        assert await store.read(name) is None
        assert await store.size(name) is None
        assert await store.read_range(name, 0, 1) is None
        assert await collect(store, name) == []
        assert await store.delete(name) is False
    assert await store.read("att_1/0") == b"a"


async def test_a_second_put_replaces_the_first(store: BlobStore) -> None:
    """The last bytes win, whole, shorter ones too."""
    await store.put("att_1/0", b"longer than the next")
    await store.put("att_1/0", b"short")
    assert await store.read("att_1/0") == b"short"


async def test_concurrent_puts_leave_one_of_them_whole(store: BlobStore) -> None:
    """Writers of one name never mix their bytes."""
    versions = [bytes([number]) * 100_000 for number in range(12)]
    await asyncio.gather(*(store.put("att_1/0", version) for version in versions))
    assert await store.read("att_1/0") in versions
    assert await store.list() == ("att_1/0",)


async def test_puts_and_deletes_in_one_directory_do_not_disturb_each_other(store: BlobStore) -> None:
    """Deleting the last blob of an attempt while another arrives loses nothing."""
    for round_number in range(20):
        await store.put("att_1/0", b"old")
        await asyncio.gather(store.delete("att_1/0"), store.put("att_1/1", b"%d" % round_number))
        assert await store.list() == ("att_1/1",)
        assert await store.read("att_1/1") == b"%d" % round_number
        await store.delete("att_1/1")


async def test_listing_and_deleting_go_by_whole_segments(store: BlobStore) -> None:
    """`att_1` does not mean `att_10`."""
    for name in ("att_1/0", "att_1/1", "att_1/deep/er.json", "att_10/0", "att_2/manifest.json"):
        await store.put(name, b"x")
    assert await store.list("att_1") == ("att_1/0", "att_1/1", "att_1/deep/er.json")
    assert await store.list("att_3") == ()
    assert await store.delete_prefix("att_1") == 3
    assert await store.delete_prefix("att_1") == 0
    assert await store.list() == ("att_10/0", "att_2/manifest.json")
    assert await store.delete("att_10/0") is True
    assert await store.delete("att_10/0") is False
    assert await store.list() == ("att_2/manifest.json",)


UNSAFE = ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/.b", ".a", "a.b/c", "a/b..c"]
UNSAFE += ["A", "a\\b", "a b", "a\x00", "a\n", "\u00e9", "a/" + "b" * 200]


@pytest.mark.parametrize("name", UNSAFE)
async def test_unsafe_names_are_refused(store: BlobStore, name: str) -> None:
    """Nothing that could leave the store, hide in it or differ between stores is a name, for any operation."""
    with pytest.raises(BlobNameInvalid):
        await store.put(name, b"x")
    for work in (store.read, store.size, store.delete, store.delete_prefix):
        with pytest.raises(BlobNameInvalid):
            await work(name)
    with pytest.raises(BlobNameInvalid):
        await store.read_range(name, 0, 1)
    with pytest.raises(BlobNameInvalid):
        await collect(store, name)


async def test_the_probe_leaves_nothing_behind(store: BlobStore) -> None:
    """A healthy store passes the check, before and after use, and lists no trace of it."""
    await store.check()
    await store.put("att_1/0", b"x")
    await store.check()
    assert await store.list() == ("att_1/0",)


async def test_a_blob_deleted_while_it_is_sent_is_sent_whole(store: BlobStore) -> None:
    """A reader that has begun gets the bytes it began with."""
    data = os.urandom(3 * CHUNK_BYTES)
    await store.put("att_1/0", data)
    chunks = store.chunks("att_1/0")
    received = await anext(chunks)
    await store.delete("att_1/0")
    async for chunk in chunks:
        received += chunk
    assert received == data


async def test_several_blobs_are_stored_together(store: BlobStore) -> None:
    """All are there afterwards; a second time, as after a crash, they replace what was there."""
    await store.put_all("att_1", [("0", b"first"), ("1", b"second"), ("manifest", b"{}")])
    assert await store.list("att_1") == ("att_1/0", "att_1/1", "att_1/manifest")
    await store.put_all("att_1", [("0", b"again"), ("manifest", b"{1}")])
    assert [await store.read(f"att_1/{name}") for name in ("0", "1", "manifest")] == [b"again", b"second", b"{1}"]
    await asyncio.gather(*(store.put_all(f"att_many{i}", [("0", b"x"), ("manifest", b"{}")]) for i in range(40)))
    assert len(await store.list()) == 3 + 80


async def test_the_last_of_several_is_never_there_alone(store: BlobStore) -> None:
    """Whoever sees the manifest sees everything that was stored with it."""
    seen: list[bytes | None] = []

    async def look() -> None:
        while await store.read("att_1/manifest") is None:  # noqa: ASYNC110 - a store tells nobody when something appears
            await asyncio.sleep(0)
        seen.append(await store.read("att_1/0"))

    async with asyncio.timeout(30):
        await asyncio.gather(look(), store.put_all("att_1", [("0", b"picture" * 100_000), ("manifest", b"{}")]))
    assert seen == [b"picture" * 100_000]


@pytest.mark.parametrize("name", ["../0", "", "a//b", "A"])
async def test_unsafe_names_among_several_are_refused(store: BlobStore, name: str) -> None:
    """Nothing of the others is stored then."""
    with pytest.raises(BlobNameInvalid):
        await store.put_all("att_1", [("0", b"x"), (name, b"y")])
    assert await store.list() == ()


async def pieces_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("length", [0, 1, 3 * CHUNK_BYTES + 7])
async def test_a_stream_is_stored_as_it_comes(store: BlobStore, length: int) -> None:
    """Whatever the pieces, the blob is what came; a second one replaces it, and the limit itself is allowed."""
    data = os.urandom(length)
    for size in (max(1, length), 70_001):
        assert await store.put_stream("file-1/0", pieces_of(data, size), bytes_max=length) == length
        assert await store.read("file-1/0") == data
    assert await store.list() == ("file-1/0",)


async def test_a_stream_that_fails_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """Too long, broken in the middle, or cancelled while it waits: no blob, no temporary file, and what stood there still stands."""
    await store.put("att_1/0", b"before")

    async def broken() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        raise ConnectionResetError

    async def endless() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        arrived.set()
        await asyncio.Event().wait()

    arrived = asyncio.Event()
    with pytest.raises(BlobTooLarge):
        await store.put_stream("att_1/0", pieces_of(b"a" * 1001, 100), bytes_max=1000)
    with pytest.raises(ConnectionResetError):
        await store.put_stream("att_1/0", broken(), bytes_max=10_000)
    waiting = asyncio.create_task(store.put_stream("att_1/0", endless(), bytes_max=10_000))
    await arrived.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await store.read("att_1/0") == b"before"
    assert await store.list() == ("att_1/0",)
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file() and path.name != "0"] == []


async def test_a_stream_cancelled_at_its_end_is_settled_when_that_is_said(store: BlobStore) -> None:
    """Nothing appears after the cancellation has come through: a name that is deleted then stays so."""
    ended = asyncio.Event()

    async def short() -> AsyncIterator[bytes]:
        yield b"a" * 200_000
        ended.set()

    for _ in range(20):
        ended.clear()
        storing = asyncio.create_task(store.put_stream("file-1/0", short(), bytes_max=200_000))
        await ended.wait()
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        await store.delete("file-1/0")
        await asyncio.sleep(0)
        assert await store.list() == ()
