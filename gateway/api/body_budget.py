"""How many bytes of callers' bodies the process holds at one time. Owns the count, not the bytes.

A body is admitted by its declared length before anything of it is read; where there is no room for it, it is refused at once (Overloaded, with
Retry-After), because a caller who waits here would only hold a connection. Pictures pass through in pieces, so that no body counts for more than
HELD_BYTES_MAX, however long it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.domain.errors import Overloaded

BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""128 of the largest at one time, a sixteenth of a 4 GB machine."""
HELD_BYTES_MAX: Final = 2 * 1024 * 1024
"""Texts of 1 MiB as they come and once more as they are parsed; or a piece of a picture on its way from the socket to the store."""
RETRY_AFTER_S: Final = 2


class BodyBudget:
    """A count of bytes that never waits."""

    def __init__(self, bytes_max: int = BODIES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self.used_bytes = 0

    @contextmanager
    def hold(self, declared_bytes: int | None) -> Iterator[None]:
        """While a body of so many bytes (None: nobody knows) is read and parsed. Raises Overloaded."""
        share = HELD_BYTES_MAX if declared_bytes is None else min(2 * declared_bytes, HELD_BYTES_MAX)
        if self.used_bytes + share > self._bytes_max:
            raise Overloaded(
                "The gateway reads as many large bodies as it can hold. Try again shortly.", retry_after_s=RETRY_AFTER_S
            )
        self.used_bytes += share
        try:
            yield
        finally:
            self.used_bytes -= share
