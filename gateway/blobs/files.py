"""Files as a store on disk opens, writes and syncs them. No names, no policy. How it fails: OSError."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def open_file(path: Path | str) -> BufferedReader | None:
    """A plain file, for reading; None for anything else. A link is not followed: OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno not in ABSENT:
            raise
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def create(path: Path | str) -> int:
    """A new file of this user alone; its descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_synced(path: Path, data: bytes) -> None:
    """A new file, durable but for its name; nothing is left where that fails."""
    descriptor = create(path)
    try:
        try:
            write_whole(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path | str) -> None:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # a delete was faster; there is nothing left to keep
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
