"""The answer of usage."""

from typing import Literal

from gateway.api.schemas.answers import Answer


class UsageLineAnswer(Answer):
    """Sums under the names that were asked for; other names are absent. Amounts are credits and USD."""

    day: str | None = None
    org: str | None = None
    team: str | None = None
    key: str | None = None
    model: str | None = None
    upstream: str | None = None
    caller: str | None = None
    tasks: int
    failed: int
    images: int
    credits: float
    charged_usd: float
    paid_usd: float
    cache_hits: int
    cache_saved_usd: float
    routing_saved_usd: float


class UsageAnswer(Answer):
    """Always whole: what has too many lines is refused."""

    object: Literal["list"]
    by: list[Literal["day", "org", "team", "key", "model", "upstream", "caller"]]
    data: list[UsageLineAnswer]
    has_more: Literal[False]
