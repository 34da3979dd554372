"""Group commit: whatever is queued goes into one transaction, and every command gets its own outcome.

The writer knows nothing of what it writes: `Apply`, registered by the root, decides and writes a batch. There is no timer: a lone command is
committed at once, and while a commit runs the next batch gathers. How it fails: a batch whose statement or code fails is rolled back and halved until
the guilty command stands alone, so that one bad command never takes others with it; a database that does not answer fails the whole batch
with StorageUnavailable, nothing written; a batch that was ended for a deadlock is tried again; after a COMMIT whose answer was lost the database
is asked what became of the transaction, and only then anybody hears of it. The queue is bounded: above COMMANDS_MAX new commands are refused with
Overloaded.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.db.connection import Connection
from gateway.db.pulse import Pulse
from gateway.db.url import Dialect
from gateway.domain.errors import GatewayError, Overloaded, StorageUnavailable

log = logging.getLogger(__name__)

BATCH_MAX = 256
"""Commands in one transaction: measured gains level off there, and a batch stays under 20 ms."""
COLLISIONS_MAX = 3
"""How often a batch is tried again that collided with another process's: the locks' one order makes that rare."""
COMMANDS_MAX = 20_000
"""Commands that may wait: some seconds of work at full speed."""

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)
O = TypeVar("O")  # noqa: E741 - outcome
O_co = TypeVar("O_co", covariant=True)
T = TypeVar("T")
Now = Callable[[], Awaitable[int]]
"""The time of the batch in ms, one for all of it. On PostgreSQL it comes with the first `fetch_together`; before that, it is asked for."""
Apply = Callable[[Connection, Sequence[C], Now], Awaitable[Sequence[O]]]
"""Decides and writes a batch: connection, commands, the clock -> one outcome a command, in order."""

Committed = Callable[[Sequence[object]], None]
"""Called with the commands of a transaction right after its COMMIT, before anybody hears of it. Must not raise."""


@dataclass(frozen=True, slots=True)
class Transact:
    """Some statements of one caller that need no decision with others', e.g. declared accounts and keys. Part of its batch's transaction."""

    run: Callable[[Connection, int], Awaitable[None]]
    """Given the connection and the time of the batch in ms."""


class Database(Protocol[C_contra, O_co]):
    """One database, open. `write` commits a command with its batch; `read` runs queries outside of any batch, on one snapshot."""

    dialect: Dialect
    pulse: Pulse

    async def write(self, command: C_contra) -> O_co:
        """The command's outcome, after its commit. Raises StorageUnavailable, Overloaded, or what `apply` raised for this command alone."""
        ...

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        """The query's answer. Raises StorageUnavailable."""
        ...

    def failure(self) -> str | None:
        """Why writes cannot be expected to work now, for readiness; None while all is well."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then close."""
        ...


class Transaction(Protocol):
    """What a batch needs from a driver."""

    @property
    def connection(self) -> Connection: ...

    async def begin(self) -> None: ...

    async def now_ms(self) -> int: ...

    async def commit(self) -> None:
        """Returns only if committed. Raises StorageUnavailable if certainly not, CommitUnknown if nobody could find out."""
        ...

    async def rollback(self) -> None: ...


class Collided(StorageUnavailable):
    """This transaction and another one waited for each other, and the database ended this one: tried again, it goes through."""


class CommitUnknown(StorageUnavailable):
    """The connection was lost at COMMIT and the database could not be asked in time."""


async def commit_batch(
    transaction: Transaction,
    apply: Apply[C, O],
    commands: Sequence[C],
    committed: Committed | None = None,
    collisions: int = 0,
) -> list[O | Exception]:
    """Run one batch, halving it where it fails. One outcome or exception a command, in order. `collisions`: how many it has had."""
    try:
        await transaction.begin()
        outcomes = list(await apply(transaction.connection, commands, transaction.now_ms))
        if len(outcomes) != len(commands):
            raise AssertionError(f"{len(outcomes)} outcomes for {len(commands)} commands")
        await transaction.commit()
        if committed is not None:
            committed(commands)
    except StorageUnavailable as exc:
        await transaction.rollback()
        if isinstance(exc, Collided) and collisions < COLLISIONS_MAX:
            log.warning("a batch of writes collided with another and is tried again", extra={"cause": exc.log})
            return await commit_batch(transaction, apply, commands, committed, collisions + 1)
        return [exc] * len(commands)
    except Exception as exc:  # a fault of one command, whatever it is, must not reach the others or end the writer
        await transaction.rollback()
        if len(commands) == 1 and isinstance(exc, GatewayError) and exc.status < 500:
            return [exc]  # an answer to who gave the command, no fault
        if len(commands) == 1:
            log.warning("a write was refused", extra={"command": type(commands[0]).__name__}, exc_info=exc)
            return [exc]
        middle = len(commands) // 2
        first = await commit_batch(transaction, apply, commands[:middle], committed)
        return first + await commit_batch(transaction, apply, commands[middle:], committed)
    return list(outcomes)


def failure_of(before: str | None, outcomes: Sequence[object]) -> str | None:
    """What readiness says after a batch; the log hears of every change once."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, StorageUnavailable)]
    failure = (failures[0].log or str(failures[0])) if failures else None
    if failure is not None and failure != before:
        log.error("the database cannot be written: calls are refused, running tasks wait", extra={"cause": failure})
    if failure is None and before is not None:
        log.warning("the database can be written again")
    return failure


def refuse_when_full(queued: int) -> None:
    """Raises Overloaded when no more commands should wait."""
    if queued >= COMMANDS_MAX:
        raise Overloaded("The gateway has more work than it can record. Try again shortly.", retry_after_s=5)
