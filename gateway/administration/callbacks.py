"""Callbacks as administrators see them: what was told, how each try went, and having one sent again.

How it fails: SubjectNotFound, Conflict; StorageUnavailable.
"""

from dataclasses import dataclass
from functools import partial

from gateway.administration import store as trail
from gateway.callbacks import store
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.callbacks import Callback, CallbackState, CallbackTry
from gateway.domain.clock import Clock
from gateway.domain.errors import Conflict, SubjectNotFound
from gateway.domain.ids import org_of
from gateway.ledger.model import Grant

TRIES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class CallbackRecord:
    """One callback with its latest tries, oldest first."""

    callback: Callback
    tries: tuple[CallbackTry, ...]


class Callbacks:
    """The outbox of one gateway."""

    def __init__(self, database: Database[Transact | Grant, object], clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, by: Administrator = COMMAND, *, state: CallbackState | None = None, before_id: str = "", size: int
    ) -> list[Callback]:
        """Newest first, of what this administrator sees, below an id where one is given."""
        return await self._database.read(
            partial(store.read_callbacks, org=by.org, state=state, before_id=before_id, size=size)
        )

    async def show(self, callback_id: str, by: Administrator = COMMAND) -> CallbackRecord:
        """Raises SubjectNotFound."""
        found = await self._find(callback_id, by)
        tries = await self._database.read(partial(store.read_tries, callback_id=found.id, size=TRIES_SHOWN))
        return CallbackRecord(found, tuple(tries))

    async def resend(self, callback_id: str, by: Administrator = COMMAND) -> CallbackRecord:
        """Have it sent at once, with all its tries before it, whatever became of it until now. The receiver knows it by its id.

        Raises SubjectNotFound, and Conflict where its task was erased.
        """
        found = await self._find(callback_id, by)
        if not found.url:
            raise Conflict("this callback cannot be sent again: its task was erased, and where it went with it")

        async def write(connection: Connection, at_ms: int) -> None:
            await store.resend(connection, callback_id, self._clock.now_ms())
            await trail.record(connection, at_ms, by, "callback.resend", callback_id, org=org_of(found.account))

        await self._database.write(Transact(write))
        return await self.show(callback_id, by)

    async def _find(self, callback_id: str, by: Administrator) -> Callback:
        found = await self._database.read(partial(store.read_callback, callback_id=callback_id))
        if found is None or not by.sees(org_of(found.account)):
            raise SubjectNotFound("There is no such callback.", param="callback_id")
        return found
