"""Six upstreams that fail in turns under fifty callers: who is served, who is told that nobody knows, who made it, and that the bills agree."""

import asyncio
import os
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from gateway.domain.clock import SystemClock
from gateway.routing.health import Circuits
from tests.emulators.base import Emulator
from tests.integration.gateway_app import KEY, House, dict_of, list_of, serving, write_config
from tests.integration.upstream_sections import SECTIONS, a_section, an_offer
from tests.integration.weather import Weather
from tests.proofs import Proof

SEED = 20261126
SOAK = os.environ.get("SOAK") == "1"
SECONDS = 300 if SOAK else 30
DATABASES = ("sqlite_database", "postgresql_database") if SOAK else ("sqlite_database",)
CALLERS, BATCH = 50, 20
NAMES = ("fal", "replicate", "openai", "evolink", "gemini", "azure")
"""Cheapest first."""
MISSED_SHARE_MAX = 0.001

Json = dict[str, object]


@dataclass(slots=True)
class Outcome:
    """One call as its caller saw it, and the task as it ended; no task where the call was not accepted."""

    prompt: str
    status: int
    code: object
    task_id: str | None
    task: Json = field(default_factory=dict)

    @property
    def routing(self) -> Mapping[str, object]:
        return dict_of(self.task, "routing")

    @property
    def attempts(self) -> list[Json]:
        return list_of(self.routing, "attempts") if self.task else []

    @property
    def in_doubt(self) -> list[str]:
        """Upstreams of which nobody knows whether they were paid."""
        return [str(attempt["upstream"]) for attempt in self.attempts if attempt["billed"] == "unknown"]

    @property
    def served(self) -> bool:
        return self.status == 200


@pytest_asyncio.fixture
async def emulators() -> AsyncIterator[dict[str, Emulator]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(SECTIONS[name].make()) for name in NAMES}


PassedOver = Mapping[str, list[int]]
"""When an offer was asked for and its circuit was open, by upstream, in ms since the epoch."""


@pytest.fixture
def passed_over(monkeypatch: pytest.MonkeyPatch) -> PassedOver:
    seen: defaultdict[str, list[int]] = defaultdict(list)
    genuine = Circuits.allows

    def allows(self: Circuits, offer_id: str) -> bool:
        verdict = genuine(self, offer_id)
        if not verdict:
            seen[offer_id.partition("/")[0]].append(SystemClock().now_ms())
        return verdict

    monkeypatch.setattr(Circuits, "allows", allows)
    return seen


@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.parametrize("database", DATABASES)
async def test_upstreams_that_fail_in_turns(
    database: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    emulators: dict[str, Emulator],
    passed_over: PassedOver,
    proof: Proof,
) -> None:
    """Every call whose faults cost nothing is served; every other one ends as outcome_unknown with one bill at most; all in the order of the plan."""
    config = write_config(
        tmp_path,
        request.getfixturevalue(database),
        {
            name: a_section(name, emulator, timeout="1500ms", connect_timeout="1s", concurrency=64)
            for name, emulator in emulators.items()
        },
        models={"poster": _poster()},
    )
    weather = Weather(emulators, random.Random(SEED))
    async with serving(config, emulators) as house:
        outcomes = await _storm(house, weather)
        accepted = [outcome for outcome in outcomes if outcome.task_id is not None]
        for some in (accepted[at : at + BATCH] for at in range(0, len(accepted), BATCH)):
            await asyncio.gather(*(_look_up(house, outcome) for outcome in some))
        for outcome in outcomes:
            _tell_doubt(house, emulators, outcome)
    missed = [outcome for outcome in outcomes if not outcome.served and not outcome.in_doubt]
    doubtful = [outcome for outcome in outcomes if not outcome.served and outcome.in_doubt]
    free = len(outcomes) - len(doubtful)
    failed_over = sum(len(outcome.attempts) > 1 for outcome in outcomes)
    kinds = len({kind for _, kind in weather.spells})
    proof(
        "chaos",
        f"{SECONDS} s, seed {SEED}, {sum(weather.spells.values())} spells of {kinds} kinds: {len(outcomes)} calls, {failed_over} failed over, "
        f"{len(doubtful)} in doubt; of the {free} others {free - len(missed)} were served",
    )
    assert len(missed) <= free * MISSED_SHARE_MAX, [
        (outcome.status, outcome.code, outcome.attempts) for outcome in missed[:5]
    ]
    assert len({name for name, _ in weather.spells}) >= (len(NAMES) if SOAK else 4)
    assert failed_over >= 20
    for outcome in doubtful:
        assert outcome.code == "outcome_unknown", outcome
        assert _pictures_billed(emulators, outcome.prompt) <= 1, outcome
    for outcome in outcomes:
        if outcome.task:
            _check_order(outcome, passed_over)


