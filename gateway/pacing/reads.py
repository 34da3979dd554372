"""Hands on what callers' sockets bring in short pieces, so much of it in one turn of the event loop.

Left alone the loop reads 256 KB of every socket that is ready, into memory that the kernel has yet to clear, and serves all of them in one turn: a
hundred callers who begin at once have it to themselves for as long as all of their beginnings take. What is over a turn's measure is held here, and
its socket left unread, until a later turn; first come, first served.

Used on one event loop. Owns what it holds, at most two pieces a connection; must not know what the bytes mean. It fails
only as the protocol behind a connection does, and for that connection alone.
"""

import asyncio
from collections import deque
from typing import Final, cast

PIECE_BYTES: Final = 64 * 1024
"""The most that is read of one socket at once: memory of this size is used again and again, that of larger pieces is new each time."""
BYTES_A_TURN: Final = 256 * 1024
LEAST_BYTES: Final = 8 * 1024
"""For so much the shortest piece counts: it may be a whole request, some 0.3 ms of work, and 32 of them fill a turn."""


class PacedReads:
    """What one server's connections share."""

    def __init__(self, bytes_a_turn: int = BYTES_A_TURN) -> None:
        self.buffer: Final = memoryview(bytearray(PIECE_BYTES))
        """What is being read; copied out before the next socket is."""
        self._bytes_a_turn = bytes_a_turn
        self._left = bytes_a_turn
        self._counting = False
        """Whether the next turn begins with a fresh count."""
        self._waiting: deque[PacedProtocol] = deque()

    def may_go_on(self, size_bytes: int) -> bool:
        """Whether a piece fits into this turn; it is counted then."""
        if not self._counting:
            self._counting = True
            asyncio.get_running_loop().call_soon(self._begin)
        if self._waiting or self._left <= 0:
            return False
        self._left -= max(size_bytes, LEAST_BYTES)
        return True

    def wait(self, connection: "PacedProtocol") -> None:
        """In a later turn it goes on."""
        self._waiting.append(connection)

    def _begin(self) -> None:
        self._left = self._bytes_a_turn
        try:
            while self._waiting and self._left > 0:
                self._left -= max(self._waiting.popleft().go_on(), LEAST_BYTES)
        finally:  # whatever one connection's protocol does, the others go on
            self._counting = bool(self._waiting) or self._left < self._bytes_a_turn
            if self._counting:
                asyncio.get_running_loop().call_soon(self._begin)


class PacedProtocol(asyncio.BufferedProtocol):
    """One connection's. The protocol behind it may pause and resume the transport as it likes."""

    __slots__ = ("_held", "_protocol", "_reads", "_transport")

    def __init__(self, reads: PacedReads, protocol: asyncio.Protocol) -> None:
        self._reads = reads
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._held: list[bytes] = []
        """What waits for a turn: one piece, and one more where the protocol has resumed the transport meanwhile."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._held.clear()
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reads.buffer

    def buffer_updated(self, nbytes: int) -> None:
        piece = bytes(self._reads.buffer[:nbytes])
        if not self._held and self._reads.may_go_on(nbytes):
            self._protocol.data_received(piece)
        elif self._transport is not None:
            self._transport.pause_reading()
            if not self._held:
                self._reads.wait(self)
            self._held.append(piece)

    def go_on(self) -> int:
        """Its turn has come. Gives how many bytes were handed on. Raises what its protocol raises, and is closed then, as a loop would do."""
        piece, transport = b"".join(self._held), self._transport
        self._held.clear()
        if transport is not None:
            # In this order: what the protocol has not seen it cannot have paused for, but it may pause now.
            transport.resume_reading()
            try:
                self._protocol.data_received(piece)
            except BaseException:
                transport.abort()
                raise
        return len(piece)
