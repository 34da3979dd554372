"""Steps that take away what a version before needed: a phase of their own, after its last process has gone.

The step is planted: so far no version has one.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway.db import migrate as migrations
from gateway.db.migrate import APPLICATION, MigrationFailed, Phase, migrate
from gateway.db.url import DatabaseUrl, parse_database_url

_STEP = '''"""Planted.

Revision ID: {number}
"""

from alembic import op

revision = "{number}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE planted (id INTEGER)")
'''


def _forget() -> None:
    migrations.newest_revision.cache_clear()
    migrations._steps.cache_clear()


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """This version with one more step, which takes away: what its code needs, and the step."""
    needed = migrations.newest_revision()
    number = f"{int(needed) + 1:04d}"
    folder = tmp_path / "migrations"
    shutil.copytree(migrations._FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    step = folder / "versions" / f"{number}_contract_planted.py"
    step.write_text(_STEP.format(number=number, before=needed), encoding="utf-8")
    monkeypatch.setattr(migrations, "_FOLDER", folder)
    _forget()
    yield needed, number
    monkeypatch.undo()
    _forget()


async def _fits_a_version_that_needs(url: DatabaseUrl, revision: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a version without the step, and with this one as its newest, starts."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "newest_revision", lambda: revision)
        patch.setattr(migrations, "needed_revision", lambda: revision)
        return await migrations.fits_postgresql(url)


async def test_contract_waits_until_no_process_of_a_version_before_is_connected(
    empty_postgresql_database: str, planted: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expanding stops before the step; the code works before and after it; the version before does until it is done, and is refused then."""
    needed, number = planted
    url = parse_database_url(empty_postgresql_database)
    monkeypatch.setattr(migrations, "_LEAVING_PAUSE_S", 0.01)
    with pytest.raises(MigrationFailed, match=r"the schema is at nothing: run `gateway migrate` first"):
        await migrate(url, Phase.CONTRACT)
    assert await migrate(url) == (None, needed)
    assert await migrations.fits_postgresql(url)
    assert await _fits_a_version_that_needs(url, migrations.WORKS_FROM, monkeypatch)

    older = await asyncpg.connect(
        url.text, server_settings={"application_name": f"{APPLICATION}{migrations.WORKS_FROM}"}
    )
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_LEAVING_TRIES", 2)
        with pytest.raises(MigrationFailed, match=r"still connected \(1 sessions\)"):
            await migrate(url, Phase.CONTRACT)
    same = await asyncpg.connect(url.text, server_settings={"application_name": f"{APPLICATION}{needed}"})
    contracting = asyncio.ensure_future(migrate(url, Phase.CONTRACT))
    await asyncio.wait({contracting}, timeout=0.3)
    assert not contracting.done()
    await older.close()
    assert await contracting == (needed, number)
    await same.close()

    assert await migrations.fits_postgresql(url)
    assert not await _fits_a_version_that_needs(url, migrations.WORKS_FROM, monkeypatch)
    assert await migrate(url) == (number, number)
    assert await migrate(url, Phase.CONTRACT) == (number, number)
    assert not await _fits_a_version_that_needs(url, migrations.WORKS_FROM, monkeypatch)


async def test_sqlite_does_both_at_once(empty_sqlite_database: str, planted: tuple[str, str]) -> None:
    """It belongs to one process, which is the newest."""
    url = parse_database_url(empty_sqlite_database)
    assert await migrate(url) == (None, planted[1])


async def test_contract_does_nothing_where_there_is_nothing_to_take_away(postgresql_database: str) -> None:
    """This version has no such step."""
    newest = migrations.newest_revision()
    assert await migrate(parse_database_url(postgresql_database), Phase.CONTRACT) == (newest, newest)
