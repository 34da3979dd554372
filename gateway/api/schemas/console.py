"""Body and answer of the console's sign-in."""

from pydantic import Field

from gateway.api.schemas.admin import AdminBody
from gateway.api.schemas.answers import Answer
from gateway.domain.administrators import Scope


class SessionBody(AdminBody):
    secret: str = Field(min_length=1, max_length=512)
    """An admin token or an API key; which of the two is found out."""


class SessionAdministrator(Answer):
    name: str
    """As the audit log has it: `token:NAME`, `token:ORG/NAME`."""
    scopes: list[Scope]
    org: str | None
    """The only org that exists for this administrator; null: all."""


class SessionKey(Answer):
    id: str
    name: str
    org: str
    team: str | None
    display: str
    """Its first characters."""


class SessionAnswer(Answer):
    signed_in: bool
    csrf: str | None
    """What requests that change something must send in the header X-CSRF-Token. Another one after each sign-in."""
    expires_at_ms: int | None
    """When the session ends, unless it goes on being used."""
    administrator: SessionAdministrator | None
    key: SessionKey | None
    version: str
    public_url: str
