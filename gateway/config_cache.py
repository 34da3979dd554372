"""The section about the cache: who shares pictures with whom, for how long, at what charge, and what it may keep."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field

from gateway.config_sections import Duration, RetentionSection, Section
from gateway.domain.sharing import CacheScope, SingleFlight

SHARED_S_MIN = 300
"""Before its task is deleted: whoever deletes must not meet whoever has just been answered with its pictures."""


class CacheSection(Section):
    enabled: bool = Field(True, description="Write true or false.")
    ttl: Duration = Field(
        86_400.0, gt=0, description="Write a duration such as 24h; enabled: false switches the cache off."
    )
    scope: CacheScope = Field(CacheScope.ORG, description="Write key, team or org.")
    charge: Decimal = Field(
        Decimal(0), ge=0, le=1, description="Write the share of the price that a hit costs, 0 to 1."
    )
    single_flight: SingleFlight = Field(SingleFlight.OTHER_KEYS, description="Write other_keys, always or never.")
    entries_max: int = Field(
        100_000, ge=1, le=10_000_000, description="Write the most requests that are remembered, 1 to 10000000."
    )
    picture_bytes_max: int = Field(
        64 << 20,
        ge=0,
        le=64 << 30,
        description="Write the most bytes of pictures kept in memory, such as 67108864; 0 for none.",
    )


@dataclass(frozen=True, slots=True)
class Cache:
    enabled: bool
    ttl_s: int
    """Never longer than results are kept."""
    scope: CacheScope
    charge: Decimal
    """Share of the price that a hit costs, 0 to 1."""
    single_flight: SingleFlight
    entries_max: int
    """Requests that a process remembers."""
    picture_bytes_max: int
    """Of pictures that a process keeps in memory."""


def cache_of(section: CacheSection, retention: RetentionSection) -> Cache:
    """No picture is shared beyond its time, whatever the section says, nor where its task may be deleted while it is pointed to."""
    ttl_s = min(section.ttl, retention.results, retention.tasks - SHARED_S_MIN)
    return Cache(
        enabled=section.enabled,
        ttl_s=max(1, round(ttl_s)),
        scope=section.scope,
        charge=section.charge,
        single_flight=section.single_flight,
        entries_max=section.entries_max,
        picture_bytes_max=section.picture_bytes_max,
    )
