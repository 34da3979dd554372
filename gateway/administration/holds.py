"""Holds that nothing will end: pending, without a task that is under way. There should be none; an operator looks for the fault.

How it fails: StorageUnavailable.
"""

from gateway.db.writer import Database, Transact
from gateway.domain.administrators import Administrator
from gateway.domain.ids import org_of
from gateway.ledger.holds import StrandedHold, read_stranded
from gateway.ledger.model import Grant


class Holds:
    """Of one gateway."""

    def __init__(self, database: Database[Transact | Grant, object]) -> None:
        self._database = database

    async def stranded(self, by: Administrator, *, size: int) -> list[StrandedHold]:
        """The oldest of all, as far as this administrator sees them."""
        found = await self._database.read(lambda connection: read_stranded(connection, size))
        return [hold for hold in found if by.sees(org_of(hold.path[0]))]
