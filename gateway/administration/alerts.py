"""Alerts about budgets as administrators see them: what was told and how its delivery went, and having one sent again.

How it fails: SubjectNotFound, Conflict; StorageUnavailable.
"""

from collections.abc import Callable
from functools import partial

from gateway.administration import store as trail
from gateway.alerts import store
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.alerts import BudgetAlert
from gateway.domain.clock import Clock
from gateway.domain.errors import Conflict, SubjectNotFound
from gateway.domain.ids import org_of
from gateway.ledger.model import Grant


class Alerts:
    """The outbox of one gateway. `sending`: whether the config names a receiver."""

    def __init__(
        self, database: Database[Transact | Grant, object], clock: Clock, *, sending: Callable[[], bool]
    ) -> None:
        self._database = database
        self._clock = clock
        self._sending = sending

    async def all(self, by: Administrator, *, before_id: str = "", size: int) -> list[BudgetAlert]:
        """Newest first, of what this administrator sees, below an id where one is given."""
        return await self._database.read(partial(store.read_alerts, org=by.org, before_id=before_id, size=size))

    async def resend(self, alert_id: str, by: Administrator = COMMAND) -> BudgetAlert:
        """Have it sent at once, with all its tries before it, whatever became of it until now. The receiver knows it by its id."""
        found = await self._find(alert_id, by)
        if not self._sending():
            raise Conflict("nobody is told: the config has no alerts.url")

        async def write(connection: Connection, at_ms: int) -> None:
            await store.resend(connection, alert_id, self._clock.now_ms())
            await trail.record(connection, at_ms, by, "alert.resend", alert_id, org=org_of(found.account))

        await self._database.write(Transact(write))
        return await self._find(alert_id, by)

    async def _find(self, alert_id: str, by: Administrator) -> BudgetAlert:
        found = await self._database.read(partial(store.read_alert, alert_id=alert_id))
        if found is None or not by.sees(org_of(found.account)):
            raise SubjectNotFound("There is no such alert.")
        return found
