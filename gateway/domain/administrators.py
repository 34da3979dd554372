"""Who administers a gateway: by command, by the config, or by HTTP with an admin token."""

from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """What an admin token may do. Each is granted by itself; everything that changes something needs KEYS or MONEY."""

    READ = "read"  # see everything
    KEYS = "keys"  # make, change, rotate and revoke keys
    MONEY = "money"  # accounts with their budgets and limits, grants, what is in doubt, erasing


@dataclass(frozen=True, slots=True)
class Administrator:
    """Whoever a change is done by. `org`: the only one that exists for this administrator; None: all."""

    name: str
    """As the audit log shows it: `command`, `config`, `token:NAME`, `token:ORG/NAME` of an org's token."""
    scopes: frozenset[Scope]
    org: str | None = None
    expires_at_ms: int | None = None
    """When the token ends; None: it does not."""

    def sees(self, org: str | None) -> bool:
        """Whether an org's things exist for this administrator; None: the gateway's own things."""
        return self.org is None or self.org == org


COMMAND = Administrator("command", frozenset(Scope))
"""Who may open the control socket or the database may do everything."""
CONFIG = Administrator("config", frozenset(Scope))


@dataclass(frozen=True, slots=True)
class AdminToken:
    """One admin token as it is stored: never its secret."""

    id: str
    name: str
    digest: str = field(repr=False)
    display: str
    scopes: frozenset[Scope]
    org: str | None
    created_at_ms: int
    expires_at_ms: int | None = None
    disabled_at_ms: int | None = None
    used_at_ms: int | None = None
