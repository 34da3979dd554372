"""Taking a delivery out of a pack: no byte of it is left, the others stay readable throughout, a kill at any step can be made good."""

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from gateway.blobs import pack_folder
from gateway.blobs.local import LocalBlobStore
from gateway.blobs.pack_folder import PackFolder
from gateway.blobs.store import BlobNameInvalid, BlobStoreUnavailable

NAMES = ("a", "b", "c")


def picture(prefix: str) -> bytes:
    return f"the picture of {prefix} ".encode() * 500


async def packed_store(root: Path) -> LocalBlobStore:
    """Three deliveries in one pack, after one of its own."""
    store = await LocalBlobStore.open(root)
    blobs = [(prefix, [("0", picture(prefix)), ("manifest", b"{}")]) for prefix in ("first", *NAMES)]
    await asyncio.gather(*(store.put_all(*each) for each in blobs))
    assert os.stat(root / ".packs/a").st_nlink == 3
    return store


def holders(root: Path, prefix: str) -> list[str]:
    """Every file below the root that has the bytes of a delivery, whatever it is called."""
    files = (path for path in root.rglob("*") if path.is_file())
    return [str(path.relative_to(root)) for path in files if picture(prefix)[:40] in path.read_bytes()]


async def test_what_is_deleted_is_gone_from_the_folder(tmp_path: Path) -> None:
    """No file holds its bytes; the others of its pack are whole, and a second time changes nothing."""
    store = await packed_store(tmp_path / "images")
    assert set(holders(tmp_path / "images", "b")) == {".packs/a", ".packs/b", ".packs/c"}
    assert await store.delete_prefix("b") == 2
    assert holders(tmp_path / "images", "b") == []
    assert await store.delete_prefix("b") == 0
    assert await store.list() == ("a/0", "a/manifest", "c/0", "c/manifest", "first/0", "first/manifest")
    assert [await store.read(f"{prefix}/0") for prefix in "abc"] == [picture("a"), None, picture("c")]
    await store.close()


async def test_single_blobs_that_leave_a_pack_leave_nothing_there(tmp_path: Path) -> None:
    """Replaced or deleted alone, a blob's old bytes are gone as well."""
    store = await packed_store(tmp_path / "images")
    await store.put("a/0", b"new")
    await store.delete("b/0")
    assert (holders(tmp_path / "images", "a"), holders(tmp_path / "images", "b")) == ([], [])
    assert await store.read("c/0") == picture("c")
    await store.close()


async def test_readers_of_the_others_notice_nothing(tmp_path: Path) -> None:
    """While one delivery after the other is taken out, all that are left are read whole, also by who began before; two at once do not harm."""
    store = await packed_store(tmp_path / "images")
    begun = store.chunks("c/0")
    ended = asyncio.Event()
    reads = 0

    async def read_on() -> None:
        nonlocal reads
        while not ended.is_set():
            assert await store.read("first/0") == picture("first")
            assert await store.read("c/0") == picture("c")
            reads += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(read_on())
        await asyncio.gather(store.delete_prefix("a"), store.delete_prefix("b"))
        before = reads
        while reads < before + 2:  # noqa: ASYNC110 - until one has begun and ended since
            await asyncio.sleep(0.005)
        ended.set()
    assert b"".join([chunk async for chunk in begun]) == picture("c")
    assert (holders(tmp_path / "images", "a"), holders(tmp_path / "images", "b")) == ([], [])
    await store.close()


STEPS = ("replace", "unlink", "fsync", "open", "write")


def killed_in_child(root: Path, step: str, nth: int) -> bool:
    """Delete `b` in a process of its own that dies before its nth call of a step; False where it was done before."""
    pid = os.fork()
    if pid == 0:
        left = nth

        def dying(real: object) -> object:
            def call(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)  # type: ignore[operator]  # one of the functions below

            return call

        try:
            owner = Path if step in ("replace", "unlink") else os
            setattr(owner, step, dying(getattr(owner, step)))
            PackFolder(root / ".packs", root / ".tmp").take_out(["b"])
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_anywhere_it_can_be_repeated(tmp_path: Path, step: str) -> None:
    """kill -9 before each system call that changes or opens something: the others are whole at once, and a repetition leaves no byte."""
    nth = 0
    died = True
    while died:
        nth += 1
        root = tmp_path / f"images{nth}"
        store = await packed_store(root)
        await store.close()
        died = killed_in_child(root, step, nth)
        again = await LocalBlobStore.open(root)
        for other in ("first", "a", "c"):
            assert await again.read(f"{other}/0") == picture(other), (step, nth)
        await again.delete_prefix("b")
        assert holders(root, "b") == [], (step, nth)
        for other in ("first", "a", "c"):
            assert await again.read(f"{other}/0") == picture(other), (step, nth)
        # What else was left belongs to who is still there, and goes with them.
        for other in ("a", "c"):
            await again.delete_prefix(other)
            assert holders(root, other) == [], (step, nth)
        await again.close()
        assert nth < 60
    assert nth > 1


