"""Three upstreams at three prices: who serves when the cheapest cannot, when doubt stops a call, and that the bills agree with the ledger."""

import asyncio
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import Config
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.conftest import Market
from tests.integration.gateway_app import (
    PROMPT,
    Answer,
    Fields,
    dict_of,
    evolink_upstream,
    list_of,
    openai_upstream,
    serving,
    write_config,
)

pytestmark = pytest.mark.usefixtures("whole_stack")

DALL_E_2 = Decimal(20_000)
"""Micro-USD of one picture at the cheapest upstream."""

# Each says what the cheapest upstream does; nothing is billed by it, so the next cheapest must serve at once.
UNBILLED: Mapping[str, b.Behaviour] = {
    "500 with an error body": b.Error(),
    "503 overloaded": b.Overloaded(),
    "429 rate limit": b.RateLimit(retry_after="7"),
    "429 out of money": b.OutOfMoney(),
    "401 wrong key": b.Error(status=401, code="invalid_api_key", message="Incorrect API key provided."),
}
# Nobody can say whether a picture was made; the emulator knows.
UNKNOWN: Mapping[str, b.Behaviour] = {
    "no answer, billed": b.Hang(bills=True),
    "no answer, not billed": b.Hang(),
    "reset after reading, billed": b.Reset(bills=True),
    "reset after reading, not billed": b.Reset(),
    "a proxy's 502 page, billed": b.HtmlError(bills=True),
    "a proxy's 502 page, not billed": b.HtmlError(),
    "half an answer": b.Truncated(),
}


def poster_config(folder: Path, database: str, market: Market, **upstreams: object) -> Config:
    return write_config(folder, database, market.upstreams(**upstreams), models=market.models())


def impatient_config(folder: Path, database: str, market: Market, **upstreams: object) -> Config:
    """With half a second for the cheapest, which is the one that keeps silent: the others answer, on a slow machine too."""
    sections = market.upstreams(**upstreams)
    sections["cheap"]["timeout"] = "500ms"
    return write_config(folder, database, sections, models=market.models())


def cheapest_billed(behaviour: b.Behaviour) -> Decimal:
    billed = isinstance(behaviour, b.Truncated) or bool(getattr(behaviour, "bills", False))
    return DALL_E_2 if billed else Decimal(0)


def upstreams_of(task: Mapping[str, object]) -> list[tuple[object, object]]:
    """Upstream and fault of every attempt, in order."""
    return [(attempt["upstream"], attempt["fault"]) for attempt in list_of(task, "attempts")]


async def test_the_cheapest_serves(database_url: str, tmp_path: Path, market: Market) -> None:
    """While all is well only the cheapest upstream is asked, whatever the order in the catalogue, and the caller pays its price."""
    async with serving(poster_config(tmp_path, database_url, market), market.emulators) as house:
        answers = await asyncio.gather(*[house.generate("poster") for _ in range(5)])
    assert [answer.status for answer in answers] == [200] * 5
    assert {answer.headers["X-Upstream"] for answer in answers} == {"cheap"}
    assert market.served == {"cheap": 5, "middle": 0, "dear": 0}
    assert house.settled.charged() == 5 * Decimal("0.02") * 72


