"""A database as an earlier version left it: for the tests of migrations."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.db import migrate as migrations
from gateway.db.url import DatabaseUrl, Dialect

T = TypeVar("T")


def upgrade_to(connection: sa.Connection, revision: str) -> None:
    """The schema of that revision, from nothing or from an earlier one. On PostgreSQL outside of a transaction, as a migration is."""
    if connection.dialect.name == "postgresql":
        connection.commit()
    config = migrations.alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def run_on(url: DatabaseUrl, work: Callable[[sa.Connection], T]) -> T:
    """In a transaction of its own, with SQLAlchemy, on either database."""
    if url.dialect is Dialect.SQLITE:
        engine = sa.create_engine(f"sqlite:///{url.path}")
        try:
            with engine.begin() as connection:
                return work(connection)
        finally:
            engine.dispose()
    other = create_async_engine(migrations._async_url(url.text))
    try:
        async with other.connect() as asynchronous:
            found = await asynchronous.run_sync(work)
            await asynchronous.commit()
            return found
    finally:
        await other.dispose()
