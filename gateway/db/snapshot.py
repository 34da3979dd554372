"""One file that holds a whole database: SQLite with this version's schema, whatever the database is.

From SQLite by VACUUM INTO over a connection of its own, in a thread: one snapshot, while the writer goes on, and nothing in it of what was deleted.
From PostgreSQL all tables in one REPEATABLE READ transaction, in bounded batches. The file appears under its name when it is whole and durable
(mode 0600); its header says that it is a snapshot and carries a check sum of the rest. How it fails: SnapshotFailed with what to do; what stood
there before stays.
"""

import asyncio
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import Table

from gateway.db.migrate import MigrationFailed, is_this_versions, migrate, newest_revision
from gateway.db.schema import metadata
from gateway.db.url import DatabaseUrl, Dialect

BATCH_ROWS = 1_000
MARK = 0x1A6E_BACC
"""SQLite's application_id of a snapshot; its user_version is the check sum's beginning."""
_USER_VERSION_AT, _APPLICATION_ID_AT = 60, 68  # https://www.sqlite.org/fileformat.html#the_database_header
_PIECE_BYTES = 1 << 20
_CONNECT_S = 10.0
_HEADER_BYTES = 100

Row = tuple[str | int | None, ...]


class SnapshotFailed(Exception):
    """No snapshot was made, or this file is none that can be used. The text names the cause."""


async def write_snapshot(url: DatabaseUrl, target: Path, *, replace: bool) -> int:
    """Write the database's snapshot to a file; its size in bytes. Raises SnapshotFailed."""
    if not replace and await asyncio.to_thread(target.exists):
        raise _taken(target)
    part = target.with_name(target.name + ".part")
    try:
        with _reserved(part):
            if url.dialect is Dialect.SQLITE:
                await asyncio.to_thread(_vacuum_into, url.path, part)
            else:
                await _copy_postgresql(url.text, part)
            return await asyncio.to_thread(_publish, part, target, replace)
    except OSError as exc:
        raise SnapshotFailed(f"{target} cannot be written: {exc.strerror or exc}") from exc
    except (sqlite3.Error, MigrationFailed) as exc:
        raise SnapshotFailed(f"the database cannot be copied to {target}: {exc}") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
        raise SnapshotFailed(f"the database cannot be read: {exc!r}") from exc


def check_snapshot(path: Path) -> None:
    """Whether the file is whole and of a schema that this version knows. Raises SnapshotFailed.

    Copies of a database that SQLite's own means made will do as well; they have no check sum.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if not header.startswith(b"SQLite format 3\0"):
            raise SnapshotFailed(f"{path} is no backup: it is not a SQLite file")
        mark = int.from_bytes(header[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
        found = header[_USER_VERSION_AT : _USER_VERSION_AT + 4]
        if mark not in (0, MARK) or (mark == MARK and found != _check_sum(path)):
            raise SnapshotFailed(f"{path} is damaged: its check sum is another; use another backup")
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            wrong = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            orphans = [] if wrong != "ok" else connection.execute("PRAGMA foreign_key_check").fetchall()
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise SnapshotFailed(f"{path} is damaged, or no backup of a gateway: {exc}; use another backup") from exc
    except OSError as exc:
        raise SnapshotFailed(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if wrong != "ok" or orphans:
        raise SnapshotFailed(
            f"{path} is damaged: {wrong if wrong != 'ok' else 'rows without their parent'}; use another backup"
        )
    if revision is None or str(revision[0]) > newest_revision():
        raise SnapshotFailed(
            f"{path} was made by a newer version: its schema is at {revision and revision[0]}, this version's at {newest_revision()}"
        )


def copy_of_snapshot(source: Path, target: Path) -> None:
    """A working copy of a checked snapshot, not marked as one any more. Raises OSError, SnapshotFailed."""
    with (
        source.open("rb") as reading,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as writing,
    ):
        while piece := reading.read(_PIECE_BYTES):
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    try:
        connection = sqlite3.connect(target, isolation_level=None)
        connection.execute("PRAGMA application_id=0")
        connection.execute("PRAGMA user_version=0")
        connection.close()
    except sqlite3.Error as exc:
        raise SnapshotFailed(f"{source} cannot be used: {exc}") from exc


async def fill_postgresql(source: Path, url: DatabaseUrl) -> None:
    """Copy a file of this version's schema into a migrated and empty database, all or nothing. Raises SnapshotFailed."""
    reading = _read_only(source)
    try:
        async with _postgresql(url.text) as connection, connection.transaction():
            if await connection.fetchval("SELECT to_regclass('alembic_version')") is None or not is_this_versions(
                await connection.fetchval("SELECT version_num FROM alembic_version")
            ):
                raise SnapshotFailed("the database's schema is not that of this version: run `gateway migrate` first")
            names = ", ".join(table.name for table in metadata.sorted_tables)
            await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            for table in metadata.sorted_tables:
                if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table.name})"):
                    raise SnapshotFailed(
                        f"the database is not empty (table {table.name}): restore into a new one, after `gateway migrate`"
                    )
            for table in metadata.sorted_tables:
                await _fill_table(connection, table, reading)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
        raise SnapshotFailed(f"the database cannot be written: {exc!r}") from exc
    finally:
        reading.close()


