"""Whose tasks they are: claims, signs of life and hand-backs of a batch, each one statement of its own or two. Fails as the store does."""

from dataclasses import replace

from gateway.db.connection import Connection
from gateway.domain.ids import TaskId
from gateway.domain.tasks import Task
from gateway.pipeline.commands import Claim, Claimed, ExtendLeases, HandBack, Recorded
from gateway.tasks import store as task_store


async def lease(
    connection: Connection, command: Claim | ExtendLeases | HandBack, now_ms: int, in_hand: dict[TaskId, Task]
) -> Claimed | Recorded:
    """Written at once; `now_ms` is the time of the batch. `in_hand`: the batch's own tasks; one that is given up is so for later commands, too."""
    if isinstance(command, HandBack):
        ended = {task_id for task_id in command.task_ids if task_id in in_hand and in_hand[task_id].state.is_final}
        ids = [task_id for task_id in command.task_ids if task_id not in ended]
        for task_id in await task_store.hand_back(connection, command.owner, ids):
            if task_id in in_hand:
                in_hand[task_id] = replace(in_hand[task_id], owner="", epoch=in_hand[task_id].epoch + 1)
        return Recorded()
    if isinstance(command, ExtendLeases):
        await task_store.extend_leases(connection, command.owner, now_ms + command.lease_ms)
        return Recorded()
    before_ms = 2**62 if command.everything else now_ms
    claimed = await task_store.claim_tasks(
        connection, command.owner, before_ms=before_ms, until_ms=now_ms + command.lease_ms, size=command.size
    )
    return Claimed(tuple(claimed))
