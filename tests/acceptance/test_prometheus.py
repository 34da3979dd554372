"""A real Prometheus scrapes two loaded gateways: its rules evaluate, the staged incidents fire their alerts, and every panel has data.

In the rules a minute takes a second, by code and of the same file; with SOAK=1 it takes ten. Everything else is as it ships.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from tests.acceptance.callback_receiver import CallbackReceiver, receiving_callbacks
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, BY_SANDBOX, KEY, MODELS, config
from tests.alert_rules import hurried
from tests.contract.test_prometheus_files import panels, queries_of
from tests.emulators import behaviours as b
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess
from tests.ports import free_port
from tests.prometheus import Prometheus, prometheus_server
from tests.valkey import ValkeyServer

MINUTE_S = 10 if os.environ.get("SOAK") == "1" else 1
FIRED_S_MAX = 60 * MINUTE_S + 60
"""Of which twenty, by the rules; a loaded machine gets more."""
CALL_PAUSE_S = 0.15
BY_BOTH = "by-both"
SMALL_KEY = "a-key-of-a-small-team"
SMALL = "team:acme/small"
JOB = "image-gateway"
INCIDENTS = {
    "GatewayUpstreamDown": {"upstream": "openai"},
    "GatewayBudgetNearlyUsed": {"account": SMALL, "window": "day"},
    "GatewayTaskStuck": {},
    "GatewayCostInDoubt": {},
    "GatewayLedgerDiffers": {},
}
WELL = {
    "GatewayAbsent",
    "GatewayDatabaseDown",
    "GatewayStateDown",
    "GatewayConfigRefused",
    "GatewayPicturesNotStored",
    "GatewayRetentionLate",
}
"""What nothing is staged for."""
SPOILED = "UPDATE balances SET posted_microcredits = posted_microcredits + 7 WHERE account_id = 'org:acme' AND time_window = 'total'"


@dataclass
class Load:
    """A caller of each gateway, all the time: made, shared, by the next offer, and in vain."""

    gateways: tuple[GatewayProcess, ...]
    statuses: set[int] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, gateway: GatewayProcess, name: str) -> None:
        for number in range(100_000):
            for model, prompt in (
                (BY_SANDBOX, f"a cat {name} {number}"), (BY_SANDBOX, "a cat that all want"), (BY_BOTH, f"a dog {name} {number}"),
                (BY_OPENAI, f"a fox {name} {number}"),
            ):  # fmt: skip
                if self.over.wait(CALL_PAUSE_S):
                    return
                self.statuses.add(gateway.generate(model, prompt).status)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        callers = [threading.Thread(target=self.call, args=(each, str(n))) for n, each in enumerate(self.gateways)]
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            self.over.set()
            for caller in callers:
                caller.join()


def settings(
    database: str, valkey: ValkeyServer, openai: EmulatorProcess, evolink: EmulatorProcess, receiver: CallbackReceiver
) -> Mapping[str, object]:
    cost = {"per_image_usd": "0.01"}
    both = [
        {"upstream": "openai", "model": "dall-e-2", "cost": cost},
        {"upstream": "sandbox", "model": "sandbox", "cost": {"per_image_usd": "0.02"}},
    ]
    ports = [int(evolink.origin.rpartition(":")[2]), receiver.port]
    teams = [
        {"team": "design", "keys": [{"name": "ci", "secret": KEY}]},
        {"team": "small", "budgets": ["5images/day"], "keys": [{"name": "small", "secret": SMALL_KEY, "rpm": 1000}]},
    ]
    return config(
        database, openai=openai, evolink=evolink, of_sandbox={"budget": "500usd/month"}, state=valkey.url, cache={"enabled": True},
        models={**MODELS, BY_BOTH: {"prompt_tokens_max": 2000, "sizes": ["1024x1024"], "n": {"max": 10}, "offers": both}},
        accounts=[{"org": "acme", "teams": teams}], egress={"allow": ["127.0.0.0/8"], "allow_http": True, "ports": ports},
    )  # fmt: skip


@contextmanager
def incidents(
    new_gateway: NewGateway, start: StartProcess, database: str, valkey: ValkeyServer
) -> Iterator[Prometheus]:
    """Two gateways in trouble, under load, and the Prometheus that watches them."""
    with receiving_callbacks() as receiver:
        openai, evolink = start("openai"), start("evolink")
        file = settings(database, valkey, openai, evolink, receiver)
        first = new_gateway(file, key=KEY)
        second = new_gateway(file, key=KEY, folder=first.folder)
        first.migrate().start()
        assert first.generate(BY_OPENAI, "a bill with tokens").status == 200
        asyncio.run(_spoil(database))  # before the audit at the other's start
        port = free_port()
        second.start("--port", str(port))
        targets = [gateway.base_url.split("/")[2] for gateway in (first, second)]
        scraping = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": targets}]}],
        }
        with prometheus_server(scraping, hurried(60 // MINUTE_S)) as prometheus:
            until(lambda: len(prometheus.query("gateway_build_info")) == 2, 30, "not both gateways are scraped")
            _stage(first, openai, evolink, receiver)
            with Load((first, second)).going_on():
                yield prometheus


def _stage(
    gateway: GatewayProcess, openai: EmulatorProcess, evolink: EmulatorProcess, receiver: CallbackReceiver
) -> None:
    """All incidents at once: each takes its time to be told."""
    evolink.always(b.StallTask())
    gateway.submit(BY_EVOLINK, "a picture that never comes")
    gateway.submit(BY_SANDBOX, "a picture to be told of", callback_url=receiver.url("hook"))
    openai.next(b.Reset(bills=True))
    assert gateway.generate(BY_OPENAI, "a bill for nothing").status >= 500
    openai.always(b.Overloaded())
    body = {"model": BY_SANDBOX, "prompt": "four of five", "size": "1024x1024", "n": 4}
    assert gateway.request("POST", "/v1/images/generations", body, key=SMALL_KEY).status == 200


async def _spoil(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.execute(SPOILED) == "UPDATE 1"
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(FIRED_S_MAX + 60)
@pytest.mark.xdist_group("acceptance-prometheus")
def test_what_is_wrong_is_told_and_everything_is_seen(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str, valkey: ValkeyServer
) -> None:
    """The five incidents fire, what is well keeps silent, no rule fails, and no panel of the dashboard is empty."""
    with incidents(new_gateway, emulator_process, postgresql_database, valkey) as prometheus:
        firing = until(lambda: _all_fire(prometheus), FIRED_S_MAX, "not all of the incidents are told of", pause_s=0.5)
        for name, labels in INCIDENTS.items():
            assert labels.items() <= firing[name].items(), name
            assert firing[name]["job"] == JOB
        assert not WELL & set(firing)
        rules = prometheus.rules()
        assert [(rule["name"], rule["health"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
        told = [text for rule in rules for alert in rule.get("alerts", ()) for text in alert["annotations"].values()]
        assert [text for text in told if "<error" in text or "<no value>" in text] == []
        try:  # a rate needs two scrapes, and calls between
            until(lambda: not empty(prometheus), 30, "a panel is empty")
        except AssertionError:
            assert empty(prometheus) == []


def _all_fire(prometheus: Prometheus) -> dict[str, dict[str, str]] | None:
    firing = prometheus.firing()
    return firing if set(INCIDENTS) <= set(firing) else None


def empty(prometheus: Prometheus) -> list[tuple[str, str]]:
    """Panels, with their queries, that have nothing to show."""
    return [
        (panel["title"], query)
        for panel in panels()
        for query in queries_of(panel, job=JOB, rates_over="10s", shown="1m")
        if not prometheus.query(query)
    ]
