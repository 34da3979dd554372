"""Five hundred calls at once against one dollar: not a millionth more is charged, and not less than fits.

On SQLite through one process, on PostgreSQL through three behind a TCP balancer. Whatever order a machine serves the calls in, the sums hold.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from gateway.app_office import open_office
from gateway.config import load
from gateway.db.schema import entries
from gateway.db.statements import Statement
from gateway.db.url import Dialect
from gateway.domain.clock import SystemClock
from tests.acceptance.conftest import NewGateway
from tests.acceptance.dollar_calls import (
    ANSWER_S_MAX,
    FAULT_STATUS,
    FAULTS,
    MODEL,
    Answered,
    Call,
    Callers,
    kinds,
    mixed,
    usd,
    warming,
)
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.invariants import assert_bills, assert_settled
from tests.acceptance.settings import KEY, PATH, config
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess
from tests.tcp_balancer import Balancer

CALLS, SEED = 500, 20261126
GATEWAYS = 3
DOLLAR = 1_000_000
CREDITS_PER_USD = 72
TEAM = "team:acme/design"

_BOOKED = Statement(
    select(entries.c.kind, *(entries.c[f"{side}_{unit}"] for unit in ("microusd", "microcredits") for side in ("posted", "pending")))
    .where(entries.c.account_id == TEAM)
    .order_by(entries.c.id)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Purse:
    """How the dollar is given to the team, and what else limits the org without ever binding."""

    unit: str
    team: tuple[str, ...] = ()
    org: tuple[str, ...] = ()
    granted: str | None = None

    @property
    def per_usd(self) -> int:
        return CREDITS_PER_USD if self.unit == "credits" else 1


PURSES = {
    "1usd a day": Purse("usd", team=("1usd/day",)),
    "72 prepaid credits": Purse("credits", org=("5usd/total",), granted=f"{CREDITS_PER_USD}credits"),
}


@pytest.fixture(params=list(PURSES.values()), ids=list(PURSES))
def purse(request: pytest.FixtureRequest) -> Purse:
    found: Purse = request.param
    return found


def zone_at_noon() -> str:
    """A time zone in which no midnight is near: the day's budget must not begin anew within the test."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def serving(new_gateway: NewGateway, openai: EmulatorProcess, database: str, purse: Purse) -> list[GatewayProcess]:
    """One process on SQLite, three on PostgreSQL, which share everything."""
    offer = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
    priced = {
        "prompt_tokens_max": 100,
        "sizes": ["auto", "1024x1024", "1536x1024", "1024x1536"],
        "n": {"max": 2},
        "offers": [offer],
    }
    team = {"team": "design", "budgets": list(purse.team), "keys": [{"name": "ci", "secret": KEY}]}
    settings = config(
        database,
        openai=openai,
        models={MODEL: priced},
        accounts=[{"org": "acme", "budgets": list(purse.org), "timezone": zone_at_noon(), "teams": [team]}],
    )
    first = new_gateway(settings, key=KEY)
    gateways = [first]
    if database.startswith("postgresql"):
        first.migrate()
        gateways += [new_gateway(settings, key=KEY, folder=first.folder) for _ in range(GATEWAYS - 1)]
    for gateway in gateways:
        gateway.start()
    if purse.granted:
        done = first.command("accounts", "grant", "acme/design", purse.granted, "--why", "a dollar to begin with")
        assert done.returncode == 0, done.stderr
    return gateways


@contextlib.contextmanager
def balanced(gateways: Sequence[GatewayProcess]) -> Iterator[str]:
    """Where callers find the gateways: the only one itself, or the balancer in front of them."""
    if len(gateways) == 1:
        yield gateways[0].base_url
        return
    with Balancer() as balancer:
        balancer.backends = tuple(port_of(gateway.base_url) for gateway in gateways)
        until(lambda: len(balancer.ready) == len(gateways), 30, "the balancer does not see all of them")
        yield f"{balancer.origin}/v1"


def port_of(base_url: str) -> int:
    port = urlsplit(base_url).port
    assert port is not None
    return port


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_one_dollar(new_gateway: NewGateway, emulator_process: StartProcess, database: str, purse: Purse) -> None:
    """At most a dollar is charged, what was refused did not fit and was never sent, nothing stays held, and the last call that fits is served."""
    openai = emulator_process("openai")
    for animal, behaviour in FAULTS.items():
        openai.when(animal, behaviour)
    gateways = serving(new_gateway, openai, database, purse)
    with balanced(gateways) as base_url:
        callers = Callers([base_url], KEY)

        # The first call of a process builds its tokeniser; after it, all processes are equally fast, and compete.
        first = [asyncio.run(callers.at_once([call]))[0] for call in warming(len(gateways))]
        answers = [*first, *asyncio.run(stormed(callers, openai, mixed(CALLS, SEED)))]
        accepted = [answer for answer in answers if not answer.refused]
        refused = [answer for answer in answers if answer.refused]
        for answer in accepted:
            assert_truthful(answer)
        charged = sum(answer.call.cost_microusd for answer in accepted if answer.delivered)
        assert charged <= DOLLAR
        assert len(accepted) + len(refused) == CALLS + len(gateways)
        assert {answer.call.animal for answer in accepted} == {"dolphin", *FAULTS}
        assert (
            {answer.call.as_task for answer in accepted} == {answer.call.as_task for answer in refused} == {True, False}
        )

        walked = assert_last_cent(callers, purse, DOLLAR - charged)
        served = [*accepted, *(answer for answer in walked if not answer.refused)]
        refused += [answer for answer in walked if answer.refused]
        charged = sum(answer.call.cost_microusd for answer in served if answer.delivered)
        assert DOLLAR - kinds()[-1].held_microusd < charged <= DOLLAR

    assert_sent(openai, served, refused)
    assert_booked(gateways[0], openai, served, charged)
    for gateway in gateways:
        assert gateway.terminate() == 0
    assert_refused_rightly(gateways[0], purse, refused)


