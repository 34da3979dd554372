"""The cache as tests use it that build a runner of their own."""

from typing import Any

from gateway.cache.index import MemoryIndex
from gateway.cache.pictures import PictureCache
from gateway.domain.clock import Clock, SystemClock
from gateway.pipeline.sharing import Rules, Sharing
from gateway.telemetry.metrics import Metrics


def sharing_over(database: Any, clock: Clock | None = None, rules: Rules | None = None) -> Sharing:
    """Off where no rules are given."""
    clock = clock or SystemClock()
    return Sharing(
        MemoryIndex(clock, entries_max=1_000),
        PictureCache(1 << 20),
        database,
        Metrics(),
        clock,
        secret=b"a secret of the cache",
        rules=lambda: rules or Rules(enabled=False),
    )
