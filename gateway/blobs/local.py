"""Blobs as files below one directory, mode 0600 in directories of mode 0700.

A blob's name is its path. There is no further sharding: each attempt has a directory of its own, and today's file systems look names
up in an index. Writes go to a temporary file, then fsync, rename, and fsync of every directory up to the root, so that a power cut leaves
the old blob, the new one or none. Small deliveries that come at the same time share one file instead (`packs`): written to a temporary name, fsynced,
then linked as `.packs/<prefix>` for each of them, and one fsync of that directory. What a pack has goes before a plain file; whoever writes or
deletes single blobs of a packed delivery takes it out of its pack first. Where links are not to be had, each delivery has a directory. A temporary
name begins with the prefix of what it is for, so that what a crash left of a delivery goes with it. Work happens in a few threads of its own; a
cancelled `put` may still complete.

Fails with BlobStoreUnavailable when the file system does. One root may be shared by several processes.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import ParamSpec, TypeVar

from gateway.blobs.files import ABSENT, open_file, sync_directory, write_synced
from gateway.blobs.groups import Groups
from gateway.blobs.incoming import Incoming
from gateway.blobs.pack_folder import Delivery, PackFolder, piece, places_of
from gateway.blobs.store import CHUNK_BYTES, BlobNameInvalid, BlobStoreUnavailable, BlobTooLarge, check_name

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""fsync waits without the GIL; more threads only queue at the disk."""
GROUP_BYTES_MAX = 256 * 1024
"""Deliveries up to here are stored in groups, which share their journal commits; larger ones have more to write than to wait for."""
GROUP_SIZE_MAX = 16
"""Measured: larger groups store no more deliveries a second. One group at a time: two gather less each, and cost more processor time."""
FREE_BYTES_MIN = 64 * 1024 * 1024
"""Below this `check` reports the store as not ready, while a few pictures still fit."""
_TEMPORARY, _PACKS = ".tmp", ".packs"  # never segments of a name
_PROBE = "probe"
_LEFTOVER_AGE_S = 3_600  # no write takes an hour
_PUT_TRIES = 3
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_CAUSES = {
    errno.ENOSPC: "no space left; make room for 64 MiB and more",
    errno.EDQUOT: "the disk quota is used up; raise it or make room",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "permission denied; make it writable for the gateway",
    errno.EPERM: "permission denied; make it writable for the gateway",
    errno.EIO: "the disk reports an error; look at the kernel's log",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files; raise fs.file-max",
    errno.ENOENT: "the directory is gone; put it back, or make it",
    errno.ENOTDIR: "a part of the path is not a directory; put the directory back",
    errno.ELOOP: "a symbolic link is in the way",
}


