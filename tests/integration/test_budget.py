"""A budget cannot be overspent: two hundred calls at once on a key that can pay for twenty, in credits and in pictures.

In USD, at many prices, through processes: tests/acceptance/test_one_dollar.py.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.conftest import Market
from tests.integration.gateway_app import (
    OTHER_KEY,
    Answer,
    Fields,
    accounts,
    dict_of,
    evolink_upstream,
    list_of,
    openai_upstream,
    serving,
    write_config,
)

pytestmark = pytest.mark.usefixtures("whole_stack")

CALLS, AFFORDABLE = 200, 20


@dataclass(frozen=True, slots=True)
class Case:
    """A budget for twenty calls, the call, and how the contract says that there is no more."""

    budget: str
    model: str
    refusal: int
    estimated_credits: float
    in_words: str


# One square of gpt-image-2 at low quality holds 196 tokens at 30 and 6 at 5 USD a million: 0.00591 USD, 0.42552 credits.
CASES = {
    "credits, tasks": Case("30credits/total", "gpt-4o-image", 402, 1.5, "30credits/total"),
    "images, pictures": Case("20images/total", "gpt-image-2", 429, 0.42552, "20images/total"),
}


@pytest.mark.parametrize("name", CASES)
async def test_exactly_what_the_budget_pays_for_succeeds(
    name: str,
    database_url: str,
    tmp_path: Path,
    openai_emulator: OpenAIEmulator,
    evolink_emulator: EvolinkEmulator,
) -> None:
    """Of two hundred concurrent calls exactly twenty succeed and are billed; the others are told how much is left, and what they need."""
    case = CASES[name]
    emulators = {"openai": openai_emulator, "evolink": evolink_emulator}
    upstreams = {"openai": openai_upstream(openai_emulator), "evolink": evolink_upstream(evolink_emulator)}
    # EvoLink would be a little cheaper for this square, so gpt-image-2 is left to OpenAI alone.
    models = {
        "gpt-image-2": {"offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}]}
    }
    config = write_config(tmp_path, database_url, upstreams, models=models, accounts=accounts(case.budget))
    wish: Fields = (
        {} if case.model == "gpt-4o-image" else {"size": "1024x1024", "quality": "low", "response_format": "url"}
    )
    async with serving(config, emulators) as house:
        answers = await asyncio.gather(*[house.generate(case.model, **wish) for _ in range(CALLS)])
        if case.refusal == 402:
            await asyncio.gather(*[house.ended(answer.text("id")) for answer in answers if answer.status == 200])
        after = await house.generate(case.model, **wish)
        other = await house.generate("gpt-image-2", key=OTHER_KEY, size="1024x1024", quality="low")
    assert Counter(answer.status for answer in answers) == {200: AFFORDABLE, case.refusal: CALLS - AFFORDABLE}
    assert (after.status, other.status) == (case.refusal, 200)
    for answer in (*[answer for answer in answers if answer.status != 200], after):
        _is_helpful(answer, case)
    billed = openai_emulator.billed_images + evolink_emulator.billed_images
    assert billed == AFFORDABLE + 1, "twenty, and the picture of the other key"
    assert float(house.settled.charged()) == pytest.approx(AFFORDABLE * case.estimated_credits, abs=1e-5)


def _is_helpful(answer: Answer, case: Case) -> None:
    error = answer.error
    assert (error["code"], error["limit_scope"]) == ("insufficient_quota", "key")
    assert error["type"] == ("insufficient_quota_error" if case.refusal == 402 else "insufficient_quota")
    assert error["estimated_credits"] == pytest.approx(case.estimated_credits, abs=1e-5)
    left = error["remaining_credits"]
    assert isinstance(left, int | float)
    assert left < case.estimated_credits
    assert case.in_words in str(error["message"])
    assert answer.headers["x-should-retry"] == "false"


async def test_what_was_not_delivered_can_be_spent_again(
    sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """A failed task gives its hold back: the same budget then pays for another picture, and not for a second."""
    evolink_emulator.next(b.FailTask())
    upstreams = {"evolink": evolink_upstream(evolink_emulator)}
    config = write_config(tmp_path, sqlite_database, upstreams, accounts=accounts("1.5credits/total"))
    async with serving(config, {"evolink": evolink_emulator}) as house:
        first = await house.ended((await house.generate("gpt-4o-image")).text("id"))
        second = await house.ended((await house.generate("gpt-4o-image")).text("id"))
        third = await house.generate("gpt-4o-image")
        credits = (await house.get("/v1/credits")).json
    assert (first["status"], second["status"], third.status) == ("failed", "completed", 402)
    assert dict_of(first, "usage")["credits_used"] == 0
    assert dict_of(credits, "data", "token") == {
        "remaining_credits": 0,
        "unlimited_credits": False,
        "used_credits": 1.5,
    }


async def test_a_small_budget_leaves_the_dear_offers_out(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """What is left pays for the cheapest upstream only: it serves, and where it fails nobody dearer is asked, however able."""
    config = write_config(
        tmp_path, sqlite_database, market.upstreams(), models=market.models(), accounts=accounts("0.05usd/total")
    )
    async with serving(config, market.emulators) as house:
        first = await house.generate("poster")
        market["cheap"].next(b.Error())
        second = await house.generate("poster")
        task = await house.ended(second.headers["X-Task-Id"])
    assert (first.status, second.status) == (200, 502)
    assert second.error["code"] == "upstream_failed"
    assert [attempt["upstream"] for attempt in list_of(task, "attempts")] == ["cheap"]
    assert market.served == {"cheap": 2, "middle": 0, "dear": 0}
    assert float(house.settled.charged()) == 1.44
