"""The audit log as administrators see it. Lines are written with the changes themselves: see store.record."""

from gateway.administration import store
from gateway.administration.store import AuditLine
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import Administrator
from gateway.ledger.model import Grant

LINE_ID_MAX = 2**62


class AuditLog:
    """Append-only; the database itself refuses to change a line."""

    def __init__(self, database: Database[Transact | Grant, object]) -> None:
        self._database = database

    async def lines(self, by: Administrator, *, before_id: int = LINE_ID_MAX, size: int) -> list[AuditLine]:
        """Newest first, of what this administrator sees. Raises StorageUnavailable."""
        return await self._database.read(
            lambda connection: store.read_lines(connection, org=by.org, before_id=before_id, size=size)
        )