class LocalBlobStore:
    """A BlobStore on a local or shared file system. Make it with `await LocalBlobStore.open(root)`."""

    def __init__(self, root: Path, *, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._root = root
        self._temporary = root / _TEMPORARY
        self._packs = PackFolder(root / _PACKS, self._temporary)
        self._links = True
        """Until the file system says that it has none."""
        self._free_bytes_min = free_bytes_min
        self._device: int | None = None
        self._counting, self._syncing = threading.Lock(), threading.Lock()
        self._renames = self._synced = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        self._groups = Groups(self._put_group, self._threads, size_max=GROUP_SIZE_MAX)

    @classmethod
    async def open(cls, root: Path, *, free_bytes_min: int = FREE_BYTES_MIN) -> "LocalBlobStore":
        """Makes the directories, clears temporary files that a crash left an hour ago or more, and proves that writing works."""
        store = cls(root, free_bytes_min=free_bytes_min)
        try:
            await store._run(store._prepare)
            await store.check()
        except BaseException:
            await store.close()
            raise
        return store

    @property
    def piece_bytes(self) -> int:
        return CHUNK_BYTES

    async def put(self, name: str, data: bytes) -> None:
        await self._run(self._put, check_name(name), data)

    async def put_stream(self, name: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> int:
        check_name(name)
        incoming = await self._incoming(name)
        written = 0
        try:
            async for piece in chunks:
                written += len(piece)
                if written > bytes_max:
                    raise BlobTooLarge(f"more than {bytes_max} bytes")
                await self._run(incoming.write, piece)
            await self._to_its_end(incoming.finish, lambda temporary: self._put_file(name, temporary))
        except BaseException:
            await self._run(incoming.drop)
            raise
        return written

    async def put_all(self, prefix: str, blobs: Sequence[tuple[str, bytes]]) -> None:
        for name, _ in blobs:
            check_name(f"{prefix}/{name}")
        check_name(prefix)
        if "/" in prefix or sum(len(data) for _, data in blobs) > GROUP_BYTES_MAX:
            await self._run(self._put_all, prefix, blobs)
            return
        try:
            await self._groups.do((prefix, blobs))
        except OSError as exc:
            raise self._unavailable(exc) from exc

    async def read(self, name: str) -> bytes | None:
        return await self._run(self._read, check_name(name), 0, sys.maxsize)

    async def read_range(self, name: str, start: int, length: int) -> bytes | None:
        if start < 0 or length < 0:
            raise ValueError("a range has no negative start or length")
        return await self._run(self._read, check_name(name), start, length)

    async def size(self, name: str) -> int | None:
        return await self._run(self._size, check_name(name))

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        # One open file for the whole walk: a blob deleted or replaced meanwhile is still read to its end. A buffered one, because its
        # lock keeps a read that was cancelled in its thread from meeting a descriptor that was closed and given to somebody else.
        found = await self._run(self._open, check_name(name))
        if found is None:
            return
        file, left = found
        with file:
            while left and (chunk := await self._run(file.read, min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk

    async def delete(self, name: str) -> bool:
        return await self._run(self._delete, check_name(name))

    async def delete_prefix(self, prefix: str) -> int:
        return await self._run(self._delete_below, check_name(prefix))

    async def delete_all(self, prefixes: Sequence[str]) -> None:
        for prefix in prefixes:
            if "/" in check_name(prefix):
                raise BlobNameInvalid(f"not a whole delivery: {prefix!r}")
        if prefixes:
            await self._run(self._delete_all, prefixes)

    async def list(self, prefix: str = "") -> tuple[str, ...]:
        return tuple(await self._run(self._names_below, check_name(prefix) if prefix else ""))

    async def check(self) -> None:
        await self._run(self._check)

    async def close(self) -> None:
        """Waits for writes in progress."""
        await self._groups.finish()
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))
        except OSError as exc:
            raise self._unavailable(exc) from exc

    async def _incoming(self, name: str) -> Incoming:
        """A cancellation does not leave its file behind."""
        beginning = asyncio.ensure_future(self._run(self._begin, name))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.wait((beginning,))
            if beginning.exception() is None:
                await self._run(beginning.result().drop)
            raise

    async def _to_its_end(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """As `_run`; a cancellation waits until it is known what became of the work."""
        running = asyncio.ensure_future(self._run(work, *args, **kwargs))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait((running,))
            raise

    def _unavailable(self, exc: OSError) -> BlobStoreUnavailable:
        cause = _CAUSES.get(exc.errno or 0, exc.strerror or type(exc).__name__)
        return BlobStoreUnavailable(f"image store {self._root}: {cause}")

    # Below: in threads. OSError passes through to `_run` and `put_all`.

    def _prepare(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._temporary.mkdir(mode=0o700, exist_ok=True)
        (self._root / _PACKS).mkdir(mode=0o700, exist_ok=True)
        sync_directory(self._root)
        self._device = os.stat(self._root).st_dev
        with contextlib.suppress(PermissionError):  # a mounted volume's parent need not be ours
            sync_directory(self._root.parent)
        probe = self._write_temporary(_PROBE, b"")
        try:
            now_s = probe.stat().st_mtime  # the file system's own clock, which is the one that stamped the leftovers
            for leftover in self._temporary.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if now_s - leftover.stat().st_mtime > _LEFTOVER_AGE_S:
                        self._packs.drop_leftover(leftover)
        finally:
            probe.unlink()

    def _keep_temporary(self) -> None:
        """Make it again in a root that was made anew; not where a volume is no longer mounted: pictures would lie hidden below it."""
        if not self._temporary.is_dir() and os.stat(self._root).st_dev == self._device:
            self._temporary.mkdir(mode=0o700, exist_ok=True)
            (self._root / _PACKS).mkdir(mode=0o700, exist_ok=True)
            sync_directory(self._root)

    def _put(self, name: str, data: bytes) -> None:
        self._dissolve(name)
        self._place(name, data)

    def _begin(self, name: str) -> Incoming:
        self._keep_temporary()
        return Incoming(self._temporary / _temporary_name(name))

    def _put_file(self, name: str, temporary: Path) -> None:
        self._dissolve(name)
        self._take_in(name, temporary)

    def _place(self, name: str, data: bytes) -> None:
        self._take_in(name, self._write_temporary(name, data))

    def _take_in(self, name: str, temporary: Path) -> None:
        """A synced temporary file becomes the blob."""
        target = self._root / name
        try:
            self._move(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        # All the way up, even where the directory existed: whoever made it may not have synced it yet.
        directory = target.parent
        while directory != self._root:
            sync_directory(directory)
            directory = directory.parent
        self._sync_root()

    def _put_all(self, directory: str, files: Sequence[tuple[str, bytes]]) -> None:
        """One rename makes all of them visible. Where the directory is there already, an earlier process stored them: one by one, last ones last."""
        self._keep_temporary()
        self._dissolve(directory)
        temporary = self._temporary / _temporary_name(directory)
        temporary.mkdir(mode=0o700)
        try:
            for name, data in files:
                write_synced(temporary / name, data)
            sync_directory(temporary)
            temporary.rename(self._root / directory)
        except OSError as exc:
            shutil.rmtree(temporary, ignore_errors=True)
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            for name, data in files:
                self._put(f"{directory}/{name}", data)
        else:
            self._sync_root()

    def _put_group(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        """All in one pack. Where that fails, one by one in directories: then only those fail whose fault it was."""
        if self._links:
            try:
                self._packs.write(deliveries)
            except OSError as exc:
                self._links = exc.errno not in _NO_LINKS
            else:
                return [None] * len(deliveries)
        return [self._tried(delivery) for delivery in deliveries]

    def _tried(self, delivery: Delivery) -> Exception | None:
        try:
            self._put_all(*delivery)
        except Exception as exc:  # noqa: BLE001 - it belongs to the caller of this delivery
            return exc
        return None

    def _dissolve(self, name: str) -> None:
        """Blobs of a delivery that lies in a pack become plain files; they are durable as such before they leave the pack."""
        prefix = name.partition("/")[0]
        file = self._packs.open(prefix)
        if file is None:
            return
        with file:
            blobs = [(each, piece(file, place)) for each, place in places_of(file, prefix).items()]
        for each, data in blobs:
            self._place(each, data)
        self._packs.take_out([prefix])

    def _sync_root(self) -> None:
        """Make the renames so far durable; those that wait for a sync that began after theirs share it."""
        with self._counting:
            self._renames += 1
            mine = self._renames
        with self._syncing:
            if self._synced < mine:
                covered = self._renames
                sync_directory(self._root)
                self._synced = covered

    def _move(self, temporary: Path, target: Path) -> None:
        for tries_left in reversed(range(_PUT_TRIES)):
            try:
                self._make_directories(target.parent)
                temporary.replace(target)
                return
            except FileNotFoundError:  # a delete removed the directory while it was empty
                if not tries_left:
                    raise

    def _write_temporary(self, name: str, data: bytes) -> Path:
        self._keep_temporary()
        path = self._temporary / _temporary_name(name)
        write_synced(path, data)
        return path

    def _make_directories(self, directory: Path) -> None:
        # Not parents=True: that would give the ones between the default mode.
        current = self._root
        for part in directory.relative_to(self._root).parts:
            current /= part
            with contextlib.suppress(FileExistsError):
                current.mkdir(mode=0o700)

    def _open(self, name: str) -> tuple[BufferedReader, int] | None:
        """A file that stands at the blob's first byte, and the blob's length."""
        prefix, _, rest = name.partition("/")
        file = self._packs.open(prefix) if rest else None
        if file is not None:
            place = None
            try:
                place = places_of(file, prefix).get(name)
            finally:
                if place is None:
                    file.close()
            if place is not None:
                file.seek(place[0])
                return file, place[1]
        file = open_file(self._root / name)
        if file is None:
            os.stat(self._root)  # raises if the store itself is gone: then nothing is known of the blob
            return None
        return file, os.fstat(file.fileno()).st_size

    def _read(self, name: str, start: int, length: int) -> bytes | None:
        found = self._open(name)
        if found is None:
            return None
        file, size = found
        with file:
            file.seek(start, os.SEEK_CUR)
            return file.read(max(0, min(length, size - start)))

    def _size(self, name: str) -> int | None:
        found = self._open(name)
        if found is None:
            return None
        found[0].close()
        return found[1]

    def _delete(self, name: str) -> bool:
        self._dissolve(name)
        target = self._root / name
        try:
            target.unlink()
        except OSError as exc:
            if exc.errno not in ABSENT:
                raise
            os.stat(self._root)
            return False
        self._remove_empty(target.parent)
        return True

    def _remove_empty(self, directory: Path) -> None:
        # Fails where somebody else's blob is, or was removed with it; both are as they should be.
        with contextlib.suppress(OSError):
            while directory != self._root:
                directory.rmdir()
                directory = directory.parent

    def _delete_below(self, prefix: str) -> int:
        names = self._names_below(prefix)
        if (
            "/" not in prefix
        ):  # a whole delivery, with what a crash left of it: its blobs need not become plain files for that
            self._packs.take_out([prefix])
            for name in _plain_names_below(self._root, prefix):
                self._delete(name)
            return len(names)
        return sum(self._delete(name) for name in names)

    def _delete_all(self, prefixes: Sequence[str]) -> None:
        self._packs.take_out(prefixes)
        for prefix in prefixes:
            for name in _plain_names_below(self._root, prefix):
                self._delete(name)

    def _names_below(self, prefix: str) -> Sequence[str]:
        names = set(_plain_names_below(self._root, prefix))
        first = prefix.partition("/")[0]
        for pack in [first] if first else self._packs.prefixes():
            file = self._packs.open(pack)
            if file is not None:
                with file:
                    names.update(name for name in places_of(file, pack) if not prefix or name.startswith(f"{prefix}/"))
        return sorted(names)

    def _check(self) -> None:
        probe = self._write_temporary(_PROBE, b"probe")
        try:
            if probe.read_bytes() != b"probe":
                raise OSError(errno.EIO, "what was written is not what is read")
        finally:
            probe.unlink(missing_ok=True)
        space = os.statvfs(self._root)
        if space.f_bavail * space.f_frsize < self._free_bytes_min:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _plain_names_below(root: Path, prefix: str) -> list[str]:
    os.stat(root)  # raises if the store is gone; os.walk would find nothing and say so quietly
    names: list[str] = []
    for directory, directories, files in os.walk(root / prefix, onerror=_raise_unless_absent):
        if Path(directory) == root:
            directories[:] = [name for name in directories if name not in (_TEMPORARY, _PACKS)]
        names += [str((Path(directory) / file).relative_to(root)) for file in files]
    return names


def _raise_unless_absent(error: OSError) -> None:
    if error.errno not in ABSENT:
        raise error


def _temporary_name(name: str) -> str:
    """Of what is written for a blob or a delivery. No prefix has a dot."""
    return f"{name.partition('/')[0]}.{secrets.token_hex(16)}"
