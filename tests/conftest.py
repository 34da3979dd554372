"""What every test may use: a tripwire against the network, databases, and the official clients' environments."""

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.db.migrate import migrate
from gateway.db.url import parse_database_url
from gateway.state import valkey as valkey_module
from tests import tripwire
from tests.postgresql import PostgresqlServer, running_server
from tests.valkey import ValkeyServer, valkey_server

# An S3 server: s3. Emulated upstreams: openai_emulator, evolink_emulator, emulator_process.
# Figures that are printed at the end: proof, and the crash matrix in sum. Without fixtures: heap, syntax_trees.
pytest_plugins = [
    "tests.groups",
    "tests.heap",
    "tests.syntax_trees",
    "tests.emulators.fixtures",
    "tests.buckets",
    "tests.proofs",
    "tests.acceptance.crash_report",
]

# The same examples on every run and every machine: a red build means a change, not bad luck. No deadline: a time-out is
# pytest's business, and a loaded machine is slow.
settings.register_profile(
    "seeded", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("seeded")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every socket that would leave this machine."""
    with pytest.MonkeyPatch.context() as patch:
        tripwire.install(patch)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server a test process (pytest-xdist: one a worker), started by the first test that needs it."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """The address of the server's own `postgres` database, for tests that create databases themselves."""
    return postgresql_server.url()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """The name of a database of this version's schema without any row, to be copied: a copy is made in a fifth of a migration's time."""
    postgresql_server.execute("CREATE DATABASE migrated STRATEGY file_copy")
    _migrate(postgresql_server.url("migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # the loop of an asynchronous test that comes to need it is not ours to run
        thread.submit(asyncio.run, migrate(parse_database_url(url))).result()


@pytest.fixture
def postgresql_database(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> Iterator[str]:
    """The address of a migrated database of the test's own; dropped afterwards, whoever is still connected."""
    with _new_postgresql(postgresql_server, migrated_postgresql) as url:
        yield url


@pytest.fixture
def empty_postgresql_database(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The same without any table, for tests of migrations."""
    with _new_postgresql(postgresql_server, "template0") as url:
        yield url


@contextmanager
def _new_postgresql(server: PostgresqlServer, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    """One server a test process; `valkey` is how a test gets it."""
    with valkey_server() as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> ValkeyServer:
    """An empty server, shared with the tests before and after. Who stops or pauses one takes `own_valkey`.

    Gateways in the test's process wait for it longer than in production: one that gets no processor for 0.2 s is not down, and all would count alone.
    """
    monkeypatch.setattr(valkey_module, "WAIT_S", 30.0)
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server of the test's own, to be stopped, paused and started again."""
    with valkey_server() as server:
        yield server


@pytest.fixture
def sqlite_database(empty_sqlite_database: str, migrated_sqlite: Path) -> str:
    """The address of a migrated SQLite file of the test's own."""
    shutil.copy(migrated_sqlite, empty_sqlite_database.removeprefix("sqlite:///"))
    return empty_sqlite_database


@pytest.fixture
def empty_sqlite_database(tmp_path: Path) -> str:
    """The address of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'gateway.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each kind without any row: a test that takes this runs twice."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The same without any table."""
    url: str = request.getfixturevalue(f"empty_{request.param}_database")
    return url


@pytest.fixture(params=["openai-1", "openai-2", "openai-3"])
def client_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with one major version of an official client (requirements/client-*.txt)."""
    return client_environment(request.param)


@pytest.fixture
def vendors_python() -> Path:
    """The interpreter of the environment that has the vendors' own SDKs (requirements/client-vendors.txt)."""
    return client_environment("vendors")


def client_environment(name: str) -> Path:
    """The interpreter of one environment; the test fails where nobody made it."""
    python = Path(__file__).parents[1] / f".venv-clients/{name}/bin/python"
    if not python.exists():
        pytest.fail(f"{python} is missing: `make test` makes it before it starts pytest")
    return python
