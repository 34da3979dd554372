"""Callers' pictures that have expired, as a kind of what is not kept for ever (retention/kinds.py): uploads after their time, and parts of calls
and what tasks fetched, where their task's end did not take them along.

GRACE_MS after it expired, and not while an unfinished task names it: a call that was checked with the file in hand gets it. Blobs go before
their rows, so what fails or is cut off is found again in the next bite.
"""

from gateway.db.writer import Database
from gateway.files import store
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.intake import Intake

GRACE_MS = 60_000
"""From the moment at which a call's files are looked up to the commit of its task."""
BITE = 100


class ExpiredUploads:
    """Swept with the other kinds."""

    name = "uploads"

    def __init__(self, intake: Intake, database: Database[Command, Outcome]) -> None:
        self._intake = intake
        self._database = database

    async def oldest_ms(self, now_ms: int) -> int | None:
        before_ms = now_ms - GRACE_MS
        oldest = await self._database.read(lambda connection: store.read_oldest_due_ms(connection, before_ms))
        return None if oldest is None else oldest + GRACE_MS

    async def bite(self, now_ms: int) -> int:
        before_ms = now_ms - GRACE_MS
        due = await self._database.read(
            lambda connection: store.read_due(connection, before_ms=before_ms, size=BITE)
        )  # fmt: skip
        await self._intake.forget(due)
        return len(due)
