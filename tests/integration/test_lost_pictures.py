"""Pictures that were billed and did not come, and pictures that nobody ordered: who pays. Scripted adapters, a real database and real files."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId
from gateway.domain.money import Amount
from gateway.domain.tasks import AttemptState, TaskState
from gateway.pipeline.commands import RecordAttempts
from gateway.upstreams.base import Generated, LinkedImage, RawImage
from tests.books import Gateway, balance, clean, opened
from tests.integration.test_making import PNG, ScriptedAdapter, house_of, made, sending, stored


@pytest.fixture
async def database(sqlite_database: str) -> AsyncIterator[Gateway]:
    database = await opened(sqlite_database)
    yield database
    await database.close()


LOST = RawImage(b"no picture")


@pytest.mark.parametrize(
    ("generated", "paid", "ours", "credits"),
    [
        (Generated((RawImage(PNG),), cost_usd=Decimal("0.02"), withheld=1), 20_000, 10_000, 720_000),
        (Generated((RawImage(PNG),), withheld=1), 40_000, 20_000, 1_440_000),  # by the catalogue
        (Generated((RawImage(PNG), LOST), cost_usd=Decimal("0.02")), 20_000, 10_000, 720_000),
        (Generated((RawImage(PNG), LOST)), 40_000, 20_000, 1_440_000),
        (Generated((RawImage(PNG),), cost_usd=Decimal("0.02")), 20_000, 0, 1_440_000),  # fewer, and nothing lost
    ],
)
async def test_pictures_that_were_billed_and_did_not_come_are_our_loss(
    database: Gateway, tmp_path: Path, generated: Generated, paid: int, ours: int, credits: int
) -> None:
    """Withheld by the upstream or lost on the way: the caller pays for the others' share, the upstream's books have the whole."""
    only = ScriptedAdapter("only", n=(1, 2))
    only.script.append(generated)
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(2, charge_microcredits=None))
    assert (ending.task.state, ending.task.result_count) == (TaskState.COMPLETED, 1)
    assert ending.task.used_microcredits == credits
    assert await balance(database, AccountId("upstream:only")) == (Amount(microusd=paid), Amount())
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(microusd=ours), Amount())
    assert await clean(database)


@pytest.mark.parametrize("recorded", [False, True], ids=["its end unknown", "its end committed"])
async def test_a_loss_is_told_again_after_a_crash(database: Gateway, tmp_path: Path, recorded: bool) -> None:
    """By the manifest: the caller pays as much as without the crash, and the loss is booked once."""
    only = ScriptedAdapter("only", n=(1, 2))
    house = await house_of(database, tmp_path, only)
    attempt = replace(sending(house, "only"), n=2)

    async def fetch(image: LinkedImage) -> bytes:
        raise AssertionError("not linked")

    generated = Generated((RawImage(PNG),), cost_usd=Decimal("0.02"), withheld=1)
    await house.tools.results.store(attempt.id, generated, fetch)
    task = await house.accepted(2, attempts=(attempt,), charge_microcredits=None)
    attempt = replace(attempt, task_id=task.id)
    if recorded:
        ended = replace(
            attempt, state=AttemptState.SUCCEEDED, ended_at_ms=1, cost_microusd=20_000, lost_microusd=10_000, images=1
        )
        await database.write(RecordAttempts(task.id, 1, ended=(ended,)))
        _, [attempt] = await stored(house, task)
    ending = await house.run(task, (attempt,))
    assert ending.task.used_microcredits == 720_000
    assert await balance(database, OURS_ACCOUNT_ID) == (Amount(microusd=10_000), Amount())
    assert await clean(database)


async def test_what_nobody_ordered_is_neither_kept_nor_charged(database: Gateway, tmp_path: Path) -> None:
    """Two asked for, a thousand came: two are looked at, stored and paid for by the catalogue."""
    only = ScriptedAdapter("only", n=(1, 2))
    only.script.append(Generated((*made(2).images, *[LinkedImage("https://example.com/a.png")] * 998)))
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(2, charge_microcredits=None))
    assert (ending.task.result_count, ending.task.used_microcredits) == (2, 2_880_000)
    assert await balance(database, AccountId("upstream:only")) == (Amount(microusd=40_000), Amount())
    assert len([path for path in (tmp_path / "images").rglob("*") if path.is_file() and path.suffix != ".tmp"]) <= 3
