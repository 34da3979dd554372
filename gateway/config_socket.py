"""Where a config's gateway listens for commands and calls, without the rest of the config: who runs is asked at once, and answers for what runs.

Fails with nothing: what cannot be read here is for `config.load` to complain about.
"""

import os
from pathlib import Path

from gateway.config_text import Problems, read_file
from gateway.db.url import parse_database_url

DEFAULT_DATABASE = "sqlite:///var/gateway.db"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Who listens on all addresses of a family is asked on its loopback."""


def default_path(folder: Path) -> Path | None:
    """`config/gateway.yaml` below a folder, where there is one: what `serve` uses without --config."""
    path = folder / "config" / "gateway.yaml"
    return path if path.is_file() else None


def control_socket(path: Path | None) -> Path | None:
    """The socket beside the config's database, whether or not anybody listens. None: PostgreSQL, or not to be told."""
    problems = Problems()
    given = {} if path is None else read_file(path, os.environ, problems, "file")
    database = given.get("database") or DEFAULT_DATABASE
    if not isinstance(database, str) or {"file", "database"} & problems.found.keys():
        return None
    try:
        return parse_database_url(database).control_socket
    except ValueError:
        return None


def served_at(path: Path | None) -> tuple[str, int]:
    """Host and port on which a gateway with this config is asked from the same machine; the defaults where they are not to be read."""
    given = {} if path is None else read_file(path, os.environ, Problems(), "file")
    server = given.get("server")
    section = server if isinstance(server, dict) else {}
    try:
        port = int(str(section.get("port", DEFAULT_PORT)))
    except ValueError:
        port = DEFAULT_PORT
    host = str(section.get("host") or DEFAULT_HOST)
    return ANY_ADDRESS.get(host, host), port
