"""How many messages are on their way, in all and to each host: so that a slow receiver keeps only its own waiting."""

from collections import Counter

IN_ALL = 64
PER_HOST = 4


class Lanes:
    """Of one process."""

    def __init__(self, in_all: int = IN_ALL, per_host: int = PER_HOST) -> None:
        self._in_all, self._per_host = in_all, per_host
        self._taken: Counter[str] = Counter()

    @property
    def free(self) -> int:
        return self._in_all - self._taken.total()

    def full(self) -> list[str]:
        """Hosts to which no more may be sent now."""
        return [host for host, count in self._taken.items() if count >= self._per_host]

    def take(self, host: str) -> bool:
        """A place, where there is one; given back with `release`."""
        if self.free <= 0 or self._taken[host] >= self._per_host:
            return False
        self._taken[host] += 1
        return True

    def release(self, host: str) -> None:
        self._taken[host] -= 1
        if self._taken[host] <= 0:
            del self._taken[host]
