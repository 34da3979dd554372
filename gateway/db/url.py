"""Which database a URL means. Knows no driver and no SQL, so that the config and commands can read one at once."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_SQLITE_PREFIX = "sqlite:///"


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A checked database URL: `sqlite:///path` (relative to the working folder unless it starts with another /) or `postgresql://…`."""

    text: str
    dialect: Dialect

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.text.removeprefix(_SQLITE_PREFIX))

    @property
    def control_socket(self) -> Path | None:
        """Where commands reach a running embedded gateway. With PostgreSQL they go to the database itself."""
        return self.path.with_name("gateway.sock") if self.dialect is Dialect.SQLITE else None


def parse_database_url(text: str) -> DatabaseUrl:
    """Raises ValueError with what is allowed."""
    if text.startswith(_SQLITE_PREFIX) and len(text) > len(_SQLITE_PREFIX):
        return DatabaseUrl(text, Dialect.SQLITE)
    if text.startswith(("postgresql://", "postgres://")):
        return DatabaseUrl(text, Dialect.POSTGRESQL)
    raise ValueError("write sqlite:///var/gateway.db or postgresql://user:password@host/database")
