"""Bodies and answers of `/admin/v1/keys…`. In a PATCH, null takes a limit, a list or an end away; what is absent stays."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.api.schemas.admin import AdminBody, Name
from gateway.api.schemas.answers import Answer
from gateway.domain.accounts import CONCURRENT_TASKS_MAX, REQUESTS_PER_MINUTE_MAX, parse_budget
from gateway.domain.images import Contract
from gateway.domain.keys import OVERLAP_S, OVERLAP_S_MAX, KeyState


def _budget(text: str) -> str:
    parse_budget(text)
    return text


BudgetText = Annotated[str, Field(max_length=64), AfterValidator(_budget)]
Moment = Annotated[int, Field(ge=0, le=2**53)]


class KeyTermsBody(AdminBody):
    """What a key may do. Budgets are texts such as `20usd/day`."""

    budgets: list[BudgetText] | None = Field(None, max_length=20)
    models: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(None, min_length=1, max_length=100)
    sizes: list[Annotated[str, Field(min_length=1, max_length=20)]] | None = Field(None, min_length=1, max_length=100)
    n_max: int | None = Field(None, ge=1, le=100)
    rpm: int | None = Field(None, ge=1, le=REQUESTS_PER_MINUTE_MAX)
    concurrency: int | None = Field(None, ge=1, le=CONCURRENT_TASKS_MAX)
    response: Contract | None = None
    expires_at_ms: Moment | None = None
    choose_upstream: bool | None = None
    """Whether its calls may send X-Upstream-Prefer and X-Upstream-Only."""
    cache: bool | None = None
    """Whether its calls may be answered with pictures that others had made, and others with its own; null: they may."""


class KeyChangeBody(KeyTermsBody):
    """Only what is to be changed."""


class KeyBody(KeyTermsBody):
    """Org and team are made where they do not exist."""

    org: Name
    team: Name | None = None
    name: Name


class KeyRotateBody(AdminBody):
    overlap_s: int = Field(OVERLAP_S, ge=0, le=OVERLAP_S_MAX)
    """How long the old secret stays valid; 0: not at all."""


class KeyAnswer(Answer):
    id: str
    name: str
    org: str
    team: str | None
    account: str
    display: str
    """How the key begins, to recognise it by."""
    state: KeyState
    declared: bool
    budgets: list[str]
    models: list[str]
    sizes: list[str]
    n_max: int | None
    rpm: int | None
    concurrency: int | None
    response: Contract | None
    created_at_ms: int
    expires_at_ms: int | None
    choose_upstream: bool
    cache: bool
    revoked_at_ms: int | None
    old_until_ms: int | None
    """Until then the secret before the present one is valid, too."""
    used_at_ms: int | None


class KeyIssued(KeyAnswer):
    """`secret` is shown this once."""

    secret: str


class KeyListAnswer(Answer):
    object: Literal["list"]
    data: list[KeyAnswer]
    has_more: bool
