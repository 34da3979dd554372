"""When keys and admin tokens were last used, in memory until somebody writes it down. One dictionary write a call.

Runs in the event loop alone. How it fails: a kill -9 forgets at most what was not written down yet.
"""

from collections.abc import Mapping


class LastUsed:
    """Id -> ms since 1970."""

    __slots__ = ("_at_ms",)

    def __init__(self) -> None:
        self._at_ms: dict[str, int] = {}

    def note(self, used: str, at_ms: int) -> None:
        self._at_ms[used] = at_ms

    def take(self) -> Mapping[str, int]:
        """What was noted since it was taken before."""
        taken, self._at_ms = self._at_ms, {}
        return taken

    def put_back(self, taken: Mapping[str, int]) -> None:
        """What could not be written down; what was noted meanwhile is later."""
        self._at_ms = {**taken, **self._at_ms}
