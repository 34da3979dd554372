"""The rows of the console's sessions: digests alone, never a secret or a cookie. Runs in the caller's transaction, reads no clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import sessions
from gateway.db.statements import Statement, any_of, insert_rows, update_rows
from gateway.db.values import number

_COLUMNS = ("id", "key_digest", "administrator_digest", "created_at_ms", "seen_at_ms", "expires_at_ms")
_columns = [sessions.c[name] for name in _COLUMNS]
_ADD = insert_rows(sessions, _COLUMNS)
_READ = Statement(select(*_columns).where(sessions.c.id == bindparam("session")))
# Locked: of two changes at once the second begins with what the first made of it.
_LOCK = Statement(select(*_columns).where(sessions.c.id == bindparam("session")), postgresql_suffix="FOR UPDATE")
_HALVES = update_rows(sessions, ("id",), ("key_digest", "administrator_digest"))
_SEEN = update_rows(sessions, ("id",), ("seen_at_ms", "expires_at_ms"))
_DELETE = Statement(sessions.delete().where(any_of(sessions.c.id, "ids")))
_DELETE_ALL = Statement(sessions.delete())
_BEYOND = [
    Statement(
        select(sessions.c.id)
        .where(column == bindparam("digest"))
        .order_by(sessions.c.seen_at_ms.desc(), sessions.c.id)
        .limit(bindparam("size"))
        .offset(bindparam("kept"))
    )
    for column in (sessions.c.key_digest, sessions.c.administrator_digest)
]
_OLDEST_DUE = Statement(
    select(func.min(sessions.c.expires_at_ms)).where(sessions.c.expires_at_ms <= bindparam("before"))
)
_DUE = Statement(
    select(sessions.c.id)
    .where(sessions.c.expires_at_ms <= bindparam("before"))
    .order_by(sessions.c.expires_at_ms, sessions.c.id)
    .limit(bindparam("size"))
)
_DELETE_DUE = Statement(
    sessions.delete().where(any_of(sessions.c.id, "ids"), sessions.c.expires_at_ms <= bindparam("before"))
)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One session as it is stored. At least one of the two digests is there."""

    id: str
    """Itself a digest: of what the cookie holds."""
    key_digest: str | None = field(repr=False)
    administrator_digest: str | None = field(repr=False)
    created_at_ms: int
    seen_at_ms: int
    expires_at_ms: int


async def add_session(connection: Connection, session: StoredSession) -> None:
    await connection.write(_ADD, [tuple(getattr(session, name) for name in _COLUMNS)])


async def read_session(connection: Connection, session_id: str) -> StoredSession | None:
    rows = await connection.fetch(_READ, session=session_id)
    return _session(rows[0]) if rows else None


async def lock_session(connection: Connection, session_id: str) -> StoredSession | None:
    """One session, which nobody else changes until the transaction ends."""
    rows = await connection.fetch(_LOCK, session=session_id)
    return _session(rows[0]) if rows else None


async def set_halves(connection: Connection, session: StoredSession) -> None:
    await connection.write(_HALVES, [(session.key_digest, session.administrator_digest, session.id)])


async def set_seen(connection: Connection, session: StoredSession) -> None:
    await connection.write(_SEEN, [(session.seen_at_ms, session.expires_at_ms, session.id)])


async def delete_sessions(connection: Connection, ids: Sequence[str]) -> None:
    await connection.execute(_DELETE, ids=ids)


async def read_beyond(
    connection: Connection, key_digest: str | None, administrator_digest: str | None, *, kept: int, size: int
) -> list[str]:
    """The sessions of each of these credentials beyond the `kept` that were seen last."""
    found: list[str] = []
    for statement, digest in zip(_BEYOND, (key_digest, administrator_digest), strict=True):
        if digest is not None:
            found += [str(row[0]) for row in await connection.fetch(statement, digest=digest, kept=kept, size=size)]
    return found


async def delete_all(connection: Connection) -> None:
    await connection.execute(_DELETE_ALL)


async def read_oldest_due_ms(connection: Connection, before_ms: int) -> int | None:
    """When the first of those ended that have; None: none has."""
    [row] = await connection.fetch(_OLDEST_DUE, before=before_ms)
    return None if row[0] is None else number(row[0])


async def delete_due(connection: Connection, before_ms: int, size: int) -> int:
    """Some of those that have ended, the oldest first; says how many."""
    ids = [str(row[0]) for row in await connection.fetch(_DUE, before=before_ms, size=size)]
    # Asked again: one of them may have been seen meanwhile.
    await connection.execute(_DELETE_DUE, ids=ids, before=before_ms)
    return len(ids)


def _session(row: Row) -> StoredSession:
    session_id, key, administrator, created, seen, expires = row
    return StoredSession(
        str(session_id),
        None if key is None else str(key),
        None if administrator is None else str(administrator),
        number(created),
        number(seen),
        number(expires),
    )
