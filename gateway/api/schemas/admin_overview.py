"""The answer of the overview."""

from typing import Literal

from gateway.api.schemas.answers import Answer


class LatencyAnswer(Answer):
    """Of what brought pictures, by nearest rank; null: nothing did."""

    p50_ms: int | None
    p95_ms: int | None


class TaskCountsAnswer(Answer):
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int


class CacheCountsAnswer(Answer):
    hit: int
    joined: int
    miss: int
    bypass: int


class ModelCountAnswer(Answer):
    model: str
    tasks: int
    failed: int


class FaultCountAnswer(Answer):
    fault: str
    attempts: int


class UpstreamRecordAnswer(Answer):
    """Tries at one upstream; `faults` by word, the most frequent first."""

    upstream: str
    attempts: int
    succeeded: int
    in_flight: int
    in_doubt: int
    faults: list[FaultCountAnswer]
    latency: LatencyAnswer


class OverviewAnswer(Answer):
    """Of the tasks made in the last `hours`; `whole` is false where those were too many and only the newest were looked at."""

    object: Literal["overview"]
    hours: int
    tasks: int
    whole: bool
    by_state: TaskCountsAnswer
    by_cache: CacheCountsAnswer
    by_model: list[ModelCountAnswer]
    latency: LatencyAnswer
    upstreams: list[UpstreamRecordAnswer]
