"""Attempts of which nobody knows whether they were billed, and what an operator found out about them.

Our own books: an administrator of one org sees nothing of them. How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.administration import store as trail
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import AttemptId, org_of, upstream_account_id
from gateway.domain.tasks import Attempt, AttemptState, Task
from gateway.ledger.model import DoubtfulTask, NotInDoubt, Resolve, Resolved
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store

COST_MICROUSD_MAX = 10_000 * money.MICRO
"""Of one attempt, in words that may be mistyped."""
WHY_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt in doubt, and whose task it is."""

    attempt: Attempt
    account: str
    org: str | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was booked. `cost_microusd` is paid at the upstream and our loss; 0 where nothing was paid."""

    attempt: Attempt
    paid: bool
    cost_microusd: int


class InDoubt:
    """What is in doubt at all upstreams of one gateway."""

    def __init__(self, database: Database[Transact | Resolve, object]) -> None:
        self._database = database

    async def doubts(self, by: Administrator, *, size: int, after: str | None = None) -> list[Doubt]:
        """Oldest first, of those behind `after`. Raises AdministrationError where that is no attempt."""
        if not by.sees(None):
            return []

        async def read(connection: Connection) -> list[Doubt]:
            cursor: Sequence[Attempt] = ()
            if after is not None:
                cursor = await attempt_store.read_attempts_by_id(connection, [AttemptId(after)])
                if not cursor:
                    raise AdministrationError(f"There is no attempt {after!r} to go on after.", param="after")
            behind = (cursor[0].sent_at_ms, cursor[0].id) if cursor else (-1, AttemptId(""))
            found = await attempt_store.read_in_doubt(connection, size, behind)
            return [Doubt(attempt, account, org_of(account)) for attempt, account in found]

        return await self._database.read(read)

    async def resolve(
        self,
        attempt_id: str,
        *,
        paid: bool,
        cost_microusd: int | None = None,
        why: str = "",
        by: Administrator = COMMAND,
    ) -> Resolution:
        """Book what became of an attempt, once. Raises SubjectNotFound, Conflict where its outcome is known, AdministrationError."""
        if cost_microusd is not None and not paid:
            raise AdministrationError("A cost goes only with an attempt that was paid.", param="cost_usd")
        if cost_microusd is not None and not 0 < cost_microusd <= COST_MICROUSD_MAX:
            raise AdministrationError(
                f"The cost must be above 0 and at most {COST_MICROUSD_MAX // money.MICRO} USD.", param="cost_usd"
            )
        if len(why) > WHY_CHARS_MAX:
            raise AdministrationError(f"Say why in at most {WHY_CHARS_MAX} characters.", param="why")
        found = await self._database.read(lambda connection: _find(connection, attempt_id)) if by.sees(None) else None
        if found is None:
            raise SubjectNotFound("There is no such attempt.")
        attempt, task = found
        if not task.state.is_final:
            raise Conflict(
                f"The task of {attempt.id} is still under way: what is known of it may change. Resolve it when it has ended."
            )
        of = DoubtfulTask(task.account, task.model, task.caller, task.created_at_ms)

        async def also(connection: Connection, at_ms: int) -> None:
            cost = 0 if not paid else attempt.presumed_cost_microusd if cost_microusd is None else cost_microusd
            details: dict[str, trail.Detail] = {
                "outcome": "paid" if paid else "unpaid", "cost_usd": money.format_micro(cost), "why": why, "task": attempt.task_id,
                "upstream": attempt.upstream,
            }  # fmt: skip
            await trail.record(connection, at_ms, by, "in_doubt.resolve", attempt.id, details)

        command = Resolve(attempt.id, upstream_account_id(attempt.upstream), paid, cost_microusd, why, also, of)
        outcome = await self._database.write(command)
        if isinstance(outcome, NotInDoubt):
            raise Conflict(f"{attempt.id} is not in doubt: {_known(outcome)}.")
        if not isinstance(outcome, Resolved):
            raise AssertionError(f"a resolution was answered with {outcome}")
        return Resolution(attempt, paid, outcome.cost_microusd)


async def _find(connection: Connection, attempt_id: str) -> tuple[Attempt, Task] | None:
    for attempt in await attempt_store.read_attempts_by_id(connection, [AttemptId(attempt_id)]):
        for task in await task_store.read_tasks(connection, [attempt.task_id]):
            return attempt, task
    return None


def _known(outcome: NotInDoubt) -> str:
    if outcome.state in (AttemptState.SENDING, AttemptState.SUBMITTED):
        return "it is still under way"
    return f"it {outcome.state} and cost {money.format_micro(outcome.cost_microusd)} USD"
