"""Finds where an HTTP/1.1 message with a Content-Length ends: all that the stub and the load generator need. Pure.

Deliberately small: a real parser would cost more than the servers that it measures.
"""

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,12})\r\n", re.IGNORECASE)
HEAD_BYTES_MAX = 16 * 1024


class MalformedMessage(Exception):
    """Not a message with a Content-Length, or one of them with the beginning of a next."""


class Framing:
    """Counts one message after the other."""

    def __init__(self) -> None:
        self.first_line = b""
        self.head = b""
        """Of the latest message, up to its empty line."""
        self._kept = b""
        self._left = 0

    def feed(self, data: bytes) -> bool:
        """True when `data` completes a message. Raises MalformedMessage."""
        if self._left:
            return self._count(len(data))
        data = self._kept + data if self._kept else data
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0:
            if len(data) > HEAD_BYTES_MAX:
                raise MalformedMessage("no end of the headers")
            self._kept = data
            return False
        self._kept = b""
        self.head = data[: end + 2]
        self.first_line = self.head[: self.head.find(b"\r\n")]
        length = _LENGTH.search(self.head)
        if length is None:
            raise MalformedMessage("no Content-Length")
        self._left = int(length[1])
        return self._count(len(data) - end - 4)

    def _count(self, size_bytes: int) -> bool:
        self._left -= size_bytes
        if self._left < 0:
            raise MalformedMessage("more bytes than announced")
        return self._left == 0
