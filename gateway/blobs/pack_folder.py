"""The folder of packs: small deliveries that were stored together share a file, under one name (a hard link) for each of them.

Written to a temporary name, fsynced, linked for each delivery; one fsync of the folder makes all names durable. A delivery that is taken out
leaves no byte behind: the others of its file get files of their own first, each by one rename, and its own name goes last. Where all of a file are
taken out together nothing is written: it is freed with its last name. So whatever a crash leaves, bytes of a delivery lie only in files that carry
its name (or, of several that were being taken out together, one of theirs), or in temporary ones, and taking it out can be repeated. Who has a file
open reads it to its end. Changes of what exists happen one at a time, in all processes that share the folder. How it fails: OSError.
"""

import errno
import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from gateway.blobs.files import create, open_file, sync_directory, write_synced, write_whole
from gateway.blobs.packs import Place, packed, places_in

Delivery = tuple[str, Sequence[tuple[str, bytes]]]
"""A prefix, and the blobs below it."""

_LOCK = ".lock"  # never a prefix
_LOCK_TRIES, _LOCK_PAUSE_S = 400, 0.05
"""Whoever holds the lock writes a few small files; one that was stopped meanwhile is not waited for."""


class PackFolder:
    """The packs of one store. Its methods run in threads."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self._folder = folder
        self._temporary = temporary
        self._changing = threading.Lock()

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """All in one file, durable before any name leads to it; none of them where that fails.

        With `os` and not with Path, which costs as much as a system call: this is on every answer's path.
        """
        temporary = f"{self._temporary}/{secrets.token_hex(16)}"
        descriptor = create(temporary)
        linked: list[str] = []
        try:
            try:
                write_whole(descriptor, packed([(f"{a}/{b}", data) for a, files in deliveries for b, data in files]))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            for prefix, _ in deliveries:
                name = f"{self._folder}/{prefix}"
                os.link(temporary, name)
                linked.append(name)
        except BaseException:
            # Stored anew, each by itself: in here they would lie beside those that have no name.
            for name in linked:
                os.unlink(name)
            raise
        finally:
            os.unlink(temporary)
        sync_directory(self._folder)

    def open(self, prefix: str) -> BufferedReader | None:
        """The pack that a delivery lies in."""
        return open_file(self._folder / prefix)

    def prefixes(self) -> list[str]:
        return [name for name in os.listdir(self._folder) if name != _LOCK]

    def take_out(self, prefixes: Collection[str]) -> None:
        """Remove deliveries with their bytes, from their packs and from what a crash left of them. Fails before a damaged one, whose pack stays."""
        leaving = frozenset(prefixes)
        with self._alone():
            for leftover in list(os.scandir(self._temporary)):
                if leftover.name.partition(".")[0] in leaving and "." in leftover.name:
                    remove(Path(leftover.path))
                elif leftover.is_file(follow_symlinks=False) and self._part(leftover.path, leaving):
                    Path(leftover.path).unlink(missing_ok=True)
            # The first of a file's deliveries parts it; for the next ones nobody else is in it any more.
            found = [prefix for prefix in sorted(leaving) if self._part(self._folder / prefix, leaving)]
            for prefix in found:
                (self._folder / prefix).unlink()
            if found:
                sync_directory(self._folder)

    def drop_leftover(self, path: Path) -> None:
        """Remove a temporary file or folder that a crash left. A pack that was being linked is parted from those that have it already."""
        with self._alone():
            if path.is_file() and not path.is_symlink():
                self._part(path, None)
            remove(path)

    def _part(self, path: Path | str, leaving: frozenset[str] | None) -> bool:
        """Give each delivery of a pack, but those that leave it, a file of its own. False where none of them is in it, or this is no pack."""
        file = open_file(path)
        if file is None:
            return False
        with file:
            try:
                places = places_in(file)
            except OSError:
                if leaving is not None and Path(path).parent == self._folder:
                    raise  # it is damaged: what it held cannot be told
                return False
            owners = {name.partition("/")[0] for name in places}
            if leaving is not None and not leaving & owners:
                return False
            shared = [owner for owner in sorted(owners - (leaving or set())) if self._leads_to(owner, file)]
            for owner in shared:
                pieces = [(name, piece(file, place)) for name, place in places.items() if name.startswith(f"{owner}/")]
                temporary = self._temporary / f"{owner}.{secrets.token_hex(16)}"
                write_synced(temporary, packed(pieces))
                temporary.replace(self._folder / owner)
        if shared:
            sync_directory(self._folder)
        return True

    def _leads_to(self, prefix: str, file: BufferedReader) -> bool:
        try:
            found = os.stat(self._folder / prefix, follow_symlinks=False)
        except FileNotFoundError:
            return False
        wanted = os.fstat(file.fileno())
        return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time, in this process by a lock and beside others by a locked file."""
        with self._changing:
            descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                _lock(descriptor)
                yield
            finally:
                os.close(descriptor)


def places_of(file: BufferedReader, prefix: str) -> dict[str, Place]:
    """Of one delivery in a pack; the others' are under names of their own, or deleted."""
    return {name: place for name, place in places_in(file).items() if name.startswith(f"{prefix}/")}


def piece(file: BufferedReader, place: Place) -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _lock(descriptor: int) -> None:
    pause = threading.Event()
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause.wait(_LOCK_PAUSE_S)
        else:
            return
    raise OSError(errno.EAGAIN, "another process holds .packs/.lock; end what it does")
