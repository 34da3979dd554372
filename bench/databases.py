"""The databases that gateways run on: a SQLite file in a folder, and PostgreSQL from the tests' wheel with durable commits.

A maker takes a folder and gives the URL of a new, empty database. PostgreSQL runs on this machine, so it shares the processors with everything else.
"""

import contextlib
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from tests import postgresql

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
Maker = Callable[[Path], str]
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""The tests' server never waits for the disk; one that keeps money does."""


@contextlib.contextmanager
def makers(*, with_postgresql: bool) -> Iterator[dict[str, Maker]]:
    """By the names in the tables. The server lives as long as the block."""
    found: dict[str, Maker] = {SQLITE: lambda folder: f"sqlite:///{folder}/gateway.db"}
    if not with_postgresql:
        yield found
        return
    with patch.dict(postgresql.SETTINGS, DURABLE), postgresql.running_server() as server:

        def make(_: Path) -> str:
            name = f"bench_{uuid.uuid4().hex}"
            server.execute(f"CREATE DATABASE {name}")
            return server.url(name)

        yield found | {POSTGRESQL: make}


def fsync_p50_ms(folder: Path) -> float:
    """The median of 200 appends of 4 KiB, each followed by fsync, in the folder that the databases lie in."""
    seconds = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began_s)
    return statistics.median(seconds) * 1000
