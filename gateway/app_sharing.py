"""The cache, put together: where it remembers, what it keeps in memory, and by which rules."""

from gateway import secret_files
from gateway.app_office import Office
from gateway.app_reload import Current
from gateway.cache.index import MemoryIndex
from gateway.cache.pictures import PictureCache
from gateway.cache.shared_index import SharedIndex
from gateway.config_cache import Cache
from gateway.domain.clock import Clock
from gateway.pipeline.sharing import Rules, Sharing
from gateway.state.valkey import Valkey
from gateway.telemetry.metrics import Metrics


def sharing_of(office: Office, state: Valkey | None, metrics: Metrics, clock: Clock) -> Sharing:
    """What identical calls share: over all processes of a shared state, else in this one. Its secret is made for nothing else."""
    current = office.current
    bounds = current.config.cache
    own = MemoryIndex(clock, entries_max=bounds.entries_max)
    return Sharing(
        own if state is None else SharedIndex(state, own, clock),
        PictureCache(bounds.picture_bytes_max),
        office.database,
        metrics,
        clock,
        secret=secret_files.derive(office.secret_key, "image-gateway cache v1"),
        rules=_Rules(current),
    )


class _Rules:
    """As the config stands now; every call asks twice."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._of, self._rules = self._made()

    def __call__(self) -> Rules:
        if self._current.config.cache is not self._of:
            self._of, self._rules = self._made()
        return self._rules

    def _made(self) -> tuple[Cache, Rules]:
        cache = self._current.config.cache
        return cache, Rules(cache.enabled, cache.ttl_s, cache.scope, cache.charge, cache.single_flight)
