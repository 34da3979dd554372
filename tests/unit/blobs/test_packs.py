"""Small deliveries in shared files: the order of what makes them durable, who fails with whom, and what becomes of single blobs."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import BlobStoreUnavailable


async def deliver(store: LocalBlobStore, *prefixes: str, told: list[str] | None = None) -> list[BaseException | None]:
    """One small delivery a prefix. The first one is a group of its own; while it is stored the others gather."""

    async def one(prefix: str) -> None:
        await store.put_all(prefix, [("0", prefix.encode()), ("manifest", b"{}")])
        if told is not None:
            told.append(f"told {prefix}")

    return await asyncio.gather(*(one(prefix) for prefix in prefixes), return_exceptions=True)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the operating system is asked to do with files, in order."""
    steps: list[str] = []
    opened, written, synced, linked, unlinked = os.open, os.write, os.fsync, os.link, os.unlink

    def name(descriptor: int) -> str:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        return path.parent.name if path.parent.name == ".tmp" else path.name

    def spy_open(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            steps.append("create")
        return opened(path, flags, mode)

    def spy_write(descriptor: int, data: memoryview) -> int:
        steps.append(f"write {name(descriptor)}")
        return written(descriptor, data)

    def spy_sync(descriptor: int) -> None:
        steps.append(f"sync {name(descriptor)}")
        synced(descriptor)

    def spy_link(source: str, target: str) -> None:
        steps.append(f"link {Path(target).name}")
        linked(source, target)

    def spy_unlink(path: str) -> None:
        steps.append(f"unlink {Path(path).parent.name}")
        unlinked(path)

    with monkeypatch.context() as patch:
        for attribute, spy in (("open", spy_open), ("write", spy_write), ("fsync", spy_sync), ("link", spy_link)):
            patch.setattr(os, attribute, spy)
        patch.setattr(os, "unlink", spy_unlink)
        yield steps


async def test_a_group_is_durable_before_its_names_and_before_anybody_hears_of_it(
    tmp_path: Path, steps: list[str]
) -> None:
    """Written, synced, then linked for each delivery, then their directory synced: two syncs a group, and only then the callers are told."""
    store = await LocalBlobStore.open(tmp_path / "images")
    steps.clear()
    assert await deliver(store, "first", "a", "b", "c", told=steps) == [None] * 4
    await store.close()
    alone = ["create", "write .tmp", "sync .tmp", "link first", "unlink .tmp", "sync .packs"]
    group = ["create", "write .tmp", "sync .tmp", "link a", "link b", "link c", "unlink .tmp", "sync .packs"]
    assert [step for step in steps if not step.startswith("told")] == alone + group
    assert steps.index("told a") > max(index for index, step in enumerate(steps) if step == "sync .packs")


async def test_one_of_a_group_fails_alone(tmp_path: Path) -> None:
    """What stands in the way of one delivery does not take the others of its group with it; they are stored whole."""
    store = await LocalBlobStore.open(tmp_path / "images")
    (tmp_path / "images/.packs/b").mkdir()
    (tmp_path / "images/b").write_bytes(b"")
    outcomes = await deliver(store, "first", "a", "b", "c")
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), BlobStoreUnavailable, type(None)]
    for prefix in ("first", "a", "c"):
        assert await store.list(prefix) == (f"{prefix}/0", f"{prefix}/manifest")
        assert await store.read(f"{prefix}/0") == prefix.encode()
    assert list((tmp_path / "images/.tmp").iterdir()) == []
    await store.close()


async def test_a_disk_that_does_not_sync_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its sync a pack is never linked, and every caller is told."""
    store = await LocalBlobStore.open(tmp_path / "images")

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        outcomes = await deliver(store, "first", "a", "b")
    assert all(isinstance(outcome, BlobStoreUnavailable) for outcome in outcomes)
    assert await store.list() == ()
    assert list((tmp_path / "images/.tmp").iterdir()) == []
    await store.close()


async def test_without_links_each_has_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no hard links is asked once; all deliveries are there, and in no pack."""
    store = await LocalBlobStore.open(tmp_path / "images")
    asked: list[str] = []

    def refuse(_: str, target: str) -> None:
        asked.append(target)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    assert await deliver(store, "first", "a", "b") == [None] * 3
    assert len(asked) == 1
    assert list((tmp_path / "images/.packs").iterdir()) == []
    assert [await store.read(f"{prefix}/0") for prefix in ("first", "a", "b")] == [b"first", b"a", b"b"]
    await store.close()


