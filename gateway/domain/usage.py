"""Usage in sums: what they can be taken by, and what they say."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Dimension(StrEnum):
    """What sums can be taken by, in the order in which a report shows them. A team is only known with its org, a key with both."""

    DAY = "day"
    ORG = "org"
    TEAM = "team"
    KEY = "key"
    MODEL = "model"
    UPSTREAM = "upstream"
    CALLER = "caller"


_IMPLIED = {Dimension.TEAM: {Dimension.ORG}, Dimension.KEY: {Dimension.ORG, Dimension.TEAM}}


def with_implied(by: Iterable[Dimension]) -> tuple[Dimension, ...]:
    """In the order of a report, with the orgs of teams and the teams of keys."""
    asked = set(by)
    for dimension in tuple(asked):
        asked |= _IMPLIED.get(dimension, set())
    return tuple(dimension for dimension in Dimension if dimension in asked)


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which sums. Days are ISO dates, both included; an empty text leaves everything in. `team` and `key` are names."""

    by: tuple[Dimension, ...] = ()
    since: str = ""
    until: str = ""
    org: str = ""
    team: str = ""
    key: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Sums of usage. `names` are those of the query's dimensions, in their order."""

    names: tuple[str, ...]
    tasks: int
    failed: int
    images: int
    charged_microcredits: int
    charged_microusd: int
    paid_microusd: int
    cache_hits: int
    cache_saved_microusd: int
    routing_saved_microusd: int
