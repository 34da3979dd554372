"""Finds the task that answers a call made again, before anything else is done for it: such a call costs one look and no admission.

A call with an Idempotency-Key is answered by the task of the first call with it, for a day. An SDK's retry without one takes up the newest task that
a call with the same body left behind within TAKEN_WITHIN_MS; each task is taken up once. What is not found here is decided anew, under lock, when
the call is accepted. How it fails: IdempotencyConflict, RateLimited for too many repeats, StorageUnavailable.
"""

from gateway.db.writer import Database
from gateway.domain.accounts import Principal
from gateway.domain.clock import Clock
from gateway.domain.errors import IdempotencyConflict
from gateway.domain.ids import TaskId
from gateway.domain.repeats import KEPT_MS, TAKEN_WITHIN_MS, Repeat, Replay
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.limiting import Limiting
from gateway.pipeline.repeating import Conflicting, Repeated, TakenUp, TakeUp
from gateway.pipeline.shared_reads import SharedReads
from gateway.repeats import store
from gateway.telemetry.metrics import Metrics

ROUNDS_MAX = 8
"""How often a retry looks again whose finds were all taken by others meanwhile: each time so many others got theirs."""


class AcceptedBefore(Exception):
    """Inside: the call that was to be accepted is a repeat."""

    def __init__(self, outcome: Repeated) -> None:
        super().__init__(outcome.task_id)
        self.outcome = outcome


class Idempotency:
    """Looks repeats up. One a process."""

    def __init__(
        self, database: Database[Command, Outcome], limiting: Limiting, metrics: Metrics, clock: Clock
    ) -> None:
        self._database = database
        self._limiting = limiting
        self._metrics = metrics
        self._clock = clock
        self._reads: SharedReads[store.Remembered | None] = SharedReads()

    async def find(self, principal: Principal, repeat: Repeat) -> Repeated | None:
        """What answers the call; None: nothing does yet."""
        if repeat.key:
            return await self._by_key(principal, repeat)
        return await self._left_behind(principal, repeat) if repeat.is_retry else None

    async def _by_key(self, principal: Principal, repeat: Repeat) -> Repeated | None:
        account, key = principal.account, repeat.key
        row = await self._reads.ask(
            (account, key), lambda: self._database.read(lambda connection: store.read_keyed(connection, account, key))
        )
        if row is None or row.created_at_ms + KEPT_MS <= self._clock.now_ms():
            return None
        await self._limiting.take_repeat(principal)
        if row.body_sha256 != repeat.body_sha256:
            raise self.conflict(Conflicting(row.task_id))
        return Repeated(row.task_id)

    async def _left_behind(self, principal: Principal, repeat: Repeat) -> Repeated | None:
        for _ in range(ROUNDS_MAX):
            ids = await self._look(principal, repeat)
            if not ids:
                return None
            outcome = await self._database.write(TakeUp(principal.account, ids))
            if isinstance(outcome, TakenUp):
                return Repeated(outcome.task_id, taken_up=True)
        return None

    async def _look(self, principal: Principal, repeat: Repeat) -> tuple[TaskId, ...]:
        now_ms = self._clock.now_ms()
        return await self._database.read(
            lambda connection: store.read_left(
                connection, principal.account, repeat.body_sha256, since_ms=now_ms - TAKEN_WITHIN_MS, now_ms=now_ms
            )
        )

    def count(self, found: Repeated, *, joins: bool) -> None:
        """`joins`: it waits for pictures that are being made."""
        how = Replay.TAKEN_UP if found.taken_up else Replay.JOINED if joins else Replay.REPLAYED
        self._metrics.repeated(how.value)

    def told(self, outcome: Repeated | Conflicting) -> Exception:
        """For a call that was to be accepted, and was made before."""
        return self.conflict(outcome) if isinstance(outcome, Conflicting) else AcceptedBefore(outcome)

    def conflict(self, found: Conflicting) -> IdempotencyConflict:
        """For another body."""
        self._metrics.repeated(Replay.CONFLICT.value)
        return IdempotencyConflict(
            f"Idempotency-Key: was sent with another body within the last 24 hours, or its task {found.task_id} was erased. "
            "Send the same body again, or another key.",
            param="Idempotency-Key",
        )

    def gone(self, task_id: TaskId) -> IdempotencyConflict:
        """For a task whose pictures nobody has any more."""
        self._metrics.repeated(Replay.CONFLICT.value)
        return IdempotencyConflict(
            f"Idempotency-Key: the pictures of its task {task_id} are not kept any more. Send another key for new ones.",
            param="Idempotency-Key",
        )
