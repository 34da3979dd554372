"""Where the shared state is: what `state` in the config means. Opens nothing, so that the config can read it at once."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

MEMORY = "memory"
PORT = 6379
ALLOWED = "write memory, redis://host:6379/0, rediss://user:password@host:6379/0 (TLS) or unix:///path/to/socket"

_SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
"""Whether it is TLS."""


@dataclass(frozen=True, slots=True)
class StateAddress:
    """A server, by host and port or by its socket, and a database on it."""

    host: str = ""
    port: int = PORT
    socket: str = ""
    """Of a Unix socket; then there is no host."""
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    """Whom to trust in place of the system's authorities."""

    def __str__(self) -> str:
        """For logs, without any secret."""
        if self.socket:
            return f"unix://{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"


def parse_state(text: str) -> StateAddress | None:
    """None: the memory of each process. Raises ValueError with what is allowed, and without the text, which may hold a password."""
    if text == MEMORY:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError as exc:
        raise ValueError(ALLOWED) from exc
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    if user is not None and password is None:
        raise ValueError(
            "a user needs a password: redis://user:password@host:6379/0, or redis://:password@host:6379/0 without a user"
        )
    if parts.scheme == "unix" and not parts.hostname and len(parts.path) > 1:
        _only(options, "db")
        number = options.get("db", "0")
        return StateAddress(socket=unquote(parts.path), database=_database(number), user=user, password=password)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.fragment:
        raise ValueError(ALLOWED)
    tls = _SCHEMES[parts.scheme]
    _only(options, *(("ca_file",) if tls else ()))
    ca_file = options.get("ca_file")
    if ca_file is not None and not Path(ca_file).is_file():
        raise ValueError(f"there is no file {ca_file}; ca_file is a bundle of PEM certificates")
    number = parts.path.strip("/") or "0"
    return StateAddress(parts.hostname, port or PORT, "", _database(number), user, password, tls, ca_file)


def _database(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError("the database is a number, as in redis://host:6379/0")
    return int(text)


def _only(options: dict[str, str], *allowed: str) -> None:
    for name in options:
        if name not in allowed:
            known = f"; there is {', '.join(allowed)}" if allowed else ""
            raise ValueError(f"{name} is no option of this address{known}")