async def test_single_blobs_of_a_pack(tmp_path: Path) -> None:
    """Replaced or deleted, a blob changes for its own delivery alone; the rest of it, and of the pack, stays as it was."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await deliver(store, "first", "a", "b", "c")
    assert os.stat(tmp_path / "images/.packs/a").st_nlink == 3
    await store.put("a/0", b"new")
    assert await store.delete("b/0")
    assert not await store.delete("b/0")
    assert await store.delete_prefix("c") == 2
    assert await store.list() == ("a/0", "a/manifest", "b/manifest", "first/0", "first/manifest")
    assert (await store.read("a/0"), await store.read("a/manifest")) == (b"new", b"{}")
    assert (await store.read("b/0"), await store.size("b/manifest"), await store.read("c/0")) == (None, 2, None)
    assert not any((tmp_path / "images/.packs" / prefix).exists() for prefix in "abc")
    await store.close()


async def test_parts_of_a_packed_blob(tmp_path: Path) -> None:
    """A blob ends where the next one in its file begins: ranges and pieces do not show another caller's picture."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await deliver(store, "first", "a", "b")
    assert await store.read_range("a/0", 0, 100) == b"a"
    assert await store.read_range("a/manifest", 1, 100) == b"}"
    assert await store.read_range("a/0", 5, 100) == b""
    assert [piece async for piece in store.chunks("a/0")] == [b"a"]
    assert await store.read("a/1") is None
    assert [piece async for piece in store.chunks("a/1")] == []
    await store.close()


async def test_a_dissolving_that_breaks_off_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack goes last: until then its blobs are read from it."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await deliver(store, "first", "a", "b")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(BlobStoreUnavailable):
            await store.put("a/0", b"new")
    assert (await store.read("a/0"), await store.read("a/manifest")) == (b"a", b"{}")
    await store.close()


@pytest.mark.parametrize("raw", [b"", b"something else", b"image-gateway pack 1 00000002\n}{"])
async def test_a_damaged_pack_is_no_absent_blob(tmp_path: Path, raw: bytes) -> None:
    """What was stored and cannot be read is the disk's fault, and said to be."""
    store = await LocalBlobStore.open(tmp_path / "images")
    (tmp_path / "images/.packs/a").write_bytes(raw)
    with pytest.raises(BlobStoreUnavailable, match="disk reports an error"):
        await store.read("a/0")
    await store.close()


async def test_packs_are_private_and_outlive_the_process(tmp_path: Path) -> None:
    """0600 in 0700; another store over the same root reads them."""
    before = os.umask(0)
    try:
        store = await LocalBlobStore.open(tmp_path / "images")
        await deliver(store, "first")
        await store.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "images/.packs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "images/.packs/first").stat().st_mode) == 0o600
    again = await LocalBlobStore.open(tmp_path / "images")
    assert await again.read("first/0") == b"first"
    await again.close()


async def test_closing_stores_what_waits(tmp_path: Path) -> None:
    """Deliveries in a group and behind it are stored before the store is closed; one whose caller has gone as well."""
    store = await LocalBlobStore.open(tmp_path / "images")
    waiting = [asyncio.ensure_future(store.put_all(f"a{i}", [("0", b"x")])) for i in range(40)]
    await asyncio.sleep(0)
    waiting[39].cancel()
    await store.close()
    assert await asyncio.gather(*waiting[:39]) == [None] * 39
    again = await LocalBlobStore.open(tmp_path / "images")
    assert len(await again.list()) == 40
    await again.close()
