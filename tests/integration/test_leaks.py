"""Every test here ends with a search for secrets and prompts: what is planted at each place makes the test fail."""

import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.app_office import open_office
from gateway.db.schema import tasks
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.clock import SystemClock
from tests.integration.gateway_app import KEY, OTHER_KEY, PROMPT, SECRET_KEY, House, Settings, serving, write_config

SANDBOX: dict[str, Settings] = {"sandbox": {"kind": "sandbox"}}
Plant = Callable[[House], Awaitable[None]]


async def in_the_log(house: House) -> None:
    logging.getLogger("gateway.somewhere").warning("a caller came", extra={"with": OTHER_KEY})


async def a_prompt_in_the_log(house: House) -> None:
    logging.getLogger("gateway.somewhere").warning("a picture of %s", PROMPT)


async def in_a_file(house: House) -> None:
    folder = house.config.blobs / "att_planted"
    folder.mkdir()
    (folder / "manifest").write_text(PROMPT)


async def in_an_answer(house: House) -> None:
    refused = await house.get(f"/v1/models/{OTHER_KEY}")
    assert OTHER_KEY in refused.body.decode()


async def in_the_metrics(house: House) -> None:
    house.leaks.secret("the name of a metric", "gateway_oldest_hold_age_seconds")


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (in_the_log, "the log"),
        (a_prompt_in_the_log, "the log"),
        (in_a_file, "the file att_planted/manifest"),
        (in_an_answer, "the answer 404 of GET /v1/models"),
        (in_the_metrics, "the metrics"),
    ],
)
async def test_what_is_planted_fails_the_test(tmp_path: Path, sqlite_database: str, plant: Plant, where: str) -> None:
    """The log, the pictures' folder, answers and metrics; the failure names the place."""
    with pytest.raises(AssertionError, match=re.escape(where)):
        async with serving(write_config(tmp_path, sqlite_database, SANDBOX), {}) as house:
            assert (await house.generate("gpt-image-2")).status == 200
            await plant(house)


@pytest.mark.parametrize(("value", "column"), [(KEY, "error_message"), (PROMPT, "request"), (SECRET_KEY, "prompt")])
async def test_what_is_planted_in_a_table_fails_the_test(
    tmp_path: Path, database_url: str, value: str, column: str
) -> None:
    """On both databases: a secret in any column, a prompt in any but its own; what was stored once is looked at by the next start's test."""
    config = write_config(tmp_path, database_url, SANDBOX)
    async with serving(config, {}) as house:
        assert (await house.generate("gpt-image-2")).status == 200
    async with open_office(config, SystemClock(), migrating=database_url.startswith("sqlite")) as office:
        planting = Statement(update(tasks).values({column: value}))
        await office.database.write(Transact(lambda connection, _: connection.execute(planting)))
    with pytest.raises(AssertionError, match=f"tasks.{column}"):
        async with serving(config, {}):
            pass
