"""What was worked out lately, so that it need not be worked out again: a bounded memory for values that follow from their keys alone.

Two halves, the younger and the older. What is asked for goes (back) into the younger one; when that is full, or has had its time, it becomes the
older one, and what was in that is forgotten. A look-up is one of a dictionary or two; to keep in order what was used when costs several times that.
How it fails: it does not; what is forgotten is worked out anew.
"""

from typing import Generic, TypeVar

from gateway.domain.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most twice `size` values; none is kept for longer than twice `kept_s` after it was last asked for, as long as somebody asks for any."""

    def __init__(self, clock: Clock, *, size: int, kept_s: float) -> None:
        self._now_s = clock.monotonic_s
        self._size = size
        self._kept_s = kept_s
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._until_s = self._now_s() + kept_s

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        if self._now_s() >= self._until_s:
            self._turn()
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        if len(self._young) >= self._size or self._now_s() >= self._until_s:
            self._turn()
        self._young[key] = value

    def _turn(self) -> None:
        late = self._now_s() >= self._until_s + self._kept_s  # nobody asked for anything while it was the younger one
        self._old, self._young = {} if late else self._young, {}
        self._until_s = self._now_s() + self._kept_s
