"""The store on disk: modes, durability, leftovers, and a file system that says no."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.blobs import local
from gateway.blobs.local import LocalBlobStore
from gateway.blobs.store import BlobStoreUnavailable


async def test_files_and_directories_are_private(tmp_path: Path) -> None:
    """0600 and 0700, whatever the umask allows."""
    before = os.umask(0)
    try:
        store = await LocalBlobStore.open(tmp_path / "a" / "images")
        await store.put("att_1/deep/0", b"x")
        await store.close()
    finally:
        os.umask(before)
    root = tmp_path / "a" / "images"
    for directory in (root, root / ".tmp", root / "att_1", root / "att_1" / "deep"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "att_1/deep/0").stat().st_mode) == 0o600


async def test_a_put_is_synced_before_and_after_its_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is: file synced, renamed, then every directory from the file's to the root."""
    store = await LocalBlobStore.open(tmp_path / "images")
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append("file" if path.parent.name == ".tmp" else f"directory {path.name}")
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    await store.put("att_1/0", b"x")
    await store.close()
    assert steps == ["file", "rename", "directory att_1", "directory images"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, "disk reports an error"),
        (errno.ETXTBSY, "Text file busy"),
    ],
)
async def test_a_failing_disk_is_named_and_leaves_the_old_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str
) -> None:
    """Writing or the probe fails with a cause that an operator understands; the old bytes and no temporary file remain."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await store.put("att_1/0", b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        for work in (store.put("att_1/0", b"new"), store.check()):
            with pytest.raises(BlobStoreUnavailable, match=text):
                await work
    assert await store.read("att_1/0") == b"old"
    assert list((tmp_path / "images" / ".tmp").iterdir()) == []
    await store.close()


async def test_a_store_that_is_gone_is_not_an_absent_blob(tmp_path: Path) -> None:
    """When the directory itself has vanished, reading says so instead of None."""
    store = await LocalBlobStore.open(tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    for work in (store.read("a/0"), store.size("a/0"), store.delete("a/0"), store.list(), store.check()):
        with pytest.raises(BlobStoreUnavailable, match="gone"):
            await work
    await store.close()


async def test_what_cannot_be_listed_or_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that refuses to be read does not look empty, and a file that refuses to go does not look absent."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await store.put("att_1/0", b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        patch.setattr(Path, "unlink", refuse)
        for work in (store.list(), store.delete_prefix("att_1"), store.delete("att_1/0")):
            with pytest.raises(BlobStoreUnavailable, match="permission"):
                await work
    assert await store.list() == ("att_1/0",)
    await store.close()


async def test_a_disk_that_gives_back_other_bytes_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe is compared, not only written."""
    store = await LocalBlobStore.open(tmp_path / "images")
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"prob3")
    with pytest.raises(BlobStoreUnavailable, match="disk reports an error"):
        await store.check()
    await store.close()


async def test_a_directory_deleted_before_its_sync_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that is deleted while its put finishes has been put and deleted."""
    store = await LocalBlobStore.open(tmp_path / "images")
    move = store._move

    def move_and_lose(temporary: Path, target: Path) -> None:
        move(temporary, target)
        target.unlink()
        target.parent.rmdir()

    monkeypatch.setattr(store, "_move", move_and_lose)
    await store.put("att_1/0", b"x")
    assert await store.read("att_1/0") is None
    await store.close()


async def test_little_space_fails_the_check_but_not_a_put(tmp_path: Path) -> None:
    """Readiness ends while a few pictures still fit."""
    with pytest.raises(BlobStoreUnavailable, match="no space"):
        await LocalBlobStore.open(tmp_path / "images", free_bytes_min=2**62)
    store = LocalBlobStore(tmp_path / "images", free_bytes_min=2**62)
    await store.put("a/0", b"x")
    assert await store.read("a/0") == b"x"
    await store.close()


async def test_an_unusable_root_is_an_error_at_the_start(tmp_path: Path) -> None:
    """A root below a file cannot be opened, and the message names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobStoreUnavailable, match="images"):
        await LocalBlobStore.open(tmp_path / "file" / "images")


async def test_old_leftovers_go_and_young_ones_stay(tmp_path: Path) -> None:
    """A crash's temporary files are removed at the next start; another process's write in progress is not."""
    store = await LocalBlobStore.open(tmp_path / "images")
    await store.close()
    old, young = tmp_path / "images/.tmp/old", tmp_path / "images/.tmp/young"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    store = await LocalBlobStore.open(tmp_path / "images")
    await store.close()
    assert (old.exists(), young.exists()) == (False, True)


async def test_links_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link in the store never shows a file outside of it."""
    store = await LocalBlobStore.open(tmp_path / "images")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "images/link").symlink_to(tmp_path / "secret")
    with pytest.raises(BlobStoreUnavailable, match="link"):
        await store.read("link")
    await store.close()


async def test_a_directory_that_keeps_vanishing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race with a delete is retried a bounded number of times."""
    store = await LocalBlobStore.open(tmp_path / "images")
    tries: list[Path] = []
    monkeypatch.setattr(store, "_make_directories", tries.append)
    with pytest.raises(BlobStoreUnavailable):
        await store.put("att_1/0", b"x")
    assert len(tries) == local._PUT_TRIES
    assert list((tmp_path / "images" / ".tmp").iterdir()) == []
    await store.close()
