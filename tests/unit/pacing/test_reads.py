"""What sockets bring is handed on whole and in order, so much of it in one turn of the loop, and whoever pauses a connection finds it paused."""

import asyncio
import random
import socket
from typing import cast

import pytest

from gateway.pacing.reads import LEAST_BYTES, PIECE_BYTES, PacedProtocol, PacedReads


class Connection(asyncio.Transport):
    """A transport that counts what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.aborted = True, False

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Sink(asyncio.Protocol):
    """Keeps what it gets, with the number of the turn, and pauses its transport after a piece where it shall."""

    def __init__(self, turn: "Turn", *, pauses: bool = False) -> None:
        self.pieces: list[bytes] = []
        self.turns: list[int] = []
        self.told: list[str] = []
        self._turn, self._pauses = turn, pauses
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.turns.append(self._turn.number)
        if self._pauses and self.transport is not None:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")

    def eof_received(self) -> None:
        self.told.append("eof")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Turn:
    """Counts turns of the loop."""

    number = 0

    async def end(self) -> None:
        self.number += 1
        await asyncio.sleep(0)


def bring(reads: PacedReads, paced: PacedProtocol, data: bytes) -> None:
    """As a loop does: into the buffer, and told."""
    buffer = paced.get_buffer(-1)
    buffer[: len(data)] = data
    paced.buffer_updated(len(data))
    reads.buffer[: len(data)] = bytes(len(data))  # somebody else's now


def made(reads: PacedReads, turn: Turn, *, pauses: bool = False) -> tuple[PacedProtocol, Sink, Connection]:
    sink, connection = Sink(turn, pauses=pauses), Connection()
    paced = PacedProtocol(reads, sink)
    paced.connection_made(connection)
    return paced, sink, connection


async def rest(reads: PacedReads, turn: Turn) -> None:
    for _ in range(1_000):
        await turn.end()
        if not reads._counting:
            return
    pytest.fail("the loop would never rest")


async def test_a_turn_hands_on_so_many_beginnings() -> None:
    """Ten short pieces at once where a turn has room for three; the others are not read meanwhile."""
    reads, turn = PacedReads(3 * LEAST_BYTES), Turn()
    all_of_them = [made(reads, turn) for _ in range(10)]
    for number, (paced, _, _) in enumerate(all_of_them):
        bring(reads, paced, b"%d" % number)
    assert [connection.reading for _, _, connection in all_of_them] == [True] * 3 + [False] * 7
    await rest(reads, turn)
    assert [sink.pieces for _, sink, _ in all_of_them] == [[b"%d" % number] for number in range(10)]
    served = [sink.turns[0] for _, sink, _ in all_of_them]
    assert served == sorted(served), "first come, first served"
    assert max(served.count(number) for number in served) == 3
    assert all(connection.reading for _, _, connection in all_of_them)


async def test_who_comes_alone_goes_on_at_once() -> None:
    """Piece after piece, and each turn anew."""
    reads, turn = PacedReads(2 * PIECE_BYTES), Turn()
    paced, sink, connection = made(reads, turn)
    for _ in range(3):
        bring(reads, paced, bytes(PIECE_BYTES))
        assert connection.reading
        await turn.end()
    assert len(sink.pieces) == 3


async def test_a_connection_keeps_its_order() -> None:
    """The protocol resumes its transport while a piece waits: what comes then stands behind it."""
    reads, turn = PacedReads(LEAST_BYTES), Turn()
    first, _, _ = made(reads, turn)
    paced, sink, connection = made(reads, turn)
    bring(reads, first, b"x")
    bring(reads, paced, b"a")
    connection.resume_reading()
    bring(reads, paced, b"b")
    assert not connection.reading
    assert sink.pieces == []
    await rest(reads, turn)
    assert b"".join(sink.pieces) == b"ab"


async def test_a_pause_of_the_protocol_stands() -> None:
    """It has had enough with what it was just given."""
    reads, turn = PacedReads(LEAST_BYTES), Turn()
    first, _, _ = made(reads, turn)
    paced, sink, connection = made(reads, turn, pauses=True)
    bring(reads, first, b"x")
    bring(reads, paced, b"a")
    await rest(reads, turn)
    assert sink.pieces == [b"a"]
    assert not connection.reading


async def test_who_has_gone_is_given_nothing() -> None:
    """A connection that is lost while it waits, and one that was lost within its turn; the others go on."""
    reads, turn = PacedReads(LEAST_BYTES), Turn()
    gone, of_gone, _ = made(reads, turn)
    first, _, _ = made(reads, turn)
    last, of_last, _ = made(reads, turn)
    for paced in (first, gone, last):
        bring(reads, paced, b"a")
    gone.connection_lost(None)
    bring(reads, gone, b"b")
    await rest(reads, turn)
    assert of_gone.pieces == []
    assert of_gone.told == ["lost"]
    assert of_last.pieces == [b"a"]


async def test_a_protocol_that_fails_is_the_only_one_to_suffer() -> None:
    """What it raises is the loop's to report; its connection is closed, and the others have their turns."""
    reads, turn = PacedReads(LEAST_BYTES), Turn()
    first, _, _ = made(reads, turn)
    bad, _, of_bad = made(reads, turn)
    last, of_last, _ = made(reads, turn)
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bad._protocol, "data_received", fail)
        for paced in (first, bad, last):
            bring(reads, paced, b"a")
        await rest(reads, turn)
    assert list(map(type, told)) == [ZeroDivisionError]
    assert of_bad.aborted
    assert of_last.pieces == [b"a"]
    bring(reads, last, b"b")
    assert of_last.pieces == [b"a", b"b"]


def test_everything_else_is_passed_on() -> None:
    """What a protocol hears besides bytes."""
    sink = Sink(Turn())
    paced = PacedProtocol(PacedReads(), sink)
    paced.pause_writing()
    paced.resume_writing()
    paced.eof_received()
    paced.connection_lost(None)
    assert sink.told == ["pause", "resume", "eof", "lost"]


async def test_bytes_of_real_sockets_arrive_as_they_were_sent() -> None:
    """Twenty senders of 300 KB at once, into protocols that pause after each piece and are resumed later."""
    loop = asyncio.get_running_loop()
    reads, turn, sinks = PacedReads(), Turn(), list[Sink]()

    def answer() -> PacedProtocol:
        sinks.append(Sink(turn, pauses=True))
        return PacedProtocol(reads, sinks[-1])

    listening = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(answer, sock=listening)
    sent = [random.Random(number).randbytes(300_000) for number in range(20)]
    host, port = listening.getsockname()
    writers = [(await asyncio.open_connection(host, port))[1] for _ in sent]
    for writer, data in zip(writers, sent, strict=True):
        writer.write(data)
    async with asyncio.timeout(60):
        while sum(len(piece) for sink in sinks for piece in sink.pieces) < 20 * 300_000:
            await asyncio.sleep(0.001)
            for sink in sinks:
                if sink.transport is not None:
                    sink.transport.resume_reading()
    assert sorted(b"".join(sink.pieces) for sink in sinks) == sorted(sent)
    assert max(len(piece) for sink in sinks for piece in sink.pieces) <= 2 * PIECE_BYTES
    for writer in writers:
        writer.close()
    server.close()