async def _fill_table(
    connection: "asyncpg.Connection[asyncpg.Record]", table: Table, reading: sqlite3.Connection
) -> None:
    columns = [column.name for column in table.columns]
    rows = reading.execute(f"SELECT {', '.join(columns)} FROM {table.name}{_parents_first(table)}")
    while batch := rows.fetchmany(BATCH_ROWS):
        await connection.copy_records_to_table(table.name, records=batch, columns=columns)
    if table.autoincrement_column is not None and table.autoincrement_column.autoincrement is True:
        # Ids were given by the other database; the next one here must be above them.
        name = table.autoincrement_column.name
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{name}'), (SELECT coalesce(max({name}), 0) + 1 FROM {table.name}), false)"
        )


def _parents_first(table: Table) -> str:
    """COPY checks a row's parent at its end, per batch: org, then team, then key."""
    order = "CASE kind WHEN 'org' THEN 0 WHEN 'team' THEN 1 WHEN 'key' THEN 2 ELSE 0 END"
    return f" ORDER BY {order}, id" if table.name == "accounts" else ""


@contextmanager
def _reserved(part: Path) -> Iterator[None]:
    """An empty file of this user alone, which nobody else writes to meanwhile; what a killed predecessor left in it is dropped. Gone at the end."""
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SnapshotFailed(f"{part} is being written by another command; wait for its end") from None
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        try:
            yield
        finally:
            part.unlink(missing_ok=True)
            part.with_name(part.name + "-journal").unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _taken(target: Path) -> SnapshotFailed:
    return SnapshotFailed(f"{target} exists; choose another name, or say --force to write over it")


def _vacuum_into(source: Path, part: Path) -> None:
    connection = _read_only(source)
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
    finally:
        connection.close()


async def _copy_postgresql(text_url: str, part: Path) -> None:
    await asyncio.to_thread(_make_schema, part)
    writing = sqlite3.connect(part, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "journal_mode=OFF",
            "synchronous=OFF",
            "foreign_keys=OFF",
        ):  # a file that is not whole is thrown away
            writing.execute(f"PRAGMA {pragma}")
        writing.execute("BEGIN")
        async with (
            _postgresql(text_url) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            if not is_this_versions(revision):
                raise SnapshotFailed(
                    f"the database's schema is at {revision}, not at this version's: run `gateway migrate` first"
                )
            for table in metadata.sorted_tables:
                columns = ", ".join(column.name for column in table.columns)
                adding = f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(table.columns))})"
                cursor = await connection.cursor(f"SELECT {columns} FROM {table.name}")
                while batch := await cursor.fetch(BATCH_ROWS):
                    await asyncio.to_thread(_add, writing, adding, [tuple(row) for row in batch])
        await asyncio.to_thread(_add, writing, "COMMIT")
    finally:
        writing.close()


def _add(writing: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]] | None = None) -> None:
    """The cursor ends in the thread that made it: one that is dropped in another resets its statement while the next batch binds to it (misuse)."""
    cursor = writing.cursor()
    try:
        if rows is None:
            cursor.execute(statement)
        else:
            cursor.executemany(statement, rows)
    finally:
        cursor.close()


def _make_schema(part: Path) -> None:
    asyncio.run(migrate(DatabaseUrl(f"sqlite:///{part}", Dialect.SQLITE)))


@asynccontextmanager
async def _postgresql(text_url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(text_url, timeout=_CONNECT_S)
    try:
        yield connection
    finally:
        connection.terminate()


def _publish(part: Path, target: Path, replace: bool) -> int:
    """Mark it, make it durable, and give it its name in one step."""
    with part.open("r+b") as file:
        os.fchmod(file.fileno(), 0o600)
        file.seek(_APPLICATION_ID_AT)
        file.write(MARK.to_bytes(4, "big"))
        file.flush()
        check_sum = _check_sum(part)
        file.seek(_USER_VERSION_AT)
        file.write(check_sum)
        file.flush()
        os.fsync(file.fileno())
        size_bytes = os.fstat(file.fileno()).st_size
    if replace:
        part.replace(target)
    else:
        try:
            os.link(part, target)  # unlike a rename, it never writes over what came meanwhile
        except FileExistsError:
            raise _taken(target) from None
        except OSError:  # a file system without links
            part.replace(target)
    sync_folder(target.parent)
    return size_bytes


def sync_folder(folder: Path) -> None:
    """Make names in it durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _check_sum(path: Path) -> bytes:
    """Of the whole file but for the place where the check sum stands."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        header = bytearray(file.read(_HEADER_BYTES))
        header[_USER_VERSION_AT : _USER_VERSION_AT + 4] = bytes(4)
        digest.update(header)
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()[:4]