async def stormed(callers: Callers, openai: EmulatorProcess, calls: Sequence[Call]) -> list[Answered]:
    """All at once; but those that meet a fault are with the upstream before the others begin: which calls fit is a matter of who comes first."""
    faulty = [call for call in calls if call.animal in FAULTS]
    before = asyncio.create_task(callers.at_once(faulty))
    async with asyncio.timeout(ANSWER_S_MAX):
        while {call.prompt for call in faulty} - {request.prompt for request in openai.requests}:  # noqa: ASYNC110 - the emulator is another process
            await asyncio.sleep(0.05)
    others = await callers.at_once([call for call in calls if call.animal not in FAULTS])
    return [*await before, *others]


def assert_truthful(answer: Answered) -> None:
    """An accepted call has its pictures, or the error of what its upstream did; and it was told so in its own contract."""
    call, code = answer.call, answer.outcome
    status = FAULT_STATUS.get(call.animal)
    wanted = {None: "completed", 502: "upstream_failed", 400: "content_policy_violation"}[status]
    if call.as_task:
        assert answer.status == 202, answer.body
        wanted = {"upstream_failed": "service_error"}.get(wanted, wanted)
    else:
        assert answer.status == (status or 200), answer.body
    assert (code, answer.delivered) == (wanted, 0 if status else call.n), (call, answer.body, answer.task)


def assert_last_cent(callers: Callers, purse: Purse, left: int) -> list[Answered]:
    """One after another, dearest kinds first: each call is served exactly if it fits what is left, until not even the cheapest does."""
    walked: list[Answered] = []
    for kind in kinds():
        while True:
            call = replace(kind, number=100 + CALLS + len(walked), as_task=len(walked) % 2 == 1)
            [answer] = asyncio.run(callers.at_once([call]))
            walked.append(answer)
            assert answer.refused == (call.held_microusd > left), (call, left, answer.body)
            if answer.refused:
                assert answer.refusal.left == left * purse.per_usd
                break
            assert_truthful(answer)
            left -= call.cost_microusd
    assert 0 <= left < kinds()[-1].held_microusd
    return walked


def assert_sent(openai: EmulatorProcess, served: Sequence[Answered], refused: Sequence[Answered]) -> None:
    """Every accepted call reached the upstream once; no refused one did."""
    received = Counter(request.prompt for request in openai.requests if request.at == "create")
    assert received == Counter(answer.call.prompt for answer in served)
    assert not received.keys() & {answer.call.prompt for answer in refused}


def assert_booked(gateway: GatewayProcess, openai: EmulatorProcess, served: Sequence[Answered], charged: int) -> None:
    """Nothing is held, the audit is clean, key, team and org say the same sum, and the vendor's bill is what was paid: some of it our own loss."""
    books = assert_settled(gateway, completed=sum(answer.outcome == "completed" for answer in served))
    attempts = [attempt for task in gateway.tasks_in_full() for attempt in task["attempts"]]
    assert len(attempts) == len(served) == len([request for request in openai.requests if request.at == "create"])
    for account in PATH:
        assert books.used_usd(account) == usd(charged), account
    assert books.in_doubt == []
    assert_bills(books, openai, "openai", attempts=len(attempts))
    withheld = [answer.call.cost_microusd for answer in served if answer.call.animal == "squirrel"]
    assert books.used_usd("ours") == usd(sum(withheld))
    assert openai.billed_usd == usd(charged + sum(withheld))


def assert_refused_rightly(gateway: GatewayProcess, purse: Purse, refused: Sequence[Answered]) -> None:
    """At no moment was more than a dollar charged and held, and what each refused caller was told was left is what was left at some moment."""
    lefts = asyncio.run(lefts_of_team(gateway, purse))
    assert min(lefts) >= 0
    cheapest = kinds()[-1].held_microusd * purse.per_usd
    assert min(lefts) < cheapest, "the dollar was never used up"
    for answer in refused:
        said = answer.refusal
        assert (said.scope, said.unit) == ("team", purse.unit)
        assert said.needed == answer.call.held_microusd * purse.per_usd
        assert said.left < said.needed
        assert said.left in lefts


async def lefts_of_team(gateway: GatewayProcess, purse: Purse) -> set[int]:
    """What was left of the dollar after each entry of the team, in order: the ledger admits one call after the other."""
    settings = load(gateway.config_path)
    embedded = settings.database.dialect is Dialect.SQLITE
    with contextlib.chdir(gateway.folder):
        async with open_office(settings, SystemClock(), migrating=embedded) as office:
            rows: list[Any] = await office.database.read(lambda connection: connection.fetch(_BOOKED))
    left = DOLLAR * purse.per_usd
    lefts = {left}
    for kind, posted_usd, pending_usd, posted_credits, pending_credits in rows:
        if kind != "grant":
            left -= posted_credits + pending_credits if purse.unit == "credits" else posted_usd + pending_usd
            lefts.add(left)
    return lefts
