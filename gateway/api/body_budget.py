"""How many bytes of callers' bodies the process takes in at one time, in memory and on the way to the disk. Owns the counts, not the bytes.

A body is admitted by its declared length before anything of it is read; where there is no room for it, it is refused at once (Overloaded, with
Retry-After), because a caller who waits here would only hold a connection. Pictures pass through in pieces, so that no body counts for more than
HELD_BYTES_MAX in memory, however long it is; whole they count on the disk, where nothing else bounds what calls bring that are not accepted yet.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.domain.errors import Overloaded
from gateway.domain.files import FILE_BYTES_MAX
from gateway.pacing.turns import Turns

BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""128 of the largest at one time, a sixteenth of a 4 GB machine."""
HELD_BYTES_MAX: Final = 2 * 1024 * 1024
"""Texts of 1 MiB as they come and once more as they are parsed; or a piece of a picture on its way from the socket to the store."""
COMING_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""80 pictures of the largest size, 200 of 20 MB."""
UNKNOWN_BYTES: Final = FILE_BYTES_MAX
"""What a body without a declared length is taken for: one of the largest pictures."""
RETRY_AFTER_S: Final = 2


@dataclass(slots=True)
class Share:
    """What one body has of the budget."""

    budget: "BodyBudget"
    held_bytes: int
    coming_bytes: int

    def cover(self, size_bytes: int) -> None:
        """More has come than was declared: nothing was, or it was compressed. Raises Overloaded where there is no room for it."""
        more = size_bytes - self.coming_bytes
        if more > 0:
            self.budget.take(0, more)
            self.coming_bytes = size_bytes


class BodyBudget:
    """A count of bytes that never waits."""

    def __init__(
        self, bytes_max: int = BODIES_BYTES_MAX, coming_bytes_max: int = COMING_BYTES_MAX, turns: Turns | None = None
    ) -> None:
        self._bytes_max, self._coming_bytes_max = bytes_max, coming_bytes_max
        self.turns = turns or Turns()
        """In which admitted bodies are worked on."""
        self.used_bytes = 0
        """In memory."""
        self.coming_bytes = 0
        """By what bodies say of themselves."""

    @contextmanager
    def hold(self, declared_bytes: int | None) -> Iterator[Share]:
        """While a body of so many bytes (None: nobody knows) is read and parsed. Raises Overloaded."""
        whole = UNKNOWN_BYTES if declared_bytes is None else declared_bytes
        share = Share(self, min(2 * whole, HELD_BYTES_MAX), whole)
        self.take(share.held_bytes, share.coming_bytes)
        try:
            yield share
        finally:
            self.used_bytes -= share.held_bytes
            self.coming_bytes -= share.coming_bytes

    def take(self, held_bytes: int, coming_bytes: int) -> None:
        """Raises Overloaded, and has taken nothing then."""
        used, coming = self.used_bytes + held_bytes, self.coming_bytes + coming_bytes
        if used > self._bytes_max or coming > self._coming_bytes_max:
            raise Overloaded(
                "The gateway reads as many large bodies as it can hold. Try again shortly.", retry_after_s=RETRY_AFTER_S
            )
        self.used_bytes, self.coming_bytes = used, coming