@pytest.mark.parametrize("case", UNBILLED)
async def test_what_cost_nothing_goes_to_the_next_cheapest(
    case: str, sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """An upstream that says no without billing is passed over: the caller gets the picture of the next cheapest, at that one's price."""
    market["cheap"].always(UNBILLED[case])
    async with serving(poster_config(tmp_path, sqlite_database, market), market.emulators) as house:
        answer = await house.generate("poster")
        task = await house.ended(answer.headers["X-Task-Id"])
    assert answer.status == 200, answer.body
    assert answer.headers["X-Upstream"] == "middle"
    assert market.served == {"cheap": 1, "middle": 1, "dear": 0}
    assert [upstream for upstream, _ in upstreams_of(task)] == ["cheap", "middle"]
    assert house.settled.charged() == Decimal("0.04") * 72
    assert house.settled.lost_microusd == 0


async def test_refused_connections_go_down_the_whole_list(database_url: str, tmp_path: Path, market: Market) -> None:
    """With the two cheapest switched off the dearest serves; with all three off the answer is a 503 that says when to come back."""
    async with serving(poster_config(tmp_path, database_url, market), market.emulators) as house:
        await market["cheap"].refuse_connections()
        await market["middle"].refuse_connections()
        answer = await house.generate("poster")
        task = await house.ended(answer.headers["X-Task-Id"])
        await market["dear"].refuse_connections()
        refused = await house.generate("poster")
        await market["cheap"].accept_connections()
        again = await house.generate("poster")
    assert answer.status == 200
    assert upstreams_of(task) == [("cheap", "unreachable"), ("middle", "unreachable"), ("dear", None)]
    assert (refused.status, refused.error["code"]) == (503, "all_upstreams_unavailable")
    assert 0 < int(refused.headers["Retry-After"]) <= 59
    assert again.headers["X-Upstream"] == "cheap"


@pytest.mark.parametrize("case", UNKNOWN)
async def test_doubt_stops_the_call(case: str, sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """After a try that may have been billed nothing else is sent: the caller is told, not charged, and the presumed cost is in doubt."""
    market["cheap"].always(UNKNOWN[case])
    async with serving(impatient_config(tmp_path, sqlite_database, market), market.emulators) as house:
        house.doubt_billed["cheap"] = cheapest_billed(UNKNOWN[case])
        answer = await house.generate("poster")
        task = await house.ended(answer.headers["X-Task-Id"])
    assert (answer.status, answer.error["code"]) == (502, "outcome_unknown")
    assert answer.headers["x-should-retry"] == "false"
    assert dict_of(task, "error")["code"] == "outcome_unknown"
    assert market.served == {"cheap": 1, "middle": 0, "dear": 0}
    assert house.settled.charged() == 0
    assert house.settled.in_doubt_microusd("cheap") == DALL_E_2


@pytest.mark.parametrize("case", UNKNOWN)
async def test_doubt_goes_on_where_the_operator_says_next(
    case: str, sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """`on_unknown: next` buys the picture elsewhere: the caller pays for the delivered one only, the first stays in doubt."""
    market["cheap"].always(UNKNOWN[case])
    config = impatient_config(tmp_path, sqlite_database, market, on_unknown="next")
    async with serving(config, market.emulators) as house:
        house.doubt_billed["cheap"] = cheapest_billed(UNKNOWN[case])
        answer = await house.generate("poster")
        task = await house.ended(answer.headers["X-Task-Id"])
    assert answer.status == 200, answer.body
    assert upstreams_of(task) == [("cheap", "no_answer"), ("middle", None)]
    assert market.served == {"cheap": 1, "middle": 1, "dear": 0}
    assert house.settled.charged() == Decimal("0.04") * 72
    assert house.settled.in_doubt_microusd("cheap") == DALL_E_2


async def test_a_content_refusal_is_final_and_says_nothing_about_health(
    sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """Refused is refused: no other upstream is asked, however often, and the next harmless prompt still goes to the cheapest."""
    market["cheap"].when("forbidden", b.Refuse())
    async with serving(poster_config(tmp_path, sqlite_database, market), market.emulators) as house:
        refusals = [await house.generate("poster", prompt="something forbidden") for _ in range(7)]
        harmless = await house.generate("poster")
    assert {answer.status for answer in refusals} == {400}
    assert {answer.error["code"] for answer in refusals} == {"content_policy_violation"}
    assert {answer.headers["x-should-retry"] for answer in refusals} == {"false"}
    assert harmless.headers["X-Upstream"] == "cheap"
    assert market.served == {"cheap": 8, "middle": 0, "dear": 0}
    assert house.settled.charged() == Decimal("0.02") * 72


async def test_a_billed_refusal_is_our_loss(
    sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """A refusal that the upstream says it charged for costs the caller nothing; we book what was paid."""
    evolink_emulator.next(b.Refuse(bills=True))
    config = write_config(tmp_path, sqlite_database, {"evolink": evolink_upstream(evolink_emulator)})
    async with serving(config, {"evolink": evolink_emulator}) as house:
        task = await house.ended((await house.generate("gpt-4o-image")).text("id"))
    assert dict_of(task, "error")["code"] == "content_policy_violation"
    assert house.settled.charged() == 0
    assert house.settled.lost_microusd == 20_800


async def test_a_circuit_opens_and_calls_do_not_wait_for_it(
    sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """After five failures in a row the slow upstream is left alone: later calls go straight to the next, in none of its time-out."""
    market["cheap"].always(b.Hang())
    config = poster_config(tmp_path, sqlite_database, market, timeout="2s", on_unknown="next")
    async with serving(config, market.emulators) as house:
        house.doubt_billed["cheap"] = Decimal(0)
        slow = await asyncio.gather(*[house.generate("poster") for _ in range(5)])
        started_s = time.monotonic()
        quick = [await house.generate("poster") for _ in range(3)]
        took_s = time.monotonic() - started_s
        open_now = [
            await house.metric("gateway_upstream_circuit_open", upstream=name) for name in ("cheap", "middle", "dear")
        ]
    assert [answer.status for answer in (*slow, *quick)] == [200] * 8
    assert {answer.headers["X-Upstream"] for answer in quick} == {"middle"}
    assert market.served["cheap"] == 5
    assert took_s < 2.0, "three calls together waited for one time-out"
    assert open_now == [1, 0, 0]


async def test_an_empty_account_is_left_alone_after_one_answer(
    sqlite_database: str, tmp_path: Path, market: Market
) -> None:
    """Neither an empty account nor a rate limit is asked a second time while its circuit is open or its Retry-After runs."""
    market["cheap"].always(b.OutOfMoney())
    market["middle"].always(b.RateLimit(retry_after="50"))
    async with serving(poster_config(tmp_path, sqlite_database, market), market.emulators) as house:
        answers = [await house.generate("poster") for _ in range(3)]
    assert {answer.headers["X-Upstream"] for answer in answers} == {"dear"}
    assert market.served == {"cheap": 1, "middle": 1, "dear": 3}


async def test_billed_but_broken_pictures_are_our_loss(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """A billed answer without a usable picture: the caller still gets one and pays for that one; the first is booked as ours."""
    market["cheap"].always(b.WrongImage(what="not_an_image"))
    async with serving(poster_config(tmp_path, sqlite_database, market), market.emulators) as house:
        answer = await house.generate("poster")
    assert (answer.status, answer.headers["X-Upstream"]) == (200, "middle")
    assert house.settled.charged() == Decimal("0.04") * 72
    assert house.settled.lost_microusd == DALL_E_2


async def test_each_part_of_a_split_call_fails_over_alone(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """Four pictures in four calls, one of which fails: only that one is made elsewhere."""
    market["cheap"].next(b.Error())
    async with serving(poster_config(tmp_path, sqlite_database, market), market.emulators) as house:
        answer = await house.generate("poster", n=4)
    assert len(list_of(answer.json, "data")) == 4
    assert market.served == {"cheap": 4, "middle": 1, "dear": 0}
    assert house.settled.charged() == (3 * Decimal("0.02") + Decimal("0.04")) * 72


ORDERS: Mapping[str, tuple[Fields, str]] = {
    "a square at low quality": ({"size": "1024x1024", "quality": "low"}, "evolink"),  # 0.0054 against 0.00591
    "a landscape at low quality": ({"size": "1536x1024", "quality": "low"}, "openai"),  # 0.0054 against 0.00477
    "a square at medium quality": ({"size": "1024x1024", "quality": "medium"}, "evolink"),  # 0.0477 against 0.05271
    "a landscape at medium quality": ({"size": "1536x1024", "quality": "medium"}, "openai"),  # 0.0477 against 0.04119
    "a square at high quality": ({"size": "1024x1024", "quality": "high"}, "evolink"),  # 0.1899 against 0.21078
}


async def test_who_is_cheapest_depends_on_the_request(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator, evolink_emulator: EvolinkEmulator
) -> None:
    """One price a picture against a price by tokens: the order turns with size and quality, and the caller pays what it was."""
    emulators = {"openai": openai_emulator, "evolink": evolink_emulator}
    rows = [{"quality": q, "usd": usd} for q, usd in (("low", 0.0054), ("medium", 0.0477), ("high", 0.1899))]
    models = {
        "gpt-image-2": {
            "offers": [
                {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}},
                {"upstream": "evolink", "model": "gpt-image-2", "cost": {"table": rows}},
            ]
        }
    }
    upstreams = {"openai": openai_upstream(openai_emulator), "evolink": evolink_upstream(evolink_emulator)}
    answers: dict[str, Answer] = {}
    async with serving(write_config(tmp_path, sqlite_database, upstreams, models=models), emulators) as house:
        for name, (wish, _) in ORDERS.items():
            answers[name] = await house.generate("gpt-image-2", **wish)
    served = {name: answer.headers.get("X-Upstream") for name, answer in answers.items()}
    assert served == {name: upstream for name, (_, upstream) in ORDERS.items()}
    billed = openai_emulator.billed_usd + evolink_emulator.billed_usd
    assert abs(house.settled.charged() - billed * 72) < Decimal("0.001")


async def test_a_lost_submit_is_found_again_where_the_upstream_has_keys(
    sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """EvoLink resets after accepting the task: the same key is sent again, so the caller gets the picture and it is paid once."""
    evolink_emulator.next(b.Reset(bills=True))
    config = write_config(tmp_path, sqlite_database, {"evolink": evolink_upstream(evolink_emulator)})
    async with serving(config, {"evolink": evolink_emulator}) as house:
        created = await house.generate("gpt-4o-image")
        task = await house.ended(created.text("id"))
    assert task["status"] == "completed"
    submits = [request for request in evolink_emulator.requests if request.at == "create"]
    assert len({request.headers["idempotency-key"] for request in submits}) == 1
    assert len(submits) == 2
    assert evolink_emulator.billed_images == 1


async def test_a_storm_of_faults_leaves_books_that_agree(database_url: str, tmp_path: Path, market: Market) -> None:
    """Sixty calls at once into upstreams that fail in every way: each gets an answer, and bills and ledger still agree."""
    doubtful: list[b.Behaviour] = [
        b.Reset(bills=True),
        b.HtmlError(bills=True),
        b.Reset(),
        b.HtmlError(),
        b.Truncated(),
    ]
    unbilled: list[b.Behaviour] = [
        b.Error(),
        b.Overloaded(),
        b.Error(status=400, code="invalid_value", message="Invalid value: 'n'."),
    ]
    market["cheap"].next(b.Refuse(), *[behaviour for _ in range(3) for behaviour in (*doubtful, *unbilled)])
    market["middle"].next(b.WrongImage(what="cut_off"), b.Error(), b.Fewer(images=0))
    async with serving(poster_config(tmp_path, database_url, market, on_unknown="next"), market.emulators) as house:
        answers = await asyncio.gather(*[house.generate("poster", prompt=f"{PROMPT} {i}") for i in range(60)])
        # Which calls met which fault depends on when the circuit opened; the emulator knows.
        kinds = ("reset", "html_error", "truncated")
        in_doubt = {request.id for request in market["cheap"].requests if request.behaviour in kinds}
        bills = [bill.usd for bill in market["cheap"].bills if bill.request_id in in_doubt]
        house.doubt_billed["cheap"] = sum(bills, Decimal(0)) * 1_000_000
    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(400)) == (59, 1), "one was refused"
    assert len(in_doubt) >= len(doubtful)
    assert house.settled.in_doubt_microusd("cheap") == len(in_doubt) * DALL_E_2