def _poster() -> Json:
    return {
        "prompt_tokens_max": 1000,
        "sizes": ["1024x1024"],
        "n": {"max": 4},
        "estimated_time": 5,
        "offers": [an_offer(name) for name in NAMES],
    }


async def _storm(house: House, weather: Weather) -> list[Outcome]:
    """Calls without a pause between, for SECONDS."""
    outcomes: list[Outcome] = []
    ends_s = asyncio.get_running_loop().time() + SECONDS
    numbers = count()

    async def caller() -> None:
        while asyncio.get_running_loop().time() < ends_s:
            outcomes.append(await _call(house, f"a red fox number {next(numbers)} in fresh snow"))

    falling_ill = asyncio.create_task(weather.run())
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    falling_ill.cancel()
    with suppress(asyncio.CancelledError):
        await falling_ill
    return outcomes


async def _call(house: House, prompt: str) -> Outcome:
    """A call that waits."""
    body = orjson.dumps({"model": "poster", "prompt": prompt, "response_format": "url"})
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with house.http.post(f"{house.base_url}/images/generations", data=body, headers=headers) as response:
        answer, task_id = orjson.loads(await response.read()), response.headers.get("X-Task-Id")
    code = answer["error"]["code"] if "error" in answer else None
    return Outcome(prompt, response.status, code, task_id)


async def _look_up(house: House, outcome: Outcome) -> None:
    assert outcome.task_id is not None
    outcome.task = await house.ended(outcome.task_id)


def _tell_doubt(house: House, emulators: Mapping[str, Emulator], outcome: Outcome) -> None:
    """What was billed for attempts in doubt, for the check of the books."""
    for name in outcome.in_doubt:
        billed = sum((bill.microusd for bill in emulators[name].bills if bill.prompt == outcome.prompt), Decimal(0))
        house.doubt_billed[name] = house.doubt_billed.get(name, Decimal(0)) + billed


def _pictures_billed(emulators: Mapping[str, Emulator], prompt: str) -> int:
    return sum(bill.images for emulator in emulators.values() for bill in emulator.bills if bill.prompt == prompt)


def _check_order(outcome: Outcome, passed_over: PassedOver) -> None:
    """The attempts went down the plan by price, past no offer whose circuit was closed."""
    offers = list_of(outcome.routing, "offers")
    open_offers = [offer for offer in offers if offer["skipped"] is None]
    prices = [(offer["expected_usd"], offer["most_usd"]) for offer in open_offers]
    assert prices == sorted(prices)
    for offer in offers:
        assert offer["skipped"] is None or dict_of(offer, "skipped")["reason"] == "circuit_open", offer
    rest = iter([str(offer["upstream"]) for offer in open_offers])
    since_ms = int(str(outcome.task["created"])) * 1000
    for attempt in outcome.attempts:
        sent_ms = int(str(attempt["sent_at_ms"]))
        for name in rest:
            if name == attempt["upstream"]:
                break
            times = passed_over.get(name, [])
            assert bisect_left(times, since_ms) < bisect_right(times, sent_ms), (
                f"{name} was passed over: {outcome.routing}"
            )
        else:
            raise AssertionError(f"not in the order of the plan: {outcome.routing}")
        since_ms = sent_ms
