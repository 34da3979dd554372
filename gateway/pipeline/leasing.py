"""Whose tasks they are: claims, signs of life and hand-backs of a batch, each one statement of its own or two. Fails as the store does."""

from gateway.db.connection import Connection
from gateway.pipeline.commands import Claim, Claimed, ExtendLeases, HandBack, Recorded
from gateway.tasks import store as task_store


async def lease(connection: Connection, command: Claim | ExtendLeases | HandBack, now_ms: int) -> Claimed | Recorded:
    """Written at once; `now_ms` is the time of the batch."""
    if isinstance(command, HandBack):
        await task_store.hand_back(connection, command.owner, command.task_ids)
        return Recorded()
    if isinstance(command, ExtendLeases):
        await task_store.extend_leases(connection, command.owner, now_ms + command.lease_ms)
        return Recorded()
    before_ms = 2**62 if command.everything else now_ms
    claimed = await task_store.claim_tasks(
        connection, command.owner, before_ms=before_ms, until_ms=now_ms + command.lease_ms, size=command.size
    )
    return Claimed(tuple(claimed))
