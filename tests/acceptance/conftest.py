"""Gateways as processes. Each is gone when its test ends, however it ends."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.settings import SQLITE

NewGateway = Callable[..., GatewayProcess]


@pytest.fixture
def new_gateway(tmp_path: Path) -> Iterator[NewGateway]:
    """A factory: `new_gateway(config, key=…)` makes one that is not started yet, in a folder of its own or in the one given."""
    with contextlib.ExitStack() as gateways:
        made = 0

        def make(
            config: Mapping[str, object] | Path | None,
            *,
            key: str = "",
            folder: Path | None = None,
            environ: Mapping[str, str] | None = None,
            target: str = GatewayProcess.target,
        ) -> GatewayProcess:
            nonlocal made
            made += 1
            gateway = GatewayProcess(folder or tmp_path / f"gateway{made}", config, key=key, environ=environ)
            gateway.target = target
            gateways.callback(gateway.stop)
            return gateway

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Where a gateway under test keeps its books; PostgreSQL's is migrated."""
    if request.param == "sqlite":
        return SQLITE
    url: str = request.getfixturevalue("postgresql_database")
    return url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: they mostly wait, and begun last they would be waited for alone."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