@pytest.fixture
def half_linked(tmp_path: Path) -> Path:
    """A store whose process died when two deliveries of a pack of three had their names: the pack's temporary name is still there."""
    root = tmp_path / "images"
    (root / ".packs").mkdir(parents=True)
    (root / ".tmp").mkdir()
    pid = os.fork()
    if pid == 0:
        real, left = os.link, 2

        def link(source: str, target: str) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            real(source, target)

        os.link = link  # type: ignore[assignment]  # in this process alone, which dies of it
        PackFolder(root / ".packs", root / ".tmp").write([(each, [("0", picture(each))]) for each in NAMES])
        os._exit(0)
    os.waitpid(pid, 0)
    return root


async def test_a_delivery_without_a_name_is_found_in_the_others_pack(half_linked: Path) -> None:
    """Its process died before it had one; its bytes lie beside the others', and are taken out all the same."""
    assert len(holders(half_linked, "c")) == 3
    store = await LocalBlobStore.open(half_linked)
    assert await store.delete_prefix("c") == 0
    assert holders(half_linked, "c") == []
    assert [await store.read(f"{prefix}/0") for prefix in "ab"] == [picture("a"), picture("b")]
    await store.close()


async def test_old_leftovers_of_packs_are_parted_from_who_has_a_name(half_linked: Path) -> None:
    """The next start an hour later removes the leftover, and with it the last bytes of who had no name."""
    [leftover] = (half_linked / ".tmp").iterdir()
    os.utime(leftover, (0, 0))
    store = await LocalBlobStore.open(half_linked)
    assert holders(half_linked, "c") == []
    assert list((half_linked / ".tmp").iterdir()) == []
    assert [await store.read(f"{prefix}/0") for prefix in "ab"] == [picture("a"), picture("b")]
    await store.close()


async def test_leftovers_of_single_writes_go_with_their_delivery(tmp_path: Path) -> None:
    """What a crash left under a temporary name, a file or a folder, is deleted with what it was for, and nobody else's."""
    store = await LocalBlobStore.open(tmp_path / "images")
    temporary = tmp_path / "images/.tmp"
    (temporary / "b.0123").write_bytes(picture("b"))
    (temporary / "b.4567").mkdir()
    (temporary / "b.4567/0").write_bytes(picture("b"))
    (temporary / "c.0123").write_bytes(picture("c"))
    await store.delete_prefix("b")
    assert [path.name for path in temporary.iterdir()] == ["c.0123"]
    await store.close()


async def test_a_group_that_fails_leaves_no_strangers_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has a name already sends all of its group to files of their own: nobody's bytes lie where only others have names."""
    store = await LocalBlobStore.open(tmp_path / "images")
    (tmp_path / "images/.packs/b").mkdir()
    await asyncio.gather(*(store.put_all(each, [("0", picture(each))]) for each in ("first", *NAMES)))
    assert holders(tmp_path / "images", "a") == ["a/0"]
    assert holders(tmp_path / "images", "b") == ["b/0"]
    await store.close()


async def test_a_lock_that_another_process_keeps_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, nothing is deleted meanwhile, and reading goes on."""
    import fcntl

    monkeypatch.setattr(pack_folder, "_LOCK_TRIES", 2)
    store = await packed_store(tmp_path / "images")
    other = os.open(tmp_path / "images/.packs/.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(BlobStoreUnavailable, match="another process holds"):
        await store.delete_prefix("b")
    assert await store.read("b/0") == picture("b")
    os.close(other)
    assert await store.delete_prefix("b") == 2
    await store.close()


async def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the others cannot be written anew, nothing is taken out, and a later try does it."""
    store = await packed_store(tmp_path / "images")

    def refuse(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(BlobStoreUnavailable, match="no space"):
            await store.delete_prefix("b")
    assert [await store.read(f"{prefix}/0") for prefix in NAMES] == [picture(prefix) for prefix in NAMES]
    assert list((tmp_path / "images/.tmp").iterdir()) == []
    assert await store.delete_prefix("b") == 2
    assert holders(tmp_path / "images", "b") == []
    await store.close()


async def test_a_whole_pack_goes_without_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its deliveries together: nobody needs a file of its own, and no byte is left."""
    store = await packed_store(tmp_path / "images")
    written: list[object] = []
    monkeypatch.setattr(pack_folder, "write_synced", lambda *given: written.append(given))
    await store.delete_all([*NAMES, "absent"])
    assert written == []
    assert await store.list() == ("first/0", "first/manifest")
    assert [holders(tmp_path / "images", prefix) for prefix in NAMES] == [[], [], []]
    await store.close()


async def test_some_of_a_pack_and_plain_ones_go_together(tmp_path: Path) -> None:
    """Those that stay are whole in files of their own, written once; a repeat changes nothing; a part of a delivery is refused."""
    store = await packed_store(tmp_path / "images")
    await store.put_all("large", [("0", bytes(300_000))])
    for _ in range(2):
        await store.delete_all(["a", "c", "large"])
        assert await store.list() == ("b/0", "b/manifest", "first/0", "first/manifest")
    assert [holders(tmp_path / "images", prefix) for prefix in ("a", "c")] == [[], []]
    assert await store.read("b/0") == picture("b")
    assert os.stat(tmp_path / "images/.packs/b").st_nlink == 1
    with pytest.raises(BlobNameInvalid):
        await store.delete_all(["first/0"])
    assert await store.read("first/0") == picture("first")
    await store.close()
