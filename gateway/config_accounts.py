"""The config's accounts: how their limits are written, and what a declared org, team and key come to.

Knows nothing of other sections. How it fails: ValueError from a field's check, which config_schema turns into a problem with its fix.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from gateway.domain.accounts import CONCURRENT_TASKS_MAX, REQUESTS_PER_MINUTE_MAX, UNLIMITED, Budget, Limits
from gateway.domain.images import Contract, parse_pixels, parse_ratio


def _size_word(value: str) -> str:
    if value not in ("*", "auto") and parse_pixels(value) is None and parse_ratio(value) is None:
        raise ValueError("is no size")
    return value


class LimitFields(BaseModel):
    """What org, team and key can each limit: a call must be within the limits of all three."""

    rpm: int | None = Field(
        None,
        ge=1,
        le=REQUESTS_PER_MINUTE_MAX,
        description="Write the most image requests in any 60 seconds, such as 60.",
    )
    concurrency: int | None = Field(
        None, ge=1, le=CONCURRENT_TASKS_MAX, description="Write the most tasks under way at once, such as 8."
    )
    models: tuple[str, ...] = Field(("*",), min_length=1, description='Write a list of models, or ["*"] for all.')
    sizes: tuple[Annotated[str, AfterValidator(_size_word)], ...] = Field(
        ("*",), min_length=1, description='Write a list of sizes such as [auto, 1024x1024, "2:3"], or ["*"] for all.'
    )
    n_max: int | None = Field(None, ge=1, le=100, description="Write the most pictures of one call, 1 to 100.")


@dataclass(frozen=True, slots=True)
class KeyDeclaration:
    name: str
    secret: str
    budgets: tuple[Budget, ...]
    models: tuple[str, ...]
    """Models by name (aliases resolved), or `*`."""
    response: Contract | None
    limits: Limits = UNLIMITED
    """Without its models."""
    expires_at_ms: int | None = None
    choose_upstream: bool = False
    callback_secret: bytes | None = None
    """What signs its callbacks in place of a derived secret."""
    cache: bool = True

    def __repr__(self) -> str:
        return f"KeyDeclaration(name={self.name!r})"


@dataclass(frozen=True, slots=True)
class TeamDeclaration:
    name: str
    budgets: tuple[Budget, ...]
    keys: tuple[KeyDeclaration, ...]
    limits: Limits = UNLIMITED
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class OrgDeclaration:
    name: str
    budgets: tuple[Budget, ...]
    teams: tuple[TeamDeclaration, ...]
    keys: tuple[KeyDeclaration, ...]
    limits: Limits = UNLIMITED
    zone: str = "UTC"
    markup: Decimal | None = None
    """In place of a model's and the config's."""
