"""Pictures asked for lately, as base64 text: a hit should not cost a read and an encoding each time. Bounded in bytes; by blob name, so nobody gets
what is not his: whoever asks was told the name by his own task's row.
"""

from cachetools import LRUCache

SHARE_MAX = 8
"""A picture larger than this part of the whole is not kept: it would push out too many others."""


class PictureCache:
    """One a process. `bytes_max` 0: nothing is kept."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: LRUCache[str, bytes] = LRUCache(max(1, bytes_max), getsizeof=len)

    @property
    def used_bytes(self) -> int:
        return int(self._kept.currsize)

    def get(self, blob: str) -> bytes | None:
        return self._kept.get(blob)

    def put(self, blob: str, base64: bytes) -> None:
        if 0 < len(base64) <= self._bytes_max // SHARE_MAX:
            self._kept[blob] = base64

    def drop(self, blob: str) -> None:
        self._kept.pop(blob, None)
