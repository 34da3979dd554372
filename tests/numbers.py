"""A table of numbers behind the group writer: the smallest thing to commit, for tests of the writer itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Column, MetaData, Table, select, text

from gateway.db.connection import Connection, StatementFailed
from gateway.db.engine import open_database
from gateway.db.sqlite import SqliteLock
from gateway.db.statements import Statement, insert_rows
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Database, Now
from gateway.domain.clock import SystemClock

_NUMBERS = Table("numbers", MetaData(), Column("value", BigInteger, primary_key=True))
_CREATE = Statement(text("CREATE TABLE IF NOT EXISTS numbers (value BIGINT PRIMARY KEY, filling TEXT)"))
_ADD = insert_rows(_NUMBERS, ("value",))
_ALL = Statement(select(_NUMBERS.c.value).order_by(_NUMBERS.c.value))


@dataclass(frozen=True, slots=True)
class Put:
    """Write a number, which must be new. `raising` is raised after that; `then` is a statement to run besides."""

    value: int
    raising: BaseException | None = None
    then: str | None = None
    swallowing: bool = False
    """Go on although that statement failed."""


@dataclass
class Writing:
    """What the writer is given; remembers the sizes of its batches."""

    sizes: list[int] = field(default_factory=list)
    surplus: int = 0

    async def __call__(self, connection: Connection, commands: Sequence[Put], now: Now) -> Sequence[int]:
        self.sizes.append(len(commands))
        await connection.write(_ADD, [(command.value,) for command in commands])
        for command in commands:
            if command.then is not None:
                try:
                    await connection.execute(Statement(text(command.then)))
                except StatementFailed:
                    if not command.swallowing:
                        raise
            if command.raising is not None:
                raise command.raising
        return [command.value for command in commands] + [0] * self.surplus


Numbers = Database[Put, int]


async def opened(url_text: str, writing: Writing) -> Numbers:
    """An open database with the table, its zero written."""
    url = parse_database_url(url_text)
    lock = None
    if url.dialect is Dialect.SQLITE:
        lock = SqliteLock(url.path)
        lock.acquire()

    async def apply(connection: Connection, commands: Sequence[Put], now: Now) -> Sequence[int]:
        if commands[0].value == 0:
            await connection.execute(_CREATE)
        return await writing(connection, commands, now)

    database: Numbers = await open_database(url, apply, SystemClock(), lock)
    await database.write(Put(0))
    writing.sizes.clear()
    return database


async def numbers(database: Numbers) -> list[int]:
    """What is written, without the zero."""

    async def read(connection: Connection) -> list[int]:
        return [int(str(row[0])) for row in await connection.fetch(_ALL)]

    return (await database.read(read))[1:]
