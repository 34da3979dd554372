"""Metrics of the process itself and of what it stands on: version, config, database, store of pictures, places at upstreams, tasks in hand.

Told on the event loop's thread, like all metrics; figures that somebody else keeps are asked for at each scrape by `app_metrics`. Cannot fail.
"""

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector

from gateway.telemetry.series import Counter, Gauges, Histograms

# A commit on a local disk takes about a millisecond, over a network some; a statement is ended after 5 s.
_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Up to the writer's most.
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A file takes a millisecond, a bucket some tens; a call of one is given up after 30 s and more.
_BLOB_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Machine:
    """Part of `Metrics`, of one registry. `upstream` bounds that label for all metrics together."""

    def __init__(self, registry: CollectorRegistry, upstream: Callable[[str], str]) -> None:
        self._upstream = upstream
        self._build = Gauges("gateway_build_info", "1; the labels say what runs.", ("version", "python"))
        self._in_hand = Gauges("gateway_tasks_in_flight", "Tasks that this process works on.", ())
        self._taken_up = Counter("gateway_tasks_taken_up", "Tasks left by another process, or by an earlier one.", ())
        self._config_ok = Gauges("gateway_config_last_reload_successful", "1 unless the last config was refused.", ())
        self._rate = Gauges("gateway_credits_per_usd", "Credits that a dollar of price is worth.", ())
        self._database_up = Gauges("gateway_database_up", "1 while the database can be written.", ())
        self._queue = Gauges("gateway_database_queue_commands", "Writes that wait for their transaction.", ())
        self._connections = Gauges("gateway_database_connections", "Connections for reads, by use.", ("state",))
        self._commits = Histograms(
            "gateway_database_commit_seconds", "One transaction of writes.", (), _COMMIT_BUCKETS_S
        )
        self._batches = Histograms("gateway_database_batch_commands", "Writes in one transaction.", (), _BATCH_BUCKETS)
        self._errors = Counter("gateway_database_errors", "Writes and reads that failed, by kind.", ("kind",))
        blobs = "Operations on the store of pictures."
        self._blobs = Histograms("gateway_blob_operation_duration_seconds", blobs, ("operation",), _BLOB_BUCKETS_S)
        self._blob_failures = Counter("gateway_blob_failures", "Such operations that failed.", ("operation",))
        self._slots = Gauges("gateway_upstream_slots", "Attempts that may be out at once.", ("upstream",))
        self._taken = Gauges("gateway_upstream_slots_taken", "Attempts that are out now.", ("upstream",))
        self._waiting = Gauges("gateway_upstream_waiting_attempts", "Attempts that wait for a place.", ("upstream",))
        for collector in (
            self._build, self._in_hand, self._taken_up, self._config_ok, self._rate, self._database_up, self._queue,
            self._connections, self._commits, self._batches, self._errors, self._blobs, self._blob_failures, self._slots, self._taken,
            self._waiting,
        ):  # fmt: skip
            registry.register(collector)
        self._taken_up.expect(())
        self._errors.expect_all(("unavailable", "statement", "other"))
        ProcessCollector(registry=registry)

    def build(self, version: str) -> None:
        self._build.set((version, platform.python_version()), 1)

    def in_hand(self, count: int) -> None:
        self._in_hand.set((), count)

    def taken_up(self, count: int) -> None:
        self._taken_up.add((), count)

    def config(self, *, is_latest: bool, credits_per_usd: float) -> None:
        """`is_latest`: the one that was read last is the one in use."""
        self._config_ok.set((), 1 if is_latest else 0)
        self._rate.set((), credits_per_usd)

    def database(self, *, is_up: bool, queued: int, connections: Mapping[str, int]) -> None:
        """`connections` by state, in_use and idle; empty for SQLite, which has one for everything."""
        self._database_up.set((), 1 if is_up else 0)
        self._queue.set((), queued)
        for state, count in connections.items():
            self._connections.set((state,), count)

    def batch(self, commands: int, took_s: float, failures: Mapping[str, int]) -> None:
        """One transaction of writes has ended. `failures` by kind."""
        self._batches.observe((), commands)
        self._commits.observe((), took_s)
        for kind, count in failures.items():
            self._errors.add((kind,), count)

    def read_failed(self, kind: str) -> None:
        self._errors.add((kind,), 1)

    def blob(self, operation: str, took_s: float | None, *, failed: bool) -> None:
        """`operation` is a method of a store; `took_s` None: it took somebody else's time."""
        if took_s is not None:
            self._blobs.observe((operation,), took_s)
        self._blob_failures.add((operation,), 1 if failed else 0)

    def places(self, upstream: str, *, most: int, taken: int, waiting: int) -> None:
        """At one upstream, of this process."""
        labels = (self._upstream(upstream),)
        self._slots.set(labels, most)
        self._taken.set(labels, taken)
        self._waiting.set(labels, waiting)
