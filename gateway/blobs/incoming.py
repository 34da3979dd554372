"""A blob that comes in pieces, as a store on disk writes it: into a temporary file, which becomes the blob when all of it is there.

Its methods run in threads, and a caller that is cancelled does not wait for its own: the lock keeps a late write from meeting a descriptor
that was closed and given to somebody else. How it fails: OSError.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.blobs.files import create, write_whole


class Incoming:
    """Made with the file. Ends with `finish` or `drop`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = create(path)

    def write(self, piece: bytes) -> None:
        """After the end: nothing, because nobody waits for it."""
        with self._lock:
            if self._descriptor is not None:
                write_whole(self._descriptor, piece)

    def finish(self, take_in: Callable[[Path], None]) -> None:
        """Syncs the file and hands it over; `take_in` makes it the blob."""
        with self._lock:
            if self._descriptor is None:
                return
            os.fsync(self._descriptor)
            self._close()
            take_in(self._path)

    def drop(self) -> None:
        """Nothing is left; after `finish` without effect on the blob."""
        with self._lock:
            self._close()
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
