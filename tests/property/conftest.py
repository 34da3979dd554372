"""The databases that the state machines drive, closed when their test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.property.ledgers import PostgresqlLedger, SqliteLedger


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def postgresql(postgresql_database: str) -> Iterator[PostgresqlLedger]:
    ledger = PostgresqlLedger(postgresql_database)
    yield ledger
    ledger.close()
