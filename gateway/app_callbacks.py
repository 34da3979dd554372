"""Callbacks, put together: who sends them, what is sent, and what signs it."""

from collections.abc import Mapping, Sequence
from functools import partial

import orjson

from gateway.administration.callback_secrets import CallbackSecrets
from gateway.api.rendering import task_answer
from gateway.app_reload import Current
from gateway.callbacks.deliverer import Deliverer, Traced
from gateway.callbacks.lanes import IN_ALL
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import TaskId
from gateway.domain.tasks import Attempt, Task
from gateway.egress.lookups import OwnThreadsResolver
from gateway.pipeline import crash_points
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.crash_points import CrashPoint
from gateway.pipeline.pipeline import Pipeline
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces, kept
from gateway.webhooks.sending import Sender


def callback_deliverer(
    database: Database[Command, Outcome],
    pipeline: Pipeline,
    secrets: CallbackSecrets,
    current: Current,
    metrics: Metrics,
    clock: Clock,
    traces: Traces | None = None,
) -> Deliverer:
    """One a process. What it sends is rendered as a query of the same task is."""

    async def render(ids: Sequence[TaskId]) -> Mapping[TaskId, str]:
        found = await database.read(partial(_with_attempts, ids=ids))
        await pipeline.prepare_links([task for task, _ in found])
        return {task.id: orjson.dumps(task_answer(pipeline.view(task, attempts))).decode() for task, attempts in found}

    async def parents(ids: Sequence[TaskId]) -> Mapping[TaskId, str | None]:
        try:
            tasks = await database.read(partial(task_store.read_tasks, ids=ids))
        except (GatewayError, StatementFailed):  # no callback waits for its trace
            return {}
        return {task.id: kept(task.request_json) for task in tasks}

    resolver = OwnThreadsResolver(2 * IN_ALL)  # what was given up keeps its thread for a while
    sender = Sender(current.config.egress, clock, connections_max=IN_ALL, resolver=resolver)
    return Deliverer(
        database,
        sender,
        render,
        secrets.of,
        metrics,
        clock,
        kept_ms=lambda: current.config.retention.tasks_s * 1000,
        traced=None if traces is None else Traced(traces, parents),
        reached=lambda moment: crash_points.reached(CrashPoint(moment.value)),
    )


async def _with_attempts(connection: Connection, ids: Sequence[TaskId]) -> list[tuple[Task, list[Attempt]]]:
    tasks = await task_store.read_tasks(connection, ids)
    attempts = await attempt_store.read_attempts(connection, ids)
    return [(task, [attempt for attempt in attempts if attempt.task_id == task.id]) for task in tasks]
