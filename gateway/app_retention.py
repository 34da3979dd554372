"""Retention, put together: what is deleted, when, and by whom."""

from gateway.administration.ended_sessions import EndedSessions
from gateway.app_office import Office
from gateway.config import Retention
from gateway.domain.clock import Clock
from gateway.pipeline.erasure import without_words
from gateway.retention.kinds import Kind, Pictures, Prompts, Tasks
from gateway.retention.sweeper import Sweeper
from gateway.telemetry.metrics import Metrics


def sweeper(office: Office, retention: Retention, metrics: Metrics, clock: Clock, owner: str, *others: Kind) -> Sweeper:
    """One a process. `others`: what is not kept for ever besides tasks and what they have."""
    database, blobs = office.database, office.blobs
    kinds: tuple[Kind, ...] = (
        Pictures(database, blobs),
        Prompts(database, retention.prompts_s * 1000, without_words),
        Tasks(database, blobs, retention.tasks_s * 1000),
        EndedSessions(database),
        *others,
    )
    return Sweeper(kinds, database, metrics, clock, owner=owner)
