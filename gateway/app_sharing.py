"""The cache, put together: where it remembers, what it keeps in memory, and by which rules."""

from gateway import secret_files
from gateway.app_office import Office
from gateway.app_reload import Current
from gateway.cache.index import MemoryIndex
from gateway.cache.pictures import PictureCache
from gateway.domain.clock import Clock
from gateway.pipeline.sharing import Rules, Sharing
from gateway.telemetry.metrics import Metrics


def sharing_of(office: Office, metrics: Metrics, clock: Clock) -> Sharing:
    """What identical calls share. Its key differs from that of every other secret made from the same one."""
    current = office.current
    bounds = current.config.cache
    return Sharing(
        MemoryIndex(clock, entries_max=bounds.entries_max),
        PictureCache(bounds.picture_bytes_max),
        office.database,
        metrics,
        clock,
        secret=secret_files.derive(office.secret_key, "image-gateway cache v1"),
        rules=lambda: _rules(current),
    )


def _rules(current: Current) -> Rules:
    """As the config stands now."""
    cache = current.config.cache
    return Rules(cache.enabled, cache.ttl_s, cache.scope, cache.charge, cache.single_flight)
