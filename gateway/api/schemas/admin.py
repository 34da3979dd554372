"""Bodies and answers of the admin routes. Bodies are checked with these; answers are described, and tests hold the handlers to them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.api.schemas.answers import Answer
from gateway.domain.administrators import Scope


class AdminBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        """PostgreSQL has no such text."""
        if isinstance(value, str) and "\0" in value:
            raise ValueError("has a NUL character; leave it out")
        return value


Name = Annotated[str, Field(min_length=1, max_length=64)]


class AdminTokenBody(AdminBody):
    name: Name
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    org: Name | None = None
    """The only org that exists for this token; none: all."""
    expires_at_ms: int | None = Field(None, ge=0, le=2**53)
    """At most its maker's, which is also what it is where it is absent."""


class AdminTokenAnswer(Answer):
    id: str
    name: str
    display: str
    scopes: list[Scope]
    org: str | None
    created_at_ms: int
    expires_at_ms: int | None
    disabled_at_ms: int | None
    used_at_ms: int | None


class AdminTokenIssued(AdminTokenAnswer):
    """`secret` is shown this once."""

    secret: str


class AdminTokenListAnswer(Answer):
    object: Literal["list"]
    data: list[AdminTokenAnswer]


class AuditLineAnswer(Answer):
    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    org: str | None
    details: dict[str, str | int | bool | list[str] | None]


class AuditLogAnswer(Answer):
    object: Literal["list"]
    data: list[AuditLineAnswer]
    has_more: bool
