"""Identical calls over three gateways behind a balancer, on one PostgreSQL and one Valkey: made once for each org, each call its own task.

A thousand of them at once in `make soak`, three hundred in `make test`.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.request import urlopen

import aiohttp
import orjson
import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.fleet import Fleet, fleet
from tests.acceptance.invariants import all_final
from tests.acceptance.settings import BY_OPENAI, KEY, Section, config
from tests.emulators.fixtures import StartProcess
from tests.proofs import Proof
from tests.tcp_balancer import Balancer
from tests.valkey import ValkeyServer

GATEWAYS, CALLS = 3, 1_000 if os.environ.get("SOAK") == "1" else 300
STRANGERS_KEY, COLLEAGUES_KEY = "a-key-of-another-org", "a-key-of-a-colleague"
SIZE = "1024x1024"


class Told(NamedTuple):
    """Of one answer."""

    status: int
    cache: str
    task: str
    sha256: str
    """Of the picture's link, which names the picture: equal for equal pictures."""


def settings(
    database: str, valkey: ValkeyServer, port: Callable[[], object], **cache: object
) -> Callable[[Balancer], Section]:
    """Two orgs, the first with two keys."""
    colleague = {"name": "colleague", "secret": COLLEAGUES_KEY}
    team = {"team": "design", "keys": [{"name": "ci", "secret": KEY}]}
    orgs = [
        {"org": "acme", "teams": [team], "keys": [colleague]},
        {"org": "strangers", "keys": [{"name": "theirs", "secret": STRANGERS_KEY}]},
    ]  # fmt: skip

    def of(balancer: Balancer) -> Section:
        return config(
            database,
            openai=port(),  # type: ignore[arg-type]  # an emulator's process
            state=valkey.url,
            cache={"enabled": True, **cache},
            server={"port": 0, "drain": "20s", "public_url": balancer.origin},
            accounts=orgs,
        )

    return of


async def calls(origin: str, prompt: str, keys: Sequence[str], headers: dict[str, str] | None = None) -> list[Told]:
    """All at once, each over a connection of its own, so that the balancer spreads them."""
    body = orjson.dumps(
        {"model": BY_OPENAI, "prompt": prompt, "size": SIZE, "quality": "low", "response_format": "b64_json"}
    )

    async def one(key: str) -> Told:
        sent = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Connection": "close",
            **(headers or {}),
        }
        async with http.post(f"{origin}/v1/images/generations", data=body, headers=sent) as answer:
            read = await answer.read()
            picture = orjson.loads(read)["data"][0]["b64_json"] if answer.status == 200 else read.decode()
            return Told(
                answer.status,
                answer.headers.get("X-Cache", ""),
                answer.headers.get("X-Task-Id", ""),
                str(hash(picture)),
            )

    timeout = aiohttp.ClientTimeout(total=90)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        return list(await asyncio.gather(*(one(key) for key in keys)))


def state_failures(house: Fleet) -> int:
    """Questions to the shared state that had no answer, of all gateways."""
    failures = 0
    for port in house.ports:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            found = re.findall(r"^gateway_state_failures_total\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
        failures += sum(int(float(value)) for value in found)
    return failures


def assert_clean(house: Fleet) -> None:
    """Every task ended, nothing is held, and the books agree with themselves."""
    all_final(house.first, 60)
    audit = house.first.ask("ledger audit")
    assert not audit["failed"], audit
    assert " 0 pending holds" in audit["message"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("acceptance-fleet")
def test_identical_calls_at_once_are_one_bill_an_org(
    new_gateway: NewGateway,
    emulator_process: StartProcess,
    postgresql_database: str,
    own_valkey: ValkeyServer,
    proof: Proof,
) -> None:
    openai = emulator_process("openai", delay=4)
    make = settings(postgresql_database, own_valkey, lambda: openai, single_flight="always")
    with fleet(new_gateway, GATEWAYS, make) as house:
        origin = house.balancer.origin
        told = asyncio.run(calls(origin, "one for all", [KEY, COLLEAGUES_KEY] * (CALLS // 2)))
        assert Counter(one.status for one in told) == {200: CALLS}, next(one for one in told if one.status != 200)
        assert len({one.task for one in told}) == CALLS
        found = Counter(one.cache for one in told)
        # A state that is starved of the processor for 0.2 s is left alone for a while: then each process goes by itself.
        most = 1 if state_failures(house) == 0 else GATEWAYS
        assert 1 <= found["miss"] <= most, found
        assert len({one.sha256 for one in told}) == len(openai.bills) == found["miss"]
        two = asyncio.run(calls(origin, "one for each org", [KEY, STRANGERS_KEY] * 50))
        assert Counter(one.status for one in two) == {200: 100}
        made = sum(one.cache == "miss" for one in two)
        assert 2 <= made <= 2 * (1 if state_failures(house) == 0 else GATEWAYS)
        assert len({one.sha256 for one in two}) == made == len(openai.bills) - found["miss"]
        again = asyncio.run(calls(origin, "one for all", [COLLEAGUES_KEY] * 30))
        assert {one.cache for one in again} == {"hit"}
        assert_clean(house)
        proof(
            "identical calls",
            f"{CALLS} at once over {GATEWAYS} gateways: {dict(found)}, {found['miss']} bills; two orgs: {made} bills",
        )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("acceptance-fleet")
def test_calls_of_one_key_in_flight_get_pictures_of_their_own(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str, own_valkey: ValkeyServer
) -> None:
    """By default, and over all gateways; a colleague's call joins one of them, and a silent Valkey costs no call more than a moment."""
    openai = emulator_process("openai", delay=2)
    with fleet(new_gateway, GATEWAYS, settings(postgresql_database, own_valkey, lambda: openai)) as house:
        origin = house.balancer.origin
        told = asyncio.run(calls(origin, "four of them", [KEY] * 4))
        assert [one.status for one in told] == [200] * 4
        assert len({one.sha256 for one in told}) == 4
        assert len(openai.bills) == 4
        own_valkey.pause()
        try:
            alone = asyncio.run(calls(origin, "without a state", [KEY, COLLEAGUES_KEY] * 3))
        finally:
            own_valkey.resume()
        assert [one.status for one in alone] == [200] * 6
        # Each process goes by itself: a colleague's call may join one of its own.
        assert {one.cache for one in alone} <= {"miss", "joined"}
        assert len(openai.bills) == 4 + sum(one.cache == "miss" for one in alone)
        assert_clean(house)
