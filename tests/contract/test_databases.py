"""The databases that the other tests stand on."""

import sqlite3
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select

from gateway.db.migrate import migrate, newest_revision
from gateway.db.schema import tasks
from gateway.db.statements import Statement
from gateway.db.url import parse_database_url
from tests.books import opened
from tests.postgresql import PostgresqlServer


async def test_a_fresh_postgresql_database_is_empty_and_ours(empty_postgresql_database: str) -> None:
    """Each test has a database of its own on PostgreSQL 18, and may leave whatever it likes in it."""
    connection = await asyncpg.connect(empty_postgresql_database)
    assert (await connection.fetchval("SHOW server_version")).startswith("18")
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.execute("CREATE TABLE left_behind (x int)")
    await connection.close()


@pytest.mark.parametrize("round_number", [1, 2])
async def test_nothing_is_left_of_earlier_tests(
    empty_postgresql_database: str, postgresql_server: PostgresqlServer, round_number: int
) -> None:
    """Only this test's database exists, even when a connection to an earlier one was still open."""
    names = postgresql_server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_%'").split()
    assert names == [empty_postgresql_database.rpartition("/")[2]], round_number


async def test_a_migrated_database_is_a_fresh_one(database_url: str) -> None:
    """Of this version's schema, without a row, and the next test's is without what this one leaves."""
    assert await migrate(parse_database_url(database_url)) == (newest_revision(), newest_revision())
    database = await opened(database_url)
    assert await database.read(lambda connection: connection.fetch(Statement(select(tasks.c.id)))) == []
    await database.close()


def test_a_database_url_names_its_kind(empty_database_url: str) -> None:
    """The parametrised address is one of the two forms that the configuration accepts."""
    if empty_database_url.startswith("sqlite:///"):
        path = Path(empty_database_url.removeprefix("sqlite:///"))
        assert path.is_absolute()
        sqlite3.connect(path).close()
    else:
        assert empty_database_url.startswith("postgresql://postgres@127.0.0.1:")
