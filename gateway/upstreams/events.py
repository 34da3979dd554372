"""Server-sent events, as far as upstreams send them: the data of each event, whatever pieces it comes in. Pure.

Other fields, comments (heartbeats) and an event that never ends are nothing. Fails with ValueError where one event is larger than allowed.
"""


class EventData:
    """One stream's."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._line = bytearray()
        self._data: bytearray | None = None

    @property
    def size_bytes(self) -> int:
        """Of the event that has begun."""
        return len(self._line) + len(self._data or b"")

    def feed(self, piece: bytes) -> list[bytearray]:
        """The events that are whole now."""
        whole: list[bytearray] = []
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._line += part
            self._take(whole)
        self._line += rest
        if self.size_bytes > self._bytes_max:
            raise ValueError(f"an event of more than {self._bytes_max} bytes")
        return whole

    def _take(self, whole: list[bytearray]) -> None:
        line, self._line = self._line, bytearray()
        if line.endswith(b"\r"):
            del line[-1]
        if not line:
            if self._data is not None:
                whole.append(self._data)
            self._data = None
        elif line.startswith(b"data:"):
            del line[: 6 if line.startswith(b"data: ") else 5]
            if self._data is None:
                self._data = line
            else:
                self._data += b"\n" + line
