"""Sessions of the console that have ended, as a kind of what is not kept for ever (retention/kinds.py)."""

from gateway.administration import session_store
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.ledger.model import Grant

BITE = 500


class EndedSessions:
    """Swept with the other kinds. Who is signed out at once has no row any more; this is for those who just stay away."""

    name = "sessions"

    def __init__(self, database: Database[Transact | Grant, object]) -> None:
        self._database = database

    async def oldest_ms(self, now_ms: int) -> int | None:
        return await self._database.read(lambda connection: session_store.read_oldest_due_ms(connection, now_ms))

    async def bite(self, now_ms: int) -> int:
        done = 0

        async def delete(connection: Connection, _: int) -> None:
            nonlocal done
            done = await session_store.delete_due(connection, now_ms, BITE)

        await self._database.write(Transact(delete))
        return done
